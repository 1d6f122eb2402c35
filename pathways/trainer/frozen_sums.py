"""What the frozen modules of mixed steps add up to: computed once, like the activations of a frozen prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from pathways.assemble import PathModule
from pathways.modules import Frozen, Masked
from pathways.path import Path, Step
from pathways.prefix import frozen_parts, frozen_prefix

from .samples import Samples
from .stored import gathered, size

if TYPE_CHECKING:
    from .train import Trainer


def frozen_sum(trainer: Trainer, path: Path, step: str, samples: Samples) -> Tensor | None:
    """The sum of a step's frozen modules for all samples, in the order of the step.

    Each module's activations are held under its own key, so that paths which draw other frozen modules of a layer
    share what they have in common; sums are held in memory.

    Args:
        trainer: whose pool and caches to use.
        path: holds the step.
        step: one of `frozen_parts(path)`.
        samples: what the path reads, prepared.

    Returns:
        (views * N, ...); `None` where they are too large to be held, or carry masks.
    """
    modules, reads = frozen_parts(path)[step], path.steps[step].reads
    key = " ".join(["sum", samples.key, *(path.step_hashes[read] for read in reads), *(ref.id for ref in modules)])
    total: Tensor | None = trainer.recent.get(key)
    if total is not None:
        return total
    for ref in modules:
        value = _activations(trainer, path, step, ref, samples)
        if value is None:
            return None
        total = value if total is None else total + value
    assert total is not None
    trainer.recent.put(key, total, size(total))
    return total


def _activations(trainer: Trainer, path: Path, step: str, ref: Frozen, samples: Samples) -> Tensor | None:
    """What one of the modules gives, as a path of its own: all frozen, so that its output is cached."""
    prefix, _ = frozen_prefix(path)
    steps = {name: path.steps[name] for name in path.canonical_order if name in prefix}
    alone = Path(path.inputs, {**steps, step: Step((ref,), path.steps[step].reads)}, step)

    def assemble() -> PathModule:
        return trainer.placed(PathModule(alone, trainer.frozen_weights, trainer.families, lend=True))

    value = trainer.beyond_prefix(alone, samples, assemble).values.get(step)
    return None if value is None or isinstance(value, Masked) else gathered(value, slice(None))


__all__ = ["frozen_sum"]

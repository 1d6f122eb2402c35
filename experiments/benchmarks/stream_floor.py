"""The products of the quickstart's stream, counted: what both sides would have to compute if all else were free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pathways.candidate import Candidate
from pathways.evolve.paths import fresh, with_head
from pathways.modules import Draft, facts
from pathways.path import Path
from pathways.prefix import frozen_prefix
from pathways.task import Task

from .by_hand import ByHand, Trial


def sample_flops(path: Path) -> tuple[dict[str, int], int]:
    """The FLOPs of one sample: forward through each step of the frozen prefix, and one training step through the rest.

    Behind the prefix a module costs its forward pass, as much again for the gradient of its weights where it is
    trained, and as much again for that of what it reads where something before it is trained.

    Args:
        path: of modules without deltas or routers.

    Returns:
        Those of the prefix by step hash, and those of the rest.

    Example:
        >>> from pathways.modules import Init, ModuleSpec, Vector
        >>> from pathways.path import Step
        >>> layer = lambda i: (Draft(f"{i}", ModuleSpec("linear", {"dim": 5}), Init(i)),)
        >>> sample_flops(Path({"x": Vector(5)}, {"a": Step(layer(0), ("x",)), "b": Step(layer(1), ("a",))}, "b"))
        ({}, 250)
    """
    prefix, _ = frozen_prefix(path)
    ports = path.ports()
    moving: set[str] = set()  # what training changes the outputs of
    ahead: dict[str, int] = {}
    rest = 0
    for name in path.canonical_order:
        step = path.steps[name]
        flops = sum(facts(ref.spec, tuple(ports[read] for read in step.reads)).flops for ref in step.modules)
        if name in prefix:
            ahead[path.step_hashes[name]] = flops
            continue
        trained = any(isinstance(ref, Draft) for ref in step.modules)
        behind = any(read in moving for read in step.reads)
        rest += flops * (1 + trained + behind)
        if trained or behind:
            moving.add(name)
    return ahead, rest


def searched(task: Task, candidates: Iterable[Candidate]) -> int:
    """The FLOPs of a search's candidates for one task: frozen steps once for each view of a sample, then training.

    Validation images, heads in closed form and measuring are left out, as they are in `tuned`.
    """
    frozen: dict[tuple[str, int], int] = {}
    trained = 0
    for candidate in candidates:
        training = candidate.training
        ahead, rest = sample_flops(candidate.paths[task.name])
        views = training.augment.views if training.augment and training.steps else 1
        frozen |= {(step, views): flops * views * len(task.splits["train"]) for step, flops in ahead.items()}
        trained += training.steps * training.batch * rest
    return trained + sum(frozen.values())


def tuned(side: ByHand, task: Task, trials: Sequence[Trial]) -> int:
    """The FLOPs of training what a study tried for one task."""
    _, each = sample_flops(with_head(fresh(side.root), task.target, inputs=task.inputs))
    return each * sum(trial.training.steps * trial.training.batch for trial in trials)


__all__ = ["sample_flops", "searched", "tuned"]

"""What tests of mutations share: small paths of many shapes, and the ways to put a family into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch

from pathways.candidate import Candidate, Result, Training
from pathways.errors import PathError
from pathways.evolve.fitted import What
from pathways.evolve.mutate_blocks import insert_block, replace_block
from pathways.evolve.mutate_branches import add_branch
from pathways.evolve.mutate_deltas import add_delta
from pathways.evolve.mutate_heads import replace_head
from pathways.evolve.paths import with_head
from pathways.modules import BUILT_IN, Draft, Families, Frozen, Image, Init, Masked, ModuleSpec, Signal, Tokens, Vector
from pathways.modules.ports import example
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.preset import preset, presets
from pathways.task import Classes, Sequences, Spans, Split, Target, Task, fits
from pathways.testing.fake import sha
from pathways.trainer import Trainer


def chain(port, **specs: ModuleSpec) -> Path:
    """Untrained modules one behind the other."""
    steps, last = {}, "x"
    for name, spec in specs.items():
        steps[name] = Step((Draft(name, spec),), (last,))
        last = name
    return Path({"x": port}, steps, last)


LINEAR = ModuleSpec("linear", {"dim": 8, "activation": "relu"})
TRANSFORMER = ModuleSpec("transformer", {"heads": 2, "ff": 2})
CHAINS = {
    "vectors": chain(Vector(8), a=LINEAR, b=LINEAR),
    "images": chain(
        Image(1, 8, 8), a=ModuleSpec("conv", {"channels": 4, "norm": "batch"}),
        b=ModuleSpec("conv", {"channels": 4, "norm": "group", "groups": 2}), flat=ModuleSpec("flatten"), c=LINEAR,
    ),
    "tokens": chain(Tokens(5, 8), a=TRANSFORMER, b=TRANSFORMER, pooled=ModuleSpec("pool")),
    "masked tokens": chain(Tokens(None, 8), a=TRANSFORMER, b=TRANSFORMER),
    "signals": chain(Signal(4, None), tokens=ModuleSpec("as_tokens"), a=TRANSFORMER),
}


@lru_cache(maxsize=1)
def paths() -> dict[str, Path]:
    """Small headless paths by name: chains of one kind of port, and all that ship."""
    return {**CHAINS, **{name: preset(name) for name in presets()}}


def as_frozen(path: Path) -> Path:
    """The path as training would leave it, with made-up blobs."""
    return path.trained({name: sha("frozen", name, draft.spec.canonical) for name, draft in path.drafts().items()})


def families_of(path: Path) -> list[str]:
    """The family of each module, parts among them."""
    return [ref.spec.family for ref in path.refs()]


Put = Callable[[Path], Path]
"""A mutation with all that it needs but the path."""


def puts(what: What, path: Path, families: Families = BUILT_IN) -> Iterator[tuple[str, Put]]:
    """Each way to put a family into a path, in words, whether it fits or not; headless paths get a head for heads."""
    for step in reversed(path.canonical_order):
        yield f"insert after {step}", lambda p, s=step: insert_block(p, s, what, families)
        yield f"replace {step}", lambda p, s=step: replace_block(p, s, what, families)
        yield f"beside {step}", lambda p, s=step: add_branch(p, s, what, None, families)
        own = path.steps[step].modules[0].spec
        yield f"route {step}", lambda p, s=step, own=own: add_branch(p, s, own, what, families)
        for host in range(len(path.steps[step].modules)):
            yield f"in {step}", lambda p, s=step, host=host: add_delta(p, s, what, host, families)
    for target in TARGETS:
        yield f"head for {target.kind}", lambda p, t=target: replace_head(old_head(p, t, families), what, families)


LENGTH = 5
"""Of values whose length varies, as `example` makes them."""
TARGETS: tuple[Target, ...] = (Classes(3), Sequences(3), Spans(LENGTH))


def old_head(path: Path, target: Target, families: Families) -> Path:
    """The path with a head that no fresh one equals."""
    return with_head(path, target, start=Init(7), families=families)


def found(what: str, families: Families = BUILT_IN) -> tuple[str, str, Put] | None:
    """The first path, by name, and mutation that puts a family where it was not; `None` where there is none."""
    for name, trunk in paths().items():
        path = as_frozen(trunk)
        before = families_of(path).count(what)
        for words, put in puts(what, path, families):
            try:
                after = put(path)
            except PathError:
                continue
            if families_of(after).count(what) > before or words.startswith(("replace", "head")):
                return name, words, put
    return None


def task_for(path: Path, families: Families, n: int = 12) -> Task:
    """A task of random samples, with what the path's head answers for a target."""
    port, generator = path.ports(families)[path.output], torch.Generator().manual_seed(1)
    target: Target = next(target for target in TARGETS if fits(target, port))

    def split() -> Split:
        values = {name: example(each, n, generator, LENGTH) for name, each in path.inputs.items()}
        targets = torch.arange(n) % 3
        if isinstance(target, Spans):
            return Split(values, torch.zeros(n, 2, dtype=torch.long))
        if isinstance(target, Sequences):
            masks = [value.mask for value in values.values() if isinstance(value, Masked)]
            targets = targets[:, None].expand(n, port.length or LENGTH)
            return Split(values, targets.where(masks[0], -100) if masks else targets)
        return Split(values, targets)

    splits = {name: split() for name in ("train", "validation", "test")}
    return Task(f"random {target.kind}", path.inputs, target, splits, allow_duplicates=True)


class Bench:
    """A pool and a trainer; trains a path on random samples of its inputs."""

    def __init__(self, directory, families: Families = BUILT_IN) -> None:
        self.pool, self.families = Pool(directory), families
        self.trainer = Trainer(self.pool, families)

    def train(self, path: Path, steps: int = 2) -> Result:
        """The result of a path with a head."""
        task = task_for(path, self.families)
        self.trainer.provide(task.without_test())
        training = Training(steps=steps, batch=4)
        [result] = self.trainer.run([Candidate({task.name: path}, training, {task.name: task.fingerprint})])
        return result

    def frozen(self, trunk: Path) -> Path:
        """The trunk, trained for a step behind a head, without it."""
        path = with_head(trunk, Classes(3), families=self.families)
        result = self.train(path, steps=1)
        assert result.ok, result.failure
        return trunk.trained(result.blobs)


def headed(path: Path, families: Families = BUILT_IN) -> Path:
    """The path with a head, where it has none."""
    head = getattr(families[path.steps[path.output].modules[0].spec.family], "head", False)
    return path if head else with_head(path, Classes(3), families=families)


def fresh(path: Path, what: str) -> bool:
    """Whether a draft of a family is in a path."""
    return any(not isinstance(ref, Frozen) and ref.spec.family == what for ref in path.refs())

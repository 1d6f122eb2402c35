"""Multipath: a task's own path, frozen, mixed with frozen paths of other tasks by a router that is trained.

    own trunk -> logits (own head, frozen) ----------------------+
    another task's trunk, frozen -> connector1, zero at the start -+-> head: `path_router`
    another task's trunk, frozen -> connector2, zero at the start -+

Reference: Gesmundo 2023, "Multipath agents for modular multitask ML systems", arXiv 2302.02721 (mu4Net).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pathways.candidate import Candidate, Result
from pathways.convert import conversion
from pathways.errors import ConfigError
from pathways.modules import BUILT_IN, Draft, Families, Frozen, Init, ModuleSpec, Vector, Warm
from pathways.path import Path, Step

from .paths import glue
from .settings import whole_number

if TYPE_CHECKING:
    from .member import Member
    from .seeds import Seeds

KIND = "paths"
SCORES = {"classifier": "classes", "regressor": "values"}
"""Heads that give one vector for each sample, and what their configurations call its size."""
LOGITS, CONNECTOR, ROUTER = "logits", "connector", "router"


@dataclass(frozen=True)
class Multipath:
    """How a task's own path is mixed with paths of other tasks.

    Args:
        paths: the numbers of paths that a mixture may have, its own among them.
        main: the weight with which its own path starts.
        lr_mult: factor on the router's gradients.

    Raises:
        ConfigError: a number of paths below 2, or none; the router's settings are checked by its family.

    Example:
        >>> Multipath(paths=[2]).to_json()
        {'paths': [2], 'main': 0.8, 'lr_mult': 0.05}
    """

    paths: Sequence[int] = (2, 3)
    main: float = 0.8
    lr_mult: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.paths, (list, tuple)) or not self.paths:
            raise ConfigError(f"`paths` of `multipath` must be a list of numbers of paths, found {self.paths!r}.")
        for number in self.paths:
            whole_number("paths", number, 2)
        object.__setattr__(self, "paths", tuple(sorted(set(self.paths))))
        for name, low, high in (("main", 0, 1), ("lr_mult", 0, 1)):
            value = getattr(self, name)
            fine = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
            if not fine or (name == "main" and value in (0, 1)):
                raise ConfigError(f"`{name}` of `multipath` must be a number from {low} to {high}, found {value!r}.")

    def router(self) -> ModuleSpec:
        """The router that mixes."""
        return ModuleSpec("path_router", {"main": float(self.main), "lr_mult": float(self.lr_mult)})

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return {"paths": list(self.paths), "main": self.main, "lr_mult": self.lr_mult}


def as_multipath(value: Any) -> Multipath | None:
    """`value` as `Multipath`: `true` or its settings; `None` and `false` are none."""
    if value is None or value is False or isinstance(value, Multipath):
        return value or None
    if value is True:
        return Multipath()
    known = set(Multipath.__dataclass_fields__)
    if not isinstance(value, Mapping) or set(value) - known:
        raise ConfigError(f"`multipath` must be true or a mapping of {sorted(known)}, found {value!r}.")
    return Multipath(**value)


@dataclass(frozen=True)
class Extra:
    """A path of another task in a mixture.

    Args:
        key: the task, or `root`.
        trunk: headless, frozen.
        connector: what its features go through; `None` before it was trained.
    """

    key: str
    trunk: Path
    connector: Frozen | None = None


def can_mix(heads: Iterable[Frozen]) -> bool:
    """Whether a path with these heads may be mixed: one that scores each sample, not each of its places."""
    return [head.spec.family in SCORES for head in heads] == [True]


def gives_features(trunk: Path, families: Families = BUILT_IN) -> bool:
    """Whether a trunk ends in features: ids have none before something trained embeds them."""
    return not trunk.ports(families)[trunk.output].integer


def changed(
    parent: Member, settings: Multipath, seeds: Seeds, rng: np.random.Generator
) -> tuple[Member, list[str]]:
    """The parent with one extra path more, less or replaced; where it has none yet, with as many as are drawn.

    Args:
        parent: a path that was trained for the task.
        settings: how many paths there may be.
        seeds: whose paths may be mixed in, those of the root and of other tasks.
        rng: where the draws come from.

    Returns:
        The member and what was done, in words: nothing where no other path is left to take.
    """
    extras, n = list(parent.extras), 1 + len(parent.extras)
    free = seeds.others({parent.trunk.hash, *(extra.trunk.hash for extra in extras)})
    words, router = [], parent.router

    def taken() -> Extra:
        seed = seeds[free.pop(int(rng.integers(len(free))))]
        words.append(f"path of {seed.key}")
        return Extra(seed.key, seed.trunk)

    if not extras:
        wanted = min(int(rng.choice(list(settings.paths))), len(free) + 1)
        fitting = max((number for number in settings.paths if number <= wanted), default=1)
        return replace(parent, extras=tuple(taken() for _ in range(fitting - 1))), words
    can = [
        *(["add"] if free and n + 1 in settings.paths else []),
        *(["replace"] if free else []),
        *(["drop"] if n - 1 in settings.paths else []),
    ]  # fmt: skip
    if not can:
        return parent, []
    what = str(rng.choice(can))
    if what == "add":
        extras.append(taken())
    else:
        place = int(rng.integers(len(extras)))
        words.append(f"without path of {extras[place].key}")
        extras[place : place + 1] = [taken()] if what == "replace" else []
    # A router weighs so many paths as it was made for.
    return replace(parent, extras=tuple(extras), router=router if what == "replace" else None), words


def mixed(member: Member, head: Frozen, settings: Multipath, families: Families = BUILT_IN) -> Path:
    """The path of a member with extra paths: all frozen but a connector for each of these, and the router.

    Steps that paths have in common are one step.
    """
    trunk = member.trunk
    steps = dict(trunk.steps)
    known = {trunk.step_hashes[name]: name for name in trunk.canonical_order}
    taken = {*steps, *trunk.inputs}

    def put(name: str, step: Step) -> str:
        while name in taken:
            name += "'"
        taken.add(name)
        steps[name] = step
        return name

    def vector(path: Path, last: str) -> str:
        """The step that gives a path's features as a vector."""
        for spec in conversion(path.ports(families)[path.output], Vector, families):
            name = f"{last}.{spec.family}"
            last = name if name in steps else put(name, Step((glue(name, spec),), (last,)))
        return last

    logits = put(LOGITS, Step((head,), (vector(trunk, trunk.output),)))
    connector = ModuleSpec("connector", {"dim": head.spec.config[SCORES[head.spec.family]]})
    reads = [logits]
    for i, extra in enumerate(member.extras, 1):
        names = {name: name for name in extra.trunk.inputs}
        for name in extra.trunk.canonical_order:
            content = extra.trunk.step_hashes[name]
            if content not in known:
                step = extra.trunk.steps[name].map_reads(lambda read, names=names: names[read])  # type: ignore[misc]
                known[content] = put(f"path{i}.{name}", step)
            names[name] = known[content]
        start = Init() if extra.connector is None else Warm(extra.connector.id)
        features = vector(extra.trunk, names[extra.trunk.output])
        reads.append(put(f"{CONNECTOR}{i}", Step((Draft(f"{CONNECTOR}{i}", connector, start),), (features,))))
    start = Init() if member.router is None else Warm(member.router.id)
    output = put("head", Step((Draft(ROUTER, settings.router(), start),), tuple(reads)))
    return Path(trunk.inputs, steps, output)


def trained(member: Member, candidate: Candidate, result: Result) -> Member:
    """The member with what training gave its connectors and its router."""
    drafts = candidate.drafts()

    def frozen(name: str) -> Frozen:
        return Frozen(result.blobs[name], drafts[name].spec)

    extras = [replace(extra, connector=frozen(f"{CONNECTOR}{i}")) for i, extra in enumerate(member.extras, 1)]
    return replace(member, extras=tuple(extras), router=frozen(ROUTER))


__all__ = ["KIND", "Extra", "Multipath", "as_multipath", "can_mix", "changed", "gives_features", "mixed", "trained"]

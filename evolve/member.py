"""The members of a muNet population, and the seeds that a task's search begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pathways.candidate import Training
from pathways.champions import Champions
from pathways.errors import ConfigError, PathError
from pathways.modules import Frozen, FrozenDict
from pathways.path import Path
from pathways.strategy import Champion, View

from .multipath import Extra
from .paths import fit_inputs, without_head

if TYPE_CHECKING:
    from .munet import MuNet
    from .seeds import Seeds


FRESH, CLONED, MUTABLE = "fresh", "cloned", "mutable"
STATES = (FRESH, CLONED, MUTABLE)
"""Where the optimizer state of a clone comes from: see `MuNet.optimizer_state`."""


@dataclass(frozen=True)
class Member:
    """A path that may have children.

    Args:
        key: `root`, a champion's task, or the hash of the candidate that it came from.
        trunk: headless; frozen references, or `Init` drafts for a root from scratch.
        heads: the trained head of each task that is learned; a seed has none.
        own: blobs that were trained for these tasks: copied and trained on in children.
        training: its hyperparameters.
        rates: its mutation rates, where they differ from the settings'.
        adapter_dim: the width of adapters that its children insert.
        score: for this task; of a seed that of its probe; `None` where it was not measured.
        parents: champions, or `root`, that its modules come from.
        optimizers: by blob of a module, that of the optimizer state that its clones may begin with.
        extras: paths of other tasks that its own is mixed with, see `multipath`; then its own is trained no more.
        router: what mixes them; `None` before it was trained.
    """

    key: str
    trunk: Path
    heads: Mapping[str, Frozen]
    own: frozenset[str]
    training: Training
    rates: Mapping[str, float]
    adapter_dim: int
    score: float | None = None
    parents: tuple[str, ...] = ()
    optimizers: Mapping[str, str] = FrozenDict()
    extras: tuple[Extra, ...] = ()
    router: Frozen | None = None

    @property
    def untrained(self) -> bool:
        """Whether it is a root from scratch, whose weights are still to be trained."""
        return bool(self.trunk.drafts())


def seeds_of(settings: MuNet, view: View) -> Seeds:
    """The paths that a search builds on: the root, then other tasks' champions, newest first.

    Only those that read the inputs of every task to learn are seeds. An untrained root is one only while there
    is no champion that is, unless the settings say `scratch`.

    Raises:
        ConfigError: there is none.
    """
    from .seeds import Seeds

    champions = Champions.of(view.champions, view.families)

    def make(task: str) -> Member | None:
        try:
            trunk = without_head(champions[task].path)
        except PathError:  # its head reads several steps: there is no one place for another head
            return None
        return next(_seed(settings, view, task, trunk, champions[task]), None)

    found = root_of(settings, view)
    root = [] if found is None else [found]
    inputs = [task.inputs for task in view.tasks]
    seeds = Seeds(root, champions, inputs, make)
    if seeds.untrained and seeds.names and not settings.scratch:
        seeds = Seeds([], champions, inputs, make)
    if len(seeds):
        return seeds
    wanted = "; ".join(
        f"task {task.name!r}: " + ", ".join(f"{name}: {port}" for name, port in task.inputs.items())
        for task in view.tasks
    )
    raise ConfigError(
        f"muNet needs a root or a champion that reads the inputs of what it learns ({wanted}), found none: "
        f"name a `root` that does."
    )


def root_of(settings: MuNet, view: View) -> Member | None:
    """The root as a seed, where there is one that reads the inputs of every task."""
    return None if view.root is None else next(_seed(settings, view, "root", view.root, None), None)


def inherited(member: Member, settings: MuNet) -> dict[str, Any]:
    """What a champion leaves to the searches of later tasks, as plain data."""
    return {
        "rates": dict(member.rates),
        "adapter_dim": member.adapter_dim,
        "training": {name: getattr(member.training, name) for name in settings.space},
        "score": member.score,
        **({"optimizers": _states(member)} if settings.optimizer_state != FRESH else {}),
        **({"paths": [extra.key for extra in member.extras]} if member.extras else {}),
    }


def _states(member: Member) -> dict[str, str]:
    """The optimizer states of the modules of its trunk; heads are new in every task."""
    return {blob: member.optimizers[blob] for blob in member.trunk.frozen() if blob in member.optimizers}


def _seed(settings: MuNet, view: View, key: str, trunk: Path, champion: Champion | None) -> Iterator[Member]:
    """The seed, or nothing where the trunk cannot serve each of the tasks."""
    try:
        trunk, *_ = [fit_inputs(trunk, task.inputs) for task in view.tasks]
    except PathError:
        return
    if "head" in trunk.steps:
        return
    extra: Mapping[str, Any] = {} if champion is None else champion.extra
    training = cast(Training, settings.training or view.training)
    if champion is not None:
        known = extra.get("training", {})
        training = replace(
            training, **{name: known.get(name, getattr(champion.training, name)) for name in settings.space}
        )
    rates = extra.get("rates", {}) if settings.mutable_rates else {}
    dim = extra.get("adapter_dim", settings.first_adapter_dim)
    kept = champion is not None and settings.optimizer_state != FRESH
    # What another kind of optimizer has kept says nothing to this one.
    states = champion.optimizers if kept and champion.training.optimizer == training.optimizer else {}  # type: ignore[union-attr]
    yield Member(key, trunk, {}, frozenset(), training, rates, dim, None, (key,), FrozenDict(states))

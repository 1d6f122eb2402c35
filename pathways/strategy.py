"""What a strategy knows and does: the ask/tell protocol that searches implement and `System.learn` drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pathways.errors import ConfigError
from pathways.modules import Families, Port
from pathways.modules.table import BUILT_IN

from .candidate import Candidate, Measures, Result, Training
from .path import Path
from .task import Target


@dataclass(frozen=True)
class TaskInfo:
    """What a strategy may know of a task: never its data."""

    name: str
    inputs: Mapping[str, Port]
    target: Target
    fingerprint: str
    samples: int


@dataclass(frozen=True)
class Champion:
    """The best path of a task, all of it frozen.

    Args:
        task: the task's name.
        path: frozen modules only.
        training: the hyperparameters that made it.
        measures: raw measures at freezing.
        candidate: the hash of the candidate it came from.
        parents: names of the champions (or `root`) whose modules it started from or shares.
        extra: what its strategy wants to inherit (mutation rates, ...), plain data.
    """

    task: str
    path: Path
    training: Training
    measures: Measures
    candidate: str
    parents: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def optimizers(self) -> dict[str, str]:
        """By blob of a module, the blob of the optimizer state that its clones may begin with; see `optimizers_of`."""
        return optimizers_of(self.extra)

    def blobs(self) -> list[str]:
        """All that must be kept for it: the blobs of its path and of optimizer states."""
        return list(dict.fromkeys([*self.path.frozen(), *self.optimizers.values()]))


def optimizers_of(extra: Mapping[str, Any]) -> dict[str, str]:
    """The optimizer states that `extra` of a champion or winner names: its `optimizers`, where these are that.

    `extra` is whatever a strategy wants to be inherited; under this name it is kept from being collected.

    >>> optimizers_of({"optimizers": {"a" * 64: "b" * 64}, "score": 1.0}) == {"a" * 64: "b" * 64}
    True
    >>> optimizers_of({"optimizers": "adamw"})
    {}
    """
    found = extra.get("optimizers")
    if not isinstance(found, Mapping):
        return {}
    return {key: blob for key, blob in found.items() if isinstance(key, str) and isinstance(blob, str)}


@dataclass(frozen=True)
class View:
    """What a strategy knows when a search begins. Everything in it is plain, immutable data.

    Args:
        run: the run's seed.
        tasks: the tasks to learn now; several are learned jointly.
        champions: by task name, in the order they were learned.
        root: a headless path to build on, frozen (a shipped root) or of `Init` drafts (from scratch); its
            output step is what heads read. Of a run with several, the one that reads what all these tasks have.
        training: the run's default hyperparameters and budget.
        memory: for controls that carry their own network from task to task (`fine-tune`): what their last
            search returned as `memory`, plain data.
        families: the module families that specs may name.
        roots: the roots of a run that has several, by name, for what learns tasks of different inputs together.
    """

    run: int
    tasks: tuple[TaskInfo, ...]
    champions: Mapping[str, Champion]
    root: Path | None
    training: Training
    memory: Any = None
    families: Families = BUILT_IN
    roots: Mapping[str, Path] = field(default_factory=dict)

    @property
    def task(self) -> TaskInfo:
        """The task to learn, where there is just one."""
        if len(self.tasks) != 1:
            raise ConfigError(
                f"this strategy learns one task at a time, found {[t.name for t in self.tasks]}: pass them one by one."
            )
        return self.tasks[0]


@dataclass(frozen=True)
class Winner:
    """The outcome of a search.

    Args:
        paths: by task, the trained path: frozen references only.
        candidate, result: which candidate it was.
        parents: names of the champions (or `root`) it builds on.
        extra: what later searches inherit from this champion.
        revised: for controls that change earlier tasks' paths (`fine-tune`): their new paths, by task.
        memory: handed to this control's next search.
        alone: of tasks learned jointly, by name, those that are frozen from another candidate, each with its winner.
    """

    paths: Mapping[str, Path]
    candidate: Candidate
    result: Result
    parents: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    revised: Mapping[str, Path] = field(default_factory=dict)
    memory: Any = None
    alone: Mapping[str, Winner] = field(default_factory=dict)

    def of(self, task: str) -> Winner:
        """What a task is frozen from."""
        return self.alone.get(task, self)


class Search(Protocol):
    """One search for the best path of a task. Deterministic: the same answers to `ask` give the same questions.

    A resumed run replays it from the ledger, so a search keeps its state in memory only.
    """

    def ask(self) -> list[Candidate]:
        """The next candidates to try, all of one generation; an empty list ends the search."""
        ...

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Take the results of all candidates of the last `ask`, in its order."""
        ...

    def best(self) -> Winner | None:
        """The winner so far; `None` while every candidate failed."""
        ...


@runtime_checkable
class SteadySearch(Search, Protocol):
    """A search that can also do without rounds: asked for one candidate at a time, told each result as it comes.

    What it asks depends on what it was told until then, so on who was fast. Nothing else may decide it: the ledger
    keeps the order of all asks and answers, and a resumed run replays them. `ask` and `tell` of such a search go one
    candidate after another.
    """

    @property
    def ended(self) -> bool:
        """Whether nothing will be asked any more, whatever is told."""
        ...

    def next(self) -> Candidate | None:
        """The next candidate; `None` while there is nothing to ask before more is told, or where it has `ended`.

        Where it gives none, nothing may have changed.
        """
        ...

    def told(self, candidate: Candidate, result: Result) -> None:
        """Take the result of a candidate that `next` gave, in whatever order results come."""
        ...


class Strategy(Protocol):
    """Decides what to try. A frozen dataclass of settings whose `begin` starts a search. It never touches tensors."""

    @property
    def name(self) -> str:
        """The name in ledgers, tables and configurations."""
        ...

    def begin(self, view: View) -> Search:
        """Start a search for the tasks of `view`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data, for `config.yaml`."""
        ...

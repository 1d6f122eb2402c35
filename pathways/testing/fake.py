"""A fake engine for strategies: results by hashing, so that a search can be driven without training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pathways.candidate import Candidate, Measures, Result, Training
from pathways.modules import Draft, Frozen, Image, ModuleSpec, Port
from pathways.path import Path, Step
from pathways.strategy import Champion, Search, Strategy, TaskInfo, View, Winner
from pathways.task import Classes

Answer = Callable[[Candidate], Result]


def sha(*names: Any) -> str:
    """The SHA-256, in hex, of the names."""
    return hashlib.sha256("\x1f".join(map(str, names)).encode()).hexdigest()


def fake_result(candidate: Candidate) -> Result:
    """What a trainer might have answered: qualities in [0, 1) and blob ids, all from the candidate's hash.

    >>> candidate = Candidate({"t": example_root()}, Training(), {"t": sha("data")})
    >>> fake_result(candidate) == fake_result(candidate)
    True
    """
    measures = {}
    for task in candidate.paths:
        quality = int(sha(candidate.hash, "quality", task)[:12], 16) / 16**12
        measures[task] = Measures(quality, quality, 1.0 - quality, quality, 100)
    names = candidate.drafts()
    kept = names if candidate.optimizer_state else {}
    return Result(
        candidate.hash,
        measures=measures,
        blobs={name: sha(candidate.hash, "blob", name) for name in names},
        optimizers={name: sha(candidate.hash, "optimizer", name) for name in kept},
    )


def failed(candidate: Candidate) -> Result:
    """The result of a candidate whose loss became NaN."""
    return Result(candidate.hash, failure="loss became NaN at step 1")


def example_root(frozen: bool = True) -> Path:
    """A small headless path of two linear modules over an image, frozen under made-up ids or of drafts."""
    image: Port = Image(1, 8, 8)
    specs = {
        "flat": ModuleSpec("flatten"),
        "a": ModuleSpec("linear", {"dim": 16, "activation": "relu"}),
        "b": ModuleSpec("linear", {"dim": 8, "activation": "relu"}),
    }
    steps, last = {}, "image"
    for name, spec in specs.items():
        steps[name] = Step((Frozen(sha("root", name), spec) if frozen else Draft(name, spec),), (last,))
        last = name
    return Path({"image": image}, steps, last)


def example_view(tasks: int = 1, *, root: Path | None = None, run: int = 0) -> View:
    """A view of image classification tasks with three to five classes; its root is `root` or a small one."""
    image = {"image": Image(1, 8, 8)}
    infos = tuple(
        TaskInfo(f"task{i}", image, Classes(3 + i % 3), sha("data", i), 100) for i in range(tasks)
    )
    return View(run, infos, {}, root or example_root(), Training(steps=10))


def later_view(view: View, winner: Winner) -> View:
    """The view of the next tasks, of other names and data, once `winner` is the champion of this view's."""
    champions: dict[str, Champion] = dict(view.champions)
    for task, path in winner.paths.items():
        measures = winner.result.measures[task]
        made_by = winner.candidate
        champions[task] = Champion(
            task, path, made_by.training, measures, made_by.hash, tuple(winner.parents), winner.extra
        )
    tasks = [replace(task, name=f"{task.name}'", fingerprint=sha(task.fingerprint)) for task in view.tasks]
    return replace(view, tasks=tuple(tasks), champions=champions, memory=winner.memory)


@dataclass(frozen=True)
class Drive:
    """What happened in a search: the candidates of each `ask`, all results, the winner, the search itself."""

    asked: list[list[Candidate]]
    told: list[tuple[Candidate, Result]]
    winner: Winner | None
    search: Search

    @property
    def candidates(self) -> list[Candidate]:
        """All candidates, in order."""
        return [candidate for candidates in self.asked for candidate in candidates]


def drive(strategy: Strategy, view: View, answer: Answer = fake_result, limit: int = 2000) -> Drive:
    """Run a search against a fake engine; an `AssertionError` where it does not end within `limit` asks."""
    search = strategy.begin(view)
    asked: list[list[Candidate]] = []
    told: list[tuple[Candidate, Result]] = []
    while candidates := search.ask():
        asked.append(list(candidates))
        if len(asked) > limit:
            raise AssertionError(f"strategy `{strategy.name}` must end by asking nothing, found {limit}.")
        # equal candidates are trained once and share their result, as in a real run
        results: Mapping[str, Result] = {candidate.hash: answer(candidate) for candidate in candidates}
        pairs = [(candidate, results[candidate.hash]) for candidate in candidates]
        told += pairs
        search.tell(pairs)
    return Drive(asked, told, search.best(), search)

"""What the tests of muNet share: views after some tasks, fake engines with told qualities, members."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pathways.candidate import Candidate, Measures, Result, Training
from pathways.evolve import MuNet
from pathways.evolve.member import Member
from pathways.evolve.munet import KINDS
from pathways.evolve.munet_search import MuNetSearch
from pathways.path import Path
from pathways.strategy import View
from pathways.testing.fake import drive, example_root, example_view, fake_result, later_view

VIEW = example_view()
ROOT = example_root()
NEVER: dict[str, float] = dict.fromkeys(KINDS, 0.0)
OFTEN: dict[str, float] = dict.fromkeys(KINDS, 0.28)



def quality(value: Callable[[Candidate], float]) -> Callable[[Candidate], Result]:
    """A fake engine whose qualities are told."""
    def answer(candidate: Candidate) -> Result:
        made = fake_result(candidate)
        q = value(candidate)
        return replace(made, measures={task: Measures(q, q, 1 - q, q, 100) for task in made.measures})

    return answer


def after(tasks: int, settings: MuNet | None = None, view: View = VIEW) -> View:
    """The view of a task that comes after so many others, each with modules of its own where no settings are given."""
    copies = MuNet(generations=2, children=4, rates={**OFTEN, "clone": 1.0}, mutable_rates=False)
    for _ in range(tasks):
        more_is_better = quality(lambda c: 0.5 + 0.01 * len(c.drafts()) + 0.001 * fake_result(c).quality)
        winner = drive(settings or copies, view, more_is_better).winner
        assert winner is not None
        view = later_view(view, winner)
    return view


def only(candidate: Candidate) -> Path:
    (path,) = candidate.paths.values()
    return path


def families_of(path: Path) -> dict[str, Any]:
    return {name: step.modules[0] for name, step in path.steps.items()}


def told(search: MuNetSearch, answer: Callable[[Candidate], Result] = fake_result) -> list[Candidate]:
    """One round: ask, answer, tell."""
    asked = search.ask()
    search.tell([(candidate, answer(candidate)) for candidate in asked])
    return asked


def member(key: str, score: float | None) -> Member:
    return Member(key, ROOT, {}, frozenset(), Training(), {}, 16, score)

"""Tasks learned at once: each search sees what was there before, and nothing depends on who was first."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_tiny import TRAINING, Counting, task_of, tiny_root
from helpers_tiny import files_of as all_files_of

from pathways import freeze as freezing
from pathways.engine import Answer
from pathways.errors import DataError, PathwaysError
from pathways.evolve import Local, MuNet
from pathways.ledger_tables import leases as leases_table
from pathways.seeds import numpy_generator
from pathways.system import System

STRATEGY = MuNet(generations=2, children=3)
NAMES = ("one", "two", "three")


@contextmanager
def begun(directory: FilePath, **settings: Any) -> Any:
    """A run that has learned a task before."""
    with System.create(directory, root=tiny_root(), training=TRAINING, **settings) as system:
        system.learn(task_of("zero"), STRATEGY)
        yield system


class Shuffled(Counting):
    """Answers in a seeded random order."""

    workers = 3

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = numpy_generator("shuffled", seed)

    def next(self, timeout: float | None = None) -> Answer | None:
        """Train any of what is queued."""
        if self._queue:
            self._queue.rotate(-int(self._rng.integers(len(self._queue))))
        return super().next(timeout)


def files_of(directory: FilePath) -> dict[str, bytes]:
    """The files of a run that are not scratch, by name."""
    return {name: data for name, data in all_files_of(directory).items() if not name.startswith("cache/")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, bytes]]:
    """The fingerprint and the files of a run that nothing disturbs."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    with begun(directory) as system:
        learned = system.learn_at_once([task_of(name) for name in NAMES], STRATEGY)
        assert [champion.task for champion in learned] == list(NAMES)
        assert list(system.records) == ["zero", *NAMES]
        assert system.verify().ok
        system.collect()
        return system.fingerprint, files_of(directory)


def test_a_search_sees_the_champions_from_before_and_none_of_the_others(
    tmp_path: FilePath, whole: tuple[str, dict[str, bytes]]
) -> None:
    """Each champion is that of a run that learns the task right after `zero`, and is frozen in the order given."""
    with begun(tmp_path / "run") as system:
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY)
        found = {name: champion.candidate for name, champion in system.champions.items()}
        asked = {row.parents for name in NAMES for row in system.ledger.rows(name)}
        assert asked <= {("root",), ("zero",), ("root", "zero"), ("zero", "root")}
        for name in NAMES:
            shutil.copytree(tmp_path / "run", tmp_path / name)
    for name in NAMES:
        with System.open(tmp_path / name) as system:
            for other in NAMES:
                system.forget(other)
            system.learn(task_of(name), STRATEGY)
            assert system.champions[name].candidate == found[name]


@pytest.mark.parametrize("workers", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4))])
def test_workers_change_nothing(tmp_path: FilePath, whole: tuple[str, dict[str, bytes]], workers: int) -> None:
    with begun(tmp_path / "run") as system, Local(workers=workers, oversubscribe=True) as engine:
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY, engine)
        system.collect()
        assert system.fingerprint == whole[0]
        assert files_of(tmp_path / "run") == whole[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_who_is_first_changes_nothing(tmp_path: FilePath, whole: tuple[str, dict[str, bytes]], seed: int) -> None:
    with begun(tmp_path / "run") as system:
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY, Shuffled(seed))
        assert system.fingerprint == whole[0]


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_a_kill_between_two_freezes_resumes_to_the_same(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, whole: tuple[str, dict[str, bytes]], frozen: int
) -> None:
    real, copies = freezing.freeze, 0

    def freeze(system: System, *rest: Any) -> None:
        nonlocal copies
        if copies == frozen:
            shutil.copytree(system.directory, tmp_path / "killed")  # what a kill at this moment leaves
        copies += 1
        real(system, *rest)

    with begun(tmp_path / "run") as system:
        monkeypatch.setattr("pathways.at_once.freeze", freeze)
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY)
    monkeypatch.undo()
    with System.open(tmp_path / "killed") as system:
        with system.ledger.engine.connect() as connection, connection.begin():
            connection.execute(leases_table.delete())  # those of this very process
        assert len(system.records) == 1 + frozen
        engine = Counting()
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY, engine)
        assert engine.trained == []
        assert system.fingerprint == whole[0]
        system.collect()
        assert files_of(tmp_path / "killed") == whole[1]


def test_without_rounds_all_searches_share_the_room(tmp_path: FilePath) -> None:
    class Counted(Shuffled):
        most = 0

        def next(self, timeout: float | None = None) -> Answer | None:
            self.most = max(self.most, len(self._queue))
            return super().next(timeout)

    engine = Counted(0)
    with begun(tmp_path / "run", stack=1) as system:
        steady = MuNet(generations=2, children=3, steady=True)
        system.learn_at_once([task_of(name) for name in NAMES], steady, engine)
        assert list(system.records) == ["zero", *NAMES]
        assert system.verify().ok
    assert 2 * engine.workers <= engine.most <= 2 * engine.workers + len(NAMES)


def test_groups_that_are_learned_jointly_go_at_once_too(tmp_path: FilePath) -> None:
    with begun(tmp_path / "run") as system:
        learned = system.learn_at_once([[task_of("one"), task_of("two")], task_of("three")], STRATEGY)
        assert [champion.task for champion in learned] == list(NAMES)
        assert learned[0].candidate == learned[1].candidate != learned[2].candidate


def test_what_cannot_be_learned_is_refused_and_nothing_is_frozen(tmp_path: FilePath) -> None:
    from pathways.testing.fake import failed

    class Broken(Counting):
        """Fails all of task `two`."""

        def next(self, timeout: float | None = None) -> Answer | None:
            answer = super().next(timeout)
            if answer is None or "two" not in answer.dispatch.candidates[0].paths:
                return answer
            return Answer(answer.dispatch, tuple(map(failed, answer.dispatch.candidates)))

    with begun(tmp_path / "run") as system:
        with pytest.raises(PathwaysError, match=r"found no path for 'two' in .* candidates: loss became NaN"):
            system.learn_at_once([task_of(name) for name in NAMES], STRATEGY, Broken())
        assert list(system.records) == ["zero"]
        with pytest.raises(DataError, match="task 'zero' is learned already"):
            system.learn_at_once([task_of("zero")], STRATEGY)


def test_progress_is_of_all_searches_together(tmp_path: FilePath) -> None:
    events: list[Any] = []
    with begun(tmp_path / "run") as system:
        system.learn_at_once([task_of(name) for name in NAMES], STRATEGY, progress=events.append)
        asked, ended = ([event for event in events if (event.end is None) == going] for going in (True, False))
        assert {event.task for event in asked} == {"one and 2 more at once"}
        assert [event.tried for event in asked] == list(range(1, len(asked) + 1))
        assert [event.task for event in ended] == list(NAMES)

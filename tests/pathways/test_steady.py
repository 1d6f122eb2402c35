"""Searches without rounds: nobody waits, the ledger keeps the order, and a run that goes on repeats it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_tiny import TRAINING, Counting, interrupt_after, task_of, tiny_root

from pathways import freeze as freezing
from pathways.candidate import Candidate
from pathways.engine import Answer
from pathways.errors import LedgerError
from pathways.evolve import Independent, Local, MuNet
from pathways.ledger import Ledger
from pathways.ledger_log import Line
from pathways.ledger_tables import leases as leases_table
from pathways.ledger_tables import log as log_table
from pathways.ledger_tables import logs as logs_table
from pathways.paces import IN_FLIGHT, Rounds, Steady
from pathways.seeds import numpy_generator
from pathways.strategy import SteadySearch
from pathways.system import System
from pathways.testing.fake import example_root, fake_result, sha

STRATEGY = MuNet(generations=3, children=4, steady=True)


class Shuffled(Counting):
    """Answers what is under way in a seeded random order, as several workers of different speed would."""

    def __init__(self, seed: int, workers: int = 3) -> None:
        super().__init__()
        self.workers = workers
        self._rng = numpy_generator("shuffled", seed)
        self.most = 0

    def next(self, timeout: float | None = None) -> Answer | None:
        """Train any of what is queued."""
        self.most = max(self.most, sum(len(dispatch.candidates) for dispatch, _ in self._queue))
        if self._queue:
            self._queue.rotate(-int(self._rng.integers(len(self._queue))))
        return super().next(timeout)


class Together(Shuffled):
    """Answers all that is under way at once, as a driver finds it that is slower than its workers."""

    def __init__(self, seed: int, workers: int = 3) -> None:
        super().__init__(seed, workers)
        self._answers: deque[Answer] = deque()

    def ready(self) -> int:
        """How many answers are there."""
        return len(self._answers)

    def next(self, timeout: float | None = None) -> Answer | None:
        """One of those that are there; where there is none all that is queued is trained."""
        while not self._answers or self._queue:
            answer = super().next(timeout)
            if answer is None:
                break
            self._answers.append(answer)
        return self._answers.popleft() if self._answers else None


@contextmanager
def run_in(directory: FilePath, **settings: Any) -> Iterator[System]:
    made = directory / "system.json"
    with System.open(directory) if made.exists() else System.create(
        directory, root=tiny_root(), training=TRAINING, **{"stack": 1, **settings}
    ) as system:
        yield system


def lines_of(system: System) -> list[Line]:
    """All lines of all logs, in the order in which they were kept."""
    with system.ledger.engine.connect() as connection:
        rows = connection.execute(log_table.select().order_by(log_table.c.id)).mappings().all()
    return [Line(**{name: row[name] for name in Line.__dataclass_fields__}) for row in rows]


def stopped_before_it_freezes(
    monkeypatch: pytest.MonkeyPatch, system: System, task: str, engine: Any, copy: FilePath
) -> str:
    """Learn a task; a copy is made of the run when all is searched and nothing frozen. Returns the fingerprint."""
    real = freezing.freeze

    def freeze(*arguments: Any) -> None:
        shutil.copytree(system.directory, copy)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(freezing, "freeze", freeze)
        system.learn(task_of(task), STRATEGY, engine)
    return system.fingerprint


@pytest.mark.parametrize("way", [Shuffled, Together])
@pytest.mark.parametrize(("seed", "settings"), [(0, {}), (1, {"dispatch": 2}), (2, {"stack": 4})])
def test_a_finished_search_replays_in_its_order_and_trains_nothing(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, seed: int, settings: dict[str, int], way: type[Shuffled]
) -> None:
    with run_in(tmp_path / "run", **settings) as system:
        system.learn(task_of("zero"), MuNet(generations=1, children=2))
        fingerprint = stopped_before_it_freezes(monkeypatch, system, "one", way(seed), tmp_path / "copy")
        lines = lines_of(system)
        trained = [line.hash for line in lines if line.told]
        assert trained != [line.hash for line in lines if not line.told], "answers came in the order asked for"
    again = Counting()
    with run_in(tmp_path / "copy") as system:
        with system.ledger.engine.connect() as connection, connection.begin():
            connection.execute(leases_table.delete())  # that of this very process
        system.learn(task_of("one"), STRATEGY, again)
        assert again.trained == []
        assert system.fingerprint == fingerprint
        assert lines_of(system) == lines


def test_other_orders_are_other_runs_but_each_asks_for_as_much(tmp_path: FilePath) -> None:
    found = []
    for seed in range(3):
        with run_in(tmp_path / str(seed)) as system:
            engine = Shuffled(seed)
            system.learn(task_of("one"), STRATEGY, engine)
            lines = lines_of(system)
            assert Counter(line.told for line in lines) == {True: 13, False: 13}  # a probe, 3 · 4 children
            assert engine.most == IN_FLIGHT * engine.workers
            found.append([line.hash for line in lines])
    assert len(set(map(tuple, found))) == 3


def test_answers_that_are_there_are_committed_in_one_transaction(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    real = Ledger.commit_all
    monkeypatch.setattr(Ledger, "commit_all", lambda self, trained: commits.append(len(trained)) or real(self, trained))
    with run_in(tmp_path) as system:
        system.learn(task_of("one"), STRATEGY, Together(0))
        assert sum(commits) == len(system.ledger.rows())
        assert max(commits) == 6, "all that is under way: two for each worker"


@pytest.mark.parametrize(("events", "way"), [*((n, Shuffled) for n in (1, 2, 5, 9, 13)), (2, Together), (9, Together)])
def test_an_interrupted_search_goes_on_as_logged(tmp_path: FilePath, events: int, way: type[Shuffled]) -> None:
    """What was told is told again in its order; what was under way is trained; no committed candidate is."""
    with run_in(tmp_path) as system, pytest.raises(KeyboardInterrupt):
        system.learn(task_of("one"), STRATEGY, way(events), progress=interrupt_after(events))
    with run_in(tmp_path) as system:
        before, committed = lines_of(system), {row.hash for row in system.ledger.rows()}
        open_ = {line.hash for line in before} - {line.hash for line in before if line.told}
        engine = Shuffled(events + 1, workers=2)
        system.learn(task_of("one"), STRATEGY, engine)
        after = lines_of(system)
        assert after[: len(before)] == before
        assert open_ <= set(engine.trained)
        assert not committed & set(engine.trained)
        assert Counter(line.told for line in after) == {True: 13, False: 13}
        assert [line.place for line in after] == list(range(26))
        assert system.verify().ok


def test_a_blob_that_is_lost_is_made_again_before_the_search_goes_on(tmp_path: FilePath) -> None:
    for stack in (1, 4):
        directory = tmp_path / str(stack)
        with run_in(directory, stack=stack) as system, pytest.raises(KeyboardInterrupt):
            system.learn(task_of("one"), STRATEGY, Shuffled(3), progress=interrupt_after(8))
        with run_in(directory) as system:
            before = lines_of(system)
            told = {line.hash for line in before if line.told}
            lost = [row for row in system.ledger.rows() if row.hash in told and row.result.ok][:3]
            for row in lost:
                system.pool.discard(row.result.blobs.values())
            engine = Counting()
            system.learn(task_of("one"), STRATEGY, engine)
            assert {row.hash for row in lost} <= set(engine.trained)
            assert not (told - {row.hash for row in lost}) & set(engine.trained)
            assert lines_of(system)[: len(before)] == before
            now = {row.hash: row.result.blobs for row in system.ledger.rows()}
            assert all(now[row.hash] == row.result.blobs for row in lost)


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
import pathways
sys.path.append({helpers!r})
from helpers_tiny import task_of
from test_steady import STRATEGY, Shuffled, run_in
from pathlib import Path
seen = []
def progress(event):
    seen.append(event)
    if len(seen) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    with run_in(Path({run!r})) as system:
        system.learn(task_of("one"), STRATEGY, Shuffled(0), progress=progress)
"""


def test_kill_9_in_the_middle(tmp_path: FilePath) -> None:
    here = FilePath(__file__).resolve().parent
    code = KILLED.format(folder=str(here), helpers=str(here.parent), run=str(tmp_path / "run"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = []
    for name in ("first", "second"):  # two ways to go on agree as far as the log goes
        shutil.copytree(tmp_path / "run", tmp_path / name)
        with run_in(tmp_path / name) as system:
            before, committed = lines_of(system), {row.hash for row in system.ledger.rows()}
            assert sum(line.told for line in before) >= 7
            engine = Counting()
            system.learn(task_of("one"), STRATEGY, engine)
            assert lines_of(system)[: len(before)] == before
            assert not committed & set(engine.trained)
            assert system.verify().ok
            found.append(system.fingerprint)
    assert len(set(found)) == 1


def test_a_log_that_the_search_does_not_follow_is_refused(tmp_path: FilePath) -> None:
    with run_in(tmp_path) as system, pytest.raises(KeyboardInterrupt):
        system.learn(task_of("one"), STRATEGY, Shuffled(0), progress=interrupt_after(6))
    with run_in(tmp_path) as system:
        with system.ledger.engine.connect() as connection, connection.begin():
            connection.execute(log_table.update().where(log_table.c.place == 3).values(hash="f" * 64))
        with pytest.raises(LedgerError, match=r"must ask again for .* candidate ffffffffffff in line 3, found"):
            system.learn(task_of("one"), STRATEGY, Counting())


def test_another_search_of_the_same_task_begins_a_log_of_its_own(tmp_path: FilePath) -> None:
    """Other settings, or other champions, are another search: what was tried is known, the order is not followed."""
    with run_in(tmp_path) as system, pytest.raises(KeyboardInterrupt):
        system.learn(task_of("one"), STRATEGY, Shuffled(0), progress=interrupt_after(6))
    with run_in(tmp_path) as system:
        committed = {row.hash for row in system.ledger.rows()}
        engine = Counting()
        system.learn(task_of("one"), replace(STRATEGY, children=3), engine)
        assert len({line.search for line in lines_of(system)}) == 2
        assert not committed & set(engine.trained)


def test_asks_add_no_transaction(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    def writes(strategy: MuNet) -> int:
        with run_in(tmp_path / str(strategy.steady)) as system:
            real, seen = system.ledger._transaction, []
            monkeypatch.setattr(
                system.ledger, "_transaction", lambda write=False: (seen.append(write), real(write))[1]
            )
            system.learn(task_of("one"), strategy, Counting())
            return sum(seen)

    rounds = writes(replace(STRATEGY, steady=False))
    assert writes(STRATEGY) <= rounds + 6  # leases are renewed as often as places were filled anew


def test_forgetting_a_task_removes_its_log_and_no_other(tmp_path: FilePath) -> None:
    with run_in(tmp_path) as system:
        for name in ("one", "two"):
            system.learn(task_of(name), STRATEGY, Shuffled(0))
        system.learn([task_of("three"), task_of("four")], STRATEGY, Shuffled(0))
        before = lines_of(system)
        searches = list(dict.fromkeys(line.search for line in before))
        assert len(searches) == 3
        system.forget("one")
        assert lines_of(system) == [line for line in before if line.search != searches[0]]
        system.forget("three")  # its search is also that of `four`
        assert lines_of(system) == [line for line in before if line.search != searches[0]]
        system.forget("four")
        assert lines_of(system) == [line for line in before if line.search == searches[1]]
        with system.ledger.engine.connect() as connection:
            assert {row.task for row in connection.execute(logs_table.select())} == {"two"}
        engine = Counting()
        system.learn(task_of("one"), STRATEGY, engine)
        assert engine.trained


def test_a_ledger_from_before_there_were_logs_gets_one(tmp_path: FilePath) -> None:
    with run_in(tmp_path) as system:
        with system.ledger.engine.connect() as connection, connection.begin():
            for table in (log_table, logs_table):
                table.drop(connection)
        assert system.ledger.log("any") == []
        system.learn(task_of("zero"), MuNet(generations=1, children=2))
        system.forget("zero")
        system.learn(task_of("one"), STRATEGY, Counting())
        assert len(lines_of(system)) == 26


def test_two_workers_learn_steadily(tmp_path: FilePath) -> None:
    with run_in(tmp_path) as system, Local(workers=2, oversubscribe=True) as engine:
        system.learn(task_of("one"), STRATEGY, engine)
        assert len(lines_of(system)) == 26
        assert system.verify().ok


def test_rounds_of_one_search_do_not_wait_for_another(tmp_path: FilePath) -> None:
    """Controls of two tasks go side by side: the second round of one is asked for while the first waits."""
    order: list[tuple[str, int]] = []

    class Lazy(Counting):
        """Answers what is of task `one` only when nothing else is left."""

        def next(self, timeout: float | None = None) -> Answer | None:
            waiting = sorted(self._queue, key=lambda entry: "one" in entry[0].candidates[0].paths)
            self._queue.clear()
            self._queue.extend(waiting)
            answer = super().next(timeout)
            if answer is not None:
                first = answer.dispatch.candidates[0]
                order.append((next(iter(first.paths)), int(first.labels["number"])))
            return answer

    with run_in(tmp_path) as system:
        tuned = Independent(hyperparameters="optuna", candidates=4, children=1)
        system.compare([task_of("one"), task_of("two")], tuned, Lazy())
        assert order == [("two", 0), ("two", 1), ("two", 2), ("two", 3), ("one", 0), ("one", 1), ("one", 2), ("one", 3)]
        assert list(system.ledger.controls()) == [("independent", "one"), ("independent", "two")]


# -- paces ------------------------------------------------------------------------------------------------------


def numbered(number: int, repeat: int) -> Candidate:
    return Candidate({"t": example_root()}, TRAINING, {"t": sha("d")}, repeat=repeat, labels={"number": number})


class Asks:
    """A search without rounds that asks for equal candidates again and again."""

    def __init__(self, candidates: list[Candidate]) -> None:
        self.left, self.heard = list(candidates), list[str]()

    @property
    def ended(self) -> bool:
        return not self.left

    def next(self) -> Candidate | None:
        return self.left.pop(0) if self.left else None

    def told(self, candidate: Candidate, result: Any) -> None:
        self.heard.append(candidate.labels["number"])

    def ask(self) -> list[Candidate]:
        return []

    def tell(self, results: Any) -> None: ...

    def best(self) -> None: ...


def test_equal_candidates_are_told_one_after_another_and_replay() -> None:
    asked = [numbered(0, 0), numbered(1, 0), numbered(2, 1)]
    search = Asks(asked)
    assert isinstance(search, SteadySearch)
    steady = Steady(search, "s")
    assert [c.labels["number"] for c in steady.ask(3)] == [0, 1, 2]
    assert steady.ask(3) == []
    lines = steady.notes([asked[0].hash])
    assert [(line.hash, line.told, line.place) for line in lines] == [
        (asked[0].hash, False, 0), (asked[0].hash, False, 1), (asked[2].hash, False, 2), (asked[0].hash, True, 3),
        (asked[0].hash, True, 4),
    ]  # fmt: skip
    assert steady.take(fake_result(asked[0]))
    assert not steady.take(fake_result(asked[0]))
    assert search.heard == [0, 1]
    assert not steady.ended

    again = Steady(other := Asks(asked), "s")
    again.replay(lines, lambda candidate, together: (other.heard.append(len(together)), fake_result(candidate))[1])
    assert other.heard == [3, 0, 3, 1]
    assert [c.labels["number"] for c in again.ask(1)] == [0, 1, 2]  # the whole round, of which one is still open
    assert again.take(fake_result(asked[2]))
    assert again.ended
    assert again.ask(1) == []
    assert again.notes([]) == ()


def test_rounds_are_told_as_they_were_asked() -> None:
    told: list[Any] = []
    a, b = numbered(0, 0), numbered(1, 1)

    class Once:
        """Asks for one round, in which two candidates are equal."""

        def ask(self) -> list[Candidate]:
            return [] if told else [a, b, numbered(2, 0)]

        def tell(self, results: Any) -> None:
            told.extend(results)

        def best(self) -> None: ...

    rounds = Rounds(Once())
    assert len(rounds.ask(1)) == 3
    assert rounds.ask(1) == []
    assert rounds.take(fake_result(b))
    assert not rounds.take(fake_result(b))
    assert rounds.take(fake_result(a))
    assert [candidate.labels["number"] for candidate, _ in told] == [0, 1, 2]
    assert rounds.ask(1) == []
    assert rounds.ended

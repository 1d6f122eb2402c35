"""The local engine: equal results wherever they are made, and nothing lost or left over when processes die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_tiny import TRAINING, FixedPath, chain, head, linear, task_of
from local_families import Fatal, Slow, alive, gone_within

import pathways
from pathways.candidate import Candidate, Result
from pathways.cores import THREAD_VARIABLES
from pathways.engine import Dispatch
from pathways.errors import BlobError, DataError, EngineError
from pathways.evolve.local import Local
from pathways.in_process import InProcess
from pathways.measure import Metric
from pathways.modules import BUILT_IN, Draft, Families, Init, ModuleRef, ModuleSpec, Warm
from pathways.pool import Pool
from pathways.task import Task
from pathways.trace_read import read_trace

FAMILIES = Families([Slow, Fatal])
TASK = task_of("one")
numbers = count()


def candidate(seed: int = 0, *between: ModuleRef, **settings: Any) -> Candidate:
    """A candidate of one linear module and a head, with others between them."""
    path = chain(TASK.inputs, linear("a", start=Init(seed)), *between, head())
    settings = {"training": TRAINING, "data": {"one": TASK.fingerprint}, **settings}
    return Candidate({"one": path}, **settings)


def slow(seed: int = 0, seconds: float = 0.1) -> Candidate:
    """One that takes `seconds` for each of its steps."""
    return candidate(seed, Draft("slow", ModuleSpec("slow", {"seconds": seconds}), Init(0)))


def dispatch(*candidates: Candidate) -> Dispatch:
    return Dispatch(next(numbers), candidates)


def results(engine: Any) -> dict[int, tuple[Result, ...]]:
    """All that is under way, by dispatch."""
    found = {}
    while (answer := engine.next()) is not None:
        found[answer.dispatch.id] = answer.results
    return found


def untimed(result: Result) -> Result:
    return replace(result, seconds=0.0, cpu_seconds=0.0)


def here(pool: FilePath, *candidates: Candidate) -> list[Result]:
    """What this process makes of candidates."""
    engine = InProcess()
    engine.open(pool, FAMILIES)
    engine.provide(TASK)
    engine.submit(dispatch(*candidates))
    (found,) = results(engine).values()
    return [untimed(result) for result in found]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Local, FilePath]]:
    """Two workers, and the pool they write to."""
    pool = tmp_path_factory.mktemp("engine") / "pool"
    with Local(workers=2, oversubscribe=True) as engine:
        engine.open(pool, FAMILIES)
        yield engine, pool


@pytest.fixture
def engine(shared: tuple[Local, FilePath]) -> Local:
    """The two workers, with nothing under way."""
    engine, pool = shared
    engine.open(pool, FAMILIES)
    engine.provide(TASK)
    return engine


def busy(engine: Local) -> list[int]:
    """The processes that are training."""
    return [worker.process.pid for worker in engine._workers if worker.job is not None]


# -- results ------------------------------------------------------------------------------------------------------


def test_results_and_blobs_are_those_of_this_process(engine: Local, tmp_path: FilePath) -> None:
    candidates = [candidate(seed) for seed in range(5)]
    expected = here(tmp_path / "here", *candidates)
    sent = [dispatch(*candidates[:2]), *(dispatch(c) for c in candidates[2:])]
    for one in sent:
        engine.submit(one)
    found = results(engine)
    assert [untimed(result) for one in sent for result in found[one.id]] == expected
    assert {blob for result in expected for blob in result.blobs.values()} <= set(Pool(engine._pool))  # type: ignore[arg-type]
    with Local(workers=0) as alone:
        alone.open(tmp_path / "alone", FAMILIES)
        alone.provide(TASK)
        alone.submit(dispatch(*candidates))
        (again,) = results(alone).values()
        assert [untimed(result) for result in again] == expected
        assert alone.pids() == []


def test_the_test_split_is_not_sent(engine: Local) -> None:
    assert set(engine._tasks[TASK.fingerprint].splits) == {"train", "validation"}


def test_two_dispatches_are_trained_at_the_same_time(engine: Local) -> None:
    for seed in range(3):
        engine.submit(dispatch(slow(seed, 0.02)))
    assert engine.workers == 2
    assert len(busy(engine)) == 2
    assert len(results(engine)) == 3


def test_waiting_ends_in_time_and_where_nothing_is_under_way(engine: Local) -> None:
    assert engine.next() is None
    engine.submit(dispatch(slow(1)))
    assert engine.next(timeout=0.05) is None
    assert len(results(engine)) == 1


# -- workers that die ---------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_in_training_is_replaced_and_its_dispatch_sent_again(
    engine: Local, tmp_path: FilePath
) -> None:
    sent = [dispatch(slow(seed)) for seed in (10, 11)]
    for one in sent:
        engine.submit(one)
    assert engine.next(timeout=0.5) is None
    before = engine.pids()
    (killed, _) = busy(engine)
    os.kill(killed, signal.SIGKILL)
    found = results(engine)
    assert killed not in engine.pids()
    assert len(set(before) & set(engine.pids())) == 1
    expected = here(tmp_path / "here", slow(10, 0.1), slow(11, 0.1))
    assert [untimed(found[one.id][0]) for one in sent] == expected


def test_a_worker_that_died_while_it_was_idle_is_replaced(engine: Local) -> None:
    for pid in engine.pids():
        os.kill(pid, signal.SIGKILL)
    assert gone_within(5, engine.pids())
    engine.submit(dispatch(candidate(20)))
    ((result,),) = results(engine).values()
    assert result.ok


def test_a_candidate_that_kills_each_worker_is_recorded_with_its_reason_and_others_are_not(
    engine: Local, tmp_path: FilePath
) -> None:
    file = tmp_path / "deaths"
    fatal = candidate(0, Draft("fatal", ModuleSpec("fatal", {"file": str(file), "times": 99}), Init(0)))
    engine.submit(dispatch(candidate(21), fatal))
    ((fine, failed),) = results(engine).values()
    assert failed.failure == "its worker died, 3 times"
    assert file.stat().st_size == 4  # with the other twice, then alone as often
    assert [untimed(fine)] == here(tmp_path / "here", candidate(21))


def test_a_candidate_past_its_deadline_is_recorded(tmp_path: FilePath) -> None:
    with Local(workers=1, deadline=0.7, retries=0) as engine:
        engine.open(tmp_path / "pool", FAMILIES)
        engine.provide(TASK)
        engine.submit(dispatch(slow(1, 0.5)))
        ((result,),) = results(engine).values()
        assert result.failure == "it took longer than its deadline of 0.7 s"


# -- errors -------------------------------------------------------------------------------------------------------


def both(engine: Local, pool: FilePath, wrong: Candidate) -> list[BaseException]:
    """The errors of the workers and of this process."""
    found = []
    alone = InProcess()
    alone.open(pool, FAMILIES)
    alone.provide(TASK)
    for one in (engine, alone):
        one.submit(dispatch(wrong))  # type: ignore[attr-defined]
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which, is what the test compares
            one.next()  # type: ignore[attr-defined]
        found.append(caught.value)
    return found


@pytest.mark.parametrize("kind", [DataError, BlobError])
def test_an_error_in_a_worker_is_the_error_of_this_process(engine: Local, kind: type[Exception]) -> None:
    wrong = candidate(data={"one": "0" * 64})
    if kind is BlobError:
        wrong = candidate()
        path = wrong.paths["one"].map_refs(lambda ref: replace(ref, start=Warm("0" * 64)))  # type: ignore[type-var]
        wrong = replace(wrong, paths={"one": path})
    one, other = both(engine, engine._pool, wrong)  # type: ignore[arg-type]
    assert type(one) is type(other) is kind
    assert str(one) == str(other)
    engine.submit(dispatch(candidate(30)))
    assert len(results(engine)) == 1


def test_a_candidate_that_fails_is_a_result_with_its_reason(engine: Local, tmp_path: FilePath) -> None:
    wild = candidate(40, training=replace(TRAINING, lr=100.0, optimizer="sgd", steps=60))
    engine.submit(dispatch(wild, candidate(41)))
    ((failed, fine),) = results(engine).values()
    assert "the loss became" in failed.failure
    assert fine.ok
    assert untimed(failed) == here(tmp_path / "here", wild)[0]


def test_families_and_metrics_that_cannot_be_sent_are_told_at_once(tmp_path: FilePath) -> None:
    class Inner(Slow):
        family = "inner"

    with Local(workers=1) as engine:
        with pytest.raises(EngineError, match=r"family class .*Inner` must be one .* found it in a function: put it"):
            engine.open(tmp_path / "pool", Families([Inner]))
        assert engine.pids() == []
        engine.open(tmp_path / "pool", BUILT_IN)
        metric = Metric("mine", lambda outputs, targets: 0.0)
        odd = Task("one", TASK.inputs, TASK.target, TASK.splits, metric)
        engine.provide(odd)
        with pytest.raises(EngineError, match="task 'one' must be one that can be sent to worker processes"):
            engine.submit(dispatch(candidate(data={"one": odd.fingerprint})))


@pytest.mark.parametrize("workers", [-1, 1.5, "2"])
def test_a_number_of_workers_that_is_none_is_refused(workers: Any) -> None:
    with pytest.raises(EngineError, match="`workers` must be a whole number of at least 0"):
        Local(workers=workers)


# -- cores --------------------------------------------------------------------------------------------------------


def test_no_more_workers_are_started_than_there_are_cores_and_that_is_said_once(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pathways.evolve.local.usable_cores", lambda: 1)
    monkeypatch.setattr("pathways.evolve.local.load", lambda: 0.5)
    with Local(workers=3) as engine:
        assert engine.workers == 1
        assert caplog.messages == []
        for name in ("pool", "other"):
            engine.open(tmp_path / name, BUILT_IN)
            assert len(engine.pids()) == 1
    (message,) = caplog.messages
    assert message.startswith("`workers` is 3, of which 1 are started, one for each core that this process may use")
    assert "`Local(workers=3, oversubscribe=True)` starts them all" in message


def test_more_workers_than_cores_can_be_asked_for_and_are_warned_of(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pathways.evolve.local.usable_cores", lambda: 1)
    with Local(workers=2, oversubscribe=True) as engine:
        assert engine.workers == 2
        engine.open(tmp_path / "pool", BUILT_IN)
        assert len(engine.pids()) == 2
    (message,) = caplog.messages
    assert message.startswith("2 workers share 1 core:")


def test_a_machine_that_is_busy_is_warned_of(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pathways.evolve.local.load", lambda: 1234.5)
    with Local(workers=1) as engine:
        engine.open(tmp_path / "pool", BUILT_IN)
    (message,) = caplog.messages
    assert message.startswith("1234.5 processes want to run on ")


def test_training_in_this_process_is_not_warned_of(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pathways.evolve.local.load", lambda: 1234.5)
    with Local(workers=0) as engine:
        engine.open(tmp_path / "pool", BUILT_IN)
        assert engine.workers == 1
    assert caplog.messages == []


@pytest.mark.skipif(not FilePath("/proc/self/environ").exists(), reason="needs /proc")
def test_workers_compute_with_one_thread_whatever_the_environment_says(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "7")
    with Local(workers=1) as engine:
        engine.open(tmp_path / "pool", FAMILIES)
        engine.provide(TASK)
        engine.submit(dispatch(candidate()))
        assert len(results(engine)) == 1
        (pid,) = engine.pids()
        environment = FilePath(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        assert {f"{name}=1" for name in THREAD_VARIABLES} <= set(environment)
        names = [task.joinpath("comm").read_text().strip() for task in FilePath(f"/proc/{pid}/task").iterdir()]
        assert len(names) <= 3, names  # the trainer, the watch for its parent, and one that autograd may start


# -- cancel, interrupt, reopen, close -----------------------------------------------------------------------------


def test_only_what_has_not_started_can_be_cancelled(engine: Local) -> None:
    sent = [dispatch(slow(seed, 0.02)) for seed in range(50, 54)]
    for one in sent:
        engine.submit(one)
    assert [engine.cancel(one.id) for one in sent] == [False, False, True, True]
    assert not engine.cancel(sent[2].id)
    assert set(results(engine)) == {sent[0].id, sent[1].id}


def test_an_interrupted_search_leaves_no_stale_answers(engine: Local, shared: tuple[Local, FilePath]) -> None:
    for one in (slow(60, 0.02), slow(61, 0.02), candidate(data={"one": "0" * 64}), slow(62), slow(63)):
        engine.submit(dispatch(one))
    assert engine.next() is not None
    pids = engine.pids()
    engine.open(shared[1], FAMILIES)
    assert engine.pids() == pids
    assert busy(engine) == []
    assert engine.next() is None
    mine = [candidate(64), candidate(65)]
    for one in mine:
        engine.submit(dispatch(one))
    assert {result.candidate for (result,) in results(engine).values()} == {one.hash for one in mine}


def test_reopening_on_another_pool_and_closing_leave_no_process(tmp_path: FilePath) -> None:
    with Local(workers=1) as engine:
        engine.open(tmp_path / "first", FAMILIES)
        engine.provide(TASK)
        engine.submit(dispatch(slow(70)))
        first = engine.pids()
        engine.open(tmp_path / "second", FAMILIES)
        second = engine.pids()
        assert not any(map(alive, first))
        assert engine.next() is None
        engine.submit(dispatch(candidate(71)))
        ((result,),) = results(engine).values()
        assert set(Pool(tmp_path / "second")) == set(result.blobs.values())
        engine.close()
        assert not any(map(alive, second))
        assert (engine.pids(), engine.next()) == ([], None)
        with pytest.raises(EngineError, match="the engine must be opened before work is submitted"):
            engine.submit(dispatch(candidate(72)))


DRIVER = textwrap.dedent("""
    import sys
    from pathlib import Path
    import pathways  # before the folder of tests is looked in, where a folder has the same name
    sys.path[:0] = sys.argv[2:]
    from test_local import FAMILIES, TASK, Draft, Init, Local, ModuleSpec, candidate, dispatch
    begun = Path(sys.argv[1] + ".begun")
    mark = Draft("mark", ModuleSpec("fatal", {"file": str(begun), "times": 0}), Init(0))
    endless = Draft("slow", ModuleSpec("slow", {"seconds": 60.0}), Init(0))
    engine = Local(workers=1)
    engine.open(Path(sys.argv[1]), FAMILIES)
    engine.provide(TASK)
    engine.submit(dispatch(candidate(0, mark, endless)))
    engine.submit(dispatch(candidate(1, mark, endless)))
    while not begun.exists():
        engine.next(timeout=0.1)
    print(*engine.pids(), flush=True)
    engine.next()
""")


def test_workers_end_soon_after_their_driver_was_killed_even_in_training(tmp_path: FilePath) -> None:
    folders = [str(FilePath(__file__).parent), str(FilePath(__file__).parents[1])]
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "pool"), *folders]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert driver.stdout is not None
    try:
        pids = list(map(int, driver.stdout.readline().split()))
        assert len(pids) == 1
        assert alive(pids[0])
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    assert gone_within(10, pids)


def test_no_process_is_left_by_all_of_the_above(shared: tuple[Local, FilePath]) -> None:
    children: Callable[[], set[int]] = lambda: {  # noqa: E731
        int(stat.parent.name)
        for stat in FilePath("/proc").glob("[0-9]*/stat")
        if _parent(stat) == os.getpid() and alive(int(stat.parent.name))
    }
    assert set(shared[0].pids()) >= {pid for pid in children() if b"pathways.evolve.worker" in _command(pid)}


def _parent(stat: FilePath) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> bytes:
    try:
        return FilePath(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_answers_say_what_was_done_when_and_what_travelled(tmp_path: FilePath) -> None:
    with pathways.System.create(tmp_path / "run", training=TRAINING, stack=1) as system, Local(workers=1) as engine:
        seen: list[Any] = []
        strategy = FixedPath(lambda view: {"one": chain(view.task.inputs, linear("a"), head())}, rounds=1, repeats=4)
        system.learn(task_of("one"), strategy, engine, progress=seen.append)
        assert [(event.busy, event.workers) for event in seen if event.end is None] == [(1, 1), (1, 1), (1, 1), (0, 1)]
    [worker] = read_trace(tmp_path / "run").workers
    assert (worker.worker, worker.candidates) == ("here/0", 4)
    assert worker.moved > 4 * 500  # at least the candidates themselves
    assert all(worker.spent(what) > 0 for what in ("transfer", "load", "train", "evaluate", "store"))

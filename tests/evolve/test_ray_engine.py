"""The Ray engine on a cluster that is pretended: equal results, whoever fails; each object lent once."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from fake_cluster import FakeCluster
from helpers_scribble import Scribble
from helpers_tiny import DIM, TRAINING, chain, head, linear, task_of, tiny_root
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways import evolve
from pathways.candidate import Candidate, Result
from pathways.engine import Dispatch
from pathways.errors import DataError, EngineError
from pathways.evolve.crew import STARTS
from pathways.evolve.pathnet import PathNetSearch
from pathways.evolve.ray import Ray
from pathways.in_process import InProcess
from pathways.measure import Metric
from pathways.modules import Draft, Families, Frozen, Init, ModuleRef, ModuleSpec, Warm
from pathways.pool import Pool
from pathways.system import System

FAMILIES = Families([Scribble])
TASK = task_of("one")
numbers = count()


def candidate(seed: int = 0, *before: ModuleRef, **settings: Any) -> Candidate:
    path = chain(TASK.inputs, *before, linear("a", start=Init(seed)), head())
    return Candidate({"one": path}, TRAINING, {"one": TASK.fingerprint}, **settings)


def dispatch(*candidates: Candidate) -> Dispatch:
    return Dispatch(next(numbers), candidates)


def engine_on(cluster: FakeCluster, workers: int = 2, **options: Any) -> Ray:
    engine = Ray(workers=workers, oversubscribe=True, **options)
    engine.cluster = engine._crew.cluster = cluster  # type: ignore[assignment]
    return engine


def opened(cluster: FakeCluster, pool: FilePath, workers: int = 2, **options: Any) -> Ray:
    engine = engine_on(cluster, workers, **options)
    engine.open(pool, FAMILIES)
    engine.provide(TASK)
    return engine


def untimed(result: Result) -> Result:
    return replace(result, seconds=0.0, cpu_seconds=0.0)


def here(pool: FilePath, *candidates: Candidate) -> list[Result]:
    engine = InProcess()
    engine.open(pool, FAMILIES)
    engine.provide(TASK)
    engine.submit(dispatch(*candidates))
    answer = engine.next()
    assert answer is not None
    return [untimed(result) for result in answer.results]


def run(engine: Any, *dispatches: Dispatch) -> list[Result]:
    """The results of all, in the order of what was submitted; what was before is finished, too."""
    for one in dispatches:
        engine.submit(one)
    found = {}
    while (answer := engine.next()) is not None:
        assert answer.dispatch.id not in found
        found[answer.dispatch.id] = [untimed(result) for result in answer.results]
    return [result for one in dispatches for result in found[one.id]]


def stored(pool: FilePath, tensors: dict[str, torch.Tensor] | None = None, way: str = "nothing") -> Frozen:
    spec = ModuleSpec("scribble", {"way": way})
    return Frozen(Pool(pool).put(spec, tensors or {"scale": torch.ones(DIM)}), spec)


# -- equal results --------------------------------------------------------------------------------------------------


def test_results_and_blobs_are_those_of_this_process(tmp_path: FilePath) -> None:
    candidates = [candidate(seed) for seed in range(5)]
    expected = here(tmp_path / "here", *candidates)
    engine = opened(FakeCluster(), tmp_path / "far")
    assert run(engine, dispatch(*candidates[:2]), *(dispatch(c) for c in candidates[2:])) == expected
    far, near = Pool(tmp_path / "far"), Pool(tmp_path / "here")
    assert {blob for r in expected for blob in r.blobs.values()} == set(far)
    assert all(far.raw(blob) == near.raw(blob) for blob in far)


@pytest.mark.parametrize(("workers", "seed"), [(1, 0), (2, 1), (4, 2)])
def test_a_run_has_the_fingerprint_of_the_local_one(tmp_path: FilePath, workers: int, seed: int) -> None:
    def learn(directory: FilePath, engine: Any) -> str:
        with System.create(directory, root=tiny_root(), training=TRAINING, seed=3, stack=4) as system:
            for name in ("one", "two"):
                system.learn(task_of(name), evolve.MuNet(generations=2, children=4), engine)
            engine.close()
            return system.fingerprint

    def fails(worker: int, dispatch: Any) -> str:
        return "its worker died" if next(deaths) % 5 == 4 else ""

    deaths = count()
    local = learn(tmp_path / "local", InProcess())
    cluster = FakeCluster(fails=fails, seed=seed)
    assert learn(tmp_path / "far", engine_on(cluster, workers, retries=9)) == local
    assert sum(not actor.alive for actor in cluster.actors) > 2


# -- what travels ---------------------------------------------------------------------------------------------------


def test_each_object_is_put_once_and_each_worker_hears_of_it_once(tmp_path: FilePath) -> None:
    ref = stored(tmp_path)
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    run(engine, *(dispatch(candidate(seed, ref)) for seed in range(8)))
    assert len(cluster.puts) == 2  # the task and the frozen module
    for worker in {number for number, _ in cluster.sent}:
        parcels = [parcel for number, parcel in cluster.sent if number == worker]
        assert sum(len(p.tasks) for p in parcels) == 1
        assert sum(len(p.blobs) for p in parcels) == 1
    assert not any(parcel.starts for _, parcel in cluster.sent)


def test_what_drafts_start_from_travels_with_the_candidate(tmp_path: FilePath) -> None:
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    (first,) = run(engine, dispatch(candidate(1)))
    warm = Draft("a", ModuleSpec("linear", {"dim": 8, "activation": "relu"}), Warm(first.blobs["a"]))
    path = chain(TASK.inputs, warm, head())
    child = Candidate({"one": path}, TRAINING, {"one": TASK.fingerprint})
    found = run(engine, dispatch(child))
    assert found == here(tmp_path, child)
    assert set(cluster.sent[-1][1].starts) == {first.blobs["a"]}


def test_activations_of_a_frozen_prefix_are_made_by_one_worker_and_read_by_another(tmp_path: FilePath) -> None:
    ref = stored(tmp_path)
    cluster = FakeCluster(seed=3)
    engine = opened(cluster, tmp_path)
    run(engine, *(dispatch(candidate(seed, ref)) for seed in range(8)))
    known = [set(parcel.prefixes) for _, parcel in cluster.sent]
    assert any(known)
    assert len(engine._lending._prefixes) == 2  # of training and of validation data
    before = len(cluster.objects)
    run(engine, *(dispatch(candidate(seed, ref)) for seed in range(8, 12)))
    assert len(cluster.objects) == before


def test_activations_that_several_workers_make_at_once_enter_the_store_once(tmp_path: FilePath) -> None:
    ref = stored(tmp_path)
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path, workers=4)
    before = len(cluster.objects)
    candidates = [candidate(seed, ref) for seed in range(4)]
    for one in candidates:
        engine.submit(dispatch(one))  # each is sent before any of them answers
    found = run(engine)
    assert found == []
    assert len(cluster.objects) - before == 2 + 2  # the task and the module, activations of two splits
    assert [len(parcel.claimed) for _, parcel in cluster.sent] == [0, 2, 2, 2]
    assert not engine._lending._claims


def test_who_was_to_share_and_died_is_followed_by_another(tmp_path: FilePath) -> None:
    ref = stored(tmp_path)
    cluster = FakeCluster(fails=lambda worker, dispatch: "its worker died" if worker == 0 else "")
    engine = opened(cluster, tmp_path)
    run(engine, *(dispatch(candidate(seed, ref)) for seed in range(6)))
    assert len(engine._lending._prefixes) == 2
    assert not engine._lending._claims


def test_bytes_that_moved_are_counted(tmp_path: FilePath) -> None:
    engine = opened(FakeCluster(), tmp_path)
    engine.submit(dispatch(candidate()))
    first = engine.next()
    engine.submit(dispatch(candidate(1)))
    second = engine.next()
    assert first is not None
    assert second is not None
    data = sum(t.inputs["x"].nbytes + t.targets.nbytes for t in TASK.without_test().splits.values())
    assert first.moved > data > 0
    assert 0 < second.moved < first.moved


def test_a_store_that_is_full_lets_go_of_what_was_used_least_recently(tmp_path: FilePath) -> None:
    refs = [stored(tmp_path, {"scale": torch.full((DIM,), 1.0 + i)}) for i in range(6)]
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path, cache_bytes=5000)
    candidates = [candidate(i, refs[i % 6]) for i in range(18)]
    found = run(engine, *(dispatch(c) for c in candidates))
    assert found == here(tmp_path, *candidates)
    assert engine._lending.bytes <= 5000
    assert len(cluster.puts) > 7


# -- what fails -----------------------------------------------------------------------------------------------------


def test_who_kills_its_workers_fails_alone_with_its_reason(tmp_path: FilePath) -> None:
    bad, good = candidate(1), candidate(2)

    def fails(worker: int, dispatch: Any) -> str:
        return "its worker died" if bad.hash in [c.hash for c in dispatch.candidates] else ""

    engine = opened(FakeCluster(fails=fails), tmp_path)
    first, second = run(engine, dispatch(bad, good))
    assert first.failure == "its worker died, 3 times"
    assert [second] == here(tmp_path, good)


def test_nothing_is_lost_where_every_second_worker_dies(tmp_path: FilePath) -> None:
    calls = count()
    cluster = FakeCluster(fails=lambda worker, dispatch: "its node was lost" if next(calls) % 2 else "")
    candidates = [candidate(seed) for seed in range(6)]
    engine = opened(cluster, tmp_path, retries=50)
    assert run(engine, *(dispatch(c) for c in candidates)) == here(tmp_path, *candidates)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), chance=st.floats(0, 0.7), sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_whoever_dies_when_results_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, chance: float, sizes: list[int]
) -> None:
    pool = tmp_path_factory.mktemp("pool")
    ref = stored(pool)
    cluster = FakeCluster(seed=seed)
    cluster.fails = lambda worker, dispatch: "its worker died" if cluster.random.random() < chance else ""
    each = iter(range(100))
    dispatches = [dispatch(*(candidate(next(each), ref) for _ in range(size))) for size in sizes]
    engine = opened(cluster, pool, retries=1000)
    assert run(engine, *dispatches) == here(pool, *(c for d in dispatches for c in d.candidates))


def test_a_population_keeps_its_size_though_one_of_it_kills_every_worker(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who dies has lost its tournament; the failure stands in the ledger with its reason, and a replay agrees."""
    settings = {"layers": 2, "modules": 6, "active": 2, "population": 4, "generations": 3, "threshold": None}
    strategy = evolve.PathNet(**settings, tournament="population")
    told: list[tuple[int, int]] = []
    tell = PathNetSearch.tell

    def watched(search: Any, results: Any) -> None:
        told.append((len(results), len(search.population)))
        tell(search, results)

    def learn(directory: FilePath) -> str:
        bad: list[str] = []

        def fails(worker: int, dispatch: Any) -> str:
            bad[:] = bad or [dispatch.candidates[-1].hash]
            return "its worker died" if bad[0] in [c.hash for c in dispatch.candidates] else ""

        with System.create(directory, training=TRAINING, stack=1) as system:
            engine = engine_on(FakeCluster(fails=fails))
            system.learn(TASK, strategy, engine)
            engine.close()
            failures = [row.result.failure for row in system.ledger.rows("one") if not row.result.ok]
            assert failures == ["its worker died, 3 times"]
            assert system.verify().ok
            return system.fingerprint

    monkeypatch.setattr(PathNetSearch, "tell", watched)
    assert learn(tmp_path / "one") == learn(tmp_path / "two")
    assert told == [(4, 4)] * 6


def test_a_lack_of_memory_is_tried_elsewhere_and_then_recorded(tmp_path: FilePath, monkeypatch: Any) -> None:
    tries = count()

    def train(self: Any, candidate: Candidate, team: Any) -> Any:
        next(tries)
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("pathways.trainer.train.Trainer._train", train)
    engine = opened(FakeCluster(), tmp_path, retries=2)
    (found,) = run(engine, dispatch(candidate()))
    assert found.failure.startswith("out of memory: ")
    assert next(tries) == 3


def test_a_candidate_past_its_deadline_is_stopped(tmp_path: FilePath, monkeypatch: Any) -> None:
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path, deadline=5.0, retries=1)
    clock = [0.0]
    monkeypatch.setattr("pathways.evolve.ray.time.monotonic", lambda: clock[0])
    engine.submit(dispatch(candidate()))
    for actor in cluster.actors:
        actor.alive = False  # they hang: nothing is heard of them
    clock[0] = 6.0
    engine._look()
    assert engine._scheduler.retried == 1
    engine._collect(0.0)
    engine._feed()
    for actor in cluster.actors:
        actor.alive = False
    clock[0] = 12.0
    engine._look()
    answer = engine.next(0)
    assert answer is not None
    assert answer.results[0].failure == "it took longer than its deadline of 5 s, 2 times"


def test_workers_that_compute_otherwise_are_left_out(tmp_path: FilePath, caplog: Any) -> None:
    cluster = FakeCluster()
    cluster.refuse = EngineError("a worker must compute as the run does, found other numerics")
    with pytest.raises(EngineError, match="must compute as the run does"):
        opened(cluster, tmp_path)
    assert "left out" in caplog.text


def test_workers_that_die_as_they_begin_are_no_accident(tmp_path: FilePath) -> None:
    cluster = FakeCluster()
    cluster.refuse = RuntimeError("no space left on device")
    with pytest.raises(EngineError, match=rf"{STARTS} in a row died as they began: no space left"):
        opened(cluster, tmp_path, workers=1)


def test_what_is_wrong_with_the_run_is_raised_here(tmp_path: FilePath) -> None:
    engine = engine_on(FakeCluster())
    engine.open(tmp_path, FAMILIES)
    engine.submit(dispatch(candidate()))
    with pytest.raises(DataError, match="was not provided"):
        engine.next()


# -- what writes to shared memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["torch", "past torch"])
def test_who_writes_to_shared_weights_fails_by_name_and_nobody_else_is_touched(tmp_path: FilePath, way: str) -> None:
    bad = stored(tmp_path, way=way)
    ref = stored(tmp_path)
    candidates = [candidate(1, ref), candidate(2, bad), candidate(3, ref), candidate(4, ref)]
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    for packed in cluster.puts:  # as in the object store, torch does not know that it must not write
        for array in packed.arrays:
            array.flags.writeable = True
    found = run(engine, dispatch(*candidates[:2]), dispatch(*candidates[2:]))
    assert bad.id[:12] in found[1].failure
    assert not found[1].blobs
    good = [c for i, c in enumerate(candidates) if i != 1]
    assert [r for i, r in enumerate(found) if i != 1] == here(tmp_path / "other", *_with(good, tmp_path / "other"))
    assert torch.equal(Pool(tmp_path).get(bad.id)["scale"], torch.ones(DIM))


def _with(candidates: list[Candidate], pool: FilePath) -> list[Candidate]:
    """The candidates, and what they need in another pool."""
    stored(pool)
    return candidates


# -- workers come and go --------------------------------------------------------------------------------------------


def test_workers_join_while_a_run_goes_on(tmp_path: FilePath, monkeypatch: Any) -> None:
    monkeypatch.setattr("pathways.evolve.ray.LOOK_SECONDS", 0.0)
    cluster = FakeCluster([{"CPU": 1.0}])
    engine = engine_on(cluster)
    engine._asked = engine._crew.asked = None
    engine.open(tmp_path, FAMILIES)
    engine.provide(TASK)
    assert engine.workers == 1
    for seed in range(3):
        engine.submit(dispatch(candidate(seed)))
    cluster.all.append({"CPU": 2.0})
    while engine.next() is not None:
        pass
    assert engine.workers == 3
    assert len(engine.pids()) == 3


def test_a_worker_that_fits_no_node_is_refused_at_once(tmp_path: FilePath) -> None:
    engine = engine_on(FakeCluster([{"CPU": 2.0}, {"CPU": 4.0}]), cpus_per_worker=8)
    with pytest.raises(EngineError, match=r"a worker needs 8 CPU, found nodes of 2 CPU; 4 CPU, which have room for 0"):
        engine.open(tmp_path, FAMILIES)


def test_waiting_for_a_busy_cluster_ends_with_what_was_asked_and_what_is_there(tmp_path: FilePath) -> None:
    cluster = FakeCluster([{"CPU": 2.0}])
    cluster.start = lambda *given: (None, object())  # type: ignore[method-assign, assignment]
    cluster.groups[99] = 2  # somebody else holds it all
    with pytest.raises(EngineError, match=r"a worker needs 1 CPU, found nothing free on nodes of 2 CPU after 0.1 s"):
        engine_on(cluster, patience=0.1).open(tmp_path, FAMILIES)


def test_a_head_that_is_away_for_a_while_is_waited_for(tmp_path: FilePath, monkeypatch: Any) -> None:
    monkeypatch.setattr("pathways.evolve.ray.LOOK_SECONDS", 0.0)
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    cluster.head = False
    assert run(engine, dispatch(candidate(1))) == here(tmp_path, candidate(1))
    before = len(cluster.actors)
    engine._lost(0, "its worker died")
    assert len(cluster.actors) == before, "nothing is asked of a head that does not answer"
    cluster.head = True
    assert run(engine, dispatch(candidate(2))) == here(tmp_path, candidate(2))
    assert len(cluster.actors) == before + 1


def test_a_head_that_stays_away_is_told_with_how_to_go_on(tmp_path: FilePath, monkeypatch: Any) -> None:
    monkeypatch.setattr("pathways.evolve.ray.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("pathways.evolve.ray.HEAD_SECONDS", 0.0)
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    cluster.head = False
    engine.submit(dispatch(candidate(1)))
    engine._look()
    with pytest.raises(EngineError, match=r"the head of the Ray cluster must be reachable.*`pathways resume` goes on"):
        engine._look()


def test_opening_again_ends_what_is_under_way(tmp_path: FilePath) -> None:
    cluster = FakeCluster()
    engine = opened(cluster, tmp_path)
    engine.submit(dispatch(replace(candidate(1), data={"one": "0" * 64})))  # whose error nobody wants to hear any more
    engine.open(tmp_path, FAMILIES)
    assert sum(not actor.alive for actor in cluster.actors) == 1
    assert engine.next(0) is None
    (found,) = run(engine, dispatch(candidate(2)))
    assert found == here(tmp_path, candidate(2))[0]


def test_closing_ends_all_workers(tmp_path: FilePath) -> None:
    cluster = FakeCluster()
    with opened(cluster, tmp_path) as engine:
        assert len(engine.pids()) == 2
    assert not any(actor.alive for actor in cluster.actors)
    assert not cluster.connected
    with pytest.raises(EngineError, match="must be opened"):
        engine.submit(dispatch(candidate()))


def test_a_dispatch_that_waits_can_be_dropped(tmp_path: FilePath) -> None:
    engine = opened(FakeCluster(), tmp_path, workers=1)
    waits = [dispatch(candidate(seed)) for seed in range(4)]
    for one in waits:
        engine.submit(one)
    assert engine.cancel(waits[-1].id)
    found = []
    while (answer := engine.next()) is not None:
        found.append(answer.dispatch.id)
    assert sorted(found) == sorted(one.id for one in waits[:-1])


# -- gangs ----------------------------------------------------------------------------------------------------------


def joint(workers: int, seed: int = 0) -> Candidate:
    return candidate(seed, workers=workers)


@pytest.fixture
def soon(monkeypatch: Any) -> None:
    """Workers make room at once."""
    monkeypatch.setattr("pathways.evolve.ray.ROOM_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
def test_a_gang_has_all_its_workers_though_others_held_them_before(tmp_path: FilePath) -> None:
    cluster = FakeCluster([{"CPU": 2.0}])
    engine = opened(cluster, tmp_path)
    candidates = [candidate(1), joint(2), candidate(2), joint(2, 3)]
    assert run(engine, *(dispatch(c) for c in candidates)) == here(tmp_path, *candidates)
    assert max(cluster.groups.values(), default=0) <= 2
    assert run(engine, dispatch(candidate(5))) == here(tmp_path, candidate(5))
    assert cluster.groups == {}


@pytest.mark.usefixtures("soon")
def test_a_gang_whose_rank_dies_begins_again_whole(tmp_path: FilePath) -> None:
    calls = count()
    cluster = FakeCluster([{"CPU": 3.0}])
    cluster.fails = lambda worker, dispatch: "its node was lost" if next(calls) == 1 else ""
    engine = opened(cluster, tmp_path)
    assert run(engine, dispatch(joint(3))) == here(tmp_path, joint(3))
    assert len([actor for actor in cluster.actors if actor.place is not None]) == 6


@pytest.mark.usefixtures("soon")
def test_a_gang_that_always_dies_is_recorded_with_its_reason(tmp_path: FilePath) -> None:
    cluster = FakeCluster([{"CPU": 2.0}], fails=lambda worker, d: "its worker died" if d.workers == 2 else "")
    engine = opened(cluster, tmp_path, retries=1)
    first, second = run(engine, dispatch(joint(2)), dispatch(candidate()))
    assert first.failure == "its worker died, 2 times"
    assert second.ok


def test_a_gang_that_can_never_fit_is_refused_at_once(tmp_path: FilePath) -> None:
    engine = opened(FakeCluster([{"CPU": 2.0}, {"CPU": 1.0}]), tmp_path, workers=1)
    with pytest.raises(EngineError, match=r"asks for 4 workers at once, each with 1 CPU, found nodes of 2 CPU; 1 CPU"):
        engine.submit(dispatch(joint(4)))
    assert run(engine, dispatch(candidate())) == here(tmp_path, candidate())


@pytest.mark.usefixtures("soon")
def test_waiting_for_room_ends_with_what_was_asked_and_what_is_there(tmp_path: FilePath) -> None:
    cluster = FakeCluster([{"CPU": 2.0}])
    engine = opened(cluster, tmp_path, workers=1, patience=0.1)
    cluster.groups[99] = 2  # somebody else holds it all
    engine.submit(dispatch(joint(2)))
    with pytest.raises(
        EngineError, match=r"for 2 workers at once, each with 1 CPU, found nothing free on nodes of 2 CPU after 0.1 s"
    ):
        engine.next()


@pytest.mark.usefixtures("soon")
def test_a_gang_is_patient_while_workers_of_its_own_run_are_busy(tmp_path: FilePath, monkeypatch: Any) -> None:
    cluster = FakeCluster([{"CPU": 2.0}])
    engine = opened(cluster, tmp_path, workers=2, patience=5.0)
    clock = [0.0]
    monkeypatch.setattr("pathways.evolve.ray.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("pathways.evolve.gang.time.monotonic", lambda: clock[0])
    alone, together = dispatch(candidate()), dispatch(joint(2))
    engine.submit(alone)
    engine.submit(together)
    for clock[0] in (4.0, 8.0, 12.0):  # the one candidate takes so long
        engine._look()
        engine._feed()
    assert run(engine) == []
    assert engine._gang is not None
    assert cluster.groups == {engine._gang.group: 2}


# -- bad arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": -1}, "`workers` must be a whole number of at least 1, or None, found -1"),
        ({"retries": 1.5}, "`retries` must be a whole number of at least 0, found 1.5"),
        ({"cpus_per_worker": 0}, "`cpus_per_worker` must be a number of at least 0.001, found 0"),
        ({"gpus_per_worker": -1}, "`gpus_per_worker` must be a number of at least 0, found -1"),
        ({"deadline": 0}, "`deadline` must be seconds above 0, or None, found 0"),
        ({"address": "ray://head:10001"}, "use `ray job submit`"),
    ],
)
def test_bad_settings_are_one_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineError) as error:
        Ray(**options)
    assert says in str(error.value)


def test_the_name_that_ray_uses_for_workers_is_understood() -> None:
    assert Ray(num_workers=1).workers == Ray(workers=1).workers == 1


def test_a_task_that_cannot_travel_is_named(tmp_path: FilePath) -> None:
    task = replace(TASK, metric=Metric("own", lambda scores, targets: 0.0, True))
    engine = engine_on(FakeCluster())
    engine.open(tmp_path, FAMILIES)
    engine.provide(task)
    path = chain(task.inputs, linear("a"), head())
    with pytest.raises(EngineError, match="task 'one' must be one that can be sent to workers"):
        engine.submit(dispatch(Candidate({"one": path}, TRAINING, {"one": task.fingerprint})))

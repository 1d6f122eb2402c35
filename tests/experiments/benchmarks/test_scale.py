"""Virtual workers: nothing is lost, nobody waits without need, each object enters the store once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pathways import data
from pathways.candidate import Measures, Result
from pathways.evolve import MuNet
from pathways.evolve.far_worker import Reply
from pathways.evolve.scheduler import Scheduler
from pathways.experiments.benchmarks import scale
from pathways.experiments.benchmarks.scale_cluster import Calls, VirtualCluster
from pathways.experiments.benchmarks.scale_phases import phases
from pathways.experiments.benchmarks.scale_work import measured
from pathways.experiments.benchmarks.synthetic import TRAINING, blobs_task

RESULTS = tuple(
    Result("made", measures={"made": Measures(0.5, 0.5, 1.0, 0.5, 24)}, curve=((40, "made", 0.5),), seconds=seconds)
    for seconds in (0.5, 1.0, 1.5)
)


def simulated(workers: int = 100, searches: int = 10, results: Sequence[Result] = RESULTS, **given: Any) -> Any:
    options = {name: given.pop(name) for name in ("rounds", "dispatch", "candidates") if name in given}
    tasks = [blobs_task(f"scale/{i}") for i in range(searches)]
    settings = scale.Scale(workers, searches, **{"candidates": 600, **options})
    return scale.simulate(settings, tasks, results, root=scale.trunk(), training=TRAINING, **given)


@pytest.fixture(scope="module")
def free() -> Any:
    """A hundred workers, ten tasks, a driver that takes no time."""
    return simulated(drag=0.0, samples=24)


def test_no_result_is_lost_and_none_counts_twice(free: Any) -> None:
    assert free["lost"] == 0
    assert 400 < free["candidates"] <= free["told"] <= 10 * (1 + 4 * 15)  # equal children are trained once
    assert free["counts"]["sent"] == free["counts"]["replies"] == free["candidates"]


def test_workers_of_a_driver_that_takes_no_time_wait_for_the_slowest_at_the_end_only(free: Any) -> None:
    assert free["ideal"] <= free["seconds"] <= 1.5 * free["ideal"] + 2 * max(r.seconds for r in RESULTS)
    assert free["ideal"] == pytest.approx(free["candidates"] / 100, rel=0.1)  # a candidate takes a second in the mean


def test_each_object_enters_the_store_once(free: Any) -> None:
    assert free["counts"]["puts"] == 10  # the tasks' data; from an untrained root nothing is shared

    def row(workers: int) -> Any:
        settings = scale.Scale(workers, searches=2, candidates=32)
        tasks = data.omniglot()[:2]
        return scale.simulate(settings, tasks, RESULTS, drag=0.0, samples=50, root="omniglot", training=TRAINING)

    few, many = row(2), row(16)
    assert many["counts"]["puts"] == few["counts"]["puts"] <= 2 + 8, "data and modules, whoever trains on them"
    assert few["counts"]["shared"] > 0
    assert many["counts"]["twice"] == few["counts"]["twice"] == 0, "however many make them at the same time"


def test_a_slow_driver_is_the_limit_and_says_so() -> None:
    row = simulated(workers=200, calls=Calls(send=0.02), candidates=400)
    assert row["rate"] <= row["limit"] < 50.0
    assert row["busy"] < 0.5
    assert row["charged"]["send"] == pytest.approx(20.0)


@pytest.mark.parametrize("options", [{"rounds": True}, {"dispatch": 8}])
def test_rounds_and_dispatches_of_several_lose_nothing(options: Any) -> None:
    row = simulated(workers=20, searches=2, candidates=160, **options)
    assert row["lost"] == 0
    assert row["counts"]["sent"] <= row["candidates"]
    assert row["phases"]["ledger, write"] > 0


def test_time_passes_by_what_the_driver_computes_and_what_it_waits_for() -> None:
    clock = iter([0.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0])
    train = lambda parcel, knows: (1.0, Reply("results"))  # noqa: E731
    cluster = VirtualCluster(1, train, Calls(wait=0.5), clock=lambda: next(clock))
    _, greeting = cluster.start(None, None)  # the driver has computed for a second
    assert cluster.now == 1.0
    assert cluster.wait([greeting], 9.0) == [greeting]  # two more, and half a second for the call
    assert (cluster.now, cluster.driver, cluster.charged) == (3.5, 3.0, {"wait": 0.5})
    assert cluster.wait([], 2.0) == []
    assert cluster.now == 6.0


def test_timers_leave_the_methods_as_they_were() -> None:
    before = Scheduler.submit
    with phases(lambda: 0.0):
        assert Scheduler.submit is not before
    assert Scheduler.submit is before


def test_results_are_measured_on_real_candidates() -> None:
    found = measured([blobs_task("a"), blobs_task("b")], MuNet(generations=1, children=2), root=scale.trunk(),
                     training=TRAINING)  # fmt: skip
    assert all(result.ok and set(result.measures) == {"b"} and result.seconds > 0 for result in found)


def test_the_command_prints_rows_and_makes_a_table_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [blobs_task("scale/0")]
    monkeypatch.setattr(scale, "SCALES", (scale.Scale(4, 1, candidates=8),))
    monkeypatch.setattr(scale, "workload", lambda searches: (tasks, RESULTS, {"root": scale.trunk()}))
    assert scale.main([]) == 0
    row, *lines = capsys.readouterr().out.splitlines()
    (tmp_path / "rows.jsonl").write_text(row)
    assert scale.main(["--rows", str(tmp_path / "rows.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert json.loads(row)["lost"] == 0



"""Synthetic runs are real runs; acts on them can be measured; a stream tells what each task cost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pathways import data
from pathways.experiments.benchmarks import growth
from pathways.experiments.benchmarks.acts import ACTS, STRATEGY, main
from pathways.experiments.benchmarks.growth import rows, stream
from pathways.experiments.benchmarks.growth_curve import growth_figure, table
from pathways.experiments.benchmarks.meter import measured
from pathways.experiments.benchmarks.synthetic import BESIDE, TRUNK, blobs_task, synthetic
from pathways.graph import path_graph
from pathways.system import System


@pytest.fixture
def run(tmp_path):
    synthetic(tmp_path / "run", 4, 13, STRATEGY).close()
    return tmp_path / "run"


def test_a_synthetic_run_verifies_can_be_used_and_learned_on(run):
    with System.open(run) as system:
        assert system.verify().to_json() | {"bytes": 0} == {
            "ok": True, "tasks": 4, "modules": TRUNK + 4 * 13, "bytes": 0, "bitwise": True, "differs": [],
        }  # fmt: skip
        record = system.records["synthetic/00003"]
        assert [len(step.modules) for step in record.path.steps.values()] == [1] * TRUNK + [BESIDE, 2, 1]
        assert system.summary()["BWT"] == 0.0
        assert system.ledger.rows("synthetic/00003")[0].result.blobs.keys() == {
            *(f"own0.{i}" for i in range(BESIDE)), "own1.0", "own1.1", "head",
        }  # fmt: skip
        system.learn(blobs_task("new"), STRATEGY)
        assert set(system.pool) == system.reachable()
        assert system.verify().tasks == 5


@pytest.mark.parametrize("act", ACTS)
def test_every_act_can_be_measured(run, act, capsys):
    assert main([act, str(run), "1"]) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["seconds"] > 0
    assert cost["peak_mb"] > 1


def test_the_manifests_that_a_task_reads_do_not_grow_with_their_number(tmp_path):
    looked = {}
    for tasks in (3, 12):
        synthetic(tmp_path / str(tasks), tasks, 3, STRATEGY).collect()
        with System.open(tmp_path / str(tasks)) as system:
            assert system.shelf.reads == 0
            system.learn(blobs_task("new"), STRATEGY)
            looked[tasks] = system.shelf.reads
    assert looked == {3: 1, 12: 1}, "its own, when it was written"


def test_a_measurement_counts_files_and_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 5000)
    with measured() as cost:
        (tmp_path / "a").read_bytes()
        (tmp_path / "b").write_bytes(b"y" * 300)
    assert cost.files == 2
    assert 5000 <= cost.bytes_read < 6000
    assert 300 <= cost.bytes_written < 400


def test_a_stream_tells_of_each_task_and_the_row_compares_the_same_task(tmp_path, monkeypatch):
    tasks = data.omniglot(["Angelic", "Keble", "Avesta"])
    monkeypatch.setattr(growth, "all_alphabets", lambda: tasks)
    monkeypatch.setattr(growth, "TASKS", (2, 4))
    monkeypatch.setattr(growth, "MODULES", 3)
    monkeypatch.setattr(growth, "STRATEGY", replace(STRATEGY, generations=1, children=1))
    monkeypatch.setattr(growth, "TRAINING", growth.Training(steps=2, batch=4))
    told = stream(tmp_path / "run", tasks[:2], tmp_path / "early")
    assert [row["tasks"] for row in told] == [0, 1]
    assert all(row["sample_steps"] >= 2 * 2 * 4 for row in told)
    assert all(row["manifests"] == 1 for row in told)
    with System.open(tmp_path / "early") as early:
        assert list(early.records) == ["omniglot/Angelic"]
        assert early.verify().ok
    found = list(rows(1))
    assert [row.name for row in found] == ["growth-omniglot", "growth-tasks"]
    assert all(row.ratio > 0 for row in found)
    assert all(row.goal == 0.87 for row in found)


def test_the_curve_is_drawn_and_told(tmp_path):
    acts = [
        {"act": act, "tasks": n, "modules": 2 * n, "seconds": n / 10, "bytes_read": n, "files": n, "peak_mb": 300.0}
        for act in ("open", "learn") for n in (1, 10)
    ]  # fmt: skip
    told = [{"tasks": i, "seconds": 1.0, "sample_steps": 100, "bytes_read": 5, "manifests": 1} for i in range(3)]
    assert len(growth_figure(acts, told).axes) == 4
    assert table(acts).splitlines()[0] == "| act | 1 tasks | 10 tasks |"


def test_a_drawing_is_of_the_newest_tasks_and_says_who_froze_what_older_ones_did(run):
    with System.open(run) as system:
        system.learn(blobs_task("last"), STRATEGY)
        whole, small = path_graph(system), path_graph(system, 20)
        assert "left_out" not in whole.graph
        assert small.graph["tasks"][-1] == "last"
        assert small.graph["left_out"] == 5 - len(small.graph["tasks"])
        modules = [(node, facts) for node, facts in small.nodes(data=True) if facts["kind"] != "input"]
        assert len(modules) > TRUNK
        for node, facts in modules:
            assert facts["frozen_by"] == whole.nodes[node]["frozen_by"]


def test_the_figure_in_the_documents_is_that_of_the_rows_beside_it():
    folder = Path(__file__).parents[3] / "docs" / "figures"
    told = json.loads((folder / "growth.json").read_text())
    assert len(told["stream"]) == 50
    page = (folder.parent / "growth.md").read_text()
    assert table(told["acts"]) in page

"""The summary and its table, against numbers worked out by hand."""

import json
import math

import pytest
from fake_system import FIRST, HEAD, NEW, SECOND, TESTS, fake_system

from pathways.ledger_rows import Evaluation
from pathways.summary import matrix, summarise
from pathways.summary_table import WIDTH, aligned, summary_text


@pytest.fixture
def summary(tmp_path):
    return summarise(fake_system(tmp_path))


def test_contract_fields_are_there_and_plain(summary):
    task_fields = {
        "name", "metric", "higher_is_better", "test", "validation", "independent_test", "new_parameters",
        "shared_parameters", "parents", "candidates", "seconds",
    }  # fmt: skip
    fields = {
        "tasks", "ACC", "BWT", "FWT", "transfer", "forgetting", "parameters", "independent_parameters", "seconds",
        "engine", "fingerprint", "run",
    }  # fmt: skip
    assert fields <= set(summary)
    assert all(task_fields <= set(task) for task in summary["tasks"])
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_stream_metrics(summary):
    assert summary["ACC"] == pytest.approx(0.8)
    assert summary["BWT"] == summary["forgetting"] == 0.0
    assert summary["FWT"] is None
    assert summary["transfer"] == pytest.approx((0.1 + 0.0 + 0.3) / 3)


def test_parameters_count_each_module_once_root_included(summary):
    assert summary["parameters"] == FIRST + SECOND + SECOND + 3 * HEAD
    assert summary["independent_parameters"] == 3 * (FIRST + SECOND + HEAD)
    assert [task["new_parameters"] for task in summary["tasks"]] == list(NEW.values())
    for task in summary["tasks"]:
        assert task["new_parameters"] + task["shared_parameters"] == FIRST + SECOND + HEAD


def test_a_root_that_no_task_uses_counts(tmp_path):
    system = fake_system(tmp_path)
    unused = system.records.pop("s/one")
    assert unused is not None
    assert summarise(system)["parameters"] == FIRST + SECOND + SECOND + 2 * HEAD


def test_costs_are_those_of_each_side(summary):
    champions, independent = summary["sides"]["champions"], summary["sides"]["independent"]
    assert (champions["candidates"], champions["seconds"], champions["cpu_seconds"]) == (12, 6.0, 4.5)
    assert (independent["candidates"], independent["seconds"]) == (3, 3)
    assert summary["tasks"][0]["candidates"] == 4


def test_separate_models_have_no_backward_transfer(summary):
    side = summary["sides"]["independent"]
    assert side["ACC"] == pytest.approx(2 / 3)
    assert side["BWT"] is side["forgetting"] is None


def test_a_control_that_carries_on_one_network_counts_it_once(tmp_path):
    system = fake_system(tmp_path)
    recorded = system.ledger.controls()
    everything = {task: path for data in recorded.values() for task, path in data["paths"].items()}
    carried = {key: data | {"memory": {"trunk": 1}, "paths": everything} for key, data in recorded.items()}
    system.ledger.controls = lambda: carried
    assert summarise(system)["independent_parameters"] == 3 * (FIRST + SECOND + HEAD)
    latest = list(carried)[-1]
    carried[latest] = carried[latest] | {"paths": recorded[latest]["paths"]}
    assert summarise(system)["independent_parameters"] == FIRST + SECOND + HEAD


def test_a_control_that_carries_on_one_network_is_measured_at_the_end_of_the_stream(tmp_path):
    system = fake_system(tmp_path)
    names, kept = list(system.briefs), system.ledger.evaluations
    later = [Evaluation("independent", names[-1], name, "test", "accuracy", 0.25, 9) for name in names[:-1]]
    system.ledger.evaluations = lambda **which: [*kept(**which), *later]
    summary = summarise(system)
    learned = [row[i] for i, row in enumerate(summary["matrices"]["independent"])]
    at_the_end = [task["controls"]["independent"] for task in summary["tasks"]]
    assert at_the_end == [0.25] * (len(names) - 1) + [learned[-1]]
    assert learned[:-1] != at_the_end[:-1]
    assert summary["sides"]["independent"]["ACC"] == pytest.approx(sum(at_the_end) / len(names))


def test_errors_are_turned_so_that_forgetting_is_a_loss(tmp_path):
    system = fake_system(tmp_path)
    for record in system.records.values():
        record.metric, record.higher_is_better = "mean_absolute_error", False
    rows = [[1.0], [2.0, 1.0], [3.0, 1.0, 1.0]]
    names = list(system.records)
    cells = [
        Evaluation("system", names[i], names[j], "test", "mean_absolute_error", value, 9)
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
    ]
    system.ledger.evaluations = lambda strategy=None, carried=True: cells
    summary = summarise(system)
    assert summary["forgetting"] == pytest.approx(1.0)
    assert summary["BWT"] == pytest.approx(-1.0)
    assert summary["ACC"] == pytest.approx(5 / 3)


def test_different_metrics_have_no_mean(tmp_path):
    system = fake_system(tmp_path)
    system.records["s/two"].metric = "r2"
    summary = summarise(system)
    assert summary["ACC"] is None
    assert summary["transfer"] is None
    assert "mean" not in summary_text(summary).split("\n\n")[0]


def test_nan_becomes_none(tmp_path):
    system = fake_system(tmp_path)
    cells = [Evaluation("system", "s/one", "s/one", "test", "accuracy", math.nan, 9)]
    system.ledger.evaluations = lambda strategy=None, carried=True: cells
    system.records["s/one"].test = math.nan
    summary = summarise(system)
    assert summary["tasks"][0]["test"] is None
    assert summary["ACC"] is None
    json.dumps(summary, allow_nan=False)


def test_matrix_ignores_what_is_not_a_task():
    cells = [Evaluation("s", after, "a", "test", "accuracy", 0.5, 9) for after in ("", "gone", "a")]
    assert matrix(cells, ["a", "b"]) == [[0.5, None], [None, None]]


def test_an_empty_system_says_so(tmp_path):
    system = fake_system(tmp_path)
    system.records.clear()
    system.champions.clear()
    system.ledger.names = []
    system.ledger.controls = dict
    summary = summarise(system)
    assert (summary["tasks"], summary["ACC"]) == ([], None)
    assert summary_text(summary) == "no task is learned yet"


def test_the_table_shows_what_was_measured(summary):
    text = summary_text(summary)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["one"][1:] == ["90.0", "80.0", "27", "58", "root"]
    assert rows["three"][-1] == "two"
    assert rows["mean"][1:3] == ["80.0", "66.7"]
    assert "forgetting 0.0" in text
    assert f"{summary['parameters']:,} (root included)" in text
    assert all(f"{100 * test:.1f}" in text for test in TESTS.values())


def test_where_a_guard_dropped_sharing_is_seen(summary):
    kept = ["sharing", "scratch", "sharing"]
    tasks = [{**task, "guard": said} for task, said in zip(summary["tasks"], kept, strict=True)]
    tasks[1]["parents"] = []
    text = summary_text({**summary, "tasks": tasks})
    [row] = [line for line in text.splitlines() if line.startswith("two ")]
    assert row.endswith("none: scratch won")
    assert "the guard dropped sharing for 1 of 3 tasks" in text
    assert "guard" not in summary_text(summary)


def test_the_table_is_readable_at_100_columns(tmp_path):
    text = summary_text(summarise(fake_system(tmp_path, rename=lambda name: f"folder/{name}-{'long' * 20}")))
    assert max(map(len, text.splitlines())) <= WIDTH


def test_columns_are_aligned():
    lines = aligned(["name", "n", "words"], [["a", "1", "x"], ["bb", "100", "y" * 200]], left=(0, 2)).splitlines()
    assert [line.index("  ") for line in lines[:2]] == [4, 4]
    assert lines[3].endswith("…")
    assert len(lines[3]) == WIDTH


@pytest.mark.parametrize("engine", ["", "engine: {kind: local, workers: 2}\n", "- a list\n"])
def test_the_engine_is_that_of_the_configuration(tmp_path, engine):
    (tmp_path / "config.yaml").write_text(engine)
    assert summarise(fake_system(tmp_path))["engine"] == ("local × 2" if "workers" in engine else None)

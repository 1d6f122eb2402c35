"""Where the time went: sums that can be worked out by hand."""

import json

import pytest
from helpers_trace import answer, candidates

from pathways.errors import PathwaysError
from pathways.trace_file import Trace
from pathways.trace_read import read_trace
from pathways.trace_summary import meaning, trace_text, where_time_went


@pytest.fixture
def run(tmp_path):
    """Two workers: one trains four candidates of 1 s each from 1000 to 1004, one trains one of 2 s from 1000 on."""
    trace = Trace(tmp_path / "trace.json")
    for id, (some, seconds, worker) in enumerate([(candidates(4, 1), 1.0, "n1/0"), (candidates(1, 2), 2.0, "n2/0")]):
        found = answer(id, some, 1000.0, seconds, worker)
        trace.add(found, found.results, "munet", ("one",), (1004.5 + id, 0.5))
    trace.close()
    return tmp_path


def test_seconds_add_up(run):
    summary = where_time_went(read_trace(run))
    kinds = {what: round(one["seconds"], 3) for what, one in summary["kinds"].items()}
    # Each is there from its first transfer, at 999, to the session's end, at 1006.
    assert kinds == {"load": 0.6, "train": 4.2, "evaluate": 0.6, "store": 0.6, "transfer": 1.5, "idle": 6.5}
    assert sum(one["share"] for one in summary["kinds"].values()) == pytest.approx(1)
    assert sum(kinds.values()) == pytest.approx(2 * 7)
    assert [(w["worker"], w["candidates"], round(w["utilisation"], 3)) for w in summary["workers"]] == [
        ("n1/0", 4, round(4 / 7, 3)), ("n2/0", 1, round(2 / 7, 3)),
    ]
    assert summary["per_candidate"] == pytest.approx({"work": 6 / 5, "overhead": 2.5 / 5, "moved": 400})
    assert summary["driver"] == pytest.approx({"commit": 1.0})
    assert summary["wait"] == pytest.approx(4.0)
    assert (summary["sessions"], summary["seconds"]) == (1, pytest.approx(7))
    json.dumps(summary, allow_nan=False)


def test_the_slowest_come_first(run):
    slowest = where_time_went(read_trace(run))["slowest"]
    assert [round(one["seconds"], 3) for one in slowest] == [2.0, 1.0, 1.0, 1.0, 1.0]
    assert slowest[0]["worker"] == "n2/0"
    assert slowest[0]["name"] == f"candidate {candidates(1, 2)[0].hash[:8]}"


def test_of_a_stack_each_candidate_has_its_share(tmp_path):
    trace = Trace(tmp_path / "trace.json")
    found = answer(0, candidates(64), 1000.0, 6.4, stacked=True)
    trace.add(found, found.results, "munet", ("one",), (1010.0, 0.5))
    trace.close()
    summary = where_time_went(read_trace(tmp_path))
    assert summary["candidates"] == 64
    assert summary["per_candidate"]["work"] == pytest.approx(0.1)
    assert summary["slowest"][0]["seconds"] == pytest.approx(0.1)


def test_time_between_sessions_is_nobodys(tmp_path):
    for began in (1000.0, 900_000.0):
        trace = Trace(tmp_path / "trace.json")
        found = answer(0, candidates(1), began)
        trace.add(found, found.results, "munet", ("one",), (began + 2, 0.5))
        trace.close()
    summary = where_time_went(read_trace(tmp_path))
    assert (summary["sessions"], summary["seconds"]) == (2, pytest.approx(7))
    assert [w["worker"] for w in summary["workers"]] == ["n1/0"]
    assert summary["kinds"]["idle"]["seconds"] < 10


def test_the_text_has_every_number_that_matters(run):
    text = trace_text(where_time_went(read_trace(run)))
    for part in ("Workers worked 43 %", "train", "idle", "n2/0", "57.1 %", "400 B moved", "commit 1.0 s", "slowest"):
        assert part in text


@pytest.mark.parametrize(("idle", "transfer", "workers", "said"), [
    (0.05, 0.01, 2, "more workers would pay"),
    (0.3, 0.05, 2, "fewer workers"),
    (0.3, 0.05, 1, "the driver's"),
    (0.1, 0.3, 2, "larger dispatches"),
])
def test_the_meaning_follows_what_the_time_went_into(idle, transfer, workers, said):
    kinds = {"train": {"share": 1 - idle - transfer}, "idle": {"share": idle}, "transfer": {"share": transfer}}
    each = {"work": 1.0, "overhead": 0.01, "moved": 0}
    assert said in meaning({"kinds": kinds, "workers": [{}] * workers, "per_candidate": each})


def test_a_run_without_trace_says_so(tmp_path):
    with pytest.raises(PathwaysError, match=r"trace\.json must be there.*engine\.trace"):
        read_trace(tmp_path)


def test_a_trace_in_which_nothing_was_tried(tmp_path):
    trace = Trace(tmp_path / "trace.json")
    trace.driver("commit", 1000.0, 1.0)
    trace.close()
    summary = where_time_went(read_trace(tmp_path))
    assert summary["per_candidate"] is None
    assert trace_text(summary).startswith("No candidate was trained.")

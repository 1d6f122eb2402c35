"""The ledger: what is committed comes back equal, once, in order, all of it or nothing."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.candidate import Candidate, Measures, Result, Training
from pathways.errors import LedgerError
from pathways.ledger import Ledger
from pathways.ledger_log import Line
from pathways.ledger_rows import Evaluation, Trained
from pathways.ledger_sql import key_of_search
from pathways.modules import Draft, Init, ModuleSpec, Vector
from pathways.path import Path, Step


def candidate_of(seed: int = 0, tasks: tuple[str, ...] = ("a",), **labels: Any) -> Candidate:
    """A candidate of one module for each task."""
    spec = ModuleSpec("classifier", {"classes": 2})
    paths = {
        task: Path({"x": Vector(4)}, {"head": Step((Draft(task, spec, Init(seed)),), ("x",))}, "head")
        for task in tasks
    }
    return Candidate(paths, Training(steps=10), dict.fromkeys(tasks, "data"), labels=labels)


def result_of(candidate: Candidate, quality: float = 0.5, seconds: float = 2.0, **changes: Any) -> Result:
    """A result with something in every field."""
    blobs = {name: f"{position:064x}" for position, name in enumerate(candidate.drafts())}
    measures = {task: Measures(quality, quality, 0.1, quality, 100) for task in candidate.paths}
    curve = ((5, "a", 0.25), (10, "a", quality))
    result = Result(candidate.hash, "", measures, curve, 10, 10, 40, seconds, seconds / 2, blobs, blobs)
    return replace(result, **changes)


def pair(
    seed: int = 0, tasks: tuple[str, ...] = ("a",), quality: float = 0.5, **labels: Any
) -> tuple[Candidate, Result]:
    """A candidate with its result."""
    candidate = candidate_of(seed, tasks, **labels)
    return candidate, result_of(candidate, quality)


@pytest.fixture
def ledger(database: str) -> Any:
    with Ledger(database) as opened:
        yield opened


def test_what_is_committed_comes_back_equal(ledger: Ledger) -> None:
    candidate, result = pair(number=7, parents=["root"], mutations=["clone"])
    ledger.commit("munet", ["a"], 3, [(candidate, result)])
    assert ledger.known([candidate.hash, "0" * 64]) == {candidate.hash: result}
    assert ledger.candidate(candidate.hash) == candidate
    assert ledger.candidate(candidate.hash).labels == candidate.labels
    (row,) = ledger.rows()
    assert (row.strategy, row.tasks, row.generation, row.number, row.dispatch) == ("munet", ("a",), 0, 7, 3)
    assert row.parents == ("root",)
    assert row.labels["mutations"] == ["clone"]
    assert row.training == candidate.training.to_json()
    assert row.paths == {"a": candidate.paths["a"].hash}
    assert row.result == result
    assert not row.reused


@settings(deadline=None, max_examples=25)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.text(max_size=20), st.integers(0, 2**62))
def test_any_number_and_text_comes_back_equal(value: float, seconds: float, failure: str, flops: int) -> None:
    candidate = candidate_of()
    result = result_of(candidate, value, 1.0, failure=failure, flops=flops, cpu_seconds=abs(seconds))
    with Ledger(":memory:") as ledger:
        ledger.commit("s", ["a"], 0, [(candidate, result)])
        assert ledger.known([candidate.hash]) == {candidate.hash: result}


def test_nan_measures_survive(ledger: Ledger) -> None:
    candidate = candidate_of()
    ledger.commit("s", ["a"], 0, [(candidate, result_of(candidate, float("nan")))])
    assert math.isnan(ledger.known([candidate.hash])[candidate.hash].quality)


def test_failures_are_recorded_with_their_reason(ledger: Ledger) -> None:
    candidate = candidate_of()
    failed = Result(candidate.hash, "loss became NaN at step 17", seconds=1.0)
    ledger.commit("s", ["a"], 0, [(candidate, failed)])
    assert ledger.known([candidate.hash])[candidate.hash] == failed
    assert ledger.rows()[0].result.failure == "loss became NaN at step 17"


def test_a_hash_counts_once_and_the_first_result_stays(ledger: Ledger) -> None:
    candidate, result = pair(quality=0.5)
    ledger.commit("s", ["a"], 0, [(candidate, result), (candidate, result)])
    ledger.commit("s", ["a"], 1, [(candidate, result_of(candidate, 0.9, 50.0)), pair(1)])
    assert ledger.known([candidate.hash])[candidate.hash] == result
    assert len(ledger.rows()) == 2
    assert ledger.costs()["s"].candidates == 2
    assert ledger.costs()["s"].seconds == 4.0


def test_dispatches_committed_together_are_those_committed_one_by_one(ledger: Ledger, tmp_path: FilePath) -> None:
    lines = [Line("search", place, pair(place)[0].hash, told=True) for place in range(3)]
    trained = [
        Trained("s", ["a"], 4, [pair(0, number=0), pair(1)], lines[:2]), Trained("other", ["b"], 5, [pair(3, ("b",))]),
        Trained("s", ["a"], 6, [pair(2)], lines[2:]),
    ]  # fmt: skip
    with Ledger(tmp_path / "one by one.db") as apart:
        for each in trained:
            apart.commit(each.strategy, each.tasks, each.dispatch, each.pairs, each.log)
        ledger.commit_all(trained)
        ledger.commit_all(trained[1:])  # a commit of which nobody knows whether it was one

        def seen(of: Ledger) -> Any:
            rows = [replace(row, id=0, finished=0.0) for row in of.rows()]
            return rows, of.log("search"), of.costs(), of.costs_by_task()

        assert seen(ledger) == seen(apart)
        assert [row.dispatch for row in ledger.rows()] == [4, 4, 5, 6]


def test_nothing_of_dispatches_committed_together_stays_where_one_is_refused(ledger: Ledger) -> None:
    _, result = pair(0)
    with pytest.raises(LedgerError, match="own result"):
        ledger.commit_all([Trained("s", ["a"], 0, [pair(1)]), Trained("s", ["a"], 1, [(candidate_of(2), result)])])
    assert ledger.rows() == []


def test_a_result_of_another_candidate_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="`pairs` must hold each candidate with its own result"):
        ledger.commit("s", ["a"], 0, [(candidate_of(0), result_of(candidate_of(1)))])
    assert ledger.rows() == []


def test_labels_that_are_not_plain_data_leave_nothing_behind(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="not JSON serializable"):
        ledger.commit("s", ["a"], 0, [pair(0), pair(1, note=object())])
    assert ledger.rows() == []


def test_reuse_costs_nothing_and_is_told(ledger: Ledger) -> None:
    ledger.commit("munet", ["a"], 0, [pair(0), pair(1)])
    ledger.reuse("random", ["a"], [pair(1, number=4)])
    ledger.reuse("munet", ["a"], [pair(0)])  # a resumed search asks again for what it had trained
    first, own, shared = ledger.rows()
    assert (first.strategy, own.strategy, shared.strategy) == ("munet", "munet", "random")
    assert (shared.reused, shared.number, shared.seconds, shared.result.seconds) == (True, 4, 0.0, 2.0)
    assert not first.reused
    costs = ledger.costs()
    assert (costs["munet"].candidates, costs["munet"].reused, costs["munet"].seconds) == (2, 0, 4.0)
    assert (costs["random"].candidates, costs["random"].reused, costs["random"].cpu_seconds) == (1, 1, 0.0)


def test_reuse_of_what_was_never_tried_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="`pairs` must be in the ledger"):
        ledger.reuse("random", ["a"], [pair(0)])


def test_dropped_candidates_are_unknown_until_trained_again_and_stay_on_the_record(ledger: Ledger) -> None:
    kept, lost = pair(0), pair(1)
    ledger.commit("munet", ["a"], 0, [kept, lost])
    ledger.drop([lost[0].hash])
    assert set(ledger.known([kept[0].hash, lost[0].hash])) == {kept[0].hash}
    assert len(ledger.rows()) == 2
    with pytest.raises(LedgerError, match="`pairs` must be in the ledger"):
        ledger.reuse("random", ["a"], [lost])
    again = result_of(lost[0], seconds=3.0)
    ledger.commit("random", ["a"], 1, [(lost[0], again)])
    assert ledger.known([lost[0].hash]) == {lost[0].hash: again}
    assert [row.strategy for row in ledger.rows()] == ["munet", "munet", "random"]
    assert not any(row.reused for row in ledger.rows())


def test_more_hashes_than_one_query_may_name(ledger: Ledger) -> None:
    pairs = [pair(seed) for seed in range(1100)]
    ledger.commit("s", ["a"], 0, pairs)
    assert len(ledger.known([c.hash for c, _ in pairs])) == 1100
    assert [row.hash for row in ledger.rows()] == [c.hash for c, _ in pairs]


def test_joint_candidates_are_one_row_and_share_their_cost(ledger: Ledger) -> None:
    ledger.commit("joint", ["a", "b"], 0, [pair(0, ("a", "b"))])
    ledger.commit("single", ["a"], 1, [pair(1)])
    assert [row.tasks for row in ledger.rows()] == [("a", "b"), ("a",)]
    assert [row.strategy for row in ledger.rows(task="b")] == ["joint"]
    assert [row.strategy for row in ledger.rows(task="a", strategy="single")] == ["single"]
    assert ledger.costs()["joint"].seconds == 2.0
    assert ledger.costs(task="a")["joint"].seconds == 1.0
    assert set(ledger.costs(task="b")) == {"joint"}


def test_evaluations_replace_and_keep_their_order(ledger: Ledger) -> None:
    ledger.record_evaluation("munet", "a", "a", "test", "accuracy", 0.5, 10)
    ledger.record_evaluation("munet", "b", "a", "test", "accuracy", float("nan"), 10)
    ledger.record_evaluation("other", "a", "a", "test", "accuracy", 0.1, 10)
    ledger.record_evaluation("munet", "a", "a", "test", "accuracy", 0.75, 20)
    first, second = ledger.evaluations("munet")
    assert (first.after, first.task, first.value, first.n) == ("a", "a", 0.75, 20)
    assert second.after == "b"
    assert math.isnan(second.value)
    assert len(ledger.evaluations()) == 3


def test_learned_tasks_are_those_the_system_was_measured_after(ledger: Ledger) -> None:
    for strategy, after, task in (("system", "", "b"), ("system", "b", "b"), ("system", "a", "a"), ("other", "c", "c")):
        ledger.record_evaluation(strategy, after, task, "test", "accuracy", 0.5, 10)
    assert ledger.learned() == ["b", "a"]
    ledger.forget("b")
    assert ledger.learned() == ["a"]


def own(task: str, value: float = 0.5, after: str = "") -> Evaluation:
    return Evaluation("system", after or task, task, "test", "accuracy", value, 10)


def test_what_champions_reach_holds_after_every_later_task(ledger: Ledger) -> None:
    ledger.record_learned([own("a", 0.5)])
    ledger.record_learned([own("b", 0.75)])
    ledger.record_learned([own("c", 1.0)])
    found = {(e.after, e.task): e.value for e in ledger.evaluations("system")}
    values = {"a": 0.5, "b": 0.75, "c": 1.0}
    assert found == {(i, j): values[j] for i in "abc" for j in "abc" if j <= i}
    assert ledger.evaluations(carried=False) == [own("a", 0.5), own("b", 0.75), own("c", 1.0)]
    ledger.forget("b")
    assert [(e.after, e.task) for e in ledger.evaluations()] == [("a", "a"), ("c", "c"), ("c", "a")]


def test_what_was_measured_again_after_later_tasks_is_not_carried_on(ledger: Ledger) -> None:
    for e in (own("a", 0.5), own("b", 0.5), own("a", 0.25, after="b")):
        ledger.record_evaluation(e.strategy, e.after, e.task, e.split, e.metric, e.value, e.n)
    assert sorted((e.after, e.task, e.value) for e in ledger.evaluations()) == [
        ("a", "a", 0.5), ("b", "a", 0.25), ("b", "b", 0.5),
    ]  # fmt: skip


def test_a_task_recorded_late_stands_where_it_was_learned(ledger: Ledger) -> None:
    ledger.record_learned([own("a"), own("c")])
    ledger.record_learned([own("b"), own("c")])
    assert ledger.learned() == ["a", "b", "c"]
    assert ("b", "c") not in {(e.after, e.task) for e in ledger.evaluations()}


def test_costs_by_task_are_the_costs_of_each(ledger: Ledger) -> None:
    ledger.commit("joint", ["a", "b"], 0, [pair(0, ("a", "b"))])
    ledger.commit("single", ["a"], 1, [pair(1), pair(2)])
    ledger.reuse("other", ["b"], [pair(1)])
    assert ledger.costs_by_task() == {task: ledger.costs(task) for task in ("a", "b")}


def test_controls_that_keep_paths_are_found_among_the_others(ledger: Ledger) -> None:
    ledger.record_control("alone", "a", {"keeps": [], "paths": {"a": {"steps": "x" * 99}}})
    ledger.record_control("fine-tune", "a", {"keeps": [{"p": 1}], "memory": {}})
    ledger.record_control("fine-tune", "b", {"keeps": [{"p": 2}, {"p": 3}]})
    ledger.record_control("odd", "b", {})
    assert ledger.keeps() == [{"p": 1}, {"p": 2}, {"p": 3}]


def test_searches_that_began_are_known_until_they_are_swept(ledger: Ledger) -> None:
    assert ledger.unswept() == {}
    ledger.remember(["a"])
    ledger.begin(["fine-tune:b"])
    assert ledger.unswept() == {key_of_search("a"): False, key_of_search("fine-tune:b"): False}
    ledger.remember(["a"])
    assert ledger.unswept()[key_of_search("a")], "it began again"
    ledger.swept([key_of_search("a")])
    assert ledger.unswept() == {key_of_search("fine-tune:b"): False}


def test_the_blobs_of_a_task_are_those_of_its_candidates(ledger: Ledger) -> None:
    (one, result), (two, other) = pair(0), pair(1, ("b",))
    ledger.commit("s", ["a"], 0, [(one, replace(result, blobs={"a": "1" * 64}, optimizers={"a": "2" * 64}))])
    ledger.commit("s", ["b"], 1, [(two, replace(other, blobs={"b": "3" * 64}, optimizers={}))])
    assert ledger.blobs_of(["a"]) == {"1" * 64, "2" * 64}
    assert ledger.blobs_of(["b", "c"]) == {"3" * 64}
    assert ledger.blobs_of([]) == set()


def test_controls_replace_and_come_back(ledger: Ledger) -> None:
    assert ledger.control("independent", "a") is None
    ledger.record_control("independent", "a", {"test": 0.1})
    ledger.record_control("independent", "b", {"test": 0.2})
    ledger.record_control("independent", "a", {"test": 0.3, "memory": {"trunk": [1]}})
    assert ledger.control("independent", "a") == {"test": 0.3, "memory": {"trunk": [1]}}
    assert list(ledger.controls()) == [("independent", "a"), ("independent", "b")]


def test_forget_removes_a_task_and_leaves_the_others(ledger: Ledger) -> None:
    shared, own, other = pair(0, ("a", "b")), pair(1), pair(2, ("b",))
    ledger.commit("joint", ["a", "b"], 0, [shared])
    ledger.commit("munet", ["a"], 1, [own])
    ledger.commit("munet", ["b"], 2, [other])
    for after, task in (("a", "a"), ("b", "a"), ("b", "b")):
        ledger.record_evaluation("munet", after, task, "test", "accuracy", 0.5, 10)
        ledger.record_control("independent", task, {"test": 0.1})
    ledger.forget("a")
    assert ledger.rows(task="a") == []
    assert set(ledger.known(c.hash for c, _ in (shared, own, other))) == {shared[0].hash, other[0].hash}
    assert [(e.after, e.task) for e in ledger.evaluations()] == [("b", "b")]
    assert list(ledger.controls()) == [("independent", "b")]
    ledger.forget("b")
    assert ledger.known(c.hash for c, _ in (shared, own, other)) == {}


def test_what_was_forgotten_is_known_until_it_is_learned_again(ledger: Ledger) -> None:
    long = "a task/" + "x" * 100
    ledger.forget("a")
    ledger.forget("a")
    ledger.forget(long)
    assert ledger.forgotten(["a", "b", long]) == {"a", long}
    ledger.remember(["a", "b"])
    assert ledger.forgotten(["a", "b", long]) == {long}


def test_forgotten_rows_are_not_left_in_the_file(tmp_path: FilePath) -> None:
    file = tmp_path / "ledger.db"
    with Ledger(file) as ledger:
        ledger.commit("munet", ["secret-task"], 0, [pair(0, ("secret-task",))])
        ledger.sync()
        assert b"secret-task" in file.read_bytes()
        ledger.forget("secret-task")
    assert b"secret-task" not in file.read_bytes()


# -- files, formats, crashes --------------------------------------------------------------------


def test_two_connections_see_each_others_commits(tmp_path: FilePath) -> None:
    with Ledger(tmp_path / "l.db") as one, Ledger(f"sqlite:///{tmp_path}/l.db") as two:
        one.commit("s", ["a"], 0, [pair(0)])
        two.commit("s", ["a"], 1, [pair(1)])
        assert len(one.rows()) == len(two.rows()) == 2


def test_the_file_is_in_wal_mode(tmp_path: FilePath) -> None:
    with Ledger(tmp_path / "l.db"), sqlite3.connect(tmp_path / "l.db") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_another_format_a_foreign_database_and_no_database_are_refused(tmp_path: FilePath) -> None:
    with Ledger(tmp_path / "old.db"):
        pass
    with sqlite3.connect(tmp_path / "old.db") as plain:
        plain.execute("UPDATE meta SET value='0'")
    plain.close()
    with sqlite3.connect(tmp_path / "foreign.db") as plain:
        plain.execute("CREATE TABLE things (x)")
    plain.close()
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 10)
    with pytest.raises(LedgerError, match=r"old.db must be a ledger of format 2, found format 0"):
        Ledger(tmp_path / "old.db")
    with pytest.raises(LedgerError, match=r"foreign.db must be .* format 2, found another database"):
        Ledger(tmp_path / "foreign.db")
    with pytest.raises(LedgerError, match=r"text.db must be .* can be used, found: file is not a database"):
        Ledger(tmp_path / "text.db")
    with pytest.raises(LedgerError, match=r"unable to open database file"):
        Ledger(tmp_path / "missing" / "l.db")
    with pytest.raises(LedgerError, match="`url_or_path` must be a file or a URL"):
        Ledger("nonsense://host/db")


KILLED = textwrap.dedent("""
    import os, signal, sys
    sys.path.insert(0, sys.argv[2])
    from sqlalchemy import event
    from test_ledger import Ledger, pair

    def die_at(ledger, statement):
        def look(connection, cursor, sql, *rest):
            if sql.startswith(statement):
                os.kill(os.getpid(), signal.SIGKILL)
        event.listen(ledger.engine, "after_cursor_execute", look)

    # One child for each moment: before anything is written, half written, all written but not committed.
    for number, moment in enumerate(("SELECT candidates", "INSERT INTO candidates", "INSERT INTO tried")):
        child = os.fork()
        if child == 0:
            ledger = Ledger(sys.argv[1])
            ledger.commit("s", ["a"], number, [pair(10 * number), pair(10 * number + 1)])
            die_at(ledger, moment)
            ledger.commit("s", ["a"], number, [pair(10 * number + 5), pair(10 * number + 6)])
            os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, moment
""")


def test_kill_9_inside_a_commit_leaves_all_of_it_or_nothing(tmp_path: FilePath) -> None:
    here = str(FilePath(__file__).parent)
    file = tmp_path / "ledger.db"
    subprocess.run([sys.executable, "-c", KILLED, str(file), here], check=True, cwd=tmp_path, timeout=120)
    with Ledger(file) as ledger:
        committed = [pair(10 * number + k)[0].hash for number in range(3) for k in (0, 1)]
        assert [row.hash for row in ledger.rows()] == committed
        assert len(ledger.known(committed)) == 6
        ledger.commit("s", ["a"], 9, [pair(5), pair(6)])
        assert len(ledger.rows()) == 8
        with ledger.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_commit_that_fails_half_way_leaves_nothing(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tried")
    candidate, result = pair()
    with pytest.raises(LedgerError, match=r"no such table: tried|tried.* does(n't| not) exist"):
        ledger.commit("s", ["a"], 0, [(candidate, result)])
    assert ledger.known([candidate.hash]) == {}

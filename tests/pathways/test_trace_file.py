"""The trace file: strictly in its format, whole whenever its writer is killed, and bounded."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from helpers_tiny import TRAINING, FixedPath, chain, head, interrupt_after, linear, task_of
from helpers_trace import answer, candidates, checked, events_of

import pathways
from pathways.trace_file import Trace
from pathways.trace_read import closed_copy, events, read_trace


def fill(trace, count, began=1000.0, worker="n1/0", **settings):
    """Add `count` dispatches of one candidate each, one after another."""
    for i in range(count):
        some = candidates(1, generation=i)
        found = answer(i, some, began + 5 * i, worker=worker, **settings)
        trace.add(found, found.results, "munet", ("one",), (began + 5 * i + 2, 0.01))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trace.json"


def test_a_candidates_event_says_what_it_is_and_what_came_of_it(file):
    trace = Trace(file)
    [candidate] = candidates(1, generation=3)
    found = answer(17, [candidate], 1000.0, moved=500)
    trace.add(found, found.results, "munet", ("one", "two"), (1002.0, 0.25))
    trace.close()
    made = {event["name"]: event for event in events_of(file)}
    told = made[f"candidate {candidate.hash[:8]}"]
    assert told["args"] == {
        "candidate": candidate.hash[:12], "task": "one+two", "strategy": "munet", "dispatch": 17, "generation": 3,
        "quality": 0.5, "moved": 500,
    }
    assert (told["ts"], told["dur"]) == (1_000_000_000, 1_000_000)
    assert made["train"]["dur"] == 700_000
    assert (made["commit"]["ts"], made["commit"]["dur"]) == (1_002_000_000, 250_000)
    assert made["process_name"]["args"]["name"] == "n1"


def test_a_stack_is_one_event_and_a_failure_is_named(file):
    trace = Trace(file)
    found = answer(0, candidates(64), 1000.0, stacked=True, failure="FloatingPointError: " + "x" * 500)
    trace.add(found, found.results, "pathnet", ("one",), (1002.0, 0.25))
    trace.close()
    [stack] = [event for event in events_of(file) if event.get("cat") == "candidate"]
    assert stack["name"] == "stack of 64"
    assert stack["args"]["candidates"] == 64
    assert stack["args"]["failed"].startswith("FloatingPointError")
    assert len(stack["args"]["failed"]) == 80


def test_waits_and_transfers_may_overlap_and_work_does_not(file):
    trace = Trace(file)
    some = candidates(8)
    for i, candidate in enumerate(some):  # all waited from the same moment, and a clock is off by some milliseconds
        found = answer(i, [candidate], 1000.0 + 0.995 * i)
        trace.add(found, found.results, "munet", ("one",), (1020.0 + i, 0.01))
    trace.close()
    counted = [event["ph"] for event in events_of(file) if event.get("cat") in ("wait", "transfer")]
    assert counted.count("b") == counted.count("e") == 8 * 3


def test_a_gangs_candidate_and_a_stack_that_was_taken_apart_count_once(file):
    trace = Trace(file)
    [candidate] = candidates(1)
    gang = [answer(0, [candidate], 1000.0, worker=f"n1/{i}") for i in range(2)]
    both = replace(gang[0], spans=gang[0].spans + gang[1].spans)
    trace.add(both, both.results, "munet", ("one",), (1002.0, 0.1))
    some = candidates(4, 1)
    stack, alone = answer(1, some, 1010.0, stacked=True), answer(1, some, 1012.0)
    both = replace(stack, spans=stack.spans + alone.spans)
    trace.add(both, both.results, "munet", ("one",), (1020.0, 0.1))
    trace.close()
    events_of(file)
    assert sum(lane.candidates for lane in read_trace(file.parent).workers) == 5


def test_going_on_appends_with_threads_of_its_own(file):
    for session in range(3):
        trace = Trace(file)
        fill(trace, 2, began=1000.0 + 1000 * session)
        trace.close()
    found = events_of(file)
    assert sum(event.get("cat") == "candidate" for event in found) == 6
    assert len({event["args"]["session"] for event in found if event["name"] == "thread_name"}) == 3
    assert len({event["tid"] for event in found if event.get("cat") == "candidate"}) == 3


@pytest.mark.parametrize(
    "left", [b"", b"\n]", b"\n]\n", b",", b',\n{"name":"tra', b',\n{"name":"a","args":{"x":["b"]']
)
def test_what_a_kill_or_another_program_left_is_mended(file, left):
    trace = Trace(file)
    fill(trace, 1)
    trace.close()
    whole = file.read_bytes()
    file.write_bytes(whole + left)
    assert len(list(events(file))) == len(checked(whole.decode()))
    fill(trace, 1, began=2000.0)
    trace.close()
    assert file.read_bytes().startswith(whole)
    assert sum(event.get("cat") == "candidate" for event in events_of(file)) == 2


@pytest.mark.parametrize("left", [b"[", b"[\n", b'[\n{"na'])
def test_a_file_without_any_whole_event_begins_anew(file, left):
    file.write_bytes(left)
    trace = Trace(file)
    fill(trace, 1)
    trace.close()
    events_of(file)


WRITER = """
import sys
from pathlib import Path
from pathways.trace_file import Trace
trace = Trace(Path(sys.argv[1]))
i = 0
while i < float(sys.argv[2]):
    trace.driver("commit", began=1000.0 + i, seconds=0.5, dispatch=i)
    trace.flush()
    i += 1
"""


def test_a_killed_driver_leaves_a_file_that_opens(file):
    for _ in range(2):
        size = file.stat().st_size if file.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(file), "inf"])
        try:
            deadline = time.monotonic() + 30
            while (not file.exists() or file.stat().st_size < size + 20_000) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert len(events_of(file)) > 100


def test_several_drivers_write_to_one_file(file):
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), "200"]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = [event for event in events_of(file) if event["ph"] == "X"]
    assert len(found) == 600
    assert len({event["tid"] for event in found}) == 3


def test_a_file_that_is_full_holds_totals_and_loses_nothing_of_them(file):
    now = [1000.0]
    trace = Trace(file, detail_bytes=20_000, clock=lambda: now[0])
    for i in range(2000):
        found = answer(i, candidates(1, i), now[0])
        trace.add(found, found.results, "munet", ("one",), (now[0] + 1, 0.01))
        now[0] += 5
    trace.close()
    assert file.stat().st_size < 60_000
    assert any(event.get("cat") == "total" for event in events_of(file))
    record = read_trace(file.parent)
    [worker], [driver] = record.workers, record.drivers
    assert worker.candidates == 2000
    assert worker.moved == 2_000_000
    assert worker.spent("train") == pytest.approx(0.7 * 2000, rel=1e-4)
    assert driver.spent("commit") == pytest.approx(20, rel=1e-4)


def test_a_full_file_grows_as_the_logarithm_of_the_runs_age(file):
    now = [0.0]
    trace = Trace(file, detail_bytes=0, clock=lambda: now[0])
    sizes = []
    for i in range(30_000):
        trace.driver("commit", began=now[0], seconds=0.5)
        now[0] += 30
        trace.flush()
        if i in (299, 2999, 29_999):
            sizes.append(file.stat().st_size)
    assert sizes[2] - sizes[1] < 1.2 * (sizes[1] - sizes[0])


def test_a_trace_that_cannot_be_written_does_not_end_a_run(tmp_path, caplog):
    trace = Trace(tmp_path / "file" / "trace.json")
    (tmp_path / "file").write_text("in the way")
    for _ in range(3):
        fill(trace, 1)
        trace.close()
    assert len([r for r in caplog.records if "the run goes on without a trace" in r.message]) == 1


def test_a_closed_copy_is_one_json_array(file, tmp_path):
    trace = Trace(file)
    fill(trace, 3)
    trace.close()
    with pytest.raises(json.JSONDecodeError):
        json.loads(file.read_text())
    assert json.loads(closed_copy(tmp_path, tmp_path / "whole.json").read_text()) == events_of(file)


STRATEGY = FixedPath(lambda view: {"one": chain(view.task.inputs, linear("a"), head())}, rounds=2, repeats=3)


def test_a_run_is_traced_through_interrupts(tmp_path):
    run = pathways.System.create(tmp_path / "run", training=TRAINING, stack=1)
    with run as system, pytest.raises(KeyboardInterrupt):
        system.learn(task_of("one"), STRATEGY, progress=interrupt_after(2))
    with pathways.System.open(tmp_path / "run") as system:
        system.learn(task_of("one"), STRATEGY)
    found = events_of(tmp_path / "run" / "trace.json")
    tried = [event["args"]["candidate"] for event in found if event.get("cat") == "candidate"]
    with pathways.System.open(tmp_path / "run") as system:
        assert sorted(tried) == sorted(row.hash[:12] for row in system.ledger.rows())
    assert [lane.candidates for lane in read_trace(tmp_path / "run").workers] == [2, 4]


def test_a_forgotten_task_is_not_named_and_its_time_stays(tmp_path):
    with pathways.System.create(tmp_path / "run", training=TRAINING, stack=1) as system:
        for name in ("one", "two"):
            system.learn(task_of(name), replace(STRATEGY, build=lambda view: {
                view.task.name: chain(view.task.inputs, linear("a"), head())
            }))  # fmt: skip
        before = read_trace(system.directory)
        text = (system.directory / "trace.json").read_text()
        hashes = {row.hash[:12] for row in system.ledger.rows(task="one")}
        system.forget("one")
        after = read_trace(system.directory)
    left = (tmp_path / "run" / "trace.json").read_text()
    assert '"task":"one"' in text
    assert any(hash in text for hash in hashes)
    assert '"task":"one"' not in left
    assert '"task":"two"' in left
    assert not any(hash in left for hash in hashes)
    checked(left)
    assert [lane.candidates for lane in after.workers] == [lane.candidates for lane in before.workers]
    assert after.workers[0].spent("train") == before.workers[0].spent("train")


def test_tracing_can_be_turned_off(tmp_path):
    with pathways.System.create(tmp_path / "run", training=TRAINING) as system:
        system.tracing = False
        system.learn(task_of("one"), STRATEGY)
    assert not (tmp_path / "run" / "trace.json").exists()

"""The scheduler: nothing is lost, nothing counts twice, nobody waits without need."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathways.candidate import Result
from pathways.engine import Dispatch
from pathways.evolve.scheduler import BLAMELESS, Job, Rules, Scheduler


def candidate(name: str, workers: int = 1) -> Any:
    return SimpleNamespace(hash=name, workers=workers)


def dispatch(number: int, *names: str, workers: int = 1) -> Dispatch:
    return Dispatch(number, tuple(candidate(name, workers) for name in names))


def results(job: Job) -> list[Result]:
    return [Result(c.hash, parameters=1) for c in job.dispatch.candidates]


def scheduler(workers: int = 2, **rules: Any) -> Scheduler:
    made = Scheduler(Rules(**rules))
    for worker in range(workers):
        made.join(worker)
    return made


def sent(made: Scheduler, now: float = 0.0) -> dict[int, list[str]]:
    """What is assigned, by worker."""
    found: dict[int, list[str]] = {}
    for worker, job in made.assign(now):
        found.setdefault(worker, []).append("".join(c.hash for c in job.dispatch.candidates))
    return found


def test_each_worker_gets_one_and_what_is_left_waits():
    made = scheduler(2)
    for i, name in enumerate("abc"):
        made.submit(dispatch(i, name), 0.0)
    assert sorted(name for names in sent(made).values() for name in names) == ["a", "b"]
    assert (made.waiting, made.running, made.busy()) == (1, 2, 2)


def test_workers_are_sent_work_ahead_only_while_much_is_waiting():
    made = scheduler(2)
    for i in range(7):
        made.submit(dispatch(i, str(i)), 0.0)
    assert sorted(map(len, sent(made).values())) == [2, 2]
    assert made.waiting == 3
    assert sorted(map(len, sent(scheduler(2, ahead=0)).values())) == []


def test_a_worker_that_dies_fails_only_what_it_was_training():
    made = scheduler(1)
    for i in range(4):
        made.submit(dispatch(i, str(i)), 0.0)
    [(worker, first), (_, second)] = made.assign(0.0)
    made.leave(worker, "it died", 1.0)
    assert (first.tries, second.tries) == (1, 0)
    made.join(9)
    assert [job.dispatch.candidates[0].hash for _, job in made.assign(2.0)][:2] == ["0", "1"]


def test_the_loss_of_a_node_is_not_held_against_what_ran_there_but_not_for_ever():
    made = scheduler(1, retries=0)
    made.submit(dispatch(0, "a"), 0.0)
    for loss in range(1, BLAMELESS + 2):
        [(worker, job)] = made.assign(0.0)
        assert (job.tries, job.losses) == (0, loss - 1)
        made.leave(worker, "its node was lost", 0.0, blame=False)
        made.join(worker)
        assert bool(made.answers) == (loss > BLAMELESS)
    assert made.answers[0].results[0].failure == "its node was lost"


def test_what_comes_late_or_twice_is_dropped():
    made = scheduler(1, retries=3)
    made.submit(dispatch(0, "a"), 0.0)
    [(worker, job)] = made.assign(0.0)
    old = job.id
    made.leave(worker, "it died", 1.0)
    made.done(old, results(job), 1.5)
    assert not made.answers
    made.join(1)
    [(_, again)] = made.assign(2.0)
    made.done(again.id, results(again), 3.0)
    made.done(again.id, results(again), 3.0)
    assert len(made.answers) == 1


def test_one_bad_candidate_does_not_take_the_others_with_it():
    made = scheduler(1, retries=2, ahead=0)
    made.submit(dispatch(0, "a", "bad", "c"), 0.0)
    now = 0.0
    while made.unfinished and not made.answers:
        for worker, job in made.assign(now):
            if any(c.hash == "bad" for c in job.dispatch.candidates):
                made.leave(worker, "its worker died", now)
                made.join(worker)
            else:
                made.done(job.id, results(job), now)
        now += 1
    (answer,) = made.answers
    assert [r.candidate for r in answer.results] == ["a", "bad", "c"]
    assert [r.failure for r in answer.results] == ["", "its worker died, 3 times", ""]


def test_without_retries_work_fails_at_once():
    made = scheduler(1, retries=0)
    made.submit(dispatch(0, "a", "b"), 0.0)
    [(worker, _)] = made.assign(0.0)
    made.leave(worker, "it died", 0.0)
    assert [r.failure for r in made.answers[0].results] == ["it died", "it died"]


def test_deadlines_count_from_the_beginning_and_name_each_job_once():
    made = scheduler(1, deadline=10.0)
    for i in range(3):
        made.submit(dispatch(i, str(i)), 0.0)
    [(_, first), (_, second)] = made.assign(0.0)
    assert made.next_deadline() == 10.0
    made.done(first.id, results(first), 4.0)
    assert second.began == 4.0
    assert made.overdue(13.9) == []
    assert made.overdue(14.0) == [second]
    assert made.overdue(15.0) == []


def test_a_dispatch_has_its_deadline_for_each_candidate():
    made = scheduler(1, deadline=10.0)
    made.submit(dispatch(0, "a", "b"), 0.0)
    made.assign(0.0)
    assert made.next_deadline() == 20.0


def test_a_gang_holds_back_what_is_behind_it_until_it_begins():
    made = scheduler(2, gangs=True)
    made.submit(dispatch(0, "a"), 0.0)
    made.submit(dispatch(1, "g", workers=2), 0.0)
    made.submit(dispatch(2, "c"), 0.0)
    assert list(sent(made).values()) == [["a"]]
    gang = made.gang()
    assert gang is not None
    assert gang.workers == 2
    assert made.begin_gang(1.0) is gang
    assert made.gang() is None
    assert list(sent(made).values()) == [["c"]]
    assert made.worker_of(gang) is None
    made.failed(gang.id, "a rank died", 2.0)
    assert made.gang() is gang


def test_without_gangs_one_worker_takes_all_parts():
    made = scheduler(2)
    made.submit(dispatch(0, "g", workers=8), 0.0)
    assert list(sent(made).values()) == [["g"]]
    assert made.gang() is None


def test_what_was_computed_with_tainted_weights_is_done_again_on_copies_one_by_one():
    made = scheduler(1, retries=1)
    made.submit(dispatch(0, "a", "b"), 0.0)
    [(_, job)] = made.assign(0.0)
    made.redo(job.id, 1.0)
    again = [job for _, job in made.assign(1.0)]
    assert [j.copies for j in again] == [True]
    assert again[0].tries == 0
    made.done(again[0].id, results(again[0]), 2.0)
    [(_, last)] = made.assign(2.0)
    made.done(last.id, results(last), 2.0)
    assert [r.failure for r in made.answers[0].results] == ["", ""]


def test_a_dispatch_that_waits_can_be_dropped_and_one_that_was_sent_cannot():
    made = scheduler(1, ahead=0)
    for i in range(2):
        made.submit(dispatch(i, str(i)), 0.0)
    made.assign(0.0)
    assert made.cancel(1)
    assert not made.cancel(0)
    assert not made.cancel(7)
    assert made.waiting == 0


def test_after_clearing_workers_are_free_and_old_answers_stale():
    made = scheduler(1)
    made.submit(dispatch(0, "a"), 0.0)
    [(_, job)] = made.assign(0.0)
    made.clear()
    made.done(job.id, results(job), 1.0)
    assert not made.unfinished
    made.submit(dispatch(1, "b"), 1.0)
    assert list(sent(made).values()) == [["b"]]


@given(st.data())
def test_whatever_happens_each_candidate_has_one_result_in_its_place(data):
    """Random submissions, answers, deaths, joins and taints, in any order."""
    retries = data.draw(st.integers(0, 3))
    made = Scheduler(Rules(retries=retries, ahead=data.draw(st.integers(0, 2)), deadline=5.0))
    expected: dict[int, list[str]] = {}
    held: list[tuple[int, Job, int]] = []
    found: dict[int, list[str]] = {}
    here: set[int] = set()
    now, numbers = 0.0, iter(range(10_000))

    def step(kind: str) -> None:
        nonlocal held
        if kind == "join":
            worker = next(numbers)
            made.join(worker)
            here.add(worker)
        elif kind == "submit":
            number = next(numbers)
            names = [f"{number}.{i}" for i in range(data.draw(st.integers(0, 3)))]
            expected[number] = names
            made.submit(dispatch(number, *names), now)
        elif kind == "die" and here:
            worker = data.draw(st.sampled_from(sorted(here)))
            here.discard(worker)
            made.leave(worker, "died", now)
        elif held and kind in ("answer", "redo", "fail"):
            place = data.draw(st.integers(0, len(held) - 1))
            _, job, number = held.pop(place)
            if kind == "answer":
                made.done(number, results(job), now)
            elif kind == "redo":
                made.redo(number, now)
            elif kind == "fail":
                made.failed(number, "no memory", now)
        made.overdue(now)
        held += [(worker, job, job.id) for worker, job in made.assign(now)]
        assert made.busy() == len(here) - len(made.idle())
        while made.answers:
            answer = made.answers.popleft()
            assert answer.dispatch.id not in found
            found[answer.dispatch.id] = [r.candidate for r in answer.results]
            assert all(not r.failure or "died" in r.failure or "no memory" in r.failure for r in answer.results)

    kinds = ("join", "submit", "die", "answer", "answer", "redo", "fail", "nothing")
    for kind in data.draw(st.lists(st.sampled_from(kinds), max_size=40)):
        now += 1
        step(kind)
    for _ in range(2000):
        if not made.unfinished:
            break
        now += 1
        step("join" if not here else "answer" if held else "nothing")
    assert found == expected


def test_ranks_of_a_gang_do_not_count_as_a_workers_load():
    made = scheduler(1, gangs=True)
    made.submit(dispatch(0, "g", workers=2), 0.0)
    job = made.begin_gang(0.0)
    assert made.idle() == [0]
    made.done(job.id, results(job), 1.0)
    assert made.answers[0].results[0].candidate == "g"


@pytest.mark.parametrize("count", [1, 3])
def test_a_job_knows_how_many_workers_it_asks_for(count):
    whole = dispatch(0, "a", workers=count)
    assert whole.workers == count
    assert replace(whole, candidates=()).workers == 1

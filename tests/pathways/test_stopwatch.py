"""The trainer's stopwatch: all time is counted once, whatever goes wrong."""

from dataclasses import replace
from itertools import pairwise

import pytest
from helpers_tiny import DIM, TRAINING, chain, head, linear, task_of

from pathways.candidate import Candidate, Training
from pathways.modules import Vector
from pathways.pool import Pool
from pathways.trace import EVALUATE, LOAD, STORE, TRAIN, WORK
from pathways.trainer import Trainer
from pathways.trainer.stopwatch import Stopwatch


class Ticking:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self):
        self.now = -1.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_pieces_of_one_kind_are_one_span():
    watch = Stopwatch(clock=Ticking(), wall=lambda: 50.0)
    watch.begin("c")
    for _ in range(100):
        watch.to(TRAIN)
        watch.to(EVALUATE)
    watch.end()
    assert [(s.what, s.seconds) for s in watch.spans] == [(LOAD, 1.0), (TRAIN, 100.0), (EVALUATE, 100.0)]
    assert [s.began for s in watch.spans] == [50.0, 51.0, 151.0]
    assert {s.candidate for s in watch.spans} == {"c"}


def test_what_was_launched_is_waited_for_where_training_ends_and_nowhere_else():
    calls = []
    watch = Stopwatch(clock=Ticking(), settle=lambda: calls.append(1))
    watch.begin()
    watch.to(TRAIN)
    assert calls == []
    watch.to(EVALUATE)
    watch.to(STORE)
    watch.end()
    assert calls == [1]


def candidate(repeat=0, classes=3, **settings):
    training = replace(TRAINING, **settings)
    task = task_of("one")
    path = chain({"x": Vector(DIM)}, linear("a"), head(classes=classes))
    return Candidate({"one": path}, training, {"one": task.fingerprint}, repeat=repeat)


@pytest.fixture
def trainer(tmp_path):
    trainer = Trainer(Pool(tmp_path / "pool"))
    trainer.provide(task_of("one"))
    return trainer


def contiguous(spans):
    return all(abs(a.ended - b.began) < 1e-6 for a, b in pairwise(spans))


def test_the_spans_of_a_candidate_are_its_time(trainer):
    [result] = trainer.run([candidate(evaluate_every=4)])
    assert [s.what for s in trainer.spans] == list(WORK)
    assert {s.candidate for s in trainer.spans} == {result.candidate}
    assert contiguous(trainer.spans)
    total = sum(s.seconds for s in trainer.spans)
    assert total >= result.seconds - 1e-3
    assert total <= result.seconds + 0.1


def test_each_run_has_its_own_spans(trainer):
    trainer.run([candidate(), candidate(1)])
    assert len({s.candidate for s in trainer.spans}) == 2
    trainer.run([candidate(2)])
    assert len({s.candidate for s in trainer.spans}) == 1


def test_a_stack_is_timed_as_one(trainer):
    results = trainer.run([candidate(i) for i in range(4)], stacked=True, slots=(1, 1))
    assert [r.failure for r in results] == [""] * 4
    assert [s.what for s in trainer.spans] == list(WORK)
    assert {s.candidate for s in trainer.spans} == {""}
    assert sum(s.seconds for s in trainer.spans) >= sum(r.seconds for r in results) - 1e-3


def test_a_candidate_that_fails_is_timed_too(trainer):
    results = trainer.run([candidate(classes=7), candidate(1)])
    assert "must give" in results[0].failure
    assert {s.candidate for s in trainer.spans} == {r.candidate for r in results}


def test_measuring_costs_no_training(trainer):
    """What is counted as evaluation grows with the number of measurements."""
    seldom, often = (Training(steps=200, batch=4, evaluate_every=every) for every in (0, 1))
    spent = {}
    for name, training in (("seldom", seldom), ("often", often)):
        trainer.run([replace(candidate(), training=training)])
        spent[name] = {s.what: s.seconds for s in trainer.spans}
    assert spent["often"][EVALUATE] > 5 * spent["seldom"][EVALUATE]

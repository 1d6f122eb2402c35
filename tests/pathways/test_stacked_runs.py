"""Whole searches with stacks: the same champions, whatever is known already and however many workers train."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers_tiny import TRAINING, task_of
from tiny import candidate, chain, clusters, frozen, head, linear

from pathways.candidate import Candidate
from pathways.errors import ConfigError
from pathways.evolve import Local
from pathways.evolve.pathnet import PathNet
from pathways.modules import Draft, ModuleSpec, Vector, Warm
from pathways.pool import Pool
from pathways.stack_plan import plan
from pathways.summary_table import stack_lines
from pathways.system import System
from pathways.trainer import Trainer
from pathways.trainer.calibrate import SIZES, measured_rates, stack_size

STRATEGY = PathNet(
    population=8, tournament="population", layers=2, modules=4, active=2, steps=8, batch=8, lr=0.1, generations=4,
    module=ModuleSpec("linear", {"dim": 6, "activation": "relu"}), threshold=None,
)  # fmt: skip


def learned(folder, stack, engine=None, names=("one", "two")):
    system = System.create(folder, training=TRAINING, stack=stack)
    for name in names:
        system.learn(task_of(name), STRATEGY, engine)
    return system


def test_a_run_with_stacks_is_the_same_with_any_number_of_workers_and_any_size_of_stack(tmp_path):
    here = learned(tmp_path / "a", 64)
    with Local(workers=2) as engine:
        there = learned(tmp_path / "b", 64, engine)
    small = learned(tmp_path / "c", 3)
    assert here.fingerprint == there.fingerprint == small.fingerprint
    assert here.verify().ok
    assert {row.result.stack for row in small.ledger.rows()} <= {1, 2, 3}
    assert max(row.result.stack for row in here.ledger.rows()) > 3
    assert here.summary()["alone"] == {"": len(here.ledger.rows())}


def test_a_run_without_stacks_reaches_the_same_to_rounding(tmp_path):
    with_stacks, without = learned(tmp_path / "a", 64, names=["one"]), learned(tmp_path / "b", 1, names=["one"])
    first = {row.hash: row.result for row in with_stacks.ledger.rows() if row.generation == 0}
    second = {row.hash: row.result for row in without.ledger.rows() if row.generation == 0}
    assert first.keys() == second.keys()
    for key, result in first.items():
        assert result.measures["one"].loss == pytest.approx(second[key].measures["one"].loss, abs=1e-4)
    [line] = stack_lines(without.summary())
    assert line.startswith(f"trained in stacks 0 of {len(without.ledger.rows())} candidates, by themselves")
    assert "stacks are turned off (`stack: 1`)" in line


def test_a_lost_blob_is_made_again_to_the_same_bytes_though_its_stack_is_smaller(tmp_path):
    system = learned(tmp_path / "a", 64, names=["one"])
    fingerprint = system.fingerprint
    kept = [row for row in system.ledger.rows() if row.result.blobs]
    lost = kept[len(kept) // 2].result.blobs
    again = System.create(tmp_path / "b", training=TRAINING, stack=64)
    again.learn(task_of("one"), STRATEGY)
    for blob in lost.values():
        again.pool.path(blob).unlink(missing_ok=True)
    again.pool.collect(again.reachable())
    works = list(again.search([[task_of("one")]], STRATEGY))
    assert works[0][1].paths["one"].hash == system.records["one"].champion.path.hash
    assert all(map(again.pool.intact, lost.values()))
    assert again.fingerprint == fingerprint


def test_of_a_tournament_only_the_fittest_keep_their_blobs(tmp_path):
    """And what is kept is all that the search looks at: the winner's path, and the best module of each cell."""
    system = learned(tmp_path / "a", 64, names=["one"])
    rows = [row for row in system.ledger.rows() if row.generation == 0]
    drafts = sum(row.result.trainable > 0 for row in rows)
    assert 0 < sum(len(row.result.blobs) for row in rows) < drafts * 5
    best = max(rows, key=lambda row: (row.result.fitness, [-ord(c) for c in row.hash]))
    whole = system.ledger.candidate(best.hash).drafts()
    assert set(best.result.blobs) == set(whole)


def test_who_asks_for_all_blobs_gets_them(tmp_path):
    trainer = Trainer(Pool(tmp_path / "pool"))
    trainer.provide(clusters(n=40))
    start = frozen(trainer.pool, ModuleSpec("linear", {"dim": 6, "activation": "relu"}), Vector(4))
    body = Draft("a", start.spec, Warm(start.id))
    asked: list[Candidate] = [
        replace(candidate(chain(Vector(4), body, head()), clusters(n=40), lr=0.01 * (1 + k)), keep=keep)
        for k, keep in enumerate(["fittest", "fittest", "all", "fittest"])
    ]
    results = trainer.run(asked, stacked=True)
    best = min(range(4), key=lambda k: (-results[k].fitness, results[k].candidate))
    assert [len(result.blobs) for result in results] == [2 if k in (best, 2) else 0 for k in range(4)]
    assert [len(r.blobs) for r in trainer.run(asked)] == [2, 2, 2, 2]  # by themselves there is nobody fitter


def test_the_plan_is_of_the_generation_not_of_what_is_known():
    paths = [chain(Vector(4), linear("a", 6, seed=k), head()) for k in range(5)]
    asked = [candidate(path, clusters(n=40)) for path in paths]
    from pathways.modules import BUILT_IN

    assert [len(group.candidates) for group in plan(asked, 2, BUILT_IN).stacks] == [2, 2, 1]


def test_stack_sizes_are_measured_once_and_checked():
    first = stack_size("auto")
    assert first in SIZES["cpu"]
    assert stack_size("auto") == first
    assert stack_size(7) == 7
    for wrong in (0, -1, 2.5, True, "large", 10**9):
        with pytest.raises(ConfigError, match=r"`stack` must be `auto` or a whole number from 1 to 4096, found"):
            stack_size(wrong)
    assert set(measured_rates()) == set(SIZES["cpu"])

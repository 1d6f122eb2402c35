"""Networks that tasks share: what is the same whichever tasks share them, and that nothing is trained twice."""

from pathlib import Path as FilePath

import pytest
import torch
from helpers_tiny import CLASSES, TRAINING, task_of, tiny_root

from pathways.candidate import Candidate
from pathways.errors import LedgerError
from pathways.evolve.joint import shared_network, train_networks
from pathways.modules import BUILT_IN, Frozen, Warm
from pathways.pool import Pool
from pathways.system import System
from pathways.trainer import Trainer

TASKS = [task_of(name) for name in ("one", "two", "three")]


def network(*places: int, seed: int = 0) -> Candidate:
    return shared_network([TASKS[i] for i in places], tiny_root(), TRAINING, BUILT_IN, seed=seed)


def started(candidate: Candidate, tmp_path: FilePath) -> dict[str, torch.Tensor]:
    """The weights that a candidate starts from, by draft and parameter."""
    _, drafts = Trainer(Pool(tmp_path)).assemble(candidate)
    return {f"{name}.{of}": p for name, draft in drafts.items() for of, p in draft.named_parameters()}


def test_tasks_share_the_trunk_and_have_heads_of_their_own() -> None:
    paths = network(0, 1).paths
    one, two = (set(path.drafts()) for path in paths.values())
    assert one & two == {"a", "b"}
    assert one ^ two == {"head/one", "head/two"}
    assert all(path.ports(BUILT_IN)[path.output].dim == CLASSES for path in paths.values())


def test_networks_of_one_seed_start_alike_whoever_shares_them(tmp_path: FilePath) -> None:
    all_three, pair, alone = (started(network(*places), tmp_path) for places in ((0, 1, 2), (1, 2), (1,)))
    for other in (pair, alone):
        assert all(torch.equal(value, all_three[name]) for name, value in other.items())
    again = started(network(1, seed=1), tmp_path)
    assert not torch.equal(again["a.linear.weight"], alone["a.linear.weight"])
    assert not torch.equal(again["head/two.linear.weight"], alone["head/two.linear.weight"])


def test_a_trained_trunk_is_copied_not_shared(tmp_path: FilePath) -> None:
    pool = Pool(tmp_path)
    trainer = Trainer(pool)
    trainer.provide(TASKS[0].without_test())
    [result] = trainer.run([network(0)])
    trained = tiny_root().trained({name: result.blobs[name] for name in ("a", "b")})
    candidate = shared_network(TASKS[:2], trained, TRAINING, BUILT_IN)
    starts = {name: draft.start for name, draft in candidate.drafts().items() if "/" not in name}
    assert sorted(start.blob for start in starts.values() if isinstance(start, Warm)) == sorted(trained.frozen())
    assert not any(isinstance(ref, Frozen) for path in candidate.paths.values() for ref in path.refs())


def test_nothing_is_trained_twice(tmp_path: FilePath) -> None:
    system = System.create(tmp_path / "run", root=tiny_root(), training=TRAINING, stack=1)
    asked = [network(0, 1), network(2), network(0, 1)]
    first = train_networks(system, TASKS, asked)
    assert set(first) == {candidate.hash for candidate in asked}
    assert len(system.ledger.rows()) == 2
    again = train_networks(system, TASKS, [*asked, network(1)])
    assert {key: again[key] for key in first} == first
    assert len(system.ledger.rows()) == 3
    assert [row.tasks for row in system.ledger.rows()] == [("one", "two"), ("three",), ("two",)]


def test_a_lease_that_is_not_held_is_noticed(tmp_path: FilePath) -> None:
    system = System.create(tmp_path / "run", root=tiny_root(), training=TRAINING, stack=1)
    with pytest.raises(LedgerError, match="must still be held"):
        train_networks(system, TASKS, [network(0)], leases=["affinity"])

"""Several drivers on one run: each task is learned once, by one of them, whoever dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path as FilePath
from typing import Any

import pytest
import share_drivers
from helpers_tiny import TRAINING, task_of, tiny_root
from share_drivers import Results, waiting
from sqlalchemy import update

from pathways.errors import HeldError
from pathways.evolve.munet import MuNet
from pathways.experiments.turns import in_turn
from pathways.ledger_tables import leases
from pathways.system import System

STRATEGY = MuNet(generations=1, children=3)
NAMES = list(share_drivers.NAMES)


@contextmanager
def made(directory: FilePath, kind: str, servers: Any) -> Iterator[None]:
    """A run with its ledger in a file or in a database."""
    with ExitStack() as stack:
        url = None if kind == "sqlite" else stack.enter_context(servers(kind).empty())
        System.create(directory, root=tiny_root(), training=TRAINING, ledger=url).close()
        yield


@pytest.fixture(scope="module")
def driven() -> Iterator[Callable[..., Results]]:
    """Lets drivers come to the end; gives which of them had a result of which strategy for which task."""
    with waiting() as driven:
        yield driven


def whole(directory: FilePath) -> None:
    """All is learned once and in one order, nothing is left over, and every champion is what it was."""
    with System.open(directory) as system:
        assert sorted(system.records) == sorted(NAMES)
        assert [record.index for record in system.records.values()] == list(range(len(NAMES)))
        assert system.ledger.learned() == list(system.records)
        n = len(NAMES)
        assert len(system.ledger.evaluations("system")) == n * (n + 1) // 2
        assert system.verify().ok
        assert set(system.pool) == system.reachable()
        assert system.ledger.unswept() == {}
        assert system.ledger.leased("nobody") == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_drivers_learn_each_task_once_and_freeze_at_one_moment(
    tmp_path: FilePath, servers: Any, driven: Callable[..., Results], kind: str
) -> None:
    with made(tmp_path / "run", kind, servers):
        results = driven(tmp_path / "run", tmp_path / "log.txt", "work", "work")
        whole(tmp_path / "run")
        by: dict[tuple[str, str], set[str]] = {}
        for pid, strategy, task in results:
            by.setdefault((strategy, task), set()).add(pid)
        assert all(len(pids) == 1 for pids in by.values()), "two drivers worked on one task"
        learned = {task: pids for (strategy, task), pids in by.items() if strategy == "munet"}
        assert sorted(learned) == sorted(NAMES)
        assert len(set.union(*learned.values())) == 2, "one driver did all"
        assert len(set.union(*(pids for (strategy, _), pids in by.items() if strategy == "fine-tune"))) == 1
        with System.open(tmp_path / "run") as system:
            assert set(system.ledger.controls()) == {(c, t) for c in ("independent", "fine-tune") for t in NAMES}


@pytest.mark.slow
def test_what_a_driver_held_that_was_killed_is_taken_over_when_its_lease_ends(
    tmp_path: FilePath, servers: Any, driven: Callable[..., Results]
) -> None:
    with made(tmp_path / "run", "postgresql", servers):
        results = driven(tmp_path / "run", tmp_path / "log.txt", "die", "work")
        dead = results[0][0]
        assert [task for pid, _, task in results if pid == dead] == ["one", "one"]
        others = [task for pid, strategy, task in results if pid != dead and strategy == "munet"]
        assert others[0] == "two", "it held the first task"
        assert "one" in others
        whole(tmp_path / "run")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_driver_that_lost_its_lease_does_not_freeze(
    tmp_path: FilePath, servers: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made(tmp_path / "run", kind, servers), System.open(tmp_path / "run") as system:
        from pathways import freeze

        real = freeze.probe_of

        def robbed(*arguments: Any) -> bytes:
            with system.ledger.engine.begin() as connection:
                connection.execute(update(leases).values(owner="another-host:1:00"))
            return real(*arguments)

        monkeypatch.setattr(freeze, "probe_of", robbed)
        with pytest.raises(HeldError, match=r"'one' must still be held by .*, found another-host:1:00"):
            system.learn(task_of("one"), STRATEGY)
        assert list((system.directory / "tasks").glob("*")) == []
        assert list((system.directory / "probes").glob("*")) == []


def test_a_task_that_another_holds_is_an_error_unless_it_is_shared(tmp_path: FilePath) -> None:
    class Held:
        tries = 0

        def done(self) -> bool:
            return self.tries > 2

        def do(self) -> None:
            self.tries += 1
            raise HeldError("held")

    System.create(tmp_path / "run", root=tiny_root(), training=TRAINING)
    with System.open(tmp_path / "run") as system:
        system.lease_seconds = 0.04
        with pytest.raises(HeldError, match="held"):
            in_turn(system, [Held()], share=False)
        part = Held()
        in_turn(system, [part], share=True)
        assert part.tries == 3


def test_nothing_is_deleted_while_another_learns_and_whoever_begins_waits_for_deletion(tmp_path: FilePath) -> None:
    from threading import Timer
    from time import monotonic

    from pathways import upkeep

    System.create(tmp_path / "run", root=tiny_root(), training=TRAINING)
    with System.open(tmp_path / "run") as one, System.open(tmp_path / "run") as two:
        with one.leased(["a"]), upkeep.sweeping(two) as alone:
            assert not alone
        with upkeep.sweeping(two) as alone:
            assert alone
            with upkeep.sweeping(one) as also:
                assert not also
        two.ledger.lease(upkeep.SWEEPING, two.owner, 60)
        Timer(0.3, two.ledger.release, [upkeep.SWEEPING, two.owner]).start()
        begun = monotonic()
        with one.leased(["a"]):
            assert monotonic() - begun > 0.25

"""Leases: one writer for each task, and none that outlives its owner."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from sqlalchemy import update

from pathways.errors import LedgerError
from pathways.leases import held, is_dead, new_owner
from pathways.ledger import Ledger
from pathways.ledger_tables import leases


@pytest.fixture
def ledger(database: str) -> Any:
    with Ledger(database) as opened:
        yield opened


def test_a_lease_keeps_other_owners_out_until_it_is_released(ledger: Ledger) -> None:
    mine, other = new_owner(), new_owner()
    ledger.lease("a", mine, 60)
    ledger.lease("a", mine, 60)
    ledger.lease("b", other, 60)
    with pytest.raises(LedgerError, match=rf"'a' is being learned by another process, {mine}.* (59|60) s"):
        ledger.lease("a", other, 60)
    ledger.release("a", other)
    with pytest.raises(LedgerError, match="is being learned"):
        ledger.lease("a", other, 60)
    ledger.release("a", mine)
    ledger.lease("a", other, 60)
    with pytest.raises(LedgerError, match=f"'a' must still be held by {mine}, found {other}"):
        ledger.renew("a", mine, 60)


def test_a_lease_that_ran_out_is_taken_over_and_a_renewed_one_is_not(ledger: Ledger) -> None:
    remote = "another-host:1:00"
    ledger.lease("a", remote, 0)
    ledger.renew("a", remote, 60)
    with pytest.raises(LedgerError, match="another-host"):
        ledger.lease("a", new_owner(), 60)
    with ledger.engine.begin() as connection:
        connection.execute(update(leases).values(expires=0))
    ledger.lease("a", new_owner(), 60)


def test_a_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(ledger: Ledger) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host = new_owner().partition(":")[0]
    owner = f"{host}:{child.pid}:00"
    ledger.lease("a", owner, 600)
    assert not is_dead(owner)
    with pytest.raises(LedgerError, match=owner):
        ledger.lease("a", new_owner(), 60)
    child.kill()
    child.communicate()
    assert is_dead(owner)
    ledger.lease("a", new_owner(), 60)


def test_a_killed_process_that_nobody_waited_for_is_dead() -> None:
    code = "print('up', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.kill()
    assert child.stdout.read() == b""  # it is gone once its pipe is closed, and still has its number
    owner = f"{new_owner().partition(':')[0]}:{child.pid}:00"
    assert any(is_dead(owner) for _ in range(1000))
    child.communicate()


def test_owners_that_are_no_process_number_are_left_alone() -> None:
    host = new_owner().partition(":")[0]
    assert not any(map(is_dead, (f"{host}:abc:00", f"{host}:0:00", "nothing", f"{host}")))


def test_held_leases_are_renewed_and_given_back(ledger: Ledger) -> None:
    mine, other = new_owner(), "another-host:1:00"
    with held(ledger, ["a", "b"], mine, 0.3):
        time.sleep(0.7)  # longer than the lease
        for task in "ab":
            with pytest.raises(LedgerError, match="is being learned by another process"):
                ledger.lease(task, other, 60)
    for task in "ab":
        ledger.lease(task, other, 60)


def test_where_one_lease_cannot_be_had_none_is_held(ledger: Ledger) -> None:
    ledger.lease("b", "another-host:1:00", 60)
    with pytest.raises(LedgerError, match="'b' is being learned"), held(ledger, ["a", "b"], new_owner(), 60):
        pytest.fail("the block must not run")
    ledger.lease("a", "another-host:2:00", 60)


def test_a_lease_lost_on_the_way_is_told_at_the_end(ledger: Ledger) -> None:
    def lose() -> None:
        with held(ledger, ["a"], new_owner(), 0.3):
            with ledger.engine.begin() as connection:
                connection.execute(update(leases).values(owner="another-host:1:00"))
            time.sleep(0.5)

    with pytest.raises(LedgerError, match="'a' must still be held"):
        lose()

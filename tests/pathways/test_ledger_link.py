"""A ledger in a database: where it is, whose it is, and what happens when the server goes away."""

from __future__ import annotations

import threading
import time
from pathlib import Path as FilePath
from typing import Any

import databases
import pytest
from helpers_tiny import TRAINING, tiny_root
from sqlalchemy import make_url
from test_ledger import pair

from pathways import ledger_url
from pathways.errors import LedgerError, PathwaysError
from pathways.leases import held, lease_key, lease_seconds, new_owner
from pathways.ledger import Ledger
from pathways.ledger_url import VARIABLE, chosen_url, server_url, url_of, without_password
from pathways.system import System

SECRET = "hunter2hunter2"


@pytest.fixture
def url(servers: Any) -> Any:
    with servers("postgresql").empty() as made:
        yield made


def with_password(url: str) -> tuple[str, str]:
    """The URL with a password, which a server on loopback that trusts everybody does not look at; and the password."""
    password = make_url(url).password or SECRET
    return make_url(url).set(password=password).render_as_string(hide_password=False), str(password)


def test_a_database_means_the_driver_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_of("postgresql://h/d").drivername == "postgresql+psycopg"
    assert url_of("mysql://h/d").drivername == "mysql+pymysql"
    assert url_of("postgresql+pg8000://h/d").drivername == "postgresql+pg8000"
    monkeypatch.setattr(ledger_url, "find_spec", lambda name: None)
    with pytest.raises(LedgerError, match=r"postgresql, found none: install `evolving-pathways\[postgresql\]`"):
        url_of("postgresql://h/d")
    with pytest.raises(LedgerError, match=r"install `evolving-pathways\[mysql\]`"):
        url_of("mysql://h/d")


@pytest.mark.parametrize(
    "url", [f"postgresql://u:{SECRET}@h:port/d", f"postgresql://u:a@{SECRET}@h/d", f"postgresql:// {SECRET}:x"]
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(LedgerError) as raised:
        Ledger(url)
    assert SECRET not in str(raised.value)
    assert "`ledger` must be a URL" in str(raised.value)


def test_an_unreachable_server_is_told_at_once_and_without_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathways.ledger_link.time.sleep", lambda seconds: pytest.fail("it is tried again"))
    with pytest.raises(LedgerError, match=r"postgresql://u@127.0.0.1:1/d must be a ledger that answers") as raised:
        Ledger(f"postgresql://u:{SECRET}@127.0.0.1:1/d")
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_which_url_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen_url(None) is None
    assert chosen_url("postgresql://h/d") == "postgresql://h/d"
    monkeypatch.setenv(VARIABLE, "postgresql://u:p@h/d")
    assert chosen_url(None) is None, "the variable says nothing of a run that keeps its ledger itself"
    assert chosen_url("postgresql://h/d") == "postgresql://u:p@h/d"
    assert chosen_url("postgresql://h/d", "postgresql://v@h/d") == "postgresql://v@h/d"
    assert chosen_url(None, "postgresql://u@h/d") == "postgresql://u:p@h/d", "a password comes from the variable"
    for wrong in ("sqlite:///x.db", "x.db"):
        with pytest.raises(LedgerError, match="must be the URL of a server database"):
            server_url(wrong)


def test_a_run_keeps_its_url_without_password_and_is_opened_with_one(
    tmp_path: FilePath, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, secret = with_password(url)
    with System.create(tmp_path / "run", root=tiny_root(), training=TRAINING, ledger=full) as system:
        system.ledger.commit("s", ["a"], 0, [pair(0)])
        assert secret not in system.ledger.where
    assert all(secret.encode() not in f.read_bytes() for f in (tmp_path / "run").rglob("*") if f.is_file())
    assert not (tmp_path / "run" / "ledger.db").exists()
    with System.open(tmp_path / "run") as system:
        assert system.ledger_url == without_password(full)
        assert len(system.ledger.rows()) == 1
    monkeypatch.setenv(VARIABLE, full)
    with System.open(tmp_path / "run") as system:
        assert system.ledger_url == full


def test_a_database_holds_the_ledger_of_one_run(tmp_path: FilePath, url: str, servers: Any) -> None:
    System.create(tmp_path / "one", root=tiny_root(), training=TRAINING, ledger=url)
    with pytest.raises(LedgerError, match="must hold no run's ledger yet, found that of another run"):
        System.create(tmp_path / "two", root=tiny_root(), training=TRAINING, ledger=url)
    assert not (tmp_path / "two" / "system.json").exists()
    (tmp_path / "one" / "system.json").unlink()  # a creation that was cut short
    System.create(tmp_path / "one", root=tiny_root(), training=TRAINING, ledger=url)
    with servers("postgresql").empty() as other:
        with System.open(tmp_path / "one", ledger=other) as system, pytest.raises(LedgerError, match="found no ledger"):
            system.ledger.rows()
        System.create(tmp_path / "two", root=tiny_root(), training=TRAINING, ledger=other)
        with System.open(tmp_path / "one", ledger=other) as system, pytest.raises(LedgerError, match="that of another"):
            system.ledger.rows()
    with System.open(tmp_path / "one") as system:
        system.ledger.commit("s", ["a"], 0, [pair(0)])
    (tmp_path / "one" / "system.json").unlink()
    with pytest.raises(LedgerError, match="found that of a run whose directory is gone"):
        System.create(tmp_path / "one", root=tiny_root(), training=TRAINING, ledger=url)
    System.create(tmp_path / "three", root=tiny_root(), training=TRAINING)
    with pytest.raises(LedgerError, match="which keeps its ledger itself"):
        System.open(tmp_path / "three", ledger=url)


def test_connections_that_a_server_dropped_are_made_again(url: str, servers: Any) -> None:
    with Ledger(url) as ledger:
        for number in range(3):
            servers("postgresql").drop_connections()
            ledger.commit("s", ["a"], number, [pair(number)])
        servers("postgresql").drop_connections()
        assert len(ledger.rows()) == 3


def test_a_commit_whose_connection_breaks_in_the_middle_is_repeated(
    url: str, servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = []

    def break_once(*arguments: Any) -> None:
        if not broken:
            broken.append(servers("postgresql").drop_connections())

    with Ledger(url) as ledger:
        monkeypatch.setattr("pathways.ledger.keep_readings", break_once)
        ledger.commit("s", ["a"], 0, [pair(0), pair(1)])
        assert broken
        assert len(ledger.rows()) == 2
        assert ledger.costs()["s"].candidates == 2


@pytest.mark.slow
def test_a_server_that_is_started_again_costs_no_run() -> None:
    with databases.postgresql(own=True) as server, Ledger(server.url) as ledger:
        assert server.stop is not None
        assert server.start is not None
        with held(ledger, ["a"], new_owner(), 3):
            server.stop()
            threading.Timer(1.0, server.start).start()
            for number in range(3):
                ledger.commit("s", ["a"], number, [pair(number)])
        assert len(ledger.rows()) == 3
        ledger.patience = 0.5
        server.stop()
        with pytest.raises(LedgerError, match="must be a ledger that answers"):
            ledger.rows()


def test_processes_that_begin_at_once_make_the_tables_once(database: str) -> None:
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            Ledger(database).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_writers_at_the_same_time_lose_nothing(database: str) -> None:
    pairs = [pair(number) for number in range(8)]
    failed: list[BaseException] = []

    def write(who: str) -> None:
        try:
            with Ledger(database) as ledger:
                for number, one in enumerate(pairs):
                    ledger.commit(who, ["a"], number, [one])
                    ledger.record_evaluation("s", "a", f"t{number}", "test", "accuracy", 0.5, 1)
        except BaseException as error:
            failed.append(error)

    Ledger(database).close()
    threads = [threading.Thread(target=write, args=(f"s{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Ledger(database) as ledger:
        assert len(ledger.known(c.hash for c, _ in pairs)) == 8
        assert len(ledger.rows()) == 32
        assert sum(cost.reused for cost in ledger.costs().values()) == 24
        assert len(ledger.evaluations()) == 8


def test_names_are_compared_letter_by_letter_and_texts_may_be_long(database: str) -> None:
    with Ledger(database) as ledger:
        ledger.commit("s", ["Greek", "greek", "gréek"], 0, [pair(0, note="x" * 100_000)])
        assert [len(ledger.rows(task=name)) for name in ("Greek", "greek", "GREEK")] == [1, 1, 0]
        assert len(ledger.rows()[0].labels["note"]) == 100_000
        for task in ("Greek", "greek"):
            ledger.record_evaluation("s", task, task, "test", "accuracy", 0.5, 1)
        assert len(ledger.evaluations()) == 2


def test_places_are_given_once_and_the_same_to_who_asks_again(database: str) -> None:
    with Ledger(database) as ledger:
        assert [ledger.place(task, 0) for task in ("a", "b", "b", "c", "a")] == [0, 1, 1, 2, 3]
        assert ledger.place("d", 9) == 9


def test_leases_go_by_the_clock_of_the_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(url) as ledger:
        ledger.lease("a", "another-host:1:00", 60)
        monkeypatch.setattr(time, "time", lambda: 4e9)  # a host whose clock is years ahead
        assert ledger.leased("nobody") == ["a"]
        with pytest.raises(LedgerError, match=r"holds it for another (59|60) s"):
            ledger.lease("a", new_owner(), 60)
        ledger.lease("b", "another-host:1:00", 0)
        ledger.lease("b", new_owner(), 60)


def test_names_of_leases_may_be_long_and_a_host_of_the_same_name_is_another(database: str) -> None:
    long = ["x" * 300 + end for end in "ab"]
    assert len({lease_key(name) for name in long}) == 2
    namesake = f"{new_owner().partition('~')[0]}~00000000:999999999:00"
    with Ledger(database) as ledger:
        for name in long:
            ledger.lease(name, "another-host:1:00", 60)
        ledger.lease("a", namesake, 60)
        if database.endswith(".db"):  # it can only have been this one, before it was started again
            ledger.lease("a", new_owner(), 60)
        else:
            with pytest.raises(LedgerError, match="is being learned"):
                ledger.lease("a", new_owner(), 60)


def test_the_length_of_leases_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHWAYS_LEASE_SECONDS", "12")
    assert lease_seconds() == 12
    for wrong in ("0", "soon", "nan"):
        monkeypatch.setenv("PATHWAYS_LEASE_SECONDS", wrong)
        with pytest.raises(PathwaysError, match=f"must be 1 to 86400 seconds, found '{wrong}'"):
            lease_seconds()

"""The connection to a ledger's database: opened, looked after, and made again where a server was away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from .errors import LedgerError
from .ledger_tables import FORMAT, connect, create_tables, is_ours, meta
from .ledger_url import url_of, without_password

PATIENCE = 120.0
"""Seconds for which a server that went away is tried again: less than what is left of a lease that is renewed in
time, so that an outage that a run survives costs it no lease."""

CLASHES = 20
"""How often a change is tried that other writers were earlier with."""

# Deadlocks, transactions that cannot be put in an order, waits for a lock that took too long, servers going down.
_AGAIN = {"40001", "40P01", 1205, 1213, 1053}

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
L = TypeVar("L", bound="Link")


class Link:
    """What every ledger stands on: its connections, transactions, and a check of what the database holds.

    Args:
        url_or_path: a SQLite file (made where it does not exist), or the URL of another database.

    Attributes:
        engine: SQLAlchemy's.
        where: the file or URL as messages show it, without password.
        patience: seconds for which a server that went away is tried again.

    Raises:
        LedgerError: it cannot be opened, is no ledger, or has another format.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        text = str(url_or_path)
        url = url_of(text)
        self.where = without_password(text) if "://" in text else text
        try:
            self.engine = connect(url)
        except (SQLAlchemyError, ImportError) as error:
            raise LedgerError(
                f"`url_or_path` must be a file or a URL of a database that can be used, found {self.where!r}: {error}"
            ) from None
        self._password = url.password or ""
        self.patience = 0.0  # what cannot be reached at the start is told at once
        try:
            self._check_format()
        except LedgerError:
            self.engine.dispose()
            raise
        self.patience = PATIENCE

    def close(self) -> None:
        """Close the connections; the last to close a SQLite file folds its write-ahead log back into it."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def sync(self) -> None:
        """Force what was committed to disk, so that it survives a power cut; servers do so at each commit."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(FULL)")

    def _check_format(self) -> None:
        with self._transaction() as connection:
            unmade = is_ours(connection) is None
        if unmade:
            self._repeat(self._make)
        with self._transaction() as connection:
            query = select(meta.c.value).where(meta.c.key == "format")
            found = connection.execute(query).scalar() if inspect(connection).has_table(meta.name) else None
        if found != str(FORMAT):
            what = f"format {found}" if found else "another database"
            raise LedgerError(
                f"{self.where} must be a ledger of format {FORMAT}, found {what}: use the release that wrote it."
            )

    def _make(self) -> None:
        with self._transaction(write=True) as connection:
            create_tables(connection)

    @contextmanager
    def _transaction(self, write: bool = False) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(write=write) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            if len(self._password) > 3:
                reason = reason.replace(self._password, "***")
            what = "that answers" if self._is_away(error) else "that can be used"
            raise LedgerError(f"{self.where} must be a ledger {what}, found: {reason}.") from error

    def _repeat(self, work: Callable[[], R]) -> R:
        """Do what is safe to repeat until it is done: others were earlier with a change, or the server was away."""
        clashes, pause, until = 0, 0.02, 0.0
        while True:
            try:
                return work()
            except LedgerError as error:
                if self._is_away(error.__cause__):
                    if not until:
                        until = time.monotonic() + self.patience
                        _log.warning("%s Trying again for %.0f s.", error, self.patience)
                    if time.monotonic() >= until:
                        raise
                elif _clashed(error.__cause__) and clashes < CLASHES:
                    clashes += 1
                else:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _is_away(self, error: BaseException | None) -> bool:
        """Whether a server cannot be reached, or dropped the connection: then nobody knows what became of a commit."""
        if self.engine.dialect.name == "sqlite" or not isinstance(error, DBAPIError):
            return False
        unreached = error.statement is None and isinstance(error, OperationalError | InterfaceError)
        return error.connection_invalidated or unreached


def repeated(method: Callable[Concatenate[L, P], R]) -> Callable[Concatenate[L, P], R]:
    """A method of a ledger that gives the same when it is done again, so that a lost connection costs no run.

    Every write is one transaction that leaves what is there already as it is: where the connection was lost in the
    middle of its commit, it is repeated.
    """

    @wraps(method)
    def again(self: L, /, *args: P.args, **kwargs: P.kwargs) -> R:
        kept: list[Any] = [list(a) if isinstance(a, Iterator) else a for a in args]  # to be read more than once
        return self._repeat(lambda: method(self, *kept, **kwargs))

    return again


def _clashed(error: BaseException | None) -> bool:
    """Whether another writer was earlier, so that looking again and repeating helps."""
    if isinstance(error, IntegrityError):
        return True
    orig = getattr(error, "orig", None)
    codes = {getattr(orig, "sqlstate", None), getattr(orig, "pgcode", None), *getattr(orig, "args", ())[:1]}
    return isinstance(error, DBAPIError) and not _AGAIN.isdisjoint(codes)

"""Whose a ledger is, and who comes when: what several processes that share it have to agree on."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, insert, select

from .errors import LedgerError
from .ledger_link import Link, repeated
from .ledger_sql import upsert
from .ledger_tables import candidates, controls, evaluations, meta

_RUN = "run"
_PLACE = "place"


class Owned(Link):
    """A database that holds the ledger of one run."""

    @repeated
    def claim(self, run: str) -> None:
        """Become the ledger of a new run: one database, or one schema of it, holds the record of one.

        Args:
            run: what tells the run from all others.

        Raises:
            LedgerError: it is that of another run, or of one whose directory is gone.
        """
        with self._transaction(write=True) as connection:
            there = _run_of(connection)
            if there is None:
                connection.execute(insert(meta).values(key=_RUN, value=run))
            elif there != run or not _is_blank(connection):
                raise LedgerError(
                    f"{self.where} must hold no run's ledger yet, found that of "
                    f"{'another run' if there != run else 'a run whose directory is gone'}: give another database."
                )

    @repeated
    def check_run(self, run: str) -> None:
        """Raise a `LedgerError` where this is not the ledger that the run claimed when it was made."""
        with self._transaction() as connection:
            there = _run_of(connection)
        if there != run:
            raise LedgerError(
                f"{self.where} must hold the ledger of this run, found {'that of another' if there else 'no ledger'}: "
                f"give the URL of the database it was made with."
            )

    @repeated
    def place(self, task: str, least: int) -> int:
        """The place of `task` in the order learned: `least`, or more where other processes took that meanwhile.

        A task that is given its place again, as its process was killed before it was learned, has the same.
        """
        with self._transaction(write=True) as connection:
            return _next_place(connection, task, least)


def _run_of(connection: Connection) -> str | None:
    """The run whose ledger it is; `None` where none has claimed it."""
    found: str | None = connection.execute(select(meta.c.value).where(meta.c.key == _RUN)).scalar()
    return found


def _is_blank(connection: Connection) -> bool:
    """Whether nothing was recorded yet."""
    return not any(
        connection.execute(select(table.c[0]).limit(1)).first() for table in (candidates, evaluations, controls)
    )


def _next_place(connection: Connection, task: str, least: int) -> int:
    """See `Ledger.place`; who took the last place stands there as a hash, as a task's name may be forgotten."""
    key = hashlib.sha256(task.encode()).hexdigest()[:40]
    there = connection.execute(select(meta.c.value).where(meta.c.key == _PLACE).with_for_update()).scalar() or "-1 "
    last, _, taker = there.partition(" ")
    place = max(least, int(last) + (taker != key))
    upsert(connection, meta, {"key": _PLACE}, {"value": f"{place} {key}"})
    return place

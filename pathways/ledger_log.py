"""In which order searches without rounds asked and were told, in the ledger: tables that older ledgers do not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, func, insert, inspect, select

from .ledger_tables import log, logs


@dataclass(frozen=True)
class Line:
    """One line of a search's log.

    Args:
        search: the search's name, a hash.
        place: counts from 0.
        hash: of a candidate.
        told: whether its result was told; else it was asked for.
        together: counts how often the search was asked: candidates of one number were planned together, as stacks.
    """

    search: str
    place: int
    hash: str
    told: bool
    together: int = 0


def keep_log(connection: Connection, tasks: Sequence[str], lines: Sequence[Line]) -> None:
    """Keep lines of the log of a search for `tasks`; those that are there already, of a repeated change, stay."""
    if not lines:
        return
    if lines[0].place == 0:
        for table in (log, logs):
            table.create(connection, checkfirst=True)
    search = lines[0].search
    there = connection.execute(select(func.max(log.c.place)).where(log.c.search == search)).scalar()
    if there is None:
        connection.execute(insert(logs), [{"search": search, "task": task} for task in tasks])
    if new := [asdict(line) for line in lines if there is None or line.place > there]:
        connection.execute(insert(log), new)


def read_log(connection: Connection, search: str) -> list[Line]:
    """The lines of a search's log, in their order."""
    if not inspect(connection).has_table(log.name):
        return []
    query = select(*log.c["search", "place", "hash", "told", "together"]).where(log.c.search == search)
    return [Line(**row) for row in connection.execute(query.order_by(log.c.place)).mappings()]


def forget_log(connection: Connection, task: str) -> None:
    """Remove the logs of searches for `task`; that of a search for several goes with the last of its tasks."""
    if inspect(connection).has_table(log.name):
        connection.execute(delete(logs).where(logs.c.task == task))
        connection.execute(delete(log).where(log.c.search.not_in(select(logs.c.search))))


__all__ = ["Line", "forget_log", "keep_log", "read_log"]

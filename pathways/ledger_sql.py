"""The few statements that the ledger is made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Select,
    Table,
    Text,
    case,
    distinct,
    func,
    insert,
    select,
    text,
    type_coerce,
    update,
)

from .candidate import Candidate
from .errors import LedgerError
from .ledger_tables import candidates, controls, meta, tried

_BEGUN = "begun:"
_ONCE, _AGAIN = "once", "again"


def where(table: Table, **equal: str | None) -> list[Any]:
    """The conditions that each named column has its value; `None` is no condition."""
    return [table.c[name] == value for name, value in equal.items() if value is not None]


def chunks(hashes: Iterable[str], size: int = 500) -> Iterator[list[str]]:
    """Distinct hashes, `size` at a time: databases limit how many values a query may name."""
    every = list(dict.fromkeys(hashes))
    return (every[i:i + size] for i in range(0, len(every), size))


def chosen(
    connection: Connection, table: Table, columns: Sequence[str], hashes: Iterable[str]
) -> Iterator[Any]:
    """Those columns of the rows of those candidates."""
    for some in chunks(hashes):
        yield from connection.execute(select(*table.c[*columns]).where(table.c.hash.in_(some))).mappings()


def lost_among(connection: Connection, asked: Sequence[Candidate]) -> dict[str, bool]:
    """Which of these candidates the ledger holds, and whether their blobs are lost."""
    found = chosen(connection, candidates, ("hash", "lost"), [candidate.hash for candidate in asked])
    return {row["hash"]: row["lost"] for row in found}


def note(
    connection: Connection,
    strategy: str,
    tasks: Sequence[str],
    asked: Sequence[Candidate],
    new: Iterable[str],
) -> None:
    """Note who asked, once for each strategy and task; what is not `new` was answered from the record."""
    noted = chosen(connection, tried, ("hash", "strategy", "task"), [candidate.hash for candidate in asked])
    seen = {(row["hash"], row["task"]) for row in noted if row["strategy"] == strategy}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for candidate in asked:
        for task in tasks:
            key = (candidate.hash, task)
            if key not in seen and key not in rows:
                number = candidate.labels.get("number")
                rows[key] = {
                    "hash": candidate.hash, "strategy": strategy, "task": task,
                    "reused": candidate.hash not in new, "labels": dict(candidate.labels),
                    "number": number if isinstance(number, int) else None,
                }
    if rows:
        connection.execute(insert(tried), list(rows.values()))


def upsert(connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Update first, so that a replaced row keeps its place in the order."""
    if connection.execute(update(table).where(*where(table, **key)).values(**values)).rowcount == 0:
        connection.execute(insert(table).values(**key, **values))


def paid_for(*keys: Column[Any]) -> Select[Any]:
    """What each strategy paid, for each value of `keys`; the tasks of a joint candidate share its cost."""

    def paid(column: Any) -> Any:
        return func.sum(case((tried.c.reused, 0.0), else_=column / candidates.c.task_count))

    asked = func.count(distinct(tried.c.hash))
    reused = func.count(distinct(case((tried.c.reused, tried.c.hash))))
    stopped = func.count(distinct(case((candidates.c.stopped > 0, tried.c.hash))))
    return (
        select(*keys, tried.c.strategy, asked, reused, *map(paid, candidates.c["seconds", "cpu_seconds"]), stopped)
        .join_from(tried, candidates)
        .group_by(*keys, tried.c.strategy)
        .order_by(*keys, tried.c.strategy)
    )


def keeping() -> Any:
    """The condition that a control keeps paths: what it keeps is a list that is not empty."""
    return type_coerce(controls.c.data, Text).not_like('%"keeps":[]%')


def blobs_tried(connection: Connection, tasks: Sequence[str]) -> set[str]:
    """The blobs of all candidates that were tried for these tasks."""
    query = select(*candidates.c["blobs", "optimizers"]).join_from(tried, candidates).where(tried.c.task.in_(tasks))
    return {blob for row in connection.execute(query.distinct()) for blobs in row for blob in blobs.values()}


def key_of_search(search: str) -> str:
    """The key under which it stands that a search began: a hash, as a task's name may be forgotten.

    >>> key_of_search("omniglot/Greek")[:14]
    'begun:9cddcd84'
    """
    return _BEGUN + hashlib.sha256(search.encode()).hexdigest()[:40]


def begun(connection: Connection) -> dict[str, bool]:
    """The keys of the searches that began and were not swept, and whether they began more than once."""
    query = select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_BEGUN))
    return {key: value != _ONCE for key, value in connection.execute(query)}


def note_begun(connection: Connection, searches: Sequence[str]) -> None:
    """Note that searches begin, some of them again: they were cut short."""
    there = begun(connection)
    for key in sorted(map(key_of_search, searches)):
        upsert(connection, meta, {"key": key}, {"value": _AGAIN if key in there else _ONCE})


def clock(connection: Connection) -> float:
    """Seconds since 1970 (UTC) by the database's own clock, which all who use it share; a file's is this machine's."""
    if connection.dialect.name == "sqlite":
        return time.time()
    now = {
        "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())",
        "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6",
    }
    name = "mysql" if connection.dialect.name == "mariadb" else connection.dialect.name
    if name not in now:
        raise LedgerError(f"`ledger` must be in a database whose clock is known, {sorted(now)}, found {name!r}.")
    return float(connection.execute(text(f"SELECT {now[name]}")).scalar_one())

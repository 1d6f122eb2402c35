"""The few statements that the ledger is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from .candidate import Candidate
from .ledger_tables import candidates, tried


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

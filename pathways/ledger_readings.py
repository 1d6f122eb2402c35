"""What candidates measured beside quality, in the ledger: a table that older ledgers do not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, delete, insert, inspect, select

from .candidate import Candidate, Result
from .ledger_sql import chosen
from .ledger_tables import candidates, readings


def keep_readings(connection: Connection, pairs: Sequence[tuple[Candidate, Result]], new: Iterable[str]) -> None:
    """Keep the readings of the results that are `new`, in place of what was kept of the same candidates."""
    fresh = set(new)
    rows = {
        result.candidate: {
            "hash": result.candidate, "readings": [list(pair) for pair in result.readings],
            "seconds": result.reading_seconds,
        }
        for _, result in pairs if result.readings and result.candidate in fresh
    }  # fmt: skip
    if rows:
        readings.create(connection, checkfirst=True)
        connection.execute(delete(readings).where(readings.c.hash.in_(list(rows))))
        connection.execute(insert(readings), list(rows.values()))


def with_readings(connection: Connection, results: Mapping[str, Result]) -> dict[str, Result]:
    """The results, by hash, with their readings."""
    if not results or not inspect(connection).has_table(readings.name):
        return dict(results)
    found = {row["hash"]: row for row in chosen(connection, readings, readings.c.keys(), results)}
    return {
        key: replace(
            result, readings=tuple((int(step), packed) for step, packed in found[key]["readings"]),
            reading_seconds=found[key]["seconds"],
        )
        if key in found else result
        for key, result in results.items()
    }  # fmt: skip


def forget_readings(connection: Connection) -> None:
    """Remove the readings of candidates that are gone."""
    if inspect(connection).has_table(readings.name):
        connection.execute(delete(readings).where(readings.c.hash.not_in(select(candidates.c.hash))))

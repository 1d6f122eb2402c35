"""The tables of the ledger, in SQLAlchemy Core that every database understands, and how one is opened."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.types import TypeDecorator

FORMAT = 2
"""The version of the tables; raised when they change."""

BUSY_SECONDS = 60
"""How long a SQLite connection waits for another writer; a transaction of ours takes milliseconds."""


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Plain(TypeDecorator[Any]):
    """Plain data as JSON text, not as the database's own JSON type: NaN and infinity survive everywhere."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """Python to text."""
        return None if value is None else _json.encode(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Text to Python."""
        return None if value is None else json.loads(value)


def _hash(**options: Any) -> Column[str]:
    return Column("hash", String(64), nullable=False, **options)


metadata = MetaData()

meta = Table(
    "meta", metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# One row a candidate, whichever strategies asked for it. `id` grows with every commit: the record's order.
candidates = Table(
    "candidates", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _hash(unique=True),
    Column("tasks", Plain, nullable=False),
    Column("task_count", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("dispatch", Integer, nullable=False),
    Column("candidate", Plain, nullable=False),
    Column("training", Plain, nullable=False),
    Column("paths", Plain, nullable=False),
    Column("failure", Text, nullable=False),
    Column("quality", Double),
    Column("fitness", Double),
    Column("measures", Plain, nullable=False),
    Column("curve", Plain, nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("trainable", BigInteger, nullable=False),
    Column("flops", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("cpu_seconds", Double, nullable=False),
    Column("blobs", Plain, nullable=False),
    Column("optimizers", Plain, nullable=False),
    Column("stack", Integer, nullable=False),
    Column("alone", Text, nullable=False),
    Column("stopped", Integer, nullable=False),
    Column("merits", Plain, nullable=False),
    Column("finished", Double, nullable=False),
    Column("lost", Boolean, nullable=False),  # its blobs are gone: a record of the past, no longer an answer
)

# What candidates measured beside quality; a table of its own, since few do and it is large. Ledgers from before there
# was one are given it when the first such result is committed.
readings = Table(
    "readings", metadata,
    _hash(primary_key=True),
    Column("readings", Plain, nullable=False),
    Column("seconds", Double, nullable=False),
)

# Who asked for which candidate: one row for each strategy and task, with the asker's own number and labels
# (parents, mutations). `reused` rows were answered from the record.
tried = Table(
    "tried", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("hash", String(64), ForeignKey("candidates.hash"), nullable=False, index=True),
    Column("strategy", String(255), nullable=False),
    Column("task", String(255), nullable=False, index=True),
    Column("number", Integer),
    Column("labels", Plain, nullable=False),
    Column("reused", Boolean, nullable=False),
    UniqueConstraint("hash", "strategy", "task"),
)

# In which order a search without rounds asked and was told: what it asked depends on that. Made when first needed, like
# `readings`. A search is named by a hash; which tasks it learns stands in `logs`, so that they can be forgotten.
log = Table(
    "log", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("search", String(64), nullable=False),
    Column("place", Integer, nullable=False),
    Column("told", Boolean, nullable=False),  # else asked
    Column("together", Integer, nullable=False),  # which asks were planned as one round of stacks
    _hash(),
    UniqueConstraint("search", "place"),
)

logs = Table(
    "logs", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("search", String(64), nullable=False),
    Column("task", String(255), nullable=False, index=True),
    UniqueConstraint("search", "task"),
)

evaluations = Table(
    "evaluations", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("strategy", String(255), nullable=False),
    Column("after", String(255), nullable=False),
    Column("task", String(255), nullable=False),
    Column("split", String(32), nullable=False),
    Column("metric", String(64), nullable=False),
    Column("value", Double),
    Column("n", Integer, nullable=False),
    UniqueConstraint("strategy", "after", "task", "split"),
)

controls = Table(
    "controls", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("strategy", String(255), nullable=False),
    Column("task", String(255), nullable=False),
    Column("data", Plain, nullable=False),
    UniqueConstraint("strategy", "task"),
)

leases = Table(
    "leases", metadata,
    Column("task", String(255), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("expires", Double, nullable=False),
)


def connect(url: str | URL) -> Engine:
    """An engine for the database at `url`; on SQLite, writing transactions take the lock as they begin."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def create_tables(connection: Connection) -> None:
    """Make the tables that are missing, and note their format."""
    metadata.create_all(connection)
    if connection.execute(select(meta.c.value).where(meta.c.key == "format")).first() is None:
        connection.execute(insert(meta).values(key="format", value=str(FORMAT)))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver would begin transactions late and without the write lock: `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=NORMAL",  # a power cut may take the last transactions, but never damages the file
        "foreign_keys=ON",
        "secure_delete=ON",  # a forgotten task's rows are overwritten, not only unlinked
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

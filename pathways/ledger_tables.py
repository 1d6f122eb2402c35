"""The tables of the ledger, in SQLAlchemy Core that every database understands, and how one is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
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
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.engine import URL
from sqlalchemy.types import TypeDecorator

FORMAT = 2
"""The version of the tables; raised when they change."""

BUSY_SECONDS = 60
"""How long a SQLite connection waits for another writer; a transaction of ours takes milliseconds."""


_MYSQL = ("mysql", "mariadb")

# Names are compared byte for byte, as in other databases.
_BYTES: dict[str, Any] = {
    f"{name}_{key}": value
    for name in _MYSQL for key, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}  # fmt: skip

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_EMPTY: dict[type, str] = {dict: "{}", list: "[]"}


class Plain(TypeDecorator[Any]):
    """Plain data as JSON text, not as the database's own JSON type: NaN and infinity survive everywhere."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """A text of any length: MySQL's own `TEXT` ends at 64 KB."""
        return dialect.type_descriptor(LONGTEXT() if dialect.name in _MYSQL else Text())

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """Python to text."""
        if not value and type(value) in _EMPTY:  # half of what a row holds
            return _EMPTY[type(value)]
        return None if value is None else _json.encode(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Text to Python."""
        return None if value is None else json.loads(value)


class Words(TypeDecorator[str]):
    """Text that anybody may have written, such as an error's; PostgreSQL has no zero byte in a text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """As it is, or with what cannot be stored made visible."""
        return value if value is None or dialect.name == "sqlite" else value.replace("\0", "\\x00")


def _name(length: int = 255) -> Any:
    """A name; on MySQL no longer than a task's may be, since a key of several has 3072 bytes there."""
    return String(length).with_variant(String(200), *_MYSQL)


def _hash(**options: Any) -> Column[str]:
    return Column("hash", String(64), nullable=False, **options)


metadata = MetaData()

meta = Table(
    "meta", metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    **_BYTES,
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
    Column("failure", Words, nullable=False),
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
    Column("alone", Words, nullable=False),
    Column("stopped", Integer, nullable=False),
    Column("merits", Plain, nullable=False),
    Column("finished", Double, nullable=False),
    Column("lost", Boolean, nullable=False),  # its blobs are gone: a record of the past, no longer an answer
    **_BYTES,
)

# What candidates measured beside quality; a table of its own, since few do and it is large. Ledgers from before there
# was one are given it when the first such result is committed.
readings = Table(
    "readings", metadata,
    _hash(primary_key=True),
    Column("readings", Plain, nullable=False),
    Column("seconds", Double, nullable=False),
    **_BYTES,
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
    **_BYTES,
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
    Column("after", _name(), nullable=False),
    Column("task", _name(), nullable=False),
    Column("split", String(32), nullable=False),
    Column("metric", String(64), nullable=False),
    Column("value", Double),
    Column("n", Integer, nullable=False),
    UniqueConstraint("strategy", "after", "task", "split"),
    **_BYTES,
)

controls = Table(
    "controls", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("strategy", String(255), nullable=False),
    Column("task", String(255), nullable=False),
    Column("data", Plain, nullable=False),
    UniqueConstraint("strategy", "task"),
    **_BYTES,
)

leases = Table(
    "leases", metadata,
    Column("task", String(255), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("expires", Double, nullable=False),
    **_BYTES,
)


def connect(url: URL) -> Engine:
    """An engine for the database at `url`; on SQLite, writing transactions take the lock as they begin."""
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, connect_args=_limits(url), **_isolation(url))
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _limits(url: URL) -> dict[str, Any]:
    """After how many seconds a server that does not answer is taken for gone, where the URL does not say it."""
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        limits = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    elif url.get_driver_name() == "pymysql":
        limits = {"connect_timeout": 10, "read_timeout": 60, "write_timeout": 60}
    else:
        limits = {}
    return {name: value for name, value in limits.items() if name not in url.query}


def _isolation(url: URL) -> dict[str, str]:
    # What PostgreSQL does by itself: a transaction sees what others committed meanwhile. MySQL's own default locks
    # gaps between rows, on which drivers that write different tasks would stop each other.
    return {"isolation_level": "READ COMMITTED"} if url.get_backend_name() in _MYSQL else {}


def is_ours(connection: Connection) -> bool | None:
    """Whether the database holds tables of ours, `None` where they are still to be made: it is empty, or half made."""
    there = set(inspect(connection).get_table_names())
    if not there:
        return None
    half = connection.dialect.name in _MYSQL and there < set(metadata.tables)  # where making tables cannot be undone
    return None if half else meta.name in there


def create_tables(connection: Connection) -> None:
    """Make the tables that are missing, and note their format; of several processes one does it, others wait."""
    with _alone(connection):
        metadata.create_all(connection)
        if connection.execute(select(meta.c.value).where(meta.c.key == "format")).first() is None:
            connection.execute(insert(meta).values(key="format", value=str(FORMAT)))


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(current_database() || current_schema()))"))
    if connection.dialect.name not in _MYSQL:
        yield
        return
    lock = "CONCAT('pathways ', LEFT(SHA1(DATABASE()), 40))"
    connection.execute(text(f"SELECT GET_LOCK({lock}, 60)"))
    try:
        yield
    finally:
        connection.execute(text(f"SELECT RELEASE_LOCK({lock})"))


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

"""Copies of a ledger that is a SQLite file: consistent while others write to it, each with a mark of its own."""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path as FilePath

from .errors import LedgerError

HEADER = 100
"""Bytes at the beginning of a SQLite file that tell which copy it is (`user_version`, from byte 60 on)."""

_MAGIC = b"SQLite format 3\x00"


def token_of(data: bytes) -> str:
    """The mark of a copy, from its first bytes.

    Example:
        >>> token_of(bytes(60) + bytes([0, 0, 1, 2]) + bytes(36))
        '00000102'
    """
    return data[60:64].hex()


def snapshot(file: FilePath) -> bytes:
    """A ledger as one plain SQLite file, as it stands between two transactions, without leases, under a new mark.

    Leases name processes of this machine: whoever goes on from the copy has to hold the whole run, by another lease.

    Args:
        file: the ledger; others may be reading and writing it.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = FilePath(folder) / "ledger.db"
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            target.execute("PRAGMA synchronous=OFF")  # it is read in a moment, then gone
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("DELETE FROM leases")
            target.execute(f"PRAGMA user_version={1 + secrets.randbelow(2**31 - 2)}")
            target.commit()
        return copy.read_bytes()


def restore(data: bytes, file: FilePath) -> None:
    """Make a ledger hold what a copy holds, in one transaction: who has it open goes on with the new content.

    Args:
        data: the bytes of a copy.
        file: the ledger; made where there is none.

    Raises:
        LedgerError: the bytes are no SQLite file, or a damaged one; `file` stays as it was.
    """
    if not data.startswith(_MAGIC):
        raise LedgerError(f"must be a SQLite file, found {len(data)} bytes that begin with {data[:16]!r}")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = FilePath(folder) / "ledger.db"
        copy.write_bytes(data)
        try:
            with closing(sqlite3.connect(copy)) as source:
                said = source.execute("PRAGMA quick_check(1)").fetchone()[0]
                if said != "ok":
                    raise LedgerError(f"must be a whole SQLite file, found: {said}")
                with closing(sqlite3.connect(file)) as target:
                    source.backup(target)
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"must be a whole SQLite file, found: {error}") from None


__all__ = ["restore", "snapshot", "token_of"]

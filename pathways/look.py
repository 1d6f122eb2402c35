"""Looking at a run without building what it holds: what its modules are like is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from pathways.modules import Families, content_hash
from pathways.modules.memo import Memo, code
from pathways.modules.spec import canonical_json

from . import manifest
from .entry_points import classes
from .files import write_atomically
from .mirror import opened
from .system import System

if TYPE_CHECKING:
    from pathways.modules import Delta, Module


def facts_file(directory: FilePath) -> FilePath:
    """Where a run directory keeps what its modules are like; safe to delete at any time."""
    return directory / "cache" / "facts.json"


@contextmanager
def looked_at(
    directory: str | FilePath, families: Iterable[type[Module] | type[Delta] | str] = ()
) -> Iterator[System]:
    """A system to show, not to compute with: ports and sizes of its modules come from `cache/facts.json`.

    What the file does not know, or was written by other code, is worked out, and kept for the next time where the
    directory can be written. With families of your own everything is worked out.

    Args:
        directory: a run directory, or its URL on storage.
        families: as in `System.open`.

    Raises:
        PathwaysError: as `System.open`.
    """
    directory, mirror = opened(directory)
    memo = None if (given := tuple(classes(families))) else _read(facts_file(directory))
    known = Families(given, memo)
    with System(directory, manifest.read_system(directory, known), known, mirror=mirror) as system:
        yield system
    if memo is not None and memo.new:
        _write(facts_file(directory), memo)


def _read(file: FilePath) -> Memo:
    """The memo in a file; an empty one where there is none that this code wrote."""
    try:
        data = json.loads(file.read_bytes())
        whole = data["code"] == code() and data["digest"] == content_hash(data["facts"])
        return Memo(data["facts"] if whole else {})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Memo()


def _write(file: FilePath, memo: Memo) -> None:
    facts = memo.to_json()
    with suppress(OSError):  # a directory that may only be read is looked at all the same
        data = canonical_json({"code": code(), "digest": content_hash(facts), "facts": facts})
        write_atomically(file, data.encode(), durable=False)


__all__ = ["facts_file", "looked_at"]

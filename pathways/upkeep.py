"""Keeping a run directory whole: which tasks are damaged, which blobs are needed, what may be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from . import manifest
from .errors import PathwaysError
from .ledger_sql import key_of_search
from .path import Path

if TYPE_CHECKING:
    from .system import System


def damaged(system: System) -> dict[str, str]:
    """Tasks whose manifest cannot be read, or is gone though the ledger knows them, each with what is wrong."""
    gone = {
        task: f"its manifest {manifest.task_file(system.directory, task)} is gone"
        for task in system.ledger.learned()
        if task not in system.briefs
    }
    return {**gone, **system.unreadable}


def refuse_damaged(system: System, but: str = "") -> None:
    """Raise a `PathwaysError` where a task, other than `but`, is damaged."""
    for name, what in damaged(system).items():
        if name != but:
            raise PathwaysError(
                f"task {name!r} is damaged: {what}: restore it from a copy of the run, or `forget` the task."
            )


def reachable(system: System) -> set[str]:
    """The blobs that must be kept: those of champions, of the root, and what controls carry from task to task."""
    kept = {blob for brief in system.briefs.values() for blob in brief.sizes}
    return kept | set(system.root.frozen() if system.root else ()) | carried(system)


def needed(system: System, blobs: Iterable[str]) -> set[str]:
    """Those of the blobs that must be kept, looked up one by one."""
    other = set(system.root.frozen() if system.root else ()) | carried(system)
    return {blob for blob in blobs if blob in other or system.shelf.users(blob)}


def carried(system: System) -> set[str]:
    """The blobs that controls carry from task to task."""
    return {blob for path in system.ledger.keeps() for blob in Path.from_json(path).frozen()}


def collect(system: System) -> None:
    """Delete what nothing needs, unless another process is learning: what it needs is not known here.

    This sweeps the whole run: every file of the pool is looked at.

    Raises:
        PathwaysError: a task is damaged: what it needs is not known either.
    """
    begun = system.ledger.unswept()
    alone = not system.ledger.leased(except_by=system.owner)
    system.refresh()  # whatever others froze before they were gone is known from here on
    refuse_damaged(system)
    if alone:
        system.pool.collect(reachable(system))
        manifest.remove_strays(system.directory, system.records)
        if system.mirror is not None:
            system.mirror.sweep(reachable(system), system.records)
        system.ledger.swept(begun)
    system.shelf.save()


def tidy(system: System, searches: Sequence[str]) -> None:
    """Delete what searches that just ended have left: those of their candidates' blobs that nothing needs.

    The ledger names these blobs, so that this costs what the searches cost, however large the pool. Where another
    search began and did not come to this point, as it was killed or ended beside one that went on, there may be blobs
    that no ledger names: then the whole run is swept.

    Args:
        system: the system.
        searches: the names of the searches, which are the tasks that they learned.

    Raises:
        PathwaysError: a task is damaged.
    """
    alone = not system.ledger.leased(except_by=system.owner)
    begun = system.ledger.unswept()
    if any(begun.values()) or begun.keys() - {key_of_search(search) for search in searches}:
        collect(system)
        return
    if not set(system.ledger.learned()) <= system.briefs.keys():  # another process froze a task since this one did
        system.refresh()
        refuse_damaged(system)
    if alone:
        tried = system.ledger.blobs_of(searches)
        system.pool.discard(tried - needed(system, tried))
        system.ledger.swept(begun)
    system.shelf.save()

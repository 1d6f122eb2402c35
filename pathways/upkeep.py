"""Keeping a run directory whole: which tasks are damaged, which blobs are needed, what may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import manifest
from .errors import PathwaysError
from .path import Path

if TYPE_CHECKING:
    from .system import System


def damaged(system: System) -> dict[str, str]:
    """Tasks whose manifest cannot be read, or is gone though the ledger knows them, each with what is wrong."""
    gone = {
        task: f"its manifest {manifest.task_file(system.directory, task)} is gone"
        for task in system.ledger.learned()
        if task not in system.records
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
    paths = [record.champion.path for record in system.records.values()] + ([system.root] if system.root else [])
    kept = {blob for path in paths for blob in path.frozen()}
    for data in system.ledger.controls().values():
        kept |= {blob for path in data.get("keeps", []) for blob in Path.from_json(path).frozen()}
    return kept


def collect(system: System) -> None:
    """Delete what nothing needs, unless another process is learning: what it needs is not known here.

    Raises:
        PathwaysError: a task is damaged: what it needs is not known either.
    """
    system.refresh()
    refuse_damaged(system)
    if not system.ledger.leased(except_by=system.owner):
        system.pool.collect(reachable(system))
        manifest.remove_strays(system.directory, system.records)

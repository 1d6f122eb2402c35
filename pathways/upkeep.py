"""Keeping a run directory whole: which tasks are damaged, which blobs are needed, what may be deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from . import manifest
from .errors import HeldError, PathwaysError
from .leases import SHORT_SECONDS, held
from .ledger_sql import key_of_search
from .path import Path

if TYPE_CHECKING:
    from .system import System


SWEEPING = "deleting what nothing needs"
"""Held while blobs are deleted: whoever begins to learn meanwhile waits, so that nothing of theirs is among them."""

FREEZING = "freezing a champion"
"""Held while a manifest is written: champions get their places one after another."""

SIGHT_SECONDS = 90.0
"""For how long a manifest that another driver has written may be unseen here, as network file systems remember what a
folder held: twice what NFS does by itself, which is 30 to 60."""


@contextmanager
def leased(system: System, names: Sequence[str]) -> Iterator[None]:
    """Be the only process that learns these tasks, and not while another deletes what nothing needs."""
    with system.driving(), held(system.ledger, names, system.owner, system.lease_seconds):
        while SWEEPING in system.ledger.leased(except_by=system.owner):
            time.sleep(0.05)
        with system.mirror.holding() if system.mirror is not None else nullcontext():
            yield


@contextmanager
def freezing(system: System) -> Iterator[None]:
    """Be the only process that writes manifests and their measures; what others wrote is known then."""
    with held(system.ledger, [FREEZING], system.owner, short(system), patient=True):
        system.refresh()
        yield


@contextmanager
def sweeping(system: System) -> Iterator[bool]:
    """Whether this process may delete: no other holds a lease, and whoever takes one waits until the block ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(system.ledger, [SWEEPING], system.owner, short(system)))
        except HeldError:  # another one does
            yield False
            return
        yield not system.ledger.leased(except_by=system.owner)


def short(system: System) -> float:
    """How long a lease lasts under which seconds of work are done."""
    return min(SHORT_SECONDS, system.lease_seconds)


def damaged(system: System) -> dict[str, str]:
    """Tasks whose manifest cannot be read, or is gone though the ledger knows them, each with what is wrong.

    The ledger hears of a task after its manifest is written, so one that is not seen is looked for again: another
    process may have written it since, and on another host it may take a while until it is seen here.
    """
    until = time.monotonic() + (SIGHT_SECONDS if system.record.ledger else 0.0)
    missing = _missing(system)
    while missing:
        system.refresh()
        missing = _missing(system)
        if not missing or time.monotonic() >= until:
            break
        time.sleep(0.5)
    gone = {task: f"its manifest {manifest.task_file(system.directory, task)} is gone" for task in missing}
    return {**gone, **system.unreadable}


def _missing(system: System) -> list[str]:
    return [t for t in system.ledger.learned() if t not in system.briefs and t not in system.unreadable]


def refuse_damaged(system: System, but: str = "") -> None:
    """Raise a `PathwaysError` where a task, other than `but`, is damaged."""
    for name, what in damaged(system).items():
        if name != but:
            raise PathwaysError(
                f"task {name!r} is damaged: {what}: restore it from a copy of the run, or `forget` the task."
            )


def reachable(system: System) -> set[str]:
    """The blobs that must be kept: those of champions and of optimizer states that they leave to clones, of the roots,
    and what controls carry from task to task.
    """
    kept = {blob for brief in system.briefs.values() for blob in brief.blobs}
    return kept | system.root_blobs | carried(system)


def needed(system: System, blobs: Iterable[str]) -> set[str]:
    """Those of the blobs that must be kept, looked up one by one."""
    other = system.root_blobs | carried(system)
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
    with sweeping(system) as alone:
        begun = system.ledger.unswept()
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
    begun = system.ledger.unswept()
    if any(begun.values()) or begun.keys() - {key_of_search(search) for search in searches}:
        collect(system)
        return
    with sweeping(system) as alone:
        if not set(system.ledger.learned()) <= system.briefs.keys():  # another process froze a task since this one did
            system.refresh()
            refuse_damaged(system)
        if alone:
            tried = system.ledger.blobs_of(searches)
            system.pool.discard(tried - needed(system, tried))
            system.ledger.swept(begun)
    system.shelf.save()

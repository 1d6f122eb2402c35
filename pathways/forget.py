"""Forgetting a task on request: its record and what only it uses, and nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from . import manifest
from .trace_read import forget_task

if TYPE_CHECKING:
    from .system import System


def forget(system: System, task: str) -> None:
    """Remove a task from a system; all other champions stay bit for bit what they were.

    The ledger's rows go first, then the manifest: from then on the task is not learned. A run that is killed
    between the two still has the task, whole; one that is killed later leaves files that the next collection removes.
    """
    system.refresh()
    system.refuse_damaged(but=task)
    if task not in system.damaged():
        system._record(task)
    with system.leased([task]):
        system.ledger.forget(task)
        if system.mirror is not None:
            system.mirror.forget(task)
        manifest.remove_task(system.directory, task)
        manifest.probe_file(system.directory, task).unlink(missing_ok=True)
        system.tasks.pop(task, None)
        system.__dict__.pop("used", None)  # what is assembled in memory
        if "trace" in system.__dict__:
            system.trace.close()
        forget_task(system.directory, task)
        system.collect()
        shutil.rmtree(system.directory / "cache", ignore_errors=True)
        for drawn in (system.directory / "report.html", system.directory / "optuna.db"):
            drawn.unlink(missing_ok=True)  # they show the task; `report` and `dashboard` make them again
        shutil.rmtree(system.directory / "figures", ignore_errors=True)

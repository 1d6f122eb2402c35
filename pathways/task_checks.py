"""The checks of a task's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task


def check_task(task: Task) -> None:
    """Raise a `DataError` that names task, split and value where the data cannot be learned from."""

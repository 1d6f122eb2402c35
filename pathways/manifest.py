"""The files that say what a system is: `system.json`, and `tasks/NAME.json`, whose writing commits a task."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import quote, unquote

from pathways.modules import BUILT_IN, Families, content_hash

from .errors import HeldError, PathwaysError
from .fields import parse_json, read_bytes
from .files import json_bytes, write_atomically
from .records import SystemRecord, TaskRecord, fingerprint

NAME_BYTES = 200
"""Longest percent-encoded task name: file systems allow 255 bytes, suffixes included."""


def system_file(directory: FilePath) -> FilePath:
    """Where a run directory keeps the record of its system."""
    return directory / "system.json"


def task_file(directory: FilePath, task: str) -> FilePath:
    """Where a run directory keeps the record of `task`; no name can lead out of it.

    Raises:
        PathwaysError: the name is empty or too long for a file.

    Example:
        >>> task_file(FilePath("run"), "../omniglot/Greek").as_posix()
        'run/tasks/..%2Fomniglot%2FGreek.json'
    """
    encoded = quote(task, safe="", errors="surrogatepass")
    if not 0 < len(encoded) <= NAME_BYTES:
        raise PathwaysError(
            f"`name` of a task must have 1 to {NAME_BYTES} characters when percent-encoded, found "
            f"{len(encoded)} in {task!r:.60}: choose another name."
        )
    return directory / "tasks" / f"{encoded}.json"


def probe_file(directory: FilePath, task: str) -> FilePath:
    """Where a run directory keeps the probe of `task`."""
    return directory / "probes" / f"{task_file(directory, task).stem}.safetensors"


def write_system(directory: FilePath, record: SystemRecord) -> None:
    """Write `system.json`, atomically."""
    _write(system_file(directory), record)


def read_system(directory: FilePath, families: Families = BUILT_IN) -> SystemRecord:
    """The record of the system in a run directory.

    Raises:
        PathwaysError: there is none, or it does not fit; the message names file and key.
    """
    file = system_file(directory)
    data, digest = _split(parse_json(file, read_bytes(file)))
    record = SystemRecord.from_json(file, data, families)
    _check_digest(file, data, digest)
    return record


def write_task(directory: FilePath, record: TaskRecord, *, new: bool = False) -> None:
    """Write or replace the record of a task, atomically: from here on the task is learned.

    With `new` it is not replaced: a `HeldError` where another process was earlier.
    """
    _write(task_file(directory, record.name), record, new)


def task_bytes(record: TaskRecord) -> bytes:
    """What `write_task` writes."""
    return _bytes(FilePath(f"the manifest of {record.name!r}"), record)


def read_task(directory: FilePath, task: str, families: Families = BUILT_IN) -> TaskRecord:
    """The record of `task`.

    Raises:
        PathwaysError: there is none, or it does not fit; the message names file and key.
    """
    file = task_file(directory, task)
    return parse_task(file, read_bytes(file), families)


def read_tasks(directory: FilePath, families: Families = BUILT_IN) -> dict[str, TaskRecord]:
    """The records of all tasks by name, in the order they were learned.

    Raises:
        PathwaysError: one does not fit, or two have the same index; the message names file and key.
    """
    records, unreadable = read_valid_tasks(directory, families)
    if unreadable:
        raise PathwaysError(unreadable[0][1])
    return records


def read_valid_tasks(
    directory: FilePath, families: Families = BUILT_IN
) -> tuple[dict[str, TaskRecord], list[tuple[str, str]]]:
    """As `read_tasks`, without those that do not fit: these come second, each with what does not fit."""
    records: dict[int, TaskRecord] = {}
    unreadable: list[tuple[str, str]] = []
    for file in sorted((directory / "tasks").glob("*.json")):
        try:
            record = parse_task(file, read_bytes(file), families)
            if record.index in records:
                raise PathwaysError(twin(file, record.index, records[record.index].name))
            records[record.index] = record
        except PathwaysError as error:
            unreadable.append((unquote(file.stem), str(error)))
    return {records[index].name: records[index] for index in sorted(records)}, unreadable


def twin(file: FilePath, index: int, other: str) -> str:
    """What is wrong with a task's file whose index another task has."""
    return f"{file}: `index` must be its own, found {index}, as {other!r} has."


def parse_task(file: FilePath, content: bytes, families: Families = BUILT_IN) -> TaskRecord:
    """The record in the bytes of a task's file; a `PathwaysError` names file and key of what does not fit."""
    data, digest = _split(parse_json(file, content))
    record = TaskRecord.from_json(file, data, families)
    if quote(record.name, safe="") + ".json" != file.name:
        raise PathwaysError(f"{file}: `task` must be the name that the file has, found {record.name!r}.")
    _check_digest(file, data, digest)
    return record


def remove_strays(directory: FilePath, records: Iterable[str]) -> None:
    """Remove what work that was cut short left behind: probes of no task in `records`, half-written files."""
    kept = {probe_file(directory, task).name for task in records}
    probes = [file for file in (directory / "probes").glob("*") if file.name not in kept]
    for file in [*probes, *(part for where in ("", "tasks/", "cache/*/") for part in directory.glob(f"{where}.tmp-*"))]:
        file.unlink(missing_ok=True)


def remove_task(directory: FilePath, task: str) -> None:
    """Remove the record of a task, and with it the task; nothing happens where there is none."""
    task_file(directory, task).unlink(missing_ok=True)


def _write(file: FilePath, record: SystemRecord | TaskRecord, new: bool = False) -> None:
    try:
        write_atomically(file, _bytes(file, record), new=new)
    except FileExistsError:
        raise not_new(file) from None


def not_new(file: object) -> HeldError:
    """What is said where another process wrote a manifest that was to be new."""
    return HeldError(f"{file} must not be there yet, found that another process wrote it meanwhile.")


def _bytes(file: FilePath, record: SystemRecord | TaskRecord) -> bytes:
    try:
        data = record.to_json()
        return json_bytes({**data, "digest": content_hash(data)})
    except (TypeError, ValueError) as error:
        raise PathwaysError(f"{file} must hold plain data only, found: {error}.") from error


def _split(data: Any) -> tuple[Any, Any]:
    """The content of a file, and the digest that it says it has."""
    digest = data.pop("digest", None) if isinstance(data, dict) else None
    return data, digest


def _check_digest(file: FilePath, data: Any, digest: Any) -> None:
    """Refuse what was edited in a way that still reads well, such as another name of a class."""
    computed = content_hash(data)
    if digest != computed:
        found = "no such key" if digest is None else repr(digest)
        raise PathwaysError(
            f"{file}: `digest` must be {computed!r}, the SHA-256 of the other keys, found {found}: "
            f"the file was edited; restore it from a copy of the run."
        )


__all__ = [
    "SystemRecord", "TaskRecord", "fingerprint", "not_new", "parse_task", "probe_file", "read_system", "read_task",
    "read_tasks", "read_valid_tasks", "remove_strays", "remove_task", "system_file", "task_bytes", "task_file", "twin",
    "write_system", "write_task",
]

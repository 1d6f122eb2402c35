"""Verifying: every blob is hashed again, every probe is replayed, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from . import manifest
from .errors import ForgettingError, PathwaysError
from .freeze import read_probe, replay, task_inputs
from .manifest import TaskRecord

if TYPE_CHECKING:
    from .system import System

TOLERANCE = 1e-4  # on other numerics: relative to the largest output of the probe


@dataclass(frozen=True)
class VerifyReport:
    """What was verified.

    Args:
        ok: whether everything is what it was.
        tasks, modules, bytes: how many champions, blobs and bytes of blobs were checked.
        bitwise: whether outputs were compared bit for bit; on other numerics they may differ by `TOLERANCE`.
        differs: task, module and what, for everything that is not what it was.
    """

    ok: bool
    tasks: int
    modules: int
    bytes: int
    bitwise: bool
    differs: list[dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)


def verify(system: System) -> VerifyReport:
    """Check all champions of a system, read anew from disk.

    Raises:
        ForgettingError: something is not what it was; the message names the first, `differs` lists all.
    """
    differs: list[dict[str, str]] = []
    bitwise = not system.numerics_differ()
    system.refresh(whole=True)
    records, damaged = system.records, system.damaged()
    differs += [{"task": task, "module": "", "what": what} for task, what in damaged.items()]
    blobs: dict[str, str] = {}
    for name, record in records.items():
        kept = record.champion.blobs()
        blobs |= _damages(system, [blob for blob in kept if blob not in blobs])
        for blob in kept:
            if blobs[blob]:
                differs.append({"task": name, "module": blob, "what": blobs[blob]})
        differs += [{"task": name, "module": "", "what": what} for what in _replayed(system, record, bitwise)]
    of_root = _damages(system, sorted(system.root_blobs - set(blobs)))
    differs += [{"task": "root", "module": blob, "what": what} for blob, what in of_root.items() if what]
    blobs |= of_root
    size = sum(system.pool.bytes(blob) for blob in blobs if blob in system.pool)
    report = VerifyReport(not differs, len(records), len(blobs), size, bitwise, differs)
    if system.mirror is not None:
        differs[:] = [{**each, "what": system.mirror.named(each["what"])} for each in differs]
    if differs:
        first = differs[0]
        raise ForgettingError(
            f"{len({d['task'] for d in differs})} of {len(records) + len(damaged)} tasks are not what they were, first "
            f"{first['task']!r}: {first['what']}", differs,
        )
    return report


def _damages(system: System, blobs: Sequence[str]) -> dict[str, str]:
    """What is wrong with each blob, on storage first; empty where nothing is."""
    wrong = system.mirror.audit(blobs) if system.mirror is not None else {}
    return {blob: wrong[blob] if blob in wrong else _damage(system, blob) for blob in blobs}


def _damage(system: System, blob: str) -> str:
    try:
        system.pool.get(blob, fresh=True)
    except PathwaysError as error:
        return str(error)
    return ""


def _replayed(system: System, record: TaskRecord, bitwise: bool) -> list[str]:
    """What differs between a task's probe and its replay."""
    if system.mirror is not None:
        system.mirror.pull_probe(record.champion.task, fresh=True)
    file = manifest.probe_file(system.directory, record.champion.task)
    try:
        data = file.read_bytes()
    except OSError as error:
        return [f"its probe {file} cannot be read ({error.strerror})"]
    if hashlib.sha256(data).hexdigest() != record.probe:
        return [f"its probe {file} holds other bytes than its manifest says"]
    try:
        inputs, expected = read_probe(data)
        found = replay(record.champion.path, task_inputs(record, inputs), system)
    except (PathwaysError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        return [f"its path cannot be replayed: {error}"]
    if found.shape != expected.shape:
        return [f"its outputs have shape {tuple(found.shape)} and had {tuple(expected.shape)}"]
    if torch.equal(found, expected):
        return []
    gap = float((found - expected).abs().max())
    if not bitwise and gap <= TOLERANCE * max(1.0, float(expected.abs().max())):
        return []
    return [f"its outputs on the probe differ by up to {gap:.3g}"]

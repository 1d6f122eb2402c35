"""What was measured is kept beside the ledger, so that a study that goes on does not compute it again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pathways.affinity.findings_files import plain
from pathways.affinity.matrix import Affinity
from pathways.affinity.matrix_files import from_json, to_json
from pathways.errors import DataError
from pathways.files import write_atomically
from pathways.modules import content_hash

from ..study import Session
from .measured import Measured

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Kept:
    """What an estimator found, and what that took.

    Args:
        affinity: the matrix.
        candidates: the hashes of what was trained for it and for nothing before it.
        seconds: of processor time, of those trainings and of what was computed from them.
    """

    affinity: Affinity
    candidates: tuple[str, ...]
    seconds: float


def kept_or_measured(session: Session, measured: Measured) -> Kept:
    """What the run directory keeps of a measurement, or else the measurement, kept from now on.

    Its trainings are candidates, which the ledger knows; this spares readouts, Fisher information, fits. The file is
    safe to delete. What a file holds is taken only where the ledger still knows all of its candidates.
    """
    file = _file(session, measured)
    found = _read(file)
    if found is not None:
        known = session.system.ledger.known(found.candidates)
        if set(known) == set(found.candidates):
            session.results = {**known, **session.results}
            return found
    before, trained, began = set(session.results), session.training_seconds, time.process_time()
    affinity = measured.measure(session)
    own = time.process_time() - began - (session.training_seconds - trained)
    new = {key: result for key, result in session.results.items() if key not in before}
    seconds = sum(result.cpu_seconds for result in new.values()) + max(0.0, own)
    data = {"format": FORMAT, "affinity": to_json(affinity), "candidates": list(new), "seconds": seconds}
    write_atomically(file, json.dumps(plain(data), indent=1, allow_nan=False).encode())
    return Kept(affinity, tuple(new), seconds)


def _file(session: Session, measured: Measured) -> FilePath:
    """Named after all that decides what is found."""
    known = {
        **measured.to_json(), "tasks": {name: task.fingerprint for name, task in session.tasks.items()},
        "networks": [session.network(session.names, seed).hash for seed in session.seeds],
        "alone": [session.network((name,), session.seeds[0]).hash for name in session.names],
    }  # fmt: skip
    return session.system.directory / "measured" / f"{measured.estimator}-{content_hash(known)[:16]}.json"


def _read(file: FilePath) -> Kept | None:
    """What a file holds; `None` where there is none, or none that can be read."""
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return None
        return Kept(from_json(data["affinity"]), tuple(data["candidates"]), float(data["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


__all__ = ["FORMAT", "Kept", "kept_or_measured"]

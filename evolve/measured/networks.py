"""Trained networks of a study, as modules: each task's own, and the one of all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pathways.affinity.matrix import Affinity
from pathways.assemble import PathModule
from pathways.candidate import Candidate, Result
from pathways.errors import DataError
from pathways.freeze import assembled
from pathways.modules import Draft, ModuleRef
from pathways.path import Path
from pathways.pool import Tensors

from ..study import Session

_OF_PARTS = ("samples", "seed")
"""What a part says of itself and not of the whole."""


def alone(session: Session) -> dict[int, dict[str, PathModule]]:
    """By seed and task, the network that was trained on the task alone; without those whose training failed.

    Raises:
        DataError: all failed.
    """
    asked = [session.network((name,), seed) for seed in session.seeds for name in session.names]
    results = session.train(asked)
    if not any(result.ok for result in results):
        raise DataError(f"at least one task's own network must be trained, found none: {_failures(results)}.")
    found: dict[int, dict[str, PathModule]] = {seed: {} for seed in session.seeds}
    for candidate, result in zip(asked, results, strict=True):
        if result.ok:
            [(task, path)] = candidate.trained_paths(result).items()
            found[candidate.run][task] = assembled(path, session.system)
    return found


def joint(session: Session) -> dict[int, tuple[Candidate, Result]]:
    """By seed, the network of all tasks and what came of it; without those whose training failed.

    Raises:
        DataError: all failed.
    """
    asked = [session.network(session.names, seed) for seed in session.seeds]
    results = session.train(asked)
    if not any(result.ok for result in results):
        raise DataError(f"the network of all tasks must be trained, found that it failed: {_failures(results)}.")
    return {c.run: (c, result) for c, result in zip(asked, results, strict=True) if result.ok}


def trunk_of(session: Session, candidate: Candidate, result: Result) -> PathModule:
    """A network of all tasks as its first task's path, whose head encoders leave out."""
    path: Path = next(iter(candidate.trained_paths(result).values()))
    return assembled(path, session.system)


def trainable(session: Session, candidate: Candidate, result: Result) -> dict[str, PathModule]:
    """By task, the network with its trained weights as parameters; what several tasks share is one module."""
    shared: dict[tuple[object, ...], object] = {}

    def weights(ref: ModuleRef) -> Tensors:
        return session.system.pool.get(result.blobs[ref.name] if isinstance(ref, Draft) else ref.id)

    return {
        task: PathModule(path, weights, session.system.families, shared).eval()  # type: ignore[arg-type]
        for task, path in candidate.paths.items()
    }


def by_seed(session: Session, parts: Mapping[int, Affinity], **about: Any) -> Affinity:
    """One matrix of several seeds' matrices, a repeat for each seed; NaN for a seed or a source that a part lacks.

    Args:
        session: whose tasks are rows and columns.
        parts: by seed, at least one, each of one repeat and one moment.
        about: what else to say of how it was measured.
    """
    names, first = session.names, next(iter(parts.values()))
    readings = np.full((len(session.seeds), 1, len(names), len(names)), np.nan)
    for s, seed in enumerate(session.seeds):
        part = parts.get(seed)
        rows = [] if part is None else [i for i, name in enumerate(names) if name in part.affected]
        columns = [] if part is None else [j for j, name in enumerate(names) if name in part.sources]
        if part is not None:
            found = part.of([names[i] for i in rows], [names[j] for j in columns])
            readings[s, 0, np.array(rows)[:, None], columns] = found.values
    return replace(
        first, affected=names, sources=names, readings=readings, steps=(),
        about={**{k: v for k, v in first.about.items() if k not in _OF_PARTS}, **about, "seeds": list(session.seeds)},
    )  # fmt: skip


def _failures(results: Sequence[Result]) -> str:
    return "; ".join(sorted({result.failure for result in results if result.failure})[:3]) or "they were stopped"


__all__ = ["alone", "by_seed", "joint", "trainable", "trunk_of"]

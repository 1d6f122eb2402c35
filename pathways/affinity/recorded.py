"""From what candidates recorded to affinity matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathways.candidate import Candidate, Result
from pathways.errors import DataError
from pathways.recording import unpack_reading

from .matrix import Affinity
from .table import UNITS


def recorded(pairs: Sequence[tuple[Candidate, Result]]) -> Affinity:
    """The affinity that joint candidates recorded while they trained: each is a repeat.

    Args:
        pairs: candidates of the same tasks with equal records, and their results; those that failed are left out.

    Raises:
        DataError: there is none that recorded anything, or their tasks or records differ; the message says which.
    """
    whole = [(candidate, result) for candidate, result in pairs if result.readings]
    if not whole:
        failures = "; ".join(sorted({result.failure for _, result in pairs if result.failure})[:3])
        raise DataError(f"`pairs` must hold a candidate that recorded affinity, found none: {failures or 'no record'}.")
    first, result = whole[0]
    tasks, record = tuple(first.paths), first.record
    for candidate, other in whole:
        if tuple(candidate.paths) != tasks or candidate.record != record:
            raise DataError(
                f"`pairs` must hold equal tasks and records, found {list(candidate.paths)} and {list(tasks)}."
            )
        if len(other.readings) != len(result.readings):
            raise DataError("`pairs` must be measured at equal steps: give their training equal numbers of steps.")
    if record is None or not record.while_training:
        raise DataError("`pairs` must hold records of a co-training estimator.")
    drafts = [name for path in first.paths.values() for name in path.drafts()]
    return Affinity(
        tasks, tasks, "co-training", record.estimator, UNITS.get(record.estimator, ""),
        np.stack([np.stack([unpack_reading(packed) for _, packed in result.readings]) for _, result in whole]),
        shared=tuple(dict.fromkeys(name for name in drafts if drafts.count(name) > 1)),
        steps=tuple(step for step, _ in result.readings),
        about={"every": record.every, "options": dict(record.options), "seeds": [c.run for c, _ in whole]},
    )


__all__ = ["recorded"]

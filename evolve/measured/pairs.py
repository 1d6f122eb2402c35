"""Gains of pairs: every pair of tasks trained together, against each task alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pathways.affinity.matrix import Affinity
from pathways.candidate import Result

from ..study import Session


def pairs(session: Session) -> Affinity:
    """Train every pair of tasks and every task alone; M[j, i] = quality of j beside i, less its quality alone.

    The diagonal is 0: what a task alone gains over itself. Quality is the metric on validation data, turned so that
    more is better.

    Args:
        session: whose tasks, trunk and seeds are taken.

    Returns:
        A co-training matrix, a repeat for each seed. NaN where a training failed.

    Reference: Standley et al. 2020 (1905.07553), whose higher-order approximation predicts larger groups from pairs.
    """
    names, groups = session.names, [*((name,) for name in session.names), *combinations(session.names, 2)]
    asked = {(group, seed): session.network(group, seed) for group in groups for seed in session.seeds}
    found = dict(zip(asked, session.train(list(asked.values())), strict=True))
    readings = np.zeros((len(session.seeds), len(names), len(names)))
    for s, seed in enumerate(session.seeds):
        alone = [quality_of(found[(name,), seed], name) for name in names]
        for i, j in combinations(range(len(names)), 2):
            result = found[(names[i], names[j]), seed]
            readings[s, i, j] = quality_of(result, names[i]) - alone[i]
            readings[s, j, i] = quality_of(result, names[j]) - alone[j]
    return Affinity(
        names, names, "co-training", "pairs", "gain in validation quality over training alone", readings[:, None],
        about={"seeds": list(session.seeds)},
    )


def quality_of(result: Result, task: str) -> float:
    """The validation quality of a task in a result; NaN where its training failed."""
    return result.measures[task].quality if task in result.measures else float("nan")


__all__ = ["pairs", "quality_of"]

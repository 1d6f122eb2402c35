"""Transferability without training in a study: of each task's own network to every other task."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Any, Literal

from pathways.affinity.matrix import Affinity
from pathways.affinity.tournament import with_rows
from pathways.affinity.transferability import transferability as row

from ..study import Session
from .networks import alone, by_seed
from .options import Bounds, Positive


def h_score(
    session: Session, *, shrinkage: Annotated[float, Bounds(0, high=1)] | Literal["ledoit-wolf"] = 0.0
) -> Affinity:
    """H-scores of the features of each task's own network; see `pathways.affinity.h_score`.

    Args:
        session: whose tasks are targets and sources.
        shrinkage: of the features' covariance.

    Reference: Bao et al. 2019 (An information-theoretic approach to transferability).
    """
    return _of_each(session, "h_score", shrinkage=shrinkage)


def logme(session: Session, *, standardised: bool = False) -> Affinity:
    """Evidence of linear models on the features of each task's own network; see `pathways.affinity.logme`.

    Args:
        session: whose tasks are targets and sources.
        standardised: take each feature less its mean and divided by its deviation.

    Reference: You et al. 2021 (LogME, 2102.11005).
    """
    return _of_each(session, "logme", standardised=standardised)


def trans_rate(
    session: Session, *, eps: Positive = 1e-4, normalised: bool = False, centred: bool = False
) -> Affinity:
    """Coding rates of the features of each task's own network; see `pathways.affinity.trans_rate`.

    Args:
        session: whose tasks are targets and sources.
        eps: the distortion of the code.
        normalised: scale features first.
        centred: centre features first.

    Reference: Huang et al. 2022 (TransRate, 2106.09362).
    """
    return _of_each(session, "trans_rate", eps=eps, normalised=normalised, centred=centred)


def leep(session: Session) -> Affinity:
    """What the classes that each task's own network gives tell of another's; see `pathways.affinity.leep`.

    Reference: Nguyen et al. 2020 (LEEP, 2002.12462).
    """
    return _of_each(session, "leep")


def nce(session: Session) -> Affinity:
    """What the labels that each task's own network gives tell of another's; see `pathways.affinity.nce`.

    Reference: Tran et al. 2019 (NCE, 1908.08142).
    """
    return _of_each(session, "nce")


def _of_each(session: Session, estimator: str, **options: Any) -> Affinity:
    """Rows of all tasks, a repeat for each seed; the diagonal is a task's own network on its own training samples."""
    parts = {}
    for seed, own in alone(session).items():
        if own:
            rows = [row(own, task, estimator, **options) for task in session.tasks.values()]
            parts[seed] = reduce(with_rows, rows)
    return by_seed(session, parts, sources="each task's own network", split="train")


__all__ = ["h_score", "leep", "logme", "nce", "trans_rate"]

"""The one table of affinity estimators: a name, and the file and function that measure it."""

from __future__ import annotations

CO_TRAINING: dict[str, str] = {}
"""Measured while tasks train jointly: functions from a `Moment` to a `Reading`."""

TRANSFERABILITY: dict[str, str] = {
    "h_score": "h_score:h_score",
    "logme": "logme:logme",
    "trans_rate": "trans_rate:trans_rate",
}
"""Measured without training: functions from frozen features (N, D) and targets (N,) to a number, higher is better."""

OTHERS: dict[str, str] = {
    "ahp": "ahp:ahp",
    "leep": "leep:leep",
    "nce": "nce:nce",
    "relevance": "relevance:relevance",
    "outlier": "outlier:outlier",
    "dependence": "dependence:dependence",
}
"""Measured with trainings or from trained models; each says in its docstring what it takes."""

ESTIMATORS = {**CO_TRAINING, **TRANSFERABILITY, **OTHERS}

__all__ = ["CO_TRAINING", "ESTIMATORS", "OTHERS", "TRANSFERABILITY"]

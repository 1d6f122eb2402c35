"""The one table of affinity estimators: a name, and the file and function that measure it."""

from __future__ import annotations

CO_TRAINING: dict[str, str] = {
    "lookahead": "lookahead:lookahead",
    "first_order": "first_order:first_order",
    "gradient_cosine": "gradient_cosine:gradient_cosine",
    "projected_gradients": "projected_gradients:projected_gradients",
}
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
    "linearised": "linearised:linearised",
    "task2vec": "task2vec:task2vec",
    "transfer": "transfer:transfer",
    "relevance": "relevance:relevance",
    "outlier": "outlier:outlier",
    "dependence": "dependence:dependence",
}
"""Measured with trainings or from trained models; each says in its docstring what it takes."""

UNITS: dict[str, str] = {
    "lookahead": "share of loss per step",
    "first_order": "share of loss per step",
    "gradient_cosine": "cosine",
    "projected_gradients": "share of loss per step",
}
"""What a reading's values are called."""

ESTIMATORS = {**CO_TRAINING, **TRANSFERABILITY, **OTHERS}

__all__ = ["CO_TRAINING", "ESTIMATORS", "OTHERS", "TRANSFERABILITY", "UNITS"]

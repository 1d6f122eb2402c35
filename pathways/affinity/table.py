"""The one table of affinity estimators: a name, and the file and function that measure it."""

from __future__ import annotations

CO_TRAINING: dict[str, str] = {}
"""Measured while tasks train jointly: functions from a `Moment` to a `Reading`."""

TRANSFERABILITY: dict[str, str] = {}
"""Measured without training: functions from frozen features (N, D) and targets (N,) to a number, higher is better."""

OTHERS: dict[str, str] = {}
"""Measured with trainings or from trained models; each says in its docstring what it takes."""

ESTIMATORS = {**CO_TRAINING, **TRANSFERABILITY, **OTHERS}

__all__ = ["CO_TRAINING", "ESTIMATORS", "OTHERS", "TRANSFERABILITY"]

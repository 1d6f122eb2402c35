"""Relevance in a study: what a target's heads are made of, on the trunk that all tasks share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathways.affinity.encoders import Trunk, encoded, encoder
from pathways.affinity.frozen_features import indicator
from pathways.affinity.linear_representation import linear_representation
from pathways.affinity.matrix import Affinity, Array
from pathways.affinity.readout import Scaling
from pathways.affinity.relevance import Norm, sampling_shares
from pathways.affinity.relevance import relevance as smallest
from pathways.errors import ConfigError
from pathways.task import Classes, Task
from pathways.trainer.numerics import one_thread
from pathways.trainer.samples import prepare

from ..study import Session
from .networks import by_seed, joint, trunk_of
from .options import Count, Share

Columns = list[tuple[Array, Array]]


def relevance(
    session: Session, *, dims: Count | None = None, norm: Norm = "l1", penalty: Share | None = 0.1
) -> Affinity:
    """The share of samples that each target should take from each source, by L1-A-MTRL or its L2 predecessor.

    The method knows tasks of one number. So each task of classes stands for one such task a class (this class against
    the rest; one for two classes), each task of values for one a value, all on the features of the trunk of all tasks,
    centred and scaled for each task, as the numbers are:

        B, W = linear representation of all columns;   nu_c = smallest with W_others' nu = w_c
        M[t, s] = mean over columns c of t of the sum over columns of s of its share of |nu_c| (or nu_c squared)

    Columns of one task are no sources of each other.

    Args:
        session: whose network of all tasks gives features.
        dims: of the representation; at most the trunk's width and the number of columns, of which it is half when
            `None`.
        norm: `l1` or `l2`.
        penalty: of the Lasso, as a share of the one at which nothing is relevant; `None` for the exact solution.

    Returns:
        A matrix of kind transfer, a repeat for each seed; rows sum to 1, the diagonal is NaN.

    Raises:
        ConfigError: `dims` is too large.

    Reference: Wang et al. 2023 (L1-A-MTRL, 2306.02556); Chen et al. 2022 (2202.00911).
    """
    parts = {}
    for seed, (candidate, result) in joint(session).items():
        trunk = encoder(trunk_of(session, candidate, result))
        assert isinstance(trunk, Trunk)
        with one_thread():
            columns = [_columns(task, trunk) for task in session.tasks.values()]
        flat = [column for of_task in columns for column in of_task]
        width = flat[0][0].shape[1]
        size = max(1, min(width, len(flat) // 2)) if dims is None else dims
        if size > min(width, len(flat)):
            raise ConfigError(
                f"`dims` of `relevance` must be at most {min(width, len(flat))}, of the trunk's width and of the "
                f"numbers to predict, found {size}."
            )
        _, heads = linear_representation(flat, size)
        owners = np.repeat(np.arange(len(columns)), [len(of_task) for of_task in columns])
        parts[seed] = Affinity(
            session.names, session.names, "transfer", "relevance", "share of samples",
            _shares(heads, owners, norm, penalty if norm == "l1" else None),
            about={"norm": norm, "penalty": penalty if norm == "l1" else None, "dims": size},
        )  # fmt: skip
    return by_seed(session, parts, features="trunk of the network of all tasks")


def _columns(task: Task, trunk: Trunk) -> Columns:
    """Samples (N, d) and targets (N,) of each number that a task predicts, all centred and scaled."""
    samples = prepare(task, "train")
    features = encoded(trunk, samples.values)
    x = Scaling.of(features)(features).double().numpy()
    if isinstance(task.target, Classes):
        y = indicator(samples.targets)
        y = y[:, :1] if task.target.n == 2 else y
    else:
        y = samples.targets.double().reshape(len(x), -1)
    y = y - y.mean(0)
    scale = y.square().mean(0).sqrt()
    return [(x, (y[:, k] / (scale[k] if scale[k] > 0 else 1.0)).numpy()) for k in range(y.shape[1])]


def _shares(heads: Array, owner: NDArray[np.int64], norm: Norm, penalty: float | None) -> Array:
    """(T, T): see `relevance`; heads are (columns, dims), `owner` is each column's task."""
    count = int(owner.max()) + 1
    out = np.full((count, count), np.nan)
    for task in range(count):
        others = np.flatnonzero(owner != task)
        each = [
            sampling_shares(smallest(heads[others], head, norm, penalty), norm) for head in heads[owner == task]
        ]
        out[task] = np.bincount(owner[others], np.mean(each, axis=0), count)
        out[task, task] = np.nan
    return out


__all__ = ["relevance"]

"""The dependence test in a study: short runs from one checkpoint, as candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pathways.affinity.dependence import Dependence
from pathways.affinity.dependence import dependence as test
from pathways.affinity.matrix import Affinity
from pathways.candidate import Candidate, Training
from pathways.errors import DataError
from pathways.modules import Draft, Warm
from pathways.path import Path

from ..study import Session
from .networks import joint
from .options import Count, Positive, Several, Share

MORE = "{} again"
"""The name under which a source's extra batch stands beside its own."""


def dependence(
    session: Session, *, repeats: Several = 5, steps: Count = 20, rate: Positive = 0.1, alpha: Share = 0.05,
    control: Literal["family", "discovery"] = "family", measure: Literal["loss", "quality"] = "loss",
) -> Affinity:  # fmt: skip
    """Which tasks change when the network of all tasks trains briefly on one task's data; see `pathways.affinity`.

    The checkpoint is the first seed's network of all tasks that trained. Every run starts from its weights, with a
    fresh optimizer and a constant rate, and trains all tasks jointly for a few steps: that is the background, which
    mends what any training would mend. The run of a source has a second batch of the source's data in every step:

        D[i, j] = Y_i(all tasks and j once more) - Y_i(all tasks)

    Runs of one repeat see the same batches. Repeats differ in batches and noise alone, so what is found holds for this
    checkpoint and this validation data. Runs are candidates, so that the ledger keeps them and every engine runs them;
    there are `repeats * (T + 1)`, each of `steps` steps.

    Args:
        session: whose network of all tasks is the checkpoint.
        repeats: of every run, with other batches.
        steps: of each run.
        rate: the learning rate, as a share of the study's peak.
        alpha: the error rate of the whole set that is held.
        control: `family` (Holm) or `discovery` (Benjamini and Hochberg).
        measure: what changes: the validation `loss`, or the `quality`, which is coarser where it counts samples.

    Returns:
        A matrix of kind dependence, a repeat for each of the test's; `about` has the pairs found to depend, the
        p-values, and how large effects that were not found may be.

    Raises:
        DataError: a short run failed.

    Reference: the dependence test of "Train Once, Answer All", 2509.23383.
    """
    seed, (candidate, result) = next(iter(joint(session).items()))
    paths = _from_checkpoint(candidate, result.blobs)
    training = replace(
        session.training, steps=steps, lr=session.training.lr * rate, schedule="constant", warmup=0.0,
        evaluate_every=0, keep="last", head_init="random", head_refit="none",
    )  # fmt: skip
    runs = {
        (source, repeat): _run(session, paths, training, seed, source, repeat)
        for repeat in range(repeats) for source in (None, *session.names)
    }  # fmt: skip
    results = dict(zip(runs, session.train(list(runs.values())), strict=True))

    def measured(source: str | None, repeat: int) -> Mapping[str, float]:
        found = results[source, repeat]
        if not found.ok:
            raise DataError(f"every short run must train, found that one failed: {found.failure}: lower `rate`.")
        return {name: getattr(found.measures[name], measure) for name in session.names}

    unit = "validation loss" if measure == "loss" else "validation quality"
    found = test(
        measured, session.names, repeats, alpha, control=control, higher_is_better=measure != "loss", unit=unit
    )
    about = {**found.affinity.about, **said(found), "steps": steps, "rate": training.lr, "checkpoint": seed}
    return replace(found.affinity, about=about)


def said(found: Dependence) -> dict[str, Any]:
    """What a test found, as plain data: `None` where nothing was tested."""
    return {
        "depend": [list(pair) for pair in found.pairs], "p": _plain(found.p), "half_width": _plain(found.half_width),
    }  # fmt: skip


def _from_checkpoint(candidate: Candidate, blobs: Mapping[str, str]) -> dict[str, Path]:
    """The network's paths, each draft starting from what training made of it; what tasks share stays one module."""
    return {
        task: path.map_refs(lambda ref: replace(ref, start=Warm(blobs[ref.name])) if isinstance(ref, Draft) else ref)
        for task, path in candidate.paths.items()
    }  # fmt: skip


def _run(
    session: Session, paths: Mapping[str, Path], training: Training, seed: int, source: str | None, repeat: int
) -> Candidate:
    """All tasks, and the source once more.

    A step's loss is the mean over what it trains. So that the tasks of the background weigh alike with and without a
    source, plain gradient descent takes a rate that makes up for the one more; Adam's steps do not depend on it.
    """
    paths, data = dict(paths), {name: session.tasks[name].fingerprint for name in session.names}
    if source is not None:
        more = MORE.format(source)
        while more in paths:
            more += "'"
        paths[more], data[more] = paths[source], data[source]
        if training.optimizer == "sgd":
            training = replace(training, lr=training.lr * len(paths) / len(session.names))
    labels = {"strategy": "affinity", "generation": 0, "parents": [], "mutations": []}
    return Candidate(paths, training, data, run=seed, order=repeat + 1, repeat=repeat, sampler="joint", labels=labels)


def _plain(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[float(cell) if np.isfinite(cell) else None for cell in row] for row in values]


__all__ = ["MORE", "dependence", "said"]

"""How useful each frozen network is for a new task, without training anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean
from pathways.task import Task
from pathways.trainer.numerics import one_thread
from pathways.trainer.samples import prepare

from .encoders import encoded, fits, full_networks, named_encoders
from .matrix import Affinity
from .table import TRANSFERABILITY

if TYPE_CHECKING:
    from pathways.system import System

OF_SCORES: tuple[str, ...] = ("leep", "nce")
"""Estimators that read what a classifier gives, rather than features."""


def transferability(
    encoders: System | Mapping[str, nn.Module],
    task: Task,
    estimator: str | Callable[[Tensor, Tensor], float] = "logme",
    **options: Any,
) -> Affinity:
    """One row: how useful the features of each champion are for a new task, by an estimator that trains nothing.

    Only the task's training split is read.

    Args:
        encoders: a system, whose champions without their heads give features, or encoders by name.
        task: the new task.
        estimator: `h_score`, `logme` or `trans_rate` of features; `leep` or `nce` of what the networks give as they
            are, taken as scores before a softmax; or a function (features (N, D), targets (N,)) -> float of your own.
        options: handed to the estimator.

    Returns:
        A matrix of kind `transfer` with one row, the task, and a column for each network; NaN for champions that
        cannot read the task's inputs, and with `leep` and `nce` for those that do not tell classes.

    Raises:
        ConfigError: an unknown estimator.
        DataError: what the estimator raises.

    Example:
        >>> from pathways.data import digits_tasks
        >>> task = next(iter(digits_tasks([[0, 1, 2]])))
        >>> sharp, blurred = nn.Flatten(), nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
        >>> found = transferability({"sharp": sharp, "blurred": blurred}, task)
        >>> found[task.name, "sharp"] > found[task.name, "blurred"]
        True

    Reference: those of the estimators; for choosing a model by them, You et al. 2021, 2102.11005.
    """
    of_scores = isinstance(estimator, str) and estimator in OF_SCORES
    score = named_estimator(estimator)
    networks = full_networks(encoders) if of_scores else named_encoders(encoders)
    samples = prepare(task, "train")
    found = []
    with one_thread():
        for module in networks.values():
            if not fits(module, task) or (of_scores and not _tells_classes(module)):
                found.append(np.nan)
                continue
            found.append(score(encoded(module, samples.values), samples.targets, **options))
    name = estimator if isinstance(estimator, str) else getattr(estimator, "__name__", "estimator")
    about = {"split": "train", "samples": len(samples), **({"options": options} if options else {})}
    return Affinity((task.name,), tuple(networks), "transfer", name, name, np.array([found]), about=about)


def named_estimator(estimator: str | Callable[..., float]) -> Callable[..., float]:
    """The estimator of that name, as a function of what networks give and targets; functions are as they are.

    Raises:
        ConfigError: an unknown name; the message lists those there are.
    """
    from pathways import affinity

    if callable(estimator):
        return estimator
    if estimator == "leep":
        return lambda scores, targets, **options: affinity.leep(scores.double().softmax(1), targets, **options)
    if estimator == "nce":
        return lambda scores, targets, **options: affinity.nce(scores.argmax(1), targets, **options)
    if estimator not in TRANSFERABILITY:
        known = sorted((*TRANSFERABILITY, *OF_SCORES))
        near = did_you_mean(estimator, known, ".")
        raise ConfigError(f"`estimator` must be one of {known}, found {estimator!r}{near}")
    function: Callable[..., float] = getattr(affinity, estimator)
    return function


def _tells_classes(module: nn.Module) -> bool:
    """Whether the network ends in a classifier; of modules that are no paths it is taken for granted."""
    model = getattr(module, "model", None)
    return model is None or model.path.steps[model.path.head].modules[0].spec.family == "classifier"


__all__ = ["named_estimator", "transferability"]

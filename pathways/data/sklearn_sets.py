"""The small real data sets that come with scikit-learn: digits, wine, breast cancer, diabetes.

All are from the UCI Machine Learning Repository (CC BY 4.0) but diabetes (Efron, Hastie, Johnstone and
Tibshirani 2004, "Least Angle Regression", Annals of Statistics 32). None has a test split of its own: test is
drawn by the task's name alone, validation by the seed. Vectors are standardised by the mean and deviation of
their training samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from torch import Tensor

from pathways.errors import DataError
from pathways.modules import Image, Port, Vector
from pathways.task import Affine, Split, Target, Task, Values

from .arrays import as_tensor, class_targets, standardise, value_targets
from .split import split_pool


def digits(*, seed: int = 0, validation: float = 0.2, test: float = 0.2) -> list[Task]:
    """Handwritten digits, 1,797 images of 8 by 8 pixels of 0 to 16: one task of 10 classes.

    Args:
        seed: draws validation.
        validation: its share of what is left after test.
        test: the share of test.

    >>> [task] = digits()
    >>> task.name, str(task.inputs["image"]), task.target.n
    ('digits', 'Image(channels=1, height=8, width=8)', 10)
    """
    data = _bunch("digits")
    return [_digits("digits", data.images, data.target, list("0123456789"), seed, validation, test)]


def digits_tasks(
    groups: Sequence[Sequence[int]] = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)),
    *,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
) -> list[Task]:
    """The digits as several tasks, `digits/0-1` and on; labels follow the order in the group.

    Args:
        groups: the digits of each task, at least two.
        seed: draws validation.
        validation: its share of what is left after test.
        test: the share of test.

    Raises:
        DataError: a group names no digits, or fewer than two.
    """
    data = _bunch("digits")
    tasks = []
    for group in groups:
        if len(set(group)) != len(group) or len(group) < 2 or not set(group) <= set(range(10)):
            raise DataError(f"`groups` must hold lists of two or more digits, found {group!r}: use [0, 1].")
        rows = np.flatnonzero(np.isin(data.target, group))
        labels = np.array([list(group).index(digit) for digit in data.target[rows]])
        names = [str(digit) for digit in group]
        name = "digits/" + "-".join(names)
        tasks.append(_digits(name, data.images[rows], labels, names, seed, validation, test))
    return tasks


def wine(*, seed: int = 0, validation: float = 0.2, test: float = 0.2) -> list[Task]:
    """Which of 3 cultivars a wine is from, by 13 chemical measures of 178 wines: one task.

    Args:
        seed: draws validation.
        validation: its share of what is left after test.
        test: the share of test.
    """
    return [_table("wine", seed, validation, test)]


def breast_cancer(*, seed: int = 0, validation: float = 0.2, test: float = 0.2) -> list[Task]:
    """Whether a tumour is malignant, by 30 measures of 569 cell images (Wisconsin diagnostic set): one task.

    Args:
        seed: draws validation.
        validation: its share of what is left after test.
        test: the share of test.
    """
    return [_table("breast_cancer", seed, validation, test)]


def diabetes(*, seed: int = 0, validation: float = 0.2, test: float = 0.2) -> list[Task]:
    """Progression of diabetes after a year, by 10 measures of 442 patients: one task of `Values(1)`.

    The target is standardised by the mean and deviation of the training samples, so errors are in deviations;
    predictions are not.

    Args:
        seed: draws validation.
        validation: its share of what is left after test.
        test: the share of test.
    """
    data = _bunch("diabetes", scaled=False)
    targets, _ = value_targets(data.target)
    target = Values(1, ("progression",))
    ports: dict[str, Port] = {"features": Vector(10)}
    pool = Split({"features": as_tensor(data.data)}, targets)
    splits, _ = split_pool("diabetes", ports, target, pool, seed=seed, validation=validation, test=test)
    scale = standardise(splits["train"].targets)
    splits = {which: Split(split.inputs, scale(split.targets)) for which, split in splits.items()}
    target = Values(1, target.names, scale.inverse)
    return [_finish("diabetes", ports, target, splits)]


def _bunch(name: str, **options: Any) -> Any:
    from sklearn import datasets  # imported on use: it takes a second

    return getattr(datasets, f"load_{name}")(**options)


def _digits(
    name: str, images: Any, labels: Any, names: list[str], seed: int, validation: float, test: float
) -> Task:
    targets, target = class_targets(name, labels, names)
    ports: dict[str, Port] = {"image": Image(1, 8, 8)}
    pool = Split({"image": as_tensor(images.astype(np.uint8))[:, None]}, targets)
    splits, _ = split_pool(name, ports, target, pool, seed=seed, validation=validation, test=test)
    source = "scikit-learn digits (UCI optical digits, CC BY 4.0)"
    return Task(name, ports, target, splits, transform={"image": Affine(1 / 16)}, source=source)


def _table(name: str, seed: int, validation: float, test: float) -> Task:
    data = _bunch(name)
    targets, target = class_targets(name, data.target, [str(label) for label in data.target_names])
    ports: dict[str, Port] = {"features": Vector(data.data.shape[1])}
    pool = Split({"features": as_tensor(data.data)}, targets)
    splits, _ = split_pool(name, ports, target, pool, seed=seed, validation=validation, test=test)
    return _finish(name, ports, target, splits)


def _finish(name: str, ports: dict[str, Port], target: Target, splits: dict[str, Split]) -> Task:
    transform = {"features": standardise(cast(Tensor, splits["train"].inputs["features"]))}
    return Task(name, ports, target, splits, transform=transform, source=f"scikit-learn {name}")

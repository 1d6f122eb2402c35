"""Affinity measured along any training loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pathways.errors import ConfigError, DataError

from .matrix import Affinity
from .moment import Estimator, Moment, Reading
from .table import UNITS


class Watch:
    """Measures a training loop every few steps, and leaves it as it is.

    Call it once a step with a function that makes a `Moment`; where nothing is due, the function is not called. Steps
    are counted from 0, which is measured.

    Args:
        estimator: what measures: `lookahead`, `first_order`, `gradient_cosine`, `projected_gradients`, any of them with
            options (`functools.partial(lookahead, momentum=True)`), or a function of your own from a `Moment` to a
            `Reading`.
        every: how many steps lie between measurements.
        name: of the estimator in the matrix; its own when empty.
        unit: of its values; known for those here.

    Raises:
        ConfigError: `every` is less than 1.

    Example:
        >>> import torch
        >>> from pathways.affinity import Watch, lookahead
        >>> draw = torch.Generator().manual_seed(0)
        >>> x = torch.randn(64, 8, generator=draw)
        >>> y = {"sum": x.sum(1), "twice": 2 * x.sum(1), "other": x[:, 0] - x[:, 1]}
        >>> trunk = torch.nn.Linear(8, 4)
        >>> heads = torch.nn.ModuleDict({task: torch.nn.Linear(4, 1) for task in y})
        >>> optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.01)
        >>> watch = Watch(lookahead, every=10)
        >>> for step in range(30):
        ...     def losses():
        ...         features = trunk(x)
        ...         return {task: (heads[task](features)[:, 0] - y[task]).square().mean() for task in y}
        ...     _ = watch(lambda: Moment(tuple(y), losses, dict(trunk.named_parameters()), rate=0.01))
        ...     optimizer.zero_grad()
        ...     sum(losses().values()).backward()
        ...     optimizer.step()
        >>> watch.matrix().steps, watch.matrix().values.shape
        ((0, 10, 20), (3, 3))

    Reference: measured every 10 steps and averaged over the run, as Fifty et al. 2021 (TAG, 2109.04617), section 5.
    """

    def __init__(self, estimator: Estimator, every: int = 10, *, name: str = "", unit: str = "") -> None:
        if every < 1:
            raise ConfigError(f"`every` must be at least 1, found {every}.")
        self.estimator = estimator
        self.every = every
        plain = estimator.func if isinstance(estimator, partial) else estimator
        self.name = name or getattr(plain, "__name__", type(plain).__name__)
        self.unit = unit or UNITS.get(self.name, "")
        self.step = 0
        self._tasks: tuple[str, ...] = ()
        self._shared: dict[str, None] = {}
        self._steps: list[int] = []
        self._readings: list[Reading] = []

    def __call__(self, moment: Callable[[], Moment]) -> Reading | None:
        """Count a step and measure it where one is due; the reading, or `None`.

        Raises:
            DataError: the tasks are not those of the steps before, or a loss cannot be measured.
        """
        due, step = self.step % self.every == 0, self.step
        self.step += 1
        if not due:
            return None
        now = moment()
        if self._tasks and now.tasks != self._tasks:
            raise DataError(
                f"`tasks` of a moment must be the same at every step, found {now.tasks} after {self._tasks}: name all "
                f"tasks always, and leave those without labels out of `losses`."
            )
        reading = self.estimator(now)
        self._tasks = now.tasks
        self._shared.update(dict.fromkeys(now.shared))
        self._steps.append(step)
        self._readings.append(reading)
        return reading

    def matrix(self) -> Affinity:
        """All readings so far, as one repeat.

        Raises:
            DataError: nothing was measured yet.
        """
        if not self._readings:
            raise DataError("a `Watch` must have measured a step before it has a matrix, found none: call it first.")
        return Affinity(
            self._tasks, self._tasks, "co-training", self.name, self.unit, np.stack(self._readings)[None],
            shared=tuple(self._shared), steps=tuple(self._steps), about=self._about(),
        )  # fmt: skip

    def _about(self) -> dict[str, Any]:
        options = self.estimator.keywords if isinstance(self.estimator, partial) else {}
        plain = {key: value for key, value in options.items() if isinstance(value, (bool, int, float, str))}
        return {"every": self.every, **({"options": plain} if plain else {})}


__all__ = ["Watch"]

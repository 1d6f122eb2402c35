"""A performance table: networks that could be trained, what each costs, and how good each of its tasks is with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError, DataError

Array = NDArray[np.float64]

_POWER = 15


@dataclass(frozen=True, eq=False)
class PerformanceTable:
    """Networks, their exact costs, and the value of each task with each network.

    Shapes: N networks, T tasks.

    Args:
        tasks: names, one a column.
        names: of the networks, one a row.
        costs: exact, in units of the budget: whole numbers, fractions, or text such as `0.5`; at least 0.
        values: (N, T); NaN where a task is not in a network or was not measured with it.
        higher_is_better: whether larger values are better; losses are the other way.
        mean: whether a selection's value is the mean over tasks, in place of their sum.
        groups: the tasks that are trained in each network, where some of them have no value; those with one when not
            given.

    Raises:
        DataError: names twice, shapes that do not fit, a cost that is no number of at least 0, infinite values, a
            network without tasks.

    Example:
        >>> table = PerformanceTable(("a", "b"), ("a", "both"), ("0.5", 1), [[0.1, float("nan")], [0.2, 0.3]])
        >>> table.costs, table.members(1)
        ((Fraction(1, 2), Fraction(1, 1)), ('a', 'b'))

    Reference: Standley et al. 2020, 1905.07553, section 4.
    """

    tasks: tuple[str, ...]
    names: tuple[str, ...]
    costs: tuple[Fraction, ...]
    values: Array
    higher_is_better: bool = False
    mean: bool = False
    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for axis in ("tasks", "names"):
            names = tuple(map(str, getattr(self, axis)))
            if len(set(names)) < len(names):
                twice = next(n for n in names if names.count(n) > 1)
                raise DataError(f"`{axis}` must name each once, found {twice!r} twice: rename or drop one.")
            object.__setattr__(self, axis, names)
        object.__setattr__(self, "costs", tuple(exact(cost) for cost in self.costs))
        values = np.array(self.values, dtype=np.float64)
        if values.shape != (len(self.names), len(self.tasks)) or len(self.costs) != len(self.names):
            raise DataError(
                f"`values` must have the shape ({len(self.names)} networks, {len(self.tasks)} tasks) and `costs` one "
                f"entry a network, found {values.shape} and {len(self.costs)}."
            )
        if np.isinf(values).any():
            raise DataError("`values` must be finite, or NaN where a task is not in a network, found an infinite one.")
        empty = np.flatnonzero(np.isnan(values).all(axis=1))
        if len(empty):
            raise DataError(f"each network must have a task, found none for {self.names[empty[0]]!r}: drop its row.")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        if self.groups and (
            len(self.groups) != len(self.names)
            or any(not set(has) <= set(group) for has, group in zip(self._valued(), self.groups, strict=True))
        ):
            raise DataError("`groups` must hold, for each network, all tasks that have a value in it.")

    @property
    def sign(self) -> float:
        """1 where larger values are better, -1 where smaller ones are."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def merits(self) -> Array:
        """(N, T): the values with the sign at which more is better; minus infinity where there is none."""
        return np.where(np.isnan(self.values), -np.inf, self.sign * self.values)

    @property
    def holds(self) -> NDArray[np.bool_]:
        """(N, T): whether a task is in a network."""
        return ~np.isnan(self.values)

    def members(self, network: int) -> tuple[str, ...]:
        """The tasks of a network."""
        return self.groups[network] if self.groups else self._valued(network)[0]

    def all_members(self) -> tuple[tuple[str, ...], ...]:
        """The tasks of each network."""
        return self.groups or tuple(self._valued())

    def whole(self) -> PerformanceTable:
        """The networks in which every task has a value: where each task is in one network, no other can be chosen."""
        if not self.groups:
            return self
        sizes = self.holds.sum(axis=1)
        kept = [n for n, group in enumerate(self.groups) if len(group) == sizes[n]]
        return replace(
            self, names=tuple(self.names[n] for n in kept), costs=tuple(self.costs[n] for n in kept),
            values=self.values[kept], groups=(),
        )  # fmt: skip

    def _valued(self, *networks: int) -> list[tuple[str, ...]]:
        """The tasks with a value in these networks, or in each of all."""
        rows = ~np.isnan(self.values[list(networks)] if networks else self.values)
        return [tuple(task for task, there in zip(self.tasks, row, strict=True) if there) for row in rows.tolist()]

    def total(self, by_task: Sequence[float]) -> float:
        """A selection's value from what each task has of it: their sum, or their mean."""
        return sum(by_task) / (len(self.tasks) if self.mean else 1)

    def sensed(self, higher_is_better: bool) -> PerformanceTable:
        """The same with another sense."""
        return replace(self, higher_is_better=higher_is_better)


def exact(cost: Fraction | float | str, name: str = "cost") -> Fraction:
    """A number as it is written: `0.1` is a tenth, not the binary fraction nearest to it.

    >>> exact("0.1"), exact(0.1)
    (Fraction(1, 10), Fraction(1, 10))

    Raises:
        ConfigError: it is no finite number of at least 0, or so large or small that its exact form has no use.
    """
    try:
        text = str(cost).strip()
        _, _, power = text.lower().partition("e")
        wild = abs(int(power)) > _POWER if power else False  # a fraction of 1e-999999999 would fill the memory
        value = cost if isinstance(cost, Fraction) else Fraction(0 if wild else text)
    except (ValueError, ZeroDivisionError):
        wild, value = False, Fraction(-1)
    if value < 0:
        raise ConfigError(f"`{name}` must be a number of at least 0, found {str(cost)!r:.60}.")
    if wild or value > Fraction(10) ** _POWER or 0 < value < Fraction(1, 10**_POWER):
        raise ConfigError(
            f"`{name}` must be 0 or a number from 1e-{_POWER} to 1e{_POWER}, found {text!r:.60}: choose another unit."
        )
    return value


__all__ = ["PerformanceTable", "exact"]

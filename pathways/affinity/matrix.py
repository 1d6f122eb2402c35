"""Affinity: how much one task helps another, as a matrix with named axes, a kind, an estimator and repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError, DataError

Kind = Literal["transfer", "co-training", "dependence"]
KINDS: tuple[Kind, ...] = ("transfer", "co-training", "dependence")

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affinity:
    """How much the sources help the affected tasks.

    Shapes: R repeats (seeds, independent runs), K moments of each (measurement steps), A affected tasks, S sources.

    Args:
        affected: the tasks whose loss or quality was looked at, one a row.
        sources: what may help them, one a column: tasks, several joined by `|` (higher-order transfers), `self`
            (the task's own full network) or `random` (an untrained encoder).
        kind: `transfer` (one after another, Taskonomy), `co-training` (side by side, TAG) or `dependence` (what a
            short run on the source's data changes). Kinds say different things and may be negatively related: they
            are never mixed in one solve.
        estimator: what measured it.
        unit: of the values, such as `share of loss per step`.
        readings: (R, K, A, S), or fewer axes: (K, A, S) is one repeat, (A, S) one moment of one repeat. NaN where a
            pair was not measured.
        higher_is_better: whether larger values mean more help; losses of pairs are the other way.
        shared: the names of the parameters that counted as shared.
        steps: the training step of each moment, (K,); empty where there is one moment that has none.
        about: what else says how it was measured, plain data.

    Raises:
        ConfigError: an unknown kind.
        DataError: names twice, or readings whose shape is not that of the axes.

    Example:
        >>> found = Affinity(("a", "b"), ("a", "b"), "co-training", "lookahead", "1 - L'/L", [[[0.2, 0.1], [0.0, 0.3]]])
        >>> found["a", "b"]
        0.1
        >>> found.values.shape, found.repeats
        ((2, 2), 1)

    Reference: the two kinds are those of Zamir et al. 2018 (Taskonomy, 1804.08328) and Fifty et al. 2021 (TAG,
    2109.04617).
    """

    affected: tuple[str, ...]
    sources: tuple[str, ...]
    kind: Kind
    estimator: str
    unit: str
    readings: Array
    higher_is_better: bool = True
    shared: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from pathways.notebook import affinity_html

        return affinity_html(self)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"`kind` must be one of {KINDS}, found {self.kind!r}.")
        for name in ("affected", "sources", "shared"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        for name in ("affected", "sources"):
            names = getattr(self, name)
            if len(set(names)) < len(names):
                twice = next(n for n in names if names.count(n) > 1)
                raise DataError(f"`{name}` must name each task once, found {twice!r} twice: drop one.")
        readings = np.array(self.readings, dtype=np.float64)
        readings = readings.reshape((1,) * max(0, 4 - readings.ndim) + readings.shape)
        if readings.ndim != 4 or readings.shape[2:] != (len(self.affected), len(self.sources)):
            raise DataError(
                f"`readings` must have the shape (repeats, moments, {len(self.affected)} affected, "
                f"{len(self.sources)} sources), found {readings.shape}."
            )
        steps = tuple(map(int, self.steps))
        if steps and len(steps) != readings.shape[1]:
            raise DataError(f"`steps` must name each of {readings.shape[1]} moments, found {len(steps)}.")
        readings.flags.writeable = False
        object.__setattr__(self, "readings", readings)
        object.__setattr__(self, "steps", steps)

    # -- what it says -----------------------------------------------------------------------------------------

    @property
    def repeats(self) -> int:
        """How many independent repeats there are."""
        return int(self.readings.shape[0])

    @property
    def by_repeat(self) -> Array:
        """(R, A, S): each repeat's mean over its moments; NaN where a pair was measured at none."""
        return _mean(self.readings, 1)

    @property
    def values(self) -> Array:
        """(A, S): the mean over repeats of each one's mean over its moments."""
        return _mean(self.by_repeat, 0)

    @property
    def standard_error(self) -> Array:
        """(A, S): of `values`, from the spread of the repeats; NaN with fewer than two. Moments of one run depend on
        each other, so they are not counted as repeats.
        """
        each = self.by_repeat
        n = np.isfinite(each).sum(axis=0)
        squares = np.nansum((each - self.values) ** 2, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)

    @property
    def course(self) -> Array:
        """(K, A, S): the mean over repeats at each moment."""
        return _mean(self.readings, 0)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of a square matrix.

        Raises:
            DataError: rows and columns are not the same tasks.
        """
        if set(self.affected) != set(self.sources):
            other = sorted(set(self.affected) ^ set(self.sources))
            raise DataError(
                f"the matrix must have the same tasks as rows and columns, found {other} on one side only: "
                f"drop them, in Python with `of(affected, sources)`."
            )
        return self.affected

    def __getitem__(self, pair: tuple[str, str]) -> float:
        """The value for `affected, source`."""
        affected, source = pair
        return float(self.values[self._place("affected", affected), self._place("sources", source)])

    def of(self, affected: Sequence[str], sources: Sequence[str] | None = None) -> Affinity:
        """The part with these rows and columns, in this order; `sources` are the same tasks when not given."""
        columns = affected if sources is None else sources
        rows = [self._place("affected", name) for name in affected]
        places = [self._place("sources", name) for name in columns]
        readings = self.readings[:, :, rows][:, :, :, places]
        return replace(self, affected=tuple(affected), sources=tuple(columns), readings=readings)

    def square(self) -> Affinity:
        """The same with columns in the order of the rows."""
        return self.of(self.tasks)

    def _place(self, axis: str, name: str) -> int:
        names = getattr(self, axis)
        if name not in names:
            raise DataError(f"`{axis}` must hold {name!r}, found {list(names)}.")
        return int(names.index(name))


def pooled(parts: Sequence[Affinity]) -> Affinity:
    """One matrix of several repeats: those of all parts, which measured the same in the same way.

    Raises:
        DataError: they differ in tasks, kind, estimator, unit or steps; the message names what.
    """
    if not parts:
        raise DataError("`parts` must hold at least one matrix, found none.")
    first = parts[0]
    for part in parts[1:]:
        for name in ("affected", "sources", "kind", "estimator", "unit", "higher_is_better", "steps"):
            if getattr(part, name) != getattr(first, name):
                raise DataError(
                    f"matrices of one pool must have the same `{name}`, found {getattr(first, name)!r} and "
                    f"{getattr(part, name)!r}."
                )
    return replace(first, readings=np.concatenate([part.readings for part in parts]))


def require_kind(affinity: Affinity, kind: Kind, what: str) -> None:
    """Raise a `ConfigError` where a matrix is of another kind than `what` is defined for."""
    if affinity.kind != kind:
        raise ConfigError(
            f"{what} needs a matrix of kind {kind!r}, found {affinity.kind!r} from `{affinity.estimator}`: kinds are "
            f"different quantities and are never mixed in one solve; measure the other kind."
        )


def _mean(values: Array, axis: int) -> Array:
    """The mean over what is measured along an axis; NaN where nothing is."""
    n = np.isfinite(values).sum(axis=axis)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, total / n, np.nan)


__all__ = ["KINDS", "Affinity", "Kind", "pooled", "require_kind"]

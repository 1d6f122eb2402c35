"""Which tasks of a stream need each other's results, by affinity, and which may therefore be learned at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pathways.errors import ConfigError

from .matrix import Affinity

Array = NDArray[np.float64]


def needs_of(affinity: Affinity, best: int = 1, level: float = 0.05) -> dict[str, tuple[str, ...]]:
    """For each task the earlier ones whose results it needs: its best sources, where they stand out from noise.

        x_o(j, i)   the affinity of task j to source i in observation o of n: in each repeat; where there is one repeat,
                    in each block of ⌈K^(1/3)⌉ of its K moments, since moments of one training depend on each other
        c_o(j, i) = x_o(j, i) − median of x_o(j, k) over the other sources k; over none it is 0
        j needs i   where i comes before j,
                    i is among the `best` sources k of j by the mean of x(j, k) over o, ties to the earlier task,
                    and mean c(j, i) > t(1 − level, n − 1) · s / √n, with s the deviation of c(j, i) over o

    Sources are compared with each other, not with 0: that all of them help alike is no reason to wait for one, and the
    sign of a raw affinity has no meaning by itself. Noise makes a task wait for a source with probability `level`
    where its contrast is normal around 0; which costs time, no quality. A pair that was not measured is no need.

    Args:
        affinity: of kind transfer or co-training, whose rows and columns are tasks, in the order of the stream.
        best: how many sources a task may need.
        level: of the test, above 0 and below 1.

    Raises:
        ConfigError: an affinity of kind dependence, fewer than two observations, so that noise is not known, or a
            setting out of range.
        DataError: rows and columns differ.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 0.01, (3, 4, 4))
        >>> blocks = np.kron(np.eye(2), np.ones((2, 2)))                 # tasks a and b help each other, c and d too
        >>> needs_of(Affinity("abcd", "abcd", "transfer", "logme", "", (blocks + noise)[:, None]))
        {'a': (), 'b': ('a',), 'c': (), 'd': ('c',)}

    Reference: Student 1908 for the test; contrasts with a row's median are those of Tukey 1977, "Exploratory data
    analysis".
    """
    if affinity.kind == "dependence":
        raise ConfigError(
            f"needs of results must come from a matrix of kind 'transfer' or 'co-training', found 'dependence' from "
            f"`{affinity.estimator}`: it says what a source's data changes, not whether its path helps; measure one."
        )
    if type(best) is not int or best < 1:
        raise ConfigError(f"`best` must be a whole number of at least 1, found {best!r}.")
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
        raise ConfigError(f"`level` must be above 0 and below 1, found {level!r}.")
    seen = _observations(affinity.square())
    n, tasks = len(seen), affinity.tasks
    contrast = _contrasts(seen)
    quantile = float(stats.t.ppf(1 - level, n - 1))
    needs: dict[str, tuple[str, ...]] = {}
    for j, task in enumerate(tasks):
        mean = seen[:, j].mean(axis=0)  # a pair that lacks an observation is not known
        known = [i for i in range(len(tasks)) if i != j and np.isfinite(mean[i])]
        chosen = sorted(known, key=lambda i: (-mean[i], i))[:best]
        error = contrast[:, j].std(axis=0, ddof=1) / n**0.5
        above = contrast[:, j].mean(axis=0) > quantile * error
        needs[task] = tuple(tasks[i] for i in sorted(chosen) if i < j and above[i])
    return needs


def waves_of(needs: Mapping[str, Sequence[str]], most: int) -> tuple[tuple[str, ...], ...]:
    """The tasks in waves: each as early as what it needs allows, in the order given, at most `most` in one.

    A wave takes, of the tasks that are left, the first `most` all of whose needs are in earlier waves: where `most`
    does not bind, waves are the levels of the graph.

    Args:
        needs: by task, in the order of the stream, the tasks it needs; each stands before it.
        most: tasks of a wave.

    Raises:
        ConfigError: `most` is not a whole number of at least 1, or a task needs one that does not stand before it.

    Example:
        >>> waves_of({"a": (), "b": ("a",), "c": (), "d": ("c",)}, most=8)
        (('a', 'c'), ('b', 'd'))
        >>> waves_of({"a": (), "b": (), "c": (), "d": ("b",)}, most=2)
        (('a', 'b'), ('c', 'd'))
    """
    if type(most) is not int or most < 1:
        raise ConfigError(f"`most` must be a whole number of at least 1, found {most!r}.")
    names = list(needs)
    for at, (task, needed) in enumerate(needs.items()):
        if late := [name for name in needed if name not in names[:at]]:
            raise ConfigError(f"`needs` of task {task!r} must stand before it, found {late[0]!r}: order the tasks so.")
    waves: list[tuple[str, ...]] = []
    done: set[str] = set()
    while left := [name for name in names if name not in done]:
        waves.append(tuple([name for name in left if done.issuperset(needs[name])][:most]))
        done.update(waves[-1])
    return tuple(waves)


def require_noise(repeats: int, moments: int) -> None:
    """Raise a `ConfigError` where so many repeats and moments of each do not tell what is noise.

    >>> require_noise(1, 9)
    """
    if repeats == 1 and moments // _block(moments) < 2:
        raise ConfigError(
            f"noise is told by at least two repeats, or by two blocks of one repeat's moments, found one repeat with "
            f"{moments}: measure with more `seeds`, or more often."
        )


def _block(moments: int) -> int:
    return int(np.ceil(round(moments ** (1 / 3), 9)))


def _observations(affinity: Affinity) -> Array:
    """(n, T, T): what is independent enough to tell noise by, more being better."""
    repeats, moments = affinity.readings.shape[:2]
    require_noise(repeats, moments)
    seen = affinity.by_repeat
    if repeats == 1:
        length = _block(moments)
        blocks = [affinity.readings[0, at : at + length] for at in range(0, moments - length + 1, length)]
        seen = np.stack([block.mean(axis=0) for block in blocks])
    return seen if affinity.higher_is_better else -seen


def _contrasts(seen: Array) -> Array:
    """(n, T, T): each source's lead over the median of the others; NaN where it was not measured."""
    lead = np.full_like(seen, np.nan)
    for o, j, i in np.ndindex(*seen.shape):
        if i != j:
            others = [k for k in range(seen.shape[2]) if k not in (i, j) and np.isfinite(seen[o, j, k])]
            lead[o, j, i] = seen[o, j, i] - (np.median(seen[o, j, others]) if others else 0.0)
    return lead


__all__ = ["needs_of", "require_noise", "waves_of"]

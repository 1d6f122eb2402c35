"""One row of a benchmark: two sides measured in turns, their ratio with its interval, and the floor."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from scipy.stats import binom

PAIRS = 5
"""The fewest pairs a ratio is the median of."""


def versions() -> dict[str, str]:
    """What the figures of a row depend on: Python, torch, processor, cores in use."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(), "gpu": name,
    }


@dataclass(frozen=True)
class Row:
    """What a benchmark found; more is better in `ours`, `theirs` and `ratio`.

    Args:
        name: the benchmark's.
        ours, theirs: the medians of both sides, in `unit`.
        ratio, ratio_low, ratio_high: the median of ours / theirs over pairs that were measured in turns, and the
            interval that holds it with 95 % confidence (with 5 pairs: all of them, 94 %).
        goal: what `ratio` is to reach.
        floor: the ratio at which the machine itself would be the limit; `None` where it was not worked out.
        share_of_floor: `ratio / floor`.
        unit: of `ours` and `theirs`, a rate: `candidates/s`.
        note: what of the row should be known beside its numbers; why it was not run.
        versions: of what it was measured with.
    """

    name: str
    ours: float | None
    theirs: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    goal: float | None
    floor: float | None
    share_of_floor: float | None
    unit: str
    note: str = ""
    versions: dict[str, str] = field(default_factory=versions)

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)

    @property
    def reached(self) -> bool | None:
        """Whether the ratio reaches its goal; `None` where either is missing."""
        return None if self.ratio is None or self.goal is None else self.ratio >= self.goal


def not_run(name: str, unit: str, goal: float | None, why: str) -> Row:
    """The row of a benchmark that cannot be run here, and why."""
    return Row(name, None, None, None, None, None, goal, None, None, unit, why)


def compare(
    name: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    unit: str,
    goal: float | None,
    floor: float | None = None,
    pairs: int = PAIRS,
    note: str = "",
) -> Row:
    """Measure two sides in turns and compare them pair by pair.

    Args:
        name: the row's.
        ours: does the work once and returns a rate, of which more is better.
        theirs: the same for the other side.
        unit: of both.
        goal: as in `Row`.
        floor: as in `Row`.
        pairs: how often each side is measured, after one run of each that is not counted.
        note: as in `Row`.

    Example:
        >>> compare("same", lambda: 2.0, lambda: 1.0, unit="1/s", goal=1.5).ratio
        2.0
    """
    ours()
    theirs()
    measured: list[tuple[float, float]] = []
    for pair in range(pairs):
        if pair % 2:  # neither side is always the one that runs on a machine still warm from the other
            right = theirs()
            measured.append((ours(), right))
        else:
            left = ours()
            measured.append((left, theirs()))
    return row_of(name, measured, unit=unit, goal=goal, floor=floor, note=note)


def row_of(
    name: str, measured: Sequence[tuple[float, float]], *, unit: str, goal: float | None, floor: float | None = None,
    note: str = "",
) -> Row:
    """The row of pairs (ours, theirs) that were measured in turns."""
    ratios = sorted(left / right for left, right in measured)
    low, high = median_interval(ratios)
    ratio = median(ratios)
    share = None if floor is None else ratio / floor
    left, right = (median(side) for side in zip(*measured, strict=True))
    return Row(name, left, right, ratio, low, high, goal, floor, share, unit, note)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The order statistics between which the median lies with that confidence; all values where there are few.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    (1.0, 5.0)
    """
    ordered = sorted(values)
    n = len(ordered)
    k = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    while k > 0 and binom.cdf(k - 1, n, 0.5) * 2 > 1 - confidence:
        k -= 1
    k = max(1, k)
    return ordered[k - 1], ordered[n - k]


__all__ = ["Row", "compare", "median_interval", "not_run", "row_of", "versions"]

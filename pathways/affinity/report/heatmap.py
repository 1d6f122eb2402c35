"""The directed heatmap: who helps whom, each row on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pathways.affinity.findings import Findings
from pathways.affinity.matrix import Affinity
from pathways.canvas import styled

from .colours import DIVERGING
from .grid import Scale, grid_figure
from .structure import first_only, standardised

Array = NDArray[np.float64]
LIMIT = 2.5  # standard deviations at which colours end
LONGEST = 40  # columns that are still told apart
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PLACE = Scale(DIVERGING, -LIMIT, LIMIT, "sd from its row's median")


def heatmap(findings: Findings) -> Figure:
    """Affected tasks as rows, sources as columns.

    Colours say where a value stands in its row, since a row's own scale and zero carry no meaning; the numbers in the
    cells are the values themselves. Sources that are no tasks stand last, those of a higher order are left out where
    there is no room.
    """
    affinity = first_only(findings.affinity, LONGEST)
    rows = [task for task in findings.tasks if task in affinity.affected]
    columns = [task for task in findings.tasks if task in affinity.sources]
    columns += [source for source in affinity.sources if source not in columns]
    part = affinity.of(rows, columns)
    with styled():
        return grid_figure(row_places(part), rows, columns, PLACE, value_texts(of_others(part)))


def row_places(affinity: Affinity) -> Array:
    """(A, S): each value's place in its row, larger always more help; NaN where a task meets itself."""
    return standardised((1.0 if affinity.higher_is_better else -1.0) * of_others(affinity))


def of_others(affinity: Affinity) -> Array:
    """(A, S): the values; NaN where a task meets itself, whose size says nothing of help."""
    itself = np.array([[row == column for column in affinity.sources] for row in affinity.affected])
    return np.where(itself, np.nan, affinity.values)


def exponent(values: Array) -> int:
    """The power of ten, a multiple of three, that leaves at most three digits before the point.

    >>> exponent(np.array([0.0123, 0.0004])), exponent(np.array([12.0, np.nan])), exponent(np.zeros(2))
    (-3, 0, 0)
    """
    top = float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))
    if top == 0 or 0.095 <= top < 1000:
        return 0
    return int(3 * np.floor(np.log10(top) / 3))


def times(values: Array) -> str:
    """The power of ten in words, empty for none.

    >>> times(np.array([0.0123])), times(np.array([1.0]))
    ('×10⁻³', '')
    """
    power = exponent(values)
    return f"×10{str(power).translate(_RAISED)}" if power else ""


def value_texts(values: Array) -> Sequence[Sequence[str]]:
    """The cells' numbers in units of `exponent`, with three significant digits of the largest."""
    scaled = values / 10.0 ** exponent(values)
    top = float(np.max(np.abs(scaled), where=np.isfinite(scaled), initial=0.0))
    digits = 0 if top >= 100 else 1 if top >= 10 else 2 if top >= 1 else 3
    return [[f"{cell:.{digits}f}".replace("-", "−") for cell in row] for row in scaled]


__all__ = ["LIMIT", "PLACE", "exponent", "heatmap", "of_others", "row_places", "times", "value_texts"]

"""From per-item losses of transfers to affinities, gain and quality: what Taskonomy does after all training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import DataError

from .ahp import ahp, win_rates
from .matrix import Affinity, require_kind

Array = NDArray[np.float64]
Losses = Mapping[str, Mapping[str, ArrayLike]]
"""By target and source, the loss of each held-out item, (items,), in the same order for all sources of a target."""

JOIN = "|"
SELF, RANDOM, PIXELS = "self", "random", "pixels"


def transfer_from_losses(*repeats: Losses, about: Mapping[str, Any] | None = None) -> Affinity:
    """Affinities of sources to targets from the losses of all their transfers.

    For each target: the tournament of its sources item by item (`win_rates`), clipping, ratios and their principal
    eigenvector (`ahp`). All sources of a target belong in it: first order, higher order (joined by `|`), `self` (its
    own full network) and `random` (an untrained encoder). `pixels`, the network that gain is measured against, is left
    out.

    Args:
        repeats: by target and source, the loss of each held-out item; one mapping for each independent repeat.
        about: what else says how they were measured, plain data.

    Returns:
        A matrix of kind `transfer`. A row sums to 1 over what was measured; what was not is NaN. Rows are not
        comparable with each other.

    Raises:
        DataError: a target without sources, losses of different length, or NaN among them.

    Example:
        >>> losses = {"depth": {"normals": [0.1, 0.2, 0.2], "edges": [0.3, 0.1, 0.4], "random": [0.5, 0.6, 0.7]}}
        >>> found = transfer_from_losses(losses)
        >>> found.sources, round(float(found.values.sum()), 9)
        (('normals', 'edges', 'random'), 1.0)
        >>> found["depth", "normals"] > found["depth", "edges"] > found["depth", "random"]
        True

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.3.
    """
    def affinities(losses: Mapping[str, Array]) -> dict[str, float]:
        taking_part = {source: each for source, each in losses.items() if source != PIXELS}
        values = ahp(win_rates(list(taking_part.values()))).tolist()
        return dict(zip(taking_part, values, strict=True))

    return _matrix(repeats, affinities, "transfer", "share of the target's affinity, ordinal within a row", about)


def quality(*repeats: Losses, against: str = SELF) -> Affinity:
    """How often each transfer does better than the fully supervised network: the share of items won, ties half.

    Args:
        repeats: as in `transfer_from_losses`, with a source `self` for each target.
        against: the source to compare with.

    Raises:
        DataError: a target was not measured with that source.

    Example:
        >>> quality({"depth": {"normals": [0.1, 0.3], "self": [0.2, 0.2]}}).values
        array([[0.5, 0.5]])

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.4.
    """
    def wins(losses: Mapping[str, Array]) -> dict[str, float]:
        if against not in losses:
            raise DataError(f"every target must have losses of {against!r} to be compared with, found {list(losses)}.")
        rival = losses[against]
        return {s: float((each < rival).mean() + (each == rival).mean() / 2) for s, each in losses.items()}

    name = "quality" if against == SELF else "gain" if against == PIXELS else "win rate"
    return _matrix(repeats, wins, name, f"share of items won against {against}", None)


def gain(*repeats: Losses) -> Affinity:
    """How often each transfer does better than a network from the inputs on the same data; see `quality`.

    Args:
        repeats: as in `transfer_from_losses`, with a source `pixels` for each target.

    Example:
        >>> gain({"depth": {"normals": [0.1, 0.1], "pixels": [0.2, 0.2]}})["depth", "normals"]
        1.0

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.4.
    """
    return quality(*repeats, against=PIXELS)


def with_rows(study: Affinity, rows: Affinity) -> Affinity:
    """A transfer study with more targets; what it has stays as it is, to the bit.

    What old targets were not measured with is NaN, and so are repeats that only one of both has.

    Raises:
        DataError: a target stands in both, or they were not measured in the same way.
        ConfigError: one of them is not of kind `transfer`.

    Example:
        >>> one, two = ({t: {"a": [0.1, 0.2], s: [0.2, 0.3]}} for t, s in (("x", "b"), ("y", "c")))
        >>> with_rows(transfer_from_losses(one), transfer_from_losses(two)).sources
        ('a', 'b', 'c')
    """
    for part in (study, rows):
        require_kind(part, "transfer", "adding targets to a study")
    for name in ("estimator", "unit", "higher_is_better", "steps"):
        if getattr(study, name) != getattr(rows, name):
            raise DataError(f"the new rows must have the study's `{name}`, {getattr(study, name)!r}, found "
                            f"{getattr(rows, name)!r}: measure them in the same way.")
    both = set(study.affected) & set(rows.affected)
    if both:
        raise DataError(f"a target must be new to the study, found {sorted(both)} in it: leave it out.")
    sources = tuple(dict.fromkeys((*study.sources, *rows.sources)))
    repeats = max(study.repeats, rows.repeats)
    shape = (repeats, study.readings.shape[1], len(study.affected) + len(rows.affected), len(sources))
    readings = np.full(shape, np.nan)
    start = 0
    for part in (study, rows):
        columns = [sources.index(source) for source in part.sources]
        readings[: part.repeats, :, start : start + len(part.affected), columns] = part.readings
        start += len(part.affected)
    return replace(study, affected=(*study.affected, *rows.affected), sources=sources, readings=readings)


def _matrix(
    repeats: Sequence[Losses], values: Callable[[Mapping[str, Array]], dict[str, float]], estimator: str, unit: str,
    about: Mapping[str, Any] | None,
) -> Affinity:
    """The matrix of what `values` makes of each target's losses."""
    if not repeats or not repeats[0]:
        raise DataError("`repeats` must hold the losses of at least one target, found none.")
    found = [{t: values(_checked(t, losses)) for t, losses in repeat.items()} for repeat in repeats]
    targets = tuple(dict.fromkeys(target for repeat in found for target in repeat))
    named = dict.fromkeys(source for repeat in found for row in repeat.values() for source in row)
    last = [s for s in (RANDOM, SELF, PIXELS) if s in named]
    sources = (*(s for s in named if s not in last), *last)
    readings = [[[repeat.get(t, {}).get(s, np.nan) for s in sources] for t in targets] for repeat in found]
    return Affinity(
        targets, sources, "transfer", estimator, unit, np.array(readings)[:, None], about=dict(about or {})
    )


def _checked(target: str, losses: Mapping[str, ArrayLike]) -> dict[str, Array]:
    found = {source: np.asarray(each, dtype=np.float64) for source, each in losses.items()}
    shapes = {each.shape for each in found.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or (0,) in shapes:
        shown = {source: each.shape for source, each in found.items()}
        raise DataError(f"target {target!r} must have one loss an item, (items,), from each source, found {shown}.")
    for source, each in found.items():
        if np.isnan(each).any():
            raise DataError(f"losses of target {target!r} from {source!r} must be numbers, found NaN: leave it out.")
    return found


__all__ = ["Losses", "gain", "quality", "transfer_from_losses", "with_rows"]

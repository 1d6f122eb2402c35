"""Spikes as ids of units and of time bins, for the family `events`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pathways.modules import Masked

from .text import padded, refused


def spike_events(
    samples: Sequence[Sequence[tuple[float, int]]], *, units: int, bins: int, width: float
) -> tuple[Masked, Masked]:
    """The units and the time bins of spikes, in order of time, spikes of one bin in order of unit.

    Args:
        samples: for each, the spikes of one window: seconds from its beginning, and the unit.
        units: how many there are.
        bins: of a window.
        width: seconds of a bin.

    Raises:
        DataError: a window without a spike, a spike outside it or of another unit; sample and field are named.

    >>> ids, times = spike_events([[(0.031, 4), (0.002, 1)]], units=5, bins=4, width=0.01)
    >>> ids.value.tolist(), times.value.tolist()
    ([[1, 4]], [[0, 3]])
    """
    ids: list[list[int]] = []
    times: list[list[int]] = []
    for sample, spikes in enumerate(samples):
        if not spikes:
            raise refused(sample, "spikes", "must hold at least one spike: leave the window out")
        events = []
        for time, unit in spikes:
            place = math.floor(time / width) if math.isfinite(time) else -1
            if not 0 <= place < bins:
                raise refused(sample, "time", f"must be from 0 to {bins * width:g} s, found {time}")
            if type(unit) is not int or not 0 <= unit < units:
                raise refused(sample, "unit", f"must be a whole number from 0 to {units - 1}, found {unit!r}")
            events.append((place, unit))
        events.sort()
        times.append([place for place, _ in events])
        ids.append([unit for _, unit in events])
    return padded(ids), padded(times)


__all__ = ["spike_events"]

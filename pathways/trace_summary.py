"""Where the time of a run went, in numbers: from its trace to plain data, and to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .text import bytes_text
from .trace import COMMIT, TRANSFER, WAIT, WORK
from .trace_read import Recorded

IDLE = "idle"


def where_time_went(record: Recorded) -> dict[str, Any]:
    """The sums of a trace.

    A worker counts from the first that is known of it in a session to the session's end. What it did not work then, and
    nothing travelled to it, it was idle: it waited for the rest of a generation, or for the driver. Shares are
    of all workers' seconds. What a candidate costs beside its own work is what travels for it and its commit.

    Args:
        record: as `pathways.trace_read.read_trace` gives it.

    Returns:
        `sessions`, `seconds` (of the driver's clock while anything ran), `candidates`; `kinds`: by kind of work its
        `seconds` and `share`; `driver`: seconds by what it did; `workers`: for each `{worker, seconds, work, idle,
        utilisation, candidates}`; `per_candidate`: `{work, overhead, moved}` in seconds and bytes (null where nothing
        was tried); `wait`: seconds that dispatches stood in the queue, added up; `slowest`: candidates.
    """
    ends: dict[str, tuple[float, float]] = {}
    for lane in record.lanes:
        began, ended = lane.extent
        if ended:
            low, high = ends.get(lane.session, (began, ended))
            ends[lane.session] = (min(low, began), max(high, ended))
    by_worker: dict[str, dict[str, Any]] = {}
    kinds = dict.fromkeys((*WORK, TRANSFER, IDLE), 0.0)
    for lane in record.workers:
        own = {what: lane.spent(what) for what in lane.pieces if what != WAIT}
        there = ends[lane.session][1] - lane.extent[0] if own else 0.0
        idle = max(0.0, there - sum(own.values()))
        for what, seconds in (*own.items(), (IDLE, idle)):
            kinds[what] = kinds.get(what, 0.0) + seconds
        row = by_worker.setdefault(lane.worker, {"seconds": 0.0, "work": 0.0, "idle": 0.0, "candidates": 0})
        work = sum(own.values()) - own.get(TRANSFER, 0.0)
        for key, value in (("seconds", there), ("work", work), ("idle", idle), ("candidates", lane.candidates)):
            row[key] += value
    driver: dict[str, float] = {}
    for lane in record.drivers:
        for what in lane.pieces:
            if what != WAIT:
                driver[what] = driver.get(what, 0.0) + lane.spent(what)
    total, candidates = sum(kinds.values()), sum(lane.candidates for lane in record.workers)
    work = sum(seconds for what, seconds in kinds.items() if what not in (TRANSFER, IDLE))
    moved = sum(lane.moved for lane in record.workers)
    return {
        "sessions": len(ends),
        "seconds": sum(ended - began for began, ended in ends.values()),
        "candidates": candidates,
        "kinds": {what: {"seconds": s, "share": s / total if total else 0.0} for what, s in kinds.items()},
        "driver": driver,
        "workers": [
            {"worker": name, **row, "utilisation": row["work"] / row["seconds"] if row["seconds"] else 0.0}
            for name, row in by_worker.items()
        ],
        "per_candidate": None if not candidates else {
            "work": work / candidates,
            "overhead": (kinds[TRANSFER] + driver.get(COMMIT, 0.0)) / candidates,
            "moved": moved / candidates,
        },
        "wait": sum(lane.spent(WAIT) for lane in record.lanes),
        "slowest": [vars(slow) for slow in record.slowest],
    }


def meaning(summary: Mapping[str, Any]) -> str:
    """What the numbers say, in one sentence.

    >>> kinds = {"train": {"share": 0.7}, "idle": {"share": 0.2}, "transfer": {"share": 0.1}}
    >>> meaning({"kinds": kinds, "workers": [1, 2], "per_candidate": {"work": 1.0, "overhead": 0.004}})
    'Workers worked 70 % of their time; most of the rest they were idle, waiting for the slowest of a generation or for the driver: fewer workers, or more candidates a generation, would use them better.'
    """  # noqa: E501
    if not summary["per_candidate"]:
        return "No candidate was trained."
    kinds, each = summary["kinds"], summary["per_candidate"]
    idle, transfer = kinds[IDLE]["share"], kinds[TRANSFER]["share"]
    worked = f"Workers worked {100 * (1 - idle - transfer):.0f} % of their time"
    if idle + transfer <= 0.1:
        beside = each["overhead"] / each["work"] if each["work"] else 0.0
        return f"{worked}, and a candidate cost {100 * beside:.1f} % beside its own work: more workers would pay."
    if transfer > idle:
        return f"{worked}; most of the rest went into transfers: larger dispatches or stacks would spread that."
    if len(summary["workers"]) == 1:
        return f"{worked}; the rest is the driver's: it asks, commits, freezes and measures while nothing trains."
    return (
        f"{worked}; most of the rest they were idle, waiting for the slowest of a generation or for the driver: "
        f"fewer workers, or more candidates a generation, would use them better."
    )


def trace_text(summary: Mapping[str, Any]) -> str:
    """The numbers as a few lines of text."""
    each, lines = summary["per_candidate"], [meaning(summary), ""]
    lines += [f"{what:10}{one['seconds']:12.2f} s{100 * one['share']:8.1f} %"
              for what, one in summary["kinds"].items()]
    lines += ["", "worker            seconds    work    idle  utilisation  candidates"]
    lines += [f"{w['worker'][:16]:16}{w['seconds']:9.1f}{w['work']:8.1f}{w['idle']:8.1f}"
              f"{100 * w['utilisation']:11.1f} %{w['candidates']:12,}" for w in summary["workers"]]
    if each:
        lines += ["", f"a candidate: {duration(each['work'])} of work, {duration(each['overhead'])} beside it, "
                      f"{bytes_text(each['moved'])} moved"]
    lines += [f"driver: {what} {duration(seconds)}" for what, seconds in summary["driver"].items()]
    lines += ["", "slowest"] if summary["slowest"] else []
    lines += [f"{duration(s['seconds']):>10}  {s['name']}  {s['task']}  on {s['worker']}" for s in summary["slowest"]]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A duration from microseconds on.

    >>> [duration(s) for s in (0.0000412, 0.0123, 0.999999, 75)]
    ['41 µs', '12.3 ms', '1.0 s', '75.0 s']
    """
    if seconds < 0.9995e-3:
        return f"{1e6 * seconds:.0f} µs"
    return f"{1e3 * seconds:.1f} ms" if seconds < 0.99995 else f"{seconds:.1f} s"


__all__ = ["duration", "meaning", "trace_text", "where_time_went"]

"""A trace read back: what each worker and each driver did, as plain data."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from .errors import PathwaysError
from .files import write_atomically
from .trace import DRIVER, WAIT

SLOWEST = 5


@dataclass(frozen=True)
class Piece:
    """Time that one kind of work took on a lane, in seconds; shorter than its extent where it stands for many.

    Args:
        began, ended: its extent, in seconds since 1970.
        seconds: how much of that.
    """

    began: float
    ended: float
    seconds: float


@dataclass
class Lane:
    """What one worker, or the driver, did in one session.

    Args:
        worker: its name, `driver` for a driver.
        session: which driver it worked for.
        pieces: by kind of work.
        candidates: how many it tried.
        moved: bytes that travelled for them.
    """

    worker: str
    session: str
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    candidates: int = 0
    moved: int = 0

    def spent(self, what: str) -> float:
        """The seconds of one kind of work."""
        return sum(piece.seconds for piece in self.pieces.get(what, ()))

    @property
    def extent(self) -> tuple[float, float]:
        """From when to when anything of it is known; waits, which are the queue's, left out."""
        some = [piece for what, pieces in self.pieces.items() if what != WAIT for piece in pieces]
        return min((p.began for p in some), default=0.0), max((p.ended for p in some), default=0.0)


@dataclass(frozen=True)
class Slow:
    """A candidate that took long: seconds, what it is, its task and who trained it; of a stack, its share."""

    seconds: float
    name: str
    task: str
    worker: str


@dataclass
class Recorded:
    """All that a trace says.

    Args:
        lanes: of workers and drivers, in the order in which they were first seen.
        slowest: of all candidates the slowest, the slowest first.
    """

    lanes: list[Lane] = field(default_factory=list)
    slowest: list[Slow] = field(default_factory=list)

    @property
    def workers(self) -> list[Lane]:
        """The lanes of workers."""
        return [lane for lane in self.lanes if lane.worker != DRIVER]

    @property
    def drivers(self) -> list[Lane]:
        """The lanes of drivers."""
        return [lane for lane in self.lanes if lane.worker == DRIVER]


def trace_file(run: FilePath) -> FilePath:
    """Where the trace of a run lies."""
    return run / "trace.json"


def events(file: FilePath) -> Iterator[dict[str, Any]]:
    """The whole events of a trace file; what a killed process left half written is passed over."""
    with open(file, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("{"):
                try:
                    yield json.loads(line.rstrip().removesuffix("]").rstrip().removesuffix(","))
                except ValueError:
                    continue


def read_trace(run: FilePath) -> Recorded:
    """What the trace of a run says.

    Raises:
        PathwaysError: there is none.
    """
    file = trace_file(run)
    if not file.is_file():
        raise PathwaysError(
            f"{file} must be there, found no such file: a run writes it unless `engine.trace` is false."
        )
    found, lanes, begun, heap = Recorded(), dict[tuple[int, int], Lane](), dict[tuple[str, str], int](), list[Any]()
    for number, event in enumerate(events(file)):
        phase, args = event["ph"], event.get("args", {})
        if phase == "M":
            if event["name"] == "thread_name":
                lane = lanes[event["pid"], event["tid"]] = Lane(args["name"], args["session"])
                found.lanes.append(lane)
            continue
        lane = lanes[event["pid"], event["tid"]]
        began, kind = event["ts"] / 1e6, event["cat"]
        if phase == "b":
            begun[kind, event["id"]] = event["ts"]
        elif phase == "e":
            start = begun.pop((kind, event["id"]), event["ts"]) / 1e6
            lane.pieces.setdefault(kind, []).append(Piece(start, began, began - start))
        elif kind == "total":
            for what, seconds in args["seconds"].items():
                lane.pieces.setdefault(what, []).append(Piece(began, began + event["dur"] / 1e6, seconds))
            lane.candidates += args["candidates"]
            lane.moved += args["moved"]
        elif kind == "candidate":
            count, seconds = args.get("candidates", 1), event["dur"] / 1e6
            lane.candidates += count
            lane.moved += args.get("moved", 0)
            # The number tells equals apart, so that nothing else of them is compared.
            if count:
                heapq.heappush(heap, (seconds / count, -number, event["name"], args.get("task", ""), lane.worker))
            if len(heap) > SLOWEST:
                heapq.heappop(heap)
        else:
            seconds = event["dur"] / 1e6
            lane.pieces.setdefault(event["name"], []).append(Piece(began, began + seconds, seconds))
    found.slowest = [Slow(seconds, name, task, worker) for seconds, _, name, task, worker in sorted(heap, reverse=True)]
    return found


def closed_copy(run: FilePath, out: FilePath) -> FilePath:
    """Write a run's trace as one whole JSON array, for readers that want the closing bracket.

    Raises:
        PathwaysError: there is no trace.
    """
    file = trace_file(run)
    if not file.is_file():
        read_trace(run)  # says so
    with open(out, "w", encoding="utf-8") as copy:
        between = "[\n"
        for event in events(file):
            copy.write(between + json.dumps(event, separators=(",", ":"), ensure_ascii=False))
            between = ",\n"
        copy.write("\n]\n" if between != "[\n" else "[]\n")
    return out


def forget_task(run: FilePath, task: str) -> None:
    """Strike out of a run's trace what its events say of a task; their times, which say nothing of it, stay."""
    file = trace_file(run)
    if not file.is_file():
        return
    kept = []
    for event in events(file):
        args = event.get("args", {})
        if f"+{task}+" in f"+{args.get('task', '')}+":
            counted = {key: args[key] for key in ("candidates", "moved") if key in args}
            event = {**event, "name": "forgotten", "args": counted}
        kept.append(json.dumps(event, separators=(",", ":"), ensure_ascii=False))
    write_atomically(file, ("[\n" + ",\n".join(kept)).encode() if kept else b"", durable=False)


__all__ = ["Lane", "Piece", "Recorded", "Slow", "closed_copy", "events", "forget_task", "read_trace", "trace_file"]

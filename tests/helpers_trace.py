"""What the Trace Event Format asks of a trace, checked strictly, and answers to make traces from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from helpers_tiny import TRAINING, chain, head

from pathways.candidate import Candidate, Measures, Result
from pathways.engine import Answer, Dispatch
from pathways.modules import Vector
from pathways.trace import Journey, Span

FIELDS = {
    "X": {"name", "cat", "ph", "ts", "dur", "pid", "tid"},
    "b": {"name", "cat", "ph", "id", "ts", "pid", "tid"},
    "e": {"name", "cat", "ph", "id", "ts", "pid", "tid"},
    "M": {"name", "ph", "ts", "pid", "tid", "args"},
}
METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}


def checked(text: str) -> list[dict[str, Any]]:
    """The events of a trace; an `AssertionError` where the format does not allow them."""
    found = json.loads(text if text.rstrip().endswith("]") else text + "]")
    assert isinstance(found, list)
    threads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    open_pairs: dict[tuple[str, str], int] = {}
    named, used = set(), set()
    for event in found:
        assert FIELDS[event["ph"]] <= set(event) <= FIELDS[event["ph"]] | {"args"}, event
        assert all(type(event[key]) is int and event[key] >= 0 for key in ("ts", "pid", "tid")), event
        assert all(event[key] < 2**31 for key in ("pid", "tid")), event
        thread = (event["pid"], event["tid"])
        if event["ph"] == "M":
            assert METADATA[event["name"]] in event["args"], event
            named |= {thread} if event["name"] == "thread_name" else set()
            continue
        used.add(thread)
        if event["ph"] == "X":
            assert type(event["dur"]) is int, event
            assert event["dur"] >= 0, event
            threads.setdefault(thread, []).append((event["ts"], event["dur"]))
        elif event["ph"] == "b":
            assert (event["cat"], event["id"]) not in open_pairs, event
            open_pairs[event["cat"], event["id"]] = event["ts"]
        else:
            assert open_pairs.pop((event["cat"], event["id"])) <= event["ts"], event
    assert not open_pairs
    assert used <= named
    for events in threads.values():
        nested(events)
    return found


def nested(events: Sequence[tuple[int, int]]) -> None:
    """Assert that what happens on one thread nests: each event ends before the one that it began in."""
    inside: list[int] = []
    for ts, dur in sorted(events, key=lambda event: (event[0], -event[1])):
        while inside and inside[-1] <= ts:
            inside.pop()
        assert not inside or ts + dur <= inside[-1], f"{ts} + {dur} leaves the event that ends at {inside[-1]}"
        inside.append(ts + dur)


def candidates(count: int, generation: int = 0) -> list[Candidate]:
    """Distinct candidates."""
    paths = {"one": chain({"x": Vector(6)}, head())}
    labels = {"generation": generation}
    return [Candidate(paths, TRAINING, {"one": "data"}, repeat=i, order=generation, labels=labels)
            for i in range(count)]


def answer(
    id: int, some: Sequence[Candidate], began: float, seconds: float = 1.0, worker: str = "n1/0", moved: int = 1000,
    stacked: bool = False, failure: str = "",
) -> Answer:
    """An answer of a worker that spent `seconds` on each candidate, or on the stack, from `began` on."""
    own, at = [], began
    for candidate in some[:1] if stacked else some:
        for what, share in (("load", 0.1), ("train", 0.7), ("evaluate", 0.1), ("store", 0.1)):
            own.append(Span(what, "", at, share * seconds, "" if stacked else candidate.hash))
            at += share * seconds
    journey = Journey(began - 3, began - 1, began - 0.5, at + 0.25, at + 0.5)
    results = tuple(
        Result(c.hash, failure, {} if failure else {"one": Measures(0.5, 0.5, 1.0, 0.5, 18)}, seconds=seconds)
        for c in some
    )
    return Answer(Dispatch(id, tuple(some), stacked), results, journey.spans(worker, own, 0.0), moved)


def events_of(file: FilePath) -> list[dict[str, Any]]:
    """The checked events of a file."""
    return checked(file.read_text())

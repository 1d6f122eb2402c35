"""The trace of a run: a file that `chrome://tracing` and Perfetto open, written as the run goes.

It is in the JSON Array Format of the Trace Event Format: one event a line, times in microseconds since 1970, and no
closing bracket, which the format leaves out on purpose so that a program that is killed leaves a file that opens.

- A *process* is a node, a *thread* is a worker of it; the driver is a process of its own. Each driver, so each
  `resume` too, has threads of its own.
- What a worker does is a *complete event* (`ph: X`) for each candidate or stack, whose `args` tell what it is and what
  came of it, and in it one for each kind of work. What a driver does is one too. Events of a thread never overlap.
- Waits and transfers of many dispatches overlap, so they are *async events* (`ph: b` and `e`).

Reference: "Trace Event Format" (Duka, Sinclair et al., 2016),
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import IO, Any

from .candidate import Result
from .engine import Answer
from .trace import COMMIT, DRIVER, TRANSFER, WAIT, Span

_log = logging.getLogger(__name__)

DETAIL_BYTES = 64 << 20
"""How large a file grows in full detail: some 60,000 candidates that train alone, many more in stacks. Viewers open it
in seconds. After that each worker has one event, with totals, for a period that grows with the run's age."""
_BUFFER = 1 << 16  # bytes: what is held back until the loop has nothing more to wait for
_PERIOD, _GROWTH = 60.0, 0.1  # seconds at first; later this share of the run's age, so events grow as its logarithm
_TAIL = 1 << 20  # bytes: longer than any event
_PATIENCE = 1000  # milliseconds that a lock is waited for: others hold it for a part of one


@dataclass
class _Total:
    """What a worker, or the driver, did in a period, where not each span is written."""

    began: int
    ended: int
    seconds: dict[str, float] = field(default_factory=dict)
    candidates: int = 0
    moved: int = 0


class Trace:
    """Appends what was done to a trace file; any number of drivers may write to one file.

    A file that cannot be written ends the tracing, with a warning, and not the run.

    Args:
        file: where; what is there already stays, a line that a killed process left half written is cut.
        detail_bytes: how large the file grows in full detail, see `DETAIL_BYTES`.
        clock: seconds since 1970.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "trace.json"
        >>> trace = Trace(file)
        >>> trace.driver("commit", began=100.0, seconds=0.002, dispatch=7)
        >>> trace.close()
        >>> [event["ph"] for event in json.loads(file.read_text() + "]")]
        ['M', 'M', 'X']
    """

    def __init__(
        self, file: FilePath, detail_bytes: int = DETAIL_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.file = file
        self._limit, self._clock = detail_bytes, clock
        self._began = self._flushed = self._totalled = clock()
        self._session = f"{_number(f'{socket.gethostname()} {os.getpid()} {self._began}'):x}"
        self._lines: list[str] = []
        self._held = 0
        self._size = file.stat().st_size if file.exists() else 0
        self._threads: dict[str, tuple[int, int]] = {}
        self._free: dict[str, int] = {}  # until when each thread's events reach
        self._totals: dict[str, _Total] = {}
        self._pairs = 0
        self._broken = False

    def add(
        self, answer: Answer, results: Sequence[Result], strategy: str, tasks: Sequence[str],
        committed: tuple[float, float],
    ) -> None:
        """Take what was done for a dispatch.

        Args:
            answer: of an engine.
            results: of its candidates, as they were recorded.
            strategy: who asked for them.
            tasks: what they were tried for.
            committed: when its transaction began, in seconds since 1970, and how long it took.
        """
        id = answer.dispatch.id
        groups: dict[tuple[str, str], list[Span]] = {}
        for span in answer.spans:
            if span.what == WAIT:
                self._apart(span, DRIVER, id)
            elif span.what == TRANSFER:
                self._apart(span, span.worker, id)
            else:
                groups.setdefault((span.worker, span.candidate), []).append(span)
        about = {"task": "+".join(tasks), "strategy": strategy, "dispatch": id}
        of = {candidate.hash: (candidate, result)
              for candidate, result in zip(answer.dispatch.candidates, results, strict=True)}
        moved, seen = answer.moved, set[str]()
        left = len(results) - len(of.keys() & {hash for _, hash in groups})  # those that were trained as a stack
        for (worker, hash), spans in groups.items():
            if hash in of:
                candidate, result = of[hash]
                name, some = f"candidate {hash[:8]}", [result]
                args = {"candidate": hash[:12], **about, "generation": candidate.labels.get("generation")}
                if hash in seen:  # a part of it is trained by each worker of a gang: it counts once
                    args["candidates"], some = 0, []
                seen.add(hash)
            elif not answer.dispatch.stacked:  # what a worker did before it could begin
                self._group(worker, "", spans, {}, 0, 0)
                continue
            else:
                name, some = f"stack of {left}" if left else "stack", list(results)[:left]
                args, left = {"candidates": left, **about}, 0
            self._group(worker, name, spans, {**args, **_outcome(some), "moved": moved or None}, len(some), moved)
            moved = 0  # is said once
        self.driver(COMMIT, *committed, dispatch=id, candidates=len(results))
        if self._held >= _BUFFER or self._clock() - self._flushed >= 1:
            self.flush()

    def driver(self, what: str, began: float, seconds: float, **args: Any) -> None:
        """Take what the driver did: when it began, in seconds since 1970, and how long it took."""
        self._group(DRIVER, what, [Span(what, DRIVER, began, seconds)], args, 0, 0)

    def flush(self) -> None:
        """Write what is held back."""
        self._flushed = now = self._clock()
        if self._totals and now - self._totalled >= max(_PERIOD, _GROWTH * (now - self._began)):
            self._write_totals()
        if self._lines and not self._broken:
            try:
                with _locked(self.file) as file:
                    self._size = _append(file, ",\n".join(self._lines))
            except OSError as error:
                self._broken = True
                _log.warning("%s cannot be written (%s): the run goes on without a trace.", self.file, error)
        self._lines.clear()
        self._held = 0

    def close(self) -> None:
        """Write all that is known; the trace can be used again afterwards."""
        self._write_totals()
        self.flush()

    # -- inside -------------------------------------------------------------------------------------------

    @property
    def _in_detail(self) -> bool:
        return self._size + self._held < self._limit

    def _group(
        self, worker: str, name: str, spans: Sequence[Span], args: Mapping[str, Any], candidates: int, moved: int
    ) -> None:
        """Spans that follow each other on one thread, in one event that tells what they are of where it has a name."""
        pid, tid = self._thread(worker)
        began = min(_micro(span.began) for span in spans)
        # Clocks of two machines are known to a part of a millisecond: a thread's events must not overlap for that.
        late = max(0, self._free.get(worker, 0) - began)
        ended = max(_micro(span.ended) for span in spans) + late
        began += late
        self._free[worker] = ended
        if not self._in_detail:
            total = self._totals.setdefault(worker, _Total(began, ended))
            total.ended = ended
            total.candidates += candidates
            total.moved += moved
            for span in spans:
                total.seconds[span.what] = total.seconds.get(span.what, 0.0) + span.seconds
            return
        kind = "driver" if worker == DRIVER else "candidate"
        if not name:
            self._lines_of(spans, late, pid, tid)
            return
        told = json.dumps({k: v for k, v in args.items() if v is not None}, separators=(",", ":"))
        self._line(
            f'{{"name":{json.dumps(name)},"cat":"{kind}","ph":"X","ts":{began},"dur":{ended - began},'
            f'"pid":{pid},"tid":{tid},"args":{told}}}'
        )
        self._lines_of(spans if worker != DRIVER else (), late, pid, tid)

    def _lines_of(self, spans: Iterable[Span], late: int, pid: int, tid: int) -> None:
        """An event for each span."""
        for span in spans:
            ts, what = _micro(span.began) + late, json.dumps(span.what)
            dur = _micro(span.ended) + late - ts
            self._line(f'{{"name":{what},"cat":"work","ph":"X","ts":{ts},"dur":{dur},"pid":{pid},"tid":{tid}}}')

    def _apart(self, span: Span, where: str, dispatch: int) -> None:
        """A span that may overlap others, as a pair of events."""
        pid, tid = self._thread(where)
        if not self._in_detail:
            total = self._totals.setdefault(where, _Total(_micro(span.began), _micro(span.ended)))
            total.seconds[span.what] = total.seconds.get(span.what, 0.0) + span.seconds
            return
        self._pairs += 1
        id, ts = f'"{tid:x}.{self._pairs}"', _micro(span.began)
        for phase, at in (("b", ts), ("e", _micro(span.ended))):
            self._line(f'{{"name":"{span.what}","cat":"{span.what}","ph":"{phase}","id":{id},"ts":{at},'
                       f'"pid":{pid},"tid":{tid},"args":{{"dispatch":{dispatch}}}}}')

    def _thread(self, worker: str) -> tuple[int, int]:
        """A worker's process and thread; they are named when it is first seen."""
        found = self._threads.get(worker)
        if found is None:
            node, _, number = worker.rpartition("/")
            pid = 1 if worker == DRIVER else 2 + _number(node)
            tid = _number(f"{self._session}/{worker}")
            found = self._threads[worker] = (pid, tid)
            name = {"name": "driver" if worker == DRIVER else node or worker}
            whose = {"name": worker, "session": self._session}
            place = {"sort_index": int(number) if number.isdecimal() else 0}
            about: list[tuple[str, Any]] = [("process_name", name), ("thread_name", whose)]
            about += [("thread_sort_index", place)] if worker != DRIVER else []
            for what, args in about:
                self._line(f'{{"name":"{what}","ph":"M","ts":0,"pid":{pid},"tid":{tid},"args":{json.dumps(args)}}}')
        return found

    def _write_totals(self) -> None:
        self._totalled = self._clock()
        for worker, total in self._totals.items():
            pid, tid = self._thread(worker)
            seconds = {what: round(spent, 6) for what, spent in total.seconds.items()}
            args = {"seconds": seconds, "candidates": total.candidates, "moved": total.moved}
            self._line(
                f'{{"name":"{total.candidates} candidates","cat":"total","ph":"X","ts":{total.began},'
                f'"dur":{max(0, total.ended - total.began)},"pid":{pid},"tid":{tid},"args":{json.dumps(args)}}}'
            )
        self._totals.clear()

    def _line(self, event: str) -> None:
        self._lines.append(event)
        self._held += len(event) + 2


def _outcome(results: Iterable[Result]) -> dict[str, Any]:
    """What came of candidates, for a person who looks at one event."""
    good = [result.quality for result in results if result.ok]
    bad = [result.failure for result in results if result.failure]
    return {"quality": round(max(good), 6) if good else None, "failed": bad[0][:80] if bad else None}


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _number(text: str) -> int:
    """A number for a name, the same in every process, which viewers take for a process or thread."""
    return zlib.crc32(text.encode()) & 0x3FFFFFFF


@contextmanager
def _locked(file: FilePath) -> Iterator[IO[bytes]]:
    """The file, open for reading and appending; locked, unless its file system cannot or a lock is never given back.

    Each write is of whole lines at the file's end, so without a lock nothing is lost either: two programs that mend
    one file at the same moment are what it keeps apart.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+b", buffering=0) as opened:
        for _ in range(_PATIENCE):
            try:
                import fcntl

                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            except (ImportError, OSError):
                pass
            break
        yield opened


def _append(file: IO[bytes], lines: str) -> int:
    """Append events in one write, after the last whole one; returns the file's size."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if size and file.read(1) != b"}":
        size = _mended(file, size)
    text = (",\n" if size > 2 else "[\n" if size == 0 else "") + lines
    data = text.encode()
    file.write(data)
    return size + len(data)


def _mended(file: IO[bytes], size: int) -> int:
    """Cut what follows the last whole event: a closing bracket, or half a line; returns the file's size."""
    start = max(0, size - _TAIL)
    file.seek(start)
    tail = file.read(size - start).rstrip().removesuffix(b"]").rstrip().removesuffix(b",")
    line = tail.rpartition(b"\n")[2]
    try:
        json.loads(line)
    except ValueError:
        tail = tail[: len(tail) - len(line)].rstrip().removesuffix(b",")
    if tail.rstrip() == b"[" and start == 0:
        tail = b""
    file.truncate(start + len(tail))
    return start + len(tail)


__all__ = ["DETAIL_BYTES", "Trace"]

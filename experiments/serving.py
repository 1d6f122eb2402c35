"""One task's path as a service: requests in, answers out, as plain functions that know no server.

`GET /healthz` says that it is there, `GET /task` what it reads and gives, `POST /predict` takes
`{"samples": [...], "top": 3}`. What is wrong with a request is status 400 and one sentence, `{"error": "..."}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathways.errors import DataError
from pathways.exported import description
from pathways.manifest import TaskRecord
from pathways.modules import Value
from pathways.modules.ports import batch_size
from pathways.predict import answered
from pathways.ready import Ready
from pathways.system import System

from .answers import answers_of
from .samples_json import joined, samples_of

MOST_BYTES = 64 << 20
"""The largest request that is read."""

MOST_SAMPLES = 4096
"""The most samples of a request."""


@dataclass(frozen=True)
class Reply:
    """What a request is answered with: an HTTP status and plain data, sent as JSON."""

    status: int
    data: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """The data as JSON."""
        return json.dumps(self.data, ensure_ascii=False, allow_nan=False).encode()


@dataclass(frozen=True, eq=False)
class Asked:
    """What a request asks to be computed.

    Args:
        inputs: stored values of its samples, by input.
        top: how many classes to name, best first.
        notes: what a user should know of the samples.
    """

    inputs: Mapping[str, Value]
    top: int = 1
    notes: Sequence[str] = field(default=())

    @property
    def samples(self) -> int:
        """How many there are."""
        return batch_size(next(iter(self.inputs.values())))


class Served:
    """A task's champion in memory, and nothing else of its system.

    Args:
        record: of the task.
        champion: its path, assembled.
    """

    def __init__(self, record: TaskRecord, champion: Ready) -> None:
        self.record, self.champion = record, champion

    @classmethod
    def load(cls, directory: str | Path, task: str, families: Iterable[Any] = ()) -> Served:
        """The champion of a task of a run; the run is closed again, only this path's modules are read.

        Raises:
            PathwaysError: there is no such run or task.
        """
        with System.open(directory, families=list(families)) as system:
            model = system.module(task)
            return cls(system.records[task], Ready(system.records[task], model))

    def routed(self, method: str, path: str, body: bytes = b"") -> Reply | Asked:
        """What to reply, or what to compute first."""
        kinds = {"/healthz": "GET", "/task": "GET", "/predict": "POST"}
        path = path.rstrip("/")
        if path not in kinds:
            return Reply(404, {"error": f"the path must be one of {list(kinds)}, found {path or '/'!r}."})
        if method != kinds[path]:
            return Reply(405, {"error": f"{path} must be asked by {kinds[path]}, found {method}."})
        if path == "/healthz":
            return Reply(200, {"ok": True, "task": self.record.name})
        if path == "/task":
            return Reply(200, self.described())
        try:
            return self.asked(body)
        except DataError as error:
            return Reply(400, {"error": str(error)})

    def asked(self, body: bytes) -> Asked:
        """The samples of the body of a request.

        Raises:
            DataError: it is not what `/predict` takes.
        """
        if len(body) > MOST_BYTES:
            raise DataError(f"a request must have at most {MOST_BYTES:,} bytes, found {len(body):,}: send several.")
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise DataError(f"a request must be JSON, found: {error}.") from None
        samples = data.get("samples") if isinstance(data, dict) else None
        if not isinstance(samples, list) or not set(data) <= {"samples", "top"}:
            raise DataError('a request must be {"samples": [...]}, and may have "top": see /task for what a sample is.')
        if len(samples) > MOST_SAMPLES:
            raise DataError(f"`samples` must be at most {MOST_SAMPLES}, found {len(samples)}: send several requests.")
        top = data.get("top", 1)
        if type(top) is not int or top < 1:
            raise DataError(f"`top` must be a whole number of at least 1, found {top!r}.")
        inputs, notes = samples_of(self.record, samples)
        return Asked(inputs, top, notes)

    def computed(self, many: Sequence[Asked]) -> list[Tensor]:
        """What each of several requests asks for, computed as one batch."""
        outputs = answered(self.record, self.champion, joined(self.record, [asked.inputs for asked in many]))
        return list(outputs.split([asked.samples for asked in many]))

    def replied(self, asked: Asked, outputs: Tensor) -> Reply:
        """The answer to a request."""
        if not bool(outputs.isfinite().all()):
            return Reply(400, {"error": "the samples must give finite numbers, found NaN or infinity: scale them."})
        answers = answers_of(self.record.target, outputs, asked.inputs, asked.top)
        notes = {"notes": list(asked.notes)} if asked.notes else {}
        return Reply(200, {"task": self.record.name, "answers": answers, **notes})

    def described(self) -> dict[str, Any]:
        """What `/task` says: inputs, target, and a sample as `/predict` takes it."""
        said = description(self.record)
        test = self.record.test
        return {
            **said, "metric": self.record.metric, "test": None if test is None or math.isnan(test) else test,
            "sample": self._example(),
        }  # fmt: skip

    def _example(self) -> Any:
        """A sample in the form that is easiest to send."""
        columns, pictures = self.record.columns, self.record.pictures
        shown = {
            name: _row(columns[name]) if name in columns
            else "base64 of an image file" if name in pictures
            else f"nested lists of numbers of shape {list(port.shape)}"
            for name, port in self.record.inputs.items()
        }  # fmt: skip
        return next(iter(shown.values())) if len(shown) == 1 else shown


def _row(columns: Any) -> dict[str, Any]:
    return {
        column.name: column.mean if column.categories is None else next(iter(column.categories), None)
        for column in columns.columns
    }


def reply_to(served: Served, method: str, path: str, body: bytes = b"") -> Reply:
    """The reply to one request, computed by itself."""
    routed = served.routed(method, path, body)
    if isinstance(routed, Reply):
        return routed
    with torch.no_grad():
        [outputs] = served.computed([routed])
    return served.replied(routed, outputs)


__all__ = ["MOST_BYTES", "Asked", "Reply", "Served", "reply_to"]

"""The index of a run's manifests: a log in which each line says in short what one of them holds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from pathways.modules import Families, content_hash

from . import __version__
from .brief import Brief
from .files import write_atomically

FILE = "index.jsonl"
FORMAT = 1
SLACK = 16
"""Lines that later ones replace before the file is written anew, beyond as many as there are tasks."""

Known = dict[str, Brief]


class Index:
    """What was found in manifests, by the SHA-256 of their bytes. Losing or damaging it costs time only.

    Each line begins with the SHA-256 of its rest; a line that is torn or damaged is no line, and a file that other code
    wrote is none. What a line says holds for every manifest of those bytes and for no other, so that it cannot be out
    of date.

    Args:
        directory: the run directory.
        families: what manifests are valid for; an index made with others is not read.
    """

    def __init__(self, directory: FilePath, families: Families) -> None:
        self.file = directory / FILE
        self._head = _line({"format": FORMAT, "code": _code(), "families": _families(families)})
        self._written: set[str] = set()
        self._lines = 0
        self._whole = False  # whether the file can be added to

    def load(self) -> Known:
        """What the index says, by the SHA-256 of a manifest."""
        self._written, self._lines, self._whole = set(), 0, False
        try:
            data = self.file.read_bytes()
        except OSError:
            return {}
        head, *lines = data.splitlines(keepends=True) or [b""]
        if head != self._head:
            return {}
        found = dict(filter(None, map(_said, lines)))
        self._written, self._lines, self._whole = set(found), len(lines), data.endswith(b"\n")
        return found

    def save(self, known: Mapping[str, Brief]) -> None:
        """Write what is new; all of it anew where a task is gone or most lines are old. A failure costs time only.

        Args:
            known: by the SHA-256 of its manifest, in the order learned, each task.
        """
        new = [content for content in known if content not in self._written]
        gone = self._written - known.keys()
        if not new and not gone and self._whole:
            return
        try:
            if self._whole and not gone and self._lines + len(new) <= 2 * len(known) + SLACK:
                self._append([_line({"manifest": content, **known[content].to_json()}) for content in new])
                self._lines += len(new)
            else:
                lines = [_line({"manifest": content, **brief.to_json()}) for content, brief in known.items()]
                write_atomically(self.file, b"".join([self._head, *lines]), durable=False)
                self._lines, self._whole = len(known), True
        except OSError:
            return
        self._written = set(known)

    def _append(self, lines: list[bytes]) -> None:
        handle = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, b"".join(lines))  # at once: another process may add to it at the same time
        finally:
            os.close(handle)


def _line(said: Mapping[str, Any]) -> bytes:
    data = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest().encode() + b" " + data + b"\n"


def _said(line: bytes) -> tuple[str, Brief] | None:
    """The SHA-256 of a manifest, and what the line says of it; `None` where the line is not as it was written."""
    digest, _, data = line.removesuffix(b"\n").partition(b" ")
    if hashlib.sha256(data).hexdigest().encode() != digest:
        return None
    said = json.loads(data.decode("utf-8", "surrogatepass"))
    return said.pop("manifest", ""), Brief.from_json(said)


@cache
def _code() -> str:
    """A hash of the code that decides whether a manifest is valid and what is told of it."""
    files = [FilePath(__file__).with_name(f"{name}.py") for name in ("brief", "fields", "manifest", "path", "records")]
    return hashlib.sha256(b"".join([__version__.encode(), *(file.read_bytes() for file in files)])).hexdigest()


def _families(families: Families) -> str:
    """A hash of what the names of families stand for."""
    extra = sorted([cls.family, cls.__module__, cls.__qualname__, cls.version] for cls in families.extra)
    return content_hash([families.names(), extra])

"""What a user is told of an error: one sentence, an exit status, and where the traceback of an unforeseen one is."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from socket import gaierror
from typing import Any

from pathways.errors import PathwaysError

BAD_INPUT = 2
FAULT = 70
"""The exit status of a fault of this program: `EX_SOFTWARE` of sysexits.h."""
INTERRUPTED = 130
"""The exit status after an interrupt: 128 and the number of the signal, as shells count."""

_NEXT = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENOENT: "check its name",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "one part of the path is a file: check its name",
    errno.EEXIST: "choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit with `ulimit -n`",
    errno.ENFILE: "close other programs",
    errno.EIO: "check the disk",
    errno.EADDRINUSE: "choose another `--port`",
    errno.EADDRNOTAVAIL: "name an address of this machine with `--host`",
    errno.ELOOP: "its links lead in a circle: check them",
}


@dataclass(frozen=True)
class Failure:
    """An error as it is told.

    Args:
        message: one sentence.
        type: the class of the error.
        exit: the exit status.
    """

    message: str
    type: str
    exit: int

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints in place of a result."""
        return {"error": {"message": self.message, "type": self.type, "exit": self.exit}}


def failure(error: BaseException) -> Failure:
    """What is told of an error. The traceback of one that nobody foresaw is written to a file, which is named.

    >>> failure(PathwaysError("`x` must be 1, found 2.")).to_json()
    {'error': {'message': '`x` must be 1, found 2.', 'type': 'PathwaysError', 'exit': 2}}
    >>> failure(IsADirectoryError(21, "Is a directory", "runs")).message
    'runs cannot be read or written (is a directory): name a file.'
    """
    kind = type(error).__name__
    if isinstance(error, PathwaysError):
        return Failure(" ".join(str(error).split()), kind, BAD_INPUT)
    if isinstance(error, MemoryError):
        message = "there is not enough memory: take fewer `--workers`, smaller batches, or a machine with more."
        return Failure(message, kind, BAD_INPUT)
    if isinstance(error, gaierror):
        return Failure(f"no such host ({error.strerror}): check its name.", kind, BAD_INPUT)
    if isinstance(error, OSError) and error.errno is not None and (error.filename or error.errno in _NEXT):
        return Failure(_of_system(error), kind, BAD_INPUT)
    said = " ".join(str(error).split())
    what = f"{kind}: {said}" if said else kind
    message = f"this should not have happened, a fault of pathways itself ({what:.300}): {_where(error)}."
    return Failure(message, kind, FAULT)


def _of_system(error: OSError) -> str:
    # Of two it is the second that was asked for: the first is what was to take its place.
    names = [name for name in (error.filename2, error.filename) if isinstance(name, (str, os.PathLike))]
    name = os.fspath(names[0]) if names else ""
    if os.path.basename(name).startswith(".tmp-"):  # what a file is written as first
        name = os.path.dirname(name)
    reason = (error.strerror or os.strerror(error.errno or 0)).lower()
    hint = _NEXT.get(error.errno or 0, "check it")
    return f"{name} cannot be read or written ({reason}): {hint}." if name else f"{reason}: {hint}."


def _where(error: BaseException) -> str:
    """Where the traceback is, for who reports it."""
    text = f"pathways {' '.join(sys.argv[1:])}\npython {sys.version}\n\n{''.join(traceback.format_exception(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="pathways-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:
        return "`--debug` shows where"
    return f"where is written in {file.name}, and `--debug` shows it; please report it with that file"

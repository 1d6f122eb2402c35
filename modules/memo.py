"""Facts about modules, and the memo that keeps them: to look at paths, nothing has to be built, nor torch imported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .ports import Port, port_from_json, port_to_json
from .spec import content_hash


@dataclass(frozen=True)
class Facts:
    """What a spec costs at given ports.

    Args:
        output: the port of what it returns; `None` for a delta.
        parameters, buffers: its own, without those of its parts, in elements.
        flops: of one sample's forward pass.
        active: of a router, how many modules of a step run for a sample; `None` is all of them.
    """

    output: Port | None
    parameters: int
    buffers: int
    flops: int
    active: int | None = field(default=None, repr=False)


class Memo:
    """Facts that were worked out before, by what they are of.

    They are those of built-in families in this release's code: `code` tells releases apart.

    Args:
        known: what was worked out before, as `to_json` of an earlier memo's `asked` gave it.

    Attributes:
        asked: all facts that were looked up, known before or not.
        new: whether some of them had to be worked out.

    Example:
        >>> memo = Memo()
        >>> memo.facts(["linear", 3], lambda: Facts(None, 12, 0, 24)).parameters, memo.new
        (12, True)
        >>> again = Memo(memo.to_json())
        >>> again.facts(["linear", 3], lambda: 1 / 0).parameters, again.new
        (12, False)
    """

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        self._known = known or {}
        self.asked: dict[str, Facts] = {}
        self.new = False

    def facts(self, key: Any, work_out: Callable[[], Facts]) -> Facts:
        """The facts of `key`, plain data that says what they are of; `work_out` is called where they are not known."""
        hashed = content_hash(key)
        if hashed not in self.asked:
            found = _facts_from_json(self._known.get(hashed))
            self.new |= found is None
            self.asked[hashed] = work_out() if found is None else found
        return self.asked[hashed]

    def to_json(self) -> dict[str, Any]:
        """What was looked up, as plain data."""
        return {
            key: [None if f.output is None else port_to_json(f.output), f.parameters, f.buffers, f.flops, f.active]
            for key, f in sorted(self.asked.items())
        }


def _facts_from_json(data: Any) -> Facts | None:
    """The facts that `to_json` wrote; `None` for anything else."""
    if not isinstance(data, list) or len(data) != 5 or any(type(n) is not int or n < 0 for n in data[1:4]):
        return None
    if data[4] is not None and (type(data[4]) is not int or data[4] < 1):
        return None
    try:
        return Facts(None if data[0] is None else port_from_json(data[0]), *data[1:])
    except (TypeError, ValueError):
        return None


@cache
def code() -> str:
    """A hash of the source files of this floor: facts worked out by other code are not those of this one."""
    digest = hashlib.sha256()
    floor = Path(__file__).parent
    for file in sorted(floor.rglob("*.py")):
        name = file.relative_to(floor).as_posix()
        digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


__all__ = ["Facts", "Memo", "code"]

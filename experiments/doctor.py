"""`pathways doctor`: whether this installation, this machine and a run directory can be worked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OK, OFF, WARN, FAIL = "ok", "off", "warn", "fail"
"""What a check may find: all is well; something optional is not here; it works, but; it does not work."""


@dataclass(frozen=True)
class Check:
    """What one check has found.

    Args:
        name: what was checked.
        status: `ok`, `off` (optional and not here), `warn` or `fail`.
        found: what is so, in a few words.
        next: what to do about it; empty where nothing must be done.
    """

    name: str
    status: str
    found: str
    next: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)


def examine(directory: Path | str | None = None, *, ray: bool = False) -> list[Check]:
    """All checks, in the order in which things are needed; nothing that they write is left behind.

    Args:
        directory: a run directory or where runs will be kept, or a URL; `runs` when not given.
        ray: whether a session of Ray is started.
    """
    from . import doctor_machine, doctor_place, doctor_software

    found: list[Check] = []
    for name, check in (
        *doctor_software.checks(), *doctor_machine.checks(ray), *doctor_place.checks(directory or Path("runs")),
    ):  # fmt: skip
        found += guarded(name, check)
    return found


def guarded(name: str, check: Callable[[], Check | Iterator[Check]]) -> list[Check]:
    """What a check finds; one that fails in a way that nobody foresaw is a finding too.

    >>> guarded("sums", lambda: Check("sums", OK, "2"))
    [Check(name='sums', status='ok', found='2', next='')]
    >>> guarded("sums", lambda: 1 // 0)[0].status
    'fail'
    """
    try:
        found = check()
        return [found] if isinstance(found, Check) else list(found)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return [Check(name, FAIL, f"{what:.200}", "do what it says, or install that package anew; else report it")]


def findings_text(checks: list[Check]) -> str:
    """The findings as lines: status, name, what was found, and what to do below where something must be.

    >>> print(findings_text([Check("disk", WARN, "0.3 GB free", "free some space")]))
    warn  disk  0.3 GB free
                → free some space
    <BLANKLINE>
    1 check: 1 warn
    """
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:<4}  {check.name:<{width}}  {check.found}")
        if check.next:
            lines.append(f"{'':<{6 + width}}  → {check.next}")
    counts = [f"{n} {status}" for status in (OK, OFF, WARN, FAIL) if (n := sum(c.status == status for c in checks))]
    total = f"{len(checks)} check{'' if len(checks) == 1 else 's'}: {', '.join(counts)}"
    return "\n".join([*lines, "", total])

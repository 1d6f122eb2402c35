"""The nearest valid name, for errors."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(name: object, known: Iterable[str]) -> str:
    """`: did you mean 'x'?` where a known name is near, otherwise nothing.

    >>> unknown("generatons", ["generations", "children"])
    ": did you mean 'generations'?"
    >>> unknown("zzz", ["generations"])
    ''
    """
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f": did you mean {near[0]!r}?" if near else ""

"""Checks of configuration values that families share: each returns the value or raises one clear sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .near import did_you_mean


def whole(name: str, value: Any, low: int = 1) -> int:
    """`value`, a whole number of at least `low`; a `ValueError` names the argument.

    >>> whole("dim", 0)
    Traceback (most recent call last):
    ValueError: `dim` must be a whole number of at least 1, found 0.
    """
    if type(value) is not int or value < low:
        raise ValueError(f"`{name}` must be a whole number of at least {low}, found {value!r}.")
    return value


def number(name: str, value: Any) -> float:
    """`value`, a finite number, as a float; a `ValueError` names the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number, found {value!r}.")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """`value`, true or false; a `ValueError` names the argument."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be true or false, found {value!r}.")
    return value


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """`value`, one of `allowed`; a `ValueError` names the argument and lists them."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {list(allowed)}, found {value!r}{did_you_mean(value, allowed, '.')}")
    return value

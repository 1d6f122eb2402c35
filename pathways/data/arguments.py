"""Checks the arguments that a configuration gives to a source against the source's signature."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from pathways.errors import ConfigError, DataError


def check_arguments(source: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` where `function` cannot be called with `arguments`.

    Args:
        source: the source's name, for the message.
        function: a function whose parameters are annotated.
        arguments: plain data, as YAML gives it.

    Raises:
        ConfigError: an argument is unknown (all known ones are listed), missing, or of another type.
    """
    known = inspect.signature(function).parameters
    for name in arguments:
        if name not in known:
            from pathways.modules.near import did_you_mean  # whose package wants torch

            raise ConfigError(
                f"source {source!r} takes the arguments {sorted(known)}, found {name!r}{did_you_mean(name, known, '.')}"
            )
    missing = [n for n, p in known.items() if p.default is p.empty and n not in arguments]
    if missing:
        raise ConfigError(
            f"source {source!r} needs the argument {missing[0]!r}, found {sorted(arguments)}: add it."
        )
    hints = get_type_hints(function)
    for name, value in arguments.items():
        if not fits(value, hints[name]):
            kind = inspect.formatannotation(hints[name]).replace("collections.abc.", "")
            raise ConfigError(f"`{name}` of source {source!r} must be {kind}, found {value!r}: correct it.")


def require_positive(**sizes: int) -> None:
    """Raise a `DataError` where a size is less than 1; the message names it.

    >>> require_positive(width=0)
    Traceback (most recent call last):
    pathways.errors.DataError: `width` must be at least 1, found 0.
    """
    for name, size in sizes.items():
        if size < 1:
            raise DataError(f"`{name}` must be at least 1, found {size}.")


def fits(value: Any, hint: Any) -> bool:
    """Whether plain data is of a type; what is no plain data fits everything but text and numbers.

    >>> fits([[3, 7]], Sequence[Sequence[int]]), fits("abc", Sequence[str]), fits(None, int | None)
    (True, False, True)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(one, inner[1]) for one in value.values())
    if origin is not None and issubclass(origin, Sequence):
        return isinstance(value, (list, tuple)) and all(fits(one, inner[0]) for one in value)
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)

"""Settings of a function from plain data, by its annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean

_WORDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", NoneType: "null"}


@dataclass(frozen=True)
class Bounds:
    """What an annotated number must be within: at least `low`, or above it; and below `high`."""

    low: float
    above: bool = False
    high: float = float("inf")

    def __contains__(self, value: float) -> bool:
        return (value > self.low if self.above else value >= self.low) and value < self.high

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {self.low:g}"
        return low if self.high == float("inf") else f"{low} and below {self.high:g}"


Count = Annotated[int, Bounds(1)]
Several = Annotated[int, Bounds(2)]
Positive = Annotated[float, Bounds(0, above=True)]
Share = Annotated[float, Bounds(0, above=True, high=1)]


def settings(function: Callable[..., Any], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Keyword arguments of a function, read from plain data by the annotations of its keyword-only parameters.

    Args:
        function: whose parameters say what there is.
        given: plain data by parameter: lists for tuples, mappings for dataclasses.
        name: what the settings are of, for errors.

    Raises:
        ConfigError: a setting that the function does not have, or a value that is none for it.

    Example:
        >>> def f(session, *, dims: Count = 3, orders: tuple[Several, ...] = ()): ...
        >>> settings(f, {"orders": [2, 3]}, "f")
        {'orders': (2, 3)}
        >>> settings(f, {"dims": 0}, "f")
        Traceback (most recent call last):
        ...
        pathways.errors.ConfigError: `dims` of `f` must be a whole number of at least 1, found 0.
    """
    known = [p.name for p in signature(function).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    unknown = sorted(map(str, set(given) - set(known)))
    if unknown and not known:
        raise ConfigError(f"`{name}` takes no settings, found {unknown}.")
    if unknown:
        raise ConfigError(f"settings of `{name}` must be among {known}, found {unknown[0]!r}.")
    hints = get_type_hints(function, include_extras=True)
    return {key: _read(hints[key], value, f"`{key}` of `{name}`") for key, value in given.items()}


def _read(hint: Any, value: Any, what: str) -> Any:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(inside, value, what)
    if origin is Annotated:
        found = _scalar(inside[0], value, what, f" {inside[1]}")
        if found not in inside[1]:
            raise ConfigError(f"{what} must be {_WORDS[inside[0]]}{_of(inside[1])}, found {value!r}.")
        return found
    if origin is Literal:
        if not any(value == word and type(value) is type(word) for word in inside):
            near = did_you_mean(value, inside, ".")
            raise ConfigError(f"{what} must be one of {list(inside)}, found {value!r:.80}{near}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{what} must be a list, found {value!r:.80}.")
        return tuple(_read(inside[0], item, what) for item in value)
    return _built(hint, value, what) if is_dataclass(hint) else _scalar(hint, value, what)


def _one_of(hints: tuple[Any, ...], value: Any, what: str) -> Any:
    errors = []
    for hint in hints:
        try:
            return _read(hint, value, what)
        except ConfigError as error:
            errors.append(str(error).partition(" must be ")[2].partition(", found ")[0])
    raise ConfigError(f"{what} must be {', or '.join(errors)}, found {value!r:.80}.")


def _built(cls: Any, value: Any, what: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be a mapping of settings, found {value!r:.80}.")
    hints, names = get_type_hints(cls), [field.name for field in fields(cls)]
    unknown = sorted(map(str, set(value) - set(names)))
    if unknown:
        raise ConfigError(f"settings in {what} must be among {names}, found {unknown[0]!r}.")
    return cls(**{key: _read(hints[key], item, f"`{key}` in {what}") for key, item in value.items()})


def _scalar(hint: Any, value: Any, what: str, rule: str = "") -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        rule = f" of{rule}" if rule.startswith(" at least") else rule
        raise ConfigError(f"{what} must be {_WORDS.get(hint, hint)}{rule}, found {value!r:.80}.")
    return value


def _of(bounds: Bounds) -> str:
    return f" {bounds}" if bounds.above else f" of {bounds}"


__all__ = ["Bounds", "Count", "Positive", "Several", "Share", "settings"]

"""Strict reading of JSON files: every key is asked for by name and type, and errors name file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import PathwaysError

T = TypeVar("T")

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Fields:
    """The keys of one JSON object, each taken once with its type; `done` refuses those that nobody took.

    Args:
        file: where it was read, for messages.
        data: the object.
        key: its own key within the file, for messages.

    Raises:
        PathwaysError: a key is missing, unknown or of the wrong type.

    Example:
        >>> fields = Fields(Path("a.json"), {"seed": 3})
        >>> fields.integer("seed")
        3
        >>> fields.done()
    """

    def __init__(self, file: Path, data: Any, key: str = "") -> None:
        self.file, self.key = file, key
        if not isinstance(data, dict):
            raise PathwaysError(f"{file}: `{key or 'the file'}` must be an object, found {data!r:.80}.")
        self._left = dict(data)

    def wrong(self, name: str, must: str, found: Any) -> NoReturn:
        """Raise the error that `name` must be something else."""
        raise PathwaysError(f"{self.file}: `{self._full(name)}` must be {must}, found {found!r:.120}.")

    def text(self, name: str) -> str:
        """A text."""
        return self._take(name, "a text", lambda value: isinstance(value, str))

    def integer(self, name: str) -> int:
        """A whole number."""
        return self._take(name, "a whole number", lambda value: type(value) is int)

    def boolean(self, name: str) -> bool:
        """True or false."""
        return self._take(name, "true or false", lambda value: isinstance(value, bool))

    def number(self, name: str) -> float:
        """A number; NaN and infinity are written as texts."""
        found = self._take(name, "a number", _is_number)
        return _NOT_FINITE[found] if isinstance(found, str) else float(found)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object of any content."""
        return self._take(name, "an object", lambda value: isinstance(value, dict))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._take(name, "a list of texts", _is_texts))

    def inside(self, name: str) -> Fields:
        """The keys of an object within this one."""
        return Fields(self.file, self.mapping(name), self._full(name))

    def has(self, name: str) -> bool:
        """Whether the key is there and not taken yet."""
        return name in self._left

    def null(self, name: str) -> bool:
        """Whether the value is null; then it counts as taken."""
        if self._left.get(name, 0) is not None:
            return False
        del self._left[name]
        return True

    def parsed(self, name: str, parse: Callable[[dict[str, Any]], T]) -> T:
        """An object read by `parse`, whose errors get the name of file and key."""
        data = self.mapping(name)
        try:
            return parse(data)
        # A file may hold anything, and what `parse` calls may raise anything at it.
        except Exception as error:
            raise PathwaysError(f"{self.file}: `{self._full(name)}` does not fit: {error}") from error

    def done(self) -> None:
        """Refuse the keys that were not taken."""
        if self._left:
            unknown = sorted(self._left)[0]
            raise PathwaysError(f"{self.file}: `{self._full(unknown)}` is no key of this file: take it out.")

    def _take(self, name: str, must: str, fits: Callable[[Any], bool]) -> Any:
        if name not in self._left:
            raise PathwaysError(f"{self.file}: `{self._full(name)}` must be {must}, found no such key.")
        value = self._left.pop(name)
        if not fits(value):
            self.wrong(name, must, value)
        return value

    def _full(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name


def read_json(file: Path) -> Any:
    """The content of a JSON file; a `PathwaysError` names the file where it is missing or not plain JSON."""
    return parse_json(file, read_bytes(file))


def read_bytes(file: Path) -> bytes:
    """The bytes of a file of a run; a `PathwaysError` names it where it is missing or cannot be read."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise PathwaysError(f"{file} must be there, found no such file: is this a run directory?") from None
    except OSError as error:
        raise PathwaysError(f"{file} must be readable, found: {error}.") from error


def parse_json(file: Path, data: bytes) -> Any:
    """Plain JSON out of the bytes of `file`, which a `PathwaysError` names where they are anything else."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise PathwaysError(f"{file} must be plain JSON, found: {error}.") from error


def plain_number(value: float) -> float | str:
    """A number as JSON can hold it: NaN and infinity as texts, which `Fields.number` reads."""
    return float(value) if math.isfinite(value) else str(float(value))


def difference(found: Any, expected: Any, key: str = "") -> str | None:
    """The key of the first place where two plain values differ in value or type; `None` where they are equal.

    >>> difference({"a": [1, 2]}, {"a": [1, 2.0]})
    'a.1'
    """
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for name in sorted({*found, *expected}):
            if name not in found or name not in expected:
                return f"{key}.{name}".lstrip(".")
            if (place := difference(found[name], expected[name], f"{key}.{name}")) is not None:
                return place
        return None
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            if (place := difference(one, other, f"{key}.{i}")) is not None:
                return place
        return None
    same = type(found) is type(expected) and found == expected
    return None if same else key.lstrip(".")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) or (isinstance(value, str) and value in _NOT_FINITE)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError(f"a key of {sorted(data)} that stands twice")
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the constant {constant}, which is no JSON")

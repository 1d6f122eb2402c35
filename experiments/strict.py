"""Plain data into frozen dataclasses and back, strictly: no unknown key, no wrong type, no conversion."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pathways.candidate import Training
from pathways.errors import ConfigError, PathError
from pathways.evolve.guard import Guard
from pathways.evolve.hyperparameters import Sampler
from pathways.evolve.parents import Prior
from pathways.modules import ModuleSpec
from pathways.modules.near import did_you_mean
from pathways.modules.spec import thaw
from pathways.path import Path
from pathways.pruner import Pruner
from pathways.racing import Paired

_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", type(None): "null"}
_SPEC_KEYS = {"family", "config", "version", "parts"}


@dataclass(frozen=True)
class Place:
    """Where a value stands: the file and the keys that lead to it, for errors."""

    file: str
    keys: tuple[str | int, ...] = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(self.file, (*self.keys, key))

    def __str__(self) -> str:
        return f"{self.file}: `{self.path}`" if self.keys else self.file

    @property
    def path(self) -> str:
        """The keys as a dotted path, list positions as numbers."""
        return ".".join(map(str, self.keys))

    def error(self, message: str) -> ConfigError:
        """The error that says `message` of this place."""
        return ConfigError(f"{self} {message}")


def build(cls: type, data: Any, place: Place, base: Mapping[type, Any] | None = None) -> Any:
    """An instance of the frozen dataclass `cls` from a mapping of its fields.

    Args:
        cls: whose field types say what is valid.
        data: plain data; keys that are left out keep their defaults.
        place: where it stands, for errors.
        base: instances whose values stand in for the defaults of their class, at any depth.

    Raises:
        ConfigError: one sentence with file, key, rule, found value and the nearest valid name.
    """
    data = {} if data is None else data
    values = _settings(cls, data, place, base or {})
    start = (base or {}).get(cls)
    if start is not None:
        values = {f.name: getattr(start, f.name) for f in fields(cls) if f.init} | values
    missing = [f.name for f in fields(cls) if f.init and f.name not in values and _required(f)]
    if missing:
        raise place.error(f"must have `{missing[0]}`: add it.")
    return made(lambda: cls(**values), place)


def changed(cls: type, data: Mapping[str, Any], place: Place, base: Mapping[type, Any]) -> dict[str, Any]:
    """The fields of `cls` that `data` gives, checked, as keyword arguments."""
    return _settings(cls, data, place, base)


def made(make: Any, place: Place) -> Any:
    """What `make()` returns; what a constructor objects to is said of `place`."""
    try:
        return make()
    except (ConfigError, PathError, ValueError, TypeError) as error:
        raise ConfigError(f"{place}: {' '.join(str(error).split())}") from None


def plain(value: Any) -> Any:
    """The plain data that `build` reads back to an equal value."""
    if isinstance(value, ModuleSpec):
        config = thaw(value.config)
        flat = value.version == 1 and not value.parts and not _SPEC_KEYS & set(config)
        return {"family": value.family, **config} if flat else value.to_json()
    if isinstance(value, (Guard, Path, Paired, Prior, Pruner, Sampler)):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def _required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _settings(cls: type, data: Any, place: Place, base: Mapping[type, Any]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise place.error(f"must be a mapping of settings, found {data!r:.80}.")
    hints = get_type_hints(cls)
    names = [f.name for f in fields(cls) if f.init]
    for key in data:
        if key not in names:
            near = did_you_mean(key, names, f": the settings are {names}.")
            raise (place / key).error(f"is not a setting{near}")
    start = base.get(cls)
    values = {}
    for key, item in data.items():
        inner = dict(base)
        current = getattr(start, key, None) if start is not None else None
        if current is not None and is_dataclass(current):
            inner[type(current)] = current
        values[key] = _value(hints[key], item, place / key, inner)
    return values


def _value(hint: Any, data: Any, place: Place, base: Mapping[type, Any]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return _anything(data, place, base)
    if origin in (Union, types.UnionType):
        return _union(arguments, data, place, base)
    if origin is Literal:
        if data not in arguments or type(data) not in {type(a) for a in arguments}:
            near = did_you_mean(data, arguments, ".")
            raise place.error(f"must be one of {list(arguments)}, found {data!r:.80}{near}")
        return data
    if hint is ModuleSpec:
        return _module_spec(data, place)
    if hint is Path:
        return made(lambda: Path.from_json(data), place)
    if origin is tuple or origin in (list, Sequence):
        return _sequence(origin, arguments, data, place, base)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(data, Mapping):
            raise place.error(f"must be a mapping, found {data!r:.80}.")
        item_hint = arguments[1] if arguments else Any
        return {key: _value(item_hint, item, place / key, base) for key, item in data.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, data, place, base)
    return _scalar(hint, data, place)


def _anything(data: Any, place: Place, base: Mapping[type, Any]) -> Any:
    """What a field without a type is given: plain data, but hyperparameters and modules as what they are."""
    if isinstance(data, Mapping):
        if place.keys[-1:] == ("training",):
            return build(Training, data, place, base)
        if isinstance(data.get("family"), str):
            return _module_spec(data, place)
    return data


def _scalar(hint: Any, data: Any, place: Place) -> Any:
    if hint is float and type(data) is int:
        return float(data)
    if type(data) is not hint:
        raise place.error(f"must be {_KINDS.get(hint, f'a {hint}')}, found {data!r:.80}.")
    return data


def _union(hints: tuple[Any, ...], data: Any, place: Place, base: Mapping[type, Any]) -> Any:
    if data is None and type(None) in hints:
        return None
    choices = [hint for hint in hints if hint is not type(None)]
    if len(choices) == 1:
        return _value(choices[0], data, place, base)
    problems = []
    for hint in choices:
        try:
            return _value(hint, data, place, base)
        except ConfigError as error:
            problems.append(str(error))
    # What is wrong inside the one kind that fits says more than that the other kinds do not fit.
    inside = [problem for problem in problems if not problem.startswith(f"{place} ")]
    raise ConfigError((inside or problems)[0])


def _sequence(origin: Any, hints: tuple[Any, ...], data: Any, place: Place, base: Mapping[type, Any]) -> Any:
    if not isinstance(data, (list, tuple)):
        raise place.error(f"must be a list, found {data!r:.80}.")
    if origin is tuple and hints and hints[-1] is not Ellipsis:
        if len(data) != len(hints):
            raise place.error(f"must be a list of {len(hints)}, found {len(data)}.")
        pairs = zip(hints, data, strict=True)
        return tuple(_value(hint, item, place / i, base) for i, (hint, item) in enumerate(pairs))
    items = [_value(hints[0] if hints else Any, item, place / i, base) for i, item in enumerate(data)]
    return items if origin is list else tuple(items)


def _module_spec(data: Any, place: Place) -> ModuleSpec:
    if not isinstance(data, Mapping) or not isinstance(data.get("family"), str):
        raise place.error(f"must be a module: `family` and its settings, found {data!r:.80}.")
    if (_SPEC_KEYS - {"family"}) & set(data):
        return made(lambda: ModuleSpec.from_json(data), place)
    return ModuleSpec(data["family"], {key: item for key, item in data.items() if key != "family"})

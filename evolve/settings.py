"""Settings of strategies as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pathways.candidate import Training
from pathways.errors import ConfigError
from pathways.modules import ModuleSpec


def plain(value: Any) -> Any:
    """`value` as plain data: what has `to_json` by that, tuples as lists.

    >>> plain((ModuleSpec("flatten"), 3))
    [{'family': 'flatten', 'version': 1, 'config': {}}, 3]
    """
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def settings_json(strategy: Any) -> dict[str, Any]:
    """The fields of a strategy as plain data; `type(strategy)(**data)` makes it again."""
    return {f.name: plain(getattr(strategy, f.name)) for f in fields(strategy)}


def as_training(value: Training | Mapping[str, Any] | None) -> Training | None:
    """`value`, where it is a mapping, as `Training`."""
    return Training.from_json(value) if isinstance(value, Mapping) else value


def as_spec(value: ModuleSpec | Mapping[str, Any]) -> ModuleSpec:
    """`value`, where it is a mapping, as `ModuleSpec`; a `ConfigError` says what does not fit."""
    if isinstance(value, ModuleSpec):
        return value
    try:
        return ModuleSpec.from_json(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"`module` must be a module spec such as {{family: linear, config: {{dim: 20}}}}: {error}"
        ) from None


def whole_number(name: str, value: Any, low: int) -> None:
    """Raise a `ConfigError` unless `value` is a whole number of at least `low`."""
    if type(value) is not int or value < low:
        raise ConfigError(f"`{name}` must be a whole number of at least {low}, found {value!r}.")

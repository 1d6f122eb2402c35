"""The ground floor: ports, specs and the families of modules that paths are built from. It needs only torch.

Torch itself is imported when the first module is built, so that paths can be read and shown without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .build import build, facts
from .frozendict import FrozenDict
from .memo import Facts
from .ports import (
    PORTS,
    Ids,
    Image,
    Masked,
    Port,
    PortError,
    Signal,
    Tokens,
    Value,
    Vector,
    port_from_json,
    port_to_json,
)
from .spec import Draft, Frozen, Init, ModuleRef, ModuleSpec, Start, Warm, content_hash, ref_from_json
from .table import BUILT_IN, FAMILIES, Families

if TYPE_CHECKING:
    from .context import Context
    from .module import Delta, Module
    from .stacked import Stack

# They are made of torch's classes.
_HOMES = {"Context": "context", "Delta": "module", "Module": "module", "Stack": "stacked"}

__all__ = [
    "BUILT_IN", "FAMILIES", "PORTS", "Context", "Delta", "Draft", "Facts", "Families", "Frozen", "FrozenDict",
    "Ids", "Image", "Init", "Masked", "Module", "ModuleRef", "ModuleSpec", "Port", "PortError", "Signal", "Stack",
    "Start", "Tokens", "Value", "Vector", "Warm", "build", "content_hash", "facts", "port_from_json", "port_to_json",
    "ref_from_json",
]


def __getattr__(name: str) -> Any:
    """Import what is made of torch's classes when it is first used."""
    if name in _HOMES:
        found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

"""The ground floor: ports, specs and the families of modules that paths are built from. It needs only torch."""

from .build import Facts, build, facts
from .context import Context
from .frozendict import FrozenDict
from .module import Delta, Module, PortError
from .ports import PORTS, Ids, Image, Masked, Port, Signal, Tokens, Value, Vector, port_from_json, port_to_json
from .spec import Draft, Frozen, Init, ModuleRef, ModuleSpec, Start, Warm, content_hash, ref_from_json
from .stacked import Stack
from .table import BUILT_IN, FAMILIES, Families

__all__ = [
    "BUILT_IN", "FAMILIES", "PORTS", "Context", "Delta", "Draft", "Facts", "Families", "Frozen", "FrozenDict",
    "Ids", "Image", "Init", "Masked", "Module", "ModuleRef", "ModuleSpec", "Port", "PortError", "Signal", "Stack",
    "Start", "Tokens", "Value", "Vector", "Warm", "build", "content_hash", "facts", "port_from_json", "port_to_json",
    "ref_from_json",
]

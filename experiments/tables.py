"""The names that a configuration may use, each with the file and class it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean

STRATEGIES: dict[str, str] = {
    "munet": "pathways.evolve.munet:MuNet",
    "pathnet": "pathways.evolve.pathnet:PathNet",
    "pathnet-always": "pathways.evolve.pathnet_always:PathNetAlways",
    "independent": "pathways.evolve.controls:Independent",
    "fine-tune-all": "pathways.evolve.controls:FineTuneAll",
    "fine-tune": "pathways.evolve.controls:FineTune",
    "head-only": "pathways.evolve.controls:HeadOnly",
    "joint": "pathways.evolve.controls:Joint",
    "random-path": "pathways.evolve.pathnet_controls:RandomPath",
    "pathnet-fine-tune": "pathways.evolve.pathnet_controls:PathNetFineTune",
}

ENGINES: dict[str, str] = {
    "local": "pathways.evolve.local:Local",
    "ray": "pathways.evolve.ray:Ray",
}


def resolve(table: Mapping[str, str], name: str, where: str) -> Any:
    """The class that `name` stands for in `table`, imported only now; `where` names the key in errors.

    Raises:
        ConfigError: the name is not in the table; the nearest one is suggested.
    """
    if name not in table:
        raise ConfigError(f"{where} must be one of {sorted(table)}, found {name!r}{did_you_mean(name, table, '.')}")
    file, cls = table[name].split(":")
    return getattr(import_module(file), cls)

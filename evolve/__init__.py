"""The search: strategies, mutations, scores and engines.

>>> from pathways import evolve
>>> evolve.MuNet(generations=2, children=4).name
'munet'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "AtOnce": "at_once",
    "FineTune": "controls", "FineTuneAll": "controls", "HeadOnly": "controls", "Independent": "controls",
    "Joint": "controls", "Local": "local", "MuNet": "munet", "PathNet": "pathnet", "PathNetAlways": "pathnet_always",
    "PathNetFineTune": "pathnet_controls", "RandomPath": "pathnet_controls", "Ray": "ray", "Sampler": "hyperparameters",
    "Score": "score", "Guard": "guard", "Prior": "parents",
}

__all__ = [
    "AtOnce", "FineTune", "FineTuneAll", "Guard", "HeadOnly", "Independent", "Joint", "Local", "MuNet", "PathNet",
    "PathNetAlways", "PathNetFineTune", "Prior", "RandomPath", "Ray", "Sampler", "Score",
]


if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from .at_once import AtOnce
    from .controls import FineTune, FineTuneAll, HeadOnly, Independent, Joint
    from .guard import Guard
    from .hyperparameters import Sampler
    from .local import Local
    from .munet import MuNet
    from .parents import Prior
    from .pathnet import PathNet
    from .pathnet_always import PathNetAlways
    from .pathnet_controls import PathNetFineTune, RandomPath
    from .ray import Ray
    from .score import Score


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that a strategy's needs are not everyone's."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'pathways.evolve' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

"""The search: strategies, mutations, scores and engines.

>>> from pathways import evolve
>>> evolve.MuNet(generations=2, children=4).name
'munet'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "FineTune": "controls", "FineTuneAll": "controls", "HeadOnly": "controls", "Independent": "controls",
    "Joint": "controls", "Local": "local", "MuNet": "munet", "PathNet": "pathnet", "PathNetAlways": "pathnet_always",
    "PathNetFineTune": "pathnet_controls", "RandomPath": "pathnet_controls", "Sampler": "hyperparameters",
    "Score": "score",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that a strategy's needs are not everyone's."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'pathways.evolve' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

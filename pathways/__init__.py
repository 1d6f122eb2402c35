"""Evolutionary pathways and continual learning: one growing network that learns many tasks and forgets none.

>>> import pathways
>>> sorted(pathways.__all__)[:3]
['Affine', 'Augment', 'Candidate']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Affine": "task", "Augment": "candidate", "Candidate": "candidate", "Champion": "strategy", "Classes": "task",
    "DeltaRef": "path", "ForgettingError": "errors", "Logger": "logger", "Measures": "candidate", "Metric": "measure",
    "Paired": "racing", "Path": "path", "PathwaysError": "errors", "Pool": "pool", "Pruner": "pruner", "Race": "racing",
    "Result": "candidate", "Root": "root", "Sequences": "task", "Spans": "task", "Split": "task", "Step": "path",
    "System": "system", "Task": "task", "TensorBoard": "tensorboard", "Training": "candidate", "Values": "task",
    "cite": "citing", "families": "entry_points",
}
_SUBPACKAGES = ("affinity", "data", "evolve", "modules", "metrics", "pretrained", "testing")

__all__ = [
    "Affine", "Augment", "Candidate", "Champion", "Classes", "DeltaRef", "ForgettingError", "Logger", "Measures",
    "Metric", "Paired", "Path", "PathwaysError", "Pool", "Pruner", "Race", "Result", "Root", "Sequences", "Spans",
    "Split", "Step", "System", "Task", "TensorBoard", "Training", "Values",
    "__version__", "affinity", "cite", "data", "evolve", "families", "metrics", "modules", "pretrained", "testing",
]


if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from . import affinity, data, metrics, modules, pretrained, testing
    from .candidate import Augment, Candidate, Measures, Result, Training
    from .citing import cite
    from .entry_points import families
    from .errors import ForgettingError, PathwaysError
    from .logger import Logger
    from .measure import Metric
    from .path import DeltaRef, Path, Step
    from .pool import Pool
    from .pruner import Pruner
    from .racing import Paired, Race
    from .root import Root
    from .strategy import Champion
    from .system import System
    from .task import Affine, Classes, Sequences, Spans, Split, Task, Values
    from .tensorboard import TensorBoard


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that `import pathways` stays light."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in _SUBPACKAGES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'pathways' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

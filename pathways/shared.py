"""How much of a network several tasks share, told by which modules their paths hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pathways.modules import BUILT_IN, Families

from .path import Path


def shared_share(paths: Mapping[str, Path], families: Families = BUILT_IN) -> float:
    """`M / N`: parameters of the modules that two tasks or more hold, by all distinct ones.

    A module is the same where it is one blob, or one draft of one name.

    Args:
        paths: by task.
        families: the module families that specs may name.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Vector
        >>> from pathways.path import Step
        >>> def path(head):
        ...     linear = lambda name: Step((Draft(name, ModuleSpec("linear", {"dim": 4})),), ("x",))
        ...     return Path({"x": Vector(4)}, {"a": linear("a"), head: Step(linear(head).modules, ("a",))}, head)
        >>> round(shared_share({"one": path("b"), "two": path("c")}), 3)
        0.333

    Reference: Bakshandaeva et al. 2021, Fusion Brain (2111.10974).
    """
    return share_of(path.costs(families).sizes for path in paths.values())


def share_of(tasks: Iterable[Mapping[str, int]]) -> float:
    """The same, of the sizes of each task's modules.

    >>> share_of([{"a": 30, "b": 10}, {"a": 30, "c": 20}])
    0.5
    """
    held: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    for own in tasks:
        held.update(own.keys())
        sizes.update(own)
    whole = sum(sizes.values())
    return sum(size for name, size in sizes.items() if held[name] > 1) / whole if whole else 0.0


__all__ = ["share_of", "shared_share"]

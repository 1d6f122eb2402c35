"""Scores: pure functions of raw measures and current sharing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction

from pathways.errors import ConfigError
from pathways.modules import BUILT_IN, Families
from pathways.path import Path
from pathways.strategy import Champion


@dataclass(frozen=True)
class Score:
    """Quality, discounted for what a path occupies.

        score = quality * size ** (accounted / base_parameters) * compute ** (flops / base_flops)

    A shared module's size is divided by the number of tasks that use it, so a path that reuses is charged
    less, and after all tasks the accounted sizes add up to the distinct parameters in use.

    Args:
        size: factor for each `base_parameters` accounted, above 0; 1 is off.
        compute: factor for each `base_flops` spent, above 0; 1 is off.
        base_parameters, base_flops: the units, usually those of the root.

    Raises:
        ConfigError: a factor above 1, which would reward size, or one that is not above 0; a unit below 1.

    Reference: Gesmundo & Dean 2022, muNet, arXiv 2205.10937, section 3; the compute factor is that of the
    family's third version (mu3Net).

    Example:
        >>> Score(size=0.5, base_parameters=100)(0.9, accounted=100, flops=0)
        0.45
    """

    size: float = 1.0
    compute: float = 1.0
    base_parameters: int = 1
    base_flops: int = 1

    def __post_init__(self) -> None:
        for name in ("size", "compute"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"`{name}` must be above 0 and at most 1, found {getattr(self, name)!r}.")
        for name in ("base_parameters", "base_flops"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be at least 1, found {getattr(self, name)!r}.")

    def __call__(self, quality: float, accounted: Fraction | float, flops: int) -> float:
        """The score; a negative quality (a negated error) is made worse, not better, by the factors."""
        return discounted(quality, self.factor(accounted, flops))

    def factor(self, accounted: Fraction | float, flops: int) -> float:
        """What quality is multiplied by: it is known before a path is trained."""
        return self.size ** float(accounted / self.base_parameters) * self.compute ** (flops / self.base_flops)


def discounted(quality: float, factor: float) -> float:
    """Quality times a factor of at most 1; a negative quality is made worse by it.

    >>> discounted(0.5, 0.5), discounted(-0.5, 0.5)
    (0.25, -1.0)
    """
    return quality * factor if quality >= 0 else quality / max(factor, 1e-12)


def users_of(champions: Iterable[Champion]) -> dict[str, set[str]]:
    """For each blob, the tasks whose champions use it."""
    users: dict[str, set[str]] = {}
    for champion in champions:
        for blob in champion.path.frozen():
            users.setdefault(blob, set()).add(champion.task)
    return users


def accounted(path: Path, task: str, users: Mapping[str, Set[str]], families: Families = BUILT_IN) -> Fraction:
    """The parameters that a task's path is charged for, exactly: each module's divided by the tasks that use it.

    Args:
        path: the task's path; `task` counts as a user of all its modules.
        task: its name.
        users: for each blob, the tasks that use it; see `users_of`.
        families: the families that specs may name.

    Example:
        >>> from pathways.modules import Frozen, ModuleSpec, Vector
        >>> from pathways.path import Step
        >>> module = Frozen("a" * 64, ModuleSpec("linear", {"dim": 2}))  # 2 * 3 weights and 2 biases
        >>> path = Path({"x": Vector(3)}, {"a": Step((module,), ("x",))}, "a")
        >>> accounted(path, "new", {"a" * 64: {"one", "two"}})
        Fraction(8, 3)
    """
    sizes = path.costs(families).sizes
    return sum((Fraction(size, len(users.get(key, set()) | {task})) for key, size in sizes.items()), Fraction(0))

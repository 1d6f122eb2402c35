"""What a selection is: which networks are trained, and which of them serves each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RULES = ("standley", "tag", "taskonomy", "disjoint")


@dataclass(frozen=True)
class Network:
    """A network that is trained: its tasks, and what it costs in units of the budget.

    For Taskonomy's rule it is a source, and `tasks` the targets that it serves.
    """

    tasks: tuple[str, ...]
    cost: float = 1.0
    name: str = ""

    def __str__(self) -> str:
        return self.name or " + ".join(self.tasks)


@dataclass(frozen=True)
class Selection:
    """The networks chosen under a budget, and which of them serves each task.

    Args:
        networks: what is chosen.
        serves: by task, the position in `networks` of the one that serves it.
        value: by the rule's own definition.
        cost: of all networks.
        budget: what it may cost.
        rule: one of `RULES`.
        higher_is_better: the sense of `value`.
        optimal: whether it is proven that no selection has a better value.
        bound: a value that none can beat; equal to `value` where optimal.
        solver: what found it: `subsets`, `branch and bound`, `prices`, `highs`, `greedy`.
        seconds: how long that took.
        by_task: what each task adds to the value, before it is averaged or summed.
        about: what else there is to say, plain data.
    """

    networks: tuple[Network, ...]
    serves: Mapping[str, int]
    value: float
    cost: float
    budget: float
    rule: str
    higher_is_better: bool
    optimal: bool
    bound: float
    solver: str
    seconds: float = 0.0
    by_task: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """How far the value may be from the best there is: the distance to `bound`, at least 0."""
        return 0.0 if self.optimal else abs(self.bound - self.value)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The tasks of each network."""
        return tuple(network.tasks for network in self.networks)

    def to_json(self) -> dict[str, Any]:
        """The selection as `pathways group --json` prints it."""
        return {
            "value": self.value,
            "networks": [
                {"tasks": list(n.tasks), "cost": n.cost, **({"name": n.name} if n.name else {})} for n in self.networks
            ],
            "serves": dict(self.serves),
            "optimal": self.optimal, "gap": self.gap, "seconds": self.seconds, "bound": self.bound, "cost": self.cost,
            "budget": self.budget, "rule": self.rule, "sense": "max" if self.higher_is_better else "min",
            "solver": self.solver, "by_task": dict(self.by_task), **self.about,
        }  # fmt: skip


__all__ = ["RULES", "Network", "Selection"]

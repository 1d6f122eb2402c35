"""What a study of affinity found, as data: what its report draws and its command prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .matrix import Affinity
from .selection import Selection

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trained:
    """A network that was trained to verify what was predicted.

    Args:
        tasks: those it was trained on, in the order of the study's.
        cost: in units of the budget.
        validation, test: the metric of each of its tasks, (seeds, its tasks); NaN where a training failed.
        seconds: of one training, the mean over seeds.
        predicted: by task, the score that the study's rule gave it in this group before anything was trained.
        source: the tasks whose trained trunks it started from, joined by a vertical bar; empty for one from scratch.
    """

    tasks: tuple[str, ...]
    cost: float
    validation: Array
    test: Array
    seconds: float
    predicted: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to split the tasks into networks, with what came of it.

    Args:
        name: `chosen`, `all-in-one`, `separate`, `by ESTIMATOR` (what a further matrix would have chosen), `random 1`,
            ...
        networks: positions in `Findings.trained`.
        serves: by task, which of the networks serves it, as a position in `networks`.
        cost: of all its networks.
        validation, test: the metric of each task from the network that serves it, (seeds, tasks).
    """

    name: str
    networks: tuple[int, ...]
    serves: Mapping[str, int]
    cost: float
    validation: Array
    test: Array


@dataclass(frozen=True, eq=False)
class Curve:
    """Value against budget, by the way that networks are chosen.

    Args:
        budgets: (B,).
        predicted: by way (`exact`, `hoa`, `greedy`, `random`, `all-in-one`, `separate`), the value by the rule at each
            budget, (B,); NaN where the way has none.
        rule: whose value that is.
        higher_is_better: its sense.
        unit: of the value.
    """

    budgets: Array
    predicted: Mapping[str, Array]
    rule: str
    higher_is_better: bool
    unit: str = ""


@dataclass(frozen=True)
class Cost:
    """What something cost.

    Args:
        what: an estimator's name, `joint training`, `verification`.
        joint_runs: in units of one joint training of all tasks, for each seed.
        seconds: of processor time, of all seeds.
        peak_bytes: the most memory beyond the joint training's own, where it was measured.
    """

    what: str
    joint_runs: float
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a study found.

    Args:
        name: the study's.
        tasks: in the order of all rows and columns here.
        metric: its name; `higher_is_better` its sense; `unit` what a difference of it is called (`points`).
        seeds: of the repeats.
        affinities: one matrix an estimator; the first is the one that chose.
        selection: what the rule chose from it at `selection.budget`.
        curve: value against budget.
        trained: the networks that were trained to verify.
        arms: the ways to split, the chosen first; those called `random ...` are random groupings of the same cost.
        stability: how often two tasks are in one group over bootstrap samples of moments and seeds, (T, T), 0 to 1.
        costs: what each part cost.
        shared_parameters, own_parameters: how many parameters tasks share, and how many the largest head has.
        about: what else a reader must know: versions, the commands that made it, plain data.
    """

    name: str
    tasks: tuple[str, ...]
    metric: str
    higher_is_better: bool
    unit: str
    seeds: tuple[int, ...]
    affinities: tuple[Affinity, ...]
    selection: Selection
    curve: Curve
    trained: tuple[Trained, ...]
    arms: tuple[Arm, ...]
    stability: Array
    costs: tuple[Cost, ...]
    shared_parameters: int = 0
    own_parameters: int = 0
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def affinity(self) -> Affinity:
        """The matrix that chose."""
        return self.affinities[0]

    def arm(self, name: str) -> Arm:
        """The way to split of that name.

        Raises:
            KeyError: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(f"`name` must be one of {[arm.name for arm in self.arms]}, found {name!r}.")

    def gain(self, arm: Arm, against: str = "separate", split: str = "test") -> Array:
        """(seeds, tasks): how much better each task is with `arm` than with another, positive where it is better."""
        sign = 1.0 if self.higher_is_better else -1.0
        return sign * (getattr(arm, split) - getattr(self.arm(against), split))


__all__ = ["Arm", "Cost", "Curve", "Findings", "Trained"]

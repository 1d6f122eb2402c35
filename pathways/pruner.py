"""Races by Optuna's pruners, on a study in memory that is made of earlier candidates' curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pathways.modules import FrozenDict

from .errors import ConfigError
from .optuna_study import make_named, quietly, study_in_memory
from .racing import POINTS, Merits, checked_points

if TYPE_CHECKING:
    from .racing import Race

PRUNERS: dict[str, str] = {
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "successive-halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
    "wilcoxon": "WilcoxonPruner",
    "patient": "PatientPruner",
    "nop": "NopPruner",
}


@dataclass(frozen=True)
class Pruner:
    """Stop a candidate where an Optuna pruner says so, comparing its curve with those of earlier candidates.

    The study is made anew from the race's record: each earlier candidate is a trial that reported its score at the
    points, in the order in which they were tried, so pruners that take notes at each report have theirs. Steps
    are the points' numbers, from 1. None of Optuna's pruners states an error rate.

    Args:
        name: one of `PRUNERS`, or the class it stands for.
        settings: keyword arguments of the class; the `wrapped_pruner` of `patient` is a mapping with a `name` too.
        at: shares of the step budget at which candidates are measured, rising.

    Raises:
        ConfigError: there is no such pruner, or it does not take the settings.

    Reference: Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework"; the median rule is
    Golovin et al. 2017, "Google Vizier".

    Example:
        >>> Pruner("median", {"n_startup_trials": 2}).to_json()
        {'pruner': {'name': 'median', 'at': [0.25, 0.5, 0.75], 'n_startup_trials': 2}}
    """

    name: str = "median"
    settings: Mapping[str, Any] = field(default_factory=dict)
    at: tuple[float, ...] = POINTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", FrozenDict(self.settings))
        object.__setattr__(self, "at", checked_points(self.at))
        self.make()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Pruner:
        """The pruner of a configuration: `name`, `at` and the settings of the class side by side."""
        if not isinstance(data.get("name"), str):
            raise ConfigError(f"`pruner` of `racing` must have a `name`, one of {sorted(PRUNERS)}, found {dict(data)}.")
        settings = {key: value for key, value in data.items() if key not in ("name", "at")}
        return cls(data["name"], settings, data.get("at", POINTS))

    def make(self) -> Any:
        """The Optuna pruner."""
        settings = dict(self.settings)
        if isinstance(settings.get("wrapped_pruner"), Mapping):
            settings["wrapped_pruner"] = Pruner.of(settings["wrapped_pruner"]).make()
        return make_named("pruner", PRUNERS, self.name, settings)

    def to_json(self) -> dict[str, Any]:
        """The rule as plain data."""
        return {"pruner": {"name": self.name, "at": list(self.at), **self.settings}}

    def stops(self, race: Race, seen: Sequence[Merits]) -> bool:
        """Whether a candidate stops that has measured `seen`, one entry a point."""
        from optuna.trial import TrialState

        study = study_in_memory(pruner=self.make())
        with quietly():
            for rival in race.rivals:
                trial = study.ask()
                _reported(trial, rival.curve)
                if rival.score is None:
                    study.tell(trial, state=TrialState.PRUNED)
                else:
                    study.tell(trial, rival.score)
            return _reported(study.ask(), [race.score(merits) for merits in seen])


def _reported(trial: Any, curve: Sequence[float]) -> bool:
    """Report a curve, asking after each point as a training loop would; the last answer."""
    answer = False
    for point, score in enumerate(curve, 1):
        trial.report(score, point)
        answer = trial.should_prune()
    return answer


__all__ = ["PRUNERS", "Pruner"]

"""Hyperparameters from an Optuna sampler: a study in memory over lists of values, which replays with its search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from pathways.candidate import Training
from pathways.errors import ConfigError
from pathways.modules import FrozenDict
from pathways.optuna_study import make_named, quietly, study_in_memory
from pathways.seeds import Name, seed_of

INHERIT = "inherit"

SPACE: Mapping[str, Sequence[Any]] = FrozenDict({
    "lr": (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1),
    "warmup": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4),
    "weight_decay": (0.0, 1e-4, 1e-3, 1e-2, 0.1),
    "label_smoothing": (0.0, 0.05, 0.1, 0.2),
})

SAMPLERS: dict[str, str] = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "gp": "GPSampler",
    "cma-es": "CmaEsSampler",
    "qmc": "QMCSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "brute-force": "BruteForceSampler",
    "grid": "GridSampler",
}


@dataclass(frozen=True)
class Sampler:
    """An Optuna sampler that draws hyperparameters.

    Args:
        name: one of `SAMPLERS`, the class it stands for, or, from Python, a function that returns a sampler for a seed.
        settings: keyword arguments of the class; the seed, and the grid of `grid`, are the search's.

    Raises:
        ConfigError: there is no such sampler, or it does not take the settings.

    Reference: Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework"; TPE is Bergstra
    et al. 2011, "Algorithms for hyper-parameter optimization".

    Example:
        >>> Sampler("tpe", {"n_startup_trials": 4}).to_json()
        {'optuna': {'sampler': 'tpe', 'n_startup_trials': 4}}
    """

    name: str | Callable[[int], Any] = "tpe"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", FrozenDict(self.settings))
        self.make(SPACE, 0)

    def make(self, space: Mapping[str, Sequence[Any]], seed: int) -> Any:
        """The Optuna sampler for lists of values, seeded."""
        if callable(self.name):
            with quietly():
                return self.name(seed)
        grid = {"search_space": {key: list(range(len(values))) for key, values in space.items()}}
        given = grid if SAMPLERS.get(self.name, self.name) == "GridSampler" else {}
        return make_named("sampler", SAMPLERS, self.name, self.settings, seed=seed, **given)

    def to_json(self) -> dict[str, Any]:
        """The sampler as plain data; a function by its name, which only Python can read back."""
        name = getattr(self.name, "__qualname__", repr(self.name)) if callable(self.name) else self.name
        return {"optuna": {"sampler": name, **self.settings}}


def as_hyperparameters(value: Any) -> Any:
    """What `hyperparameters` says: `inherit`, or the `Sampler` of `optuna`, `{optuna: {sampler: gp}}` or a function.

    Raises:
        ConfigError: it says neither.

    >>> as_hyperparameters("inherit"), as_hyperparameters({"optuna": {"sampler": "random"}}).name
    ('inherit', 'random')
    """
    if value == INHERIT or isinstance(value, Sampler):
        return value
    if callable(value):
        return Sampler(value)
    named = {value: {}} if isinstance(value, str) else value
    settings = named.get("optuna", "") if isinstance(named, Mapping) and len(named) == 1 else ""
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise ConfigError(f"`hyperparameters` must be 'inherit', 'optuna' or 'optuna' with settings, found {value!r}.")
    return Sampler(settings.get("sampler", "tpe"), {key: v for key, v in settings.items() if key != "sampler"})


def check_space(space: Mapping[str, Sequence[Any]]) -> None:
    """Raise a `ConfigError` unless `space` gives lists of valid values for fields of `Training`."""
    for name, values in space.items():
        if name not in Training.__dataclass_fields__ or isinstance(values, str) or not values:
            raise ConfigError(
                f"`space` must give non-empty lists for fields of `training`, found {name!r}: {values!r}."
            )
        for value in values:
            replace(Training(), **{name: value})


class HyperparameterStudy:
    """What was drawn and what came of it: asks an Optuna sampler, and tells it scores.

    A list of rising or falling numbers is searched by its index, as a whole number: neighbours on the list are alike,
    and its spacing (mostly by factors) is the user's own scale. All other lists are searched as categories.

    Args:
        space: lists of values, by fields of `Training`.
        sampler: what draws.
        names: of the run, the task and the strategy: the seed derives from them.

    Example:
        >>> study = HyperparameterStudy({"lr": (0.1, 0.2)}, Sampler("random"), 0, "task", "munet")
        >>> number, values = study.ask()
        >>> values["lr"] in (0.1, 0.2)
        True
        >>> study.tell(number, 0.9)
    """

    def __init__(self, space: Mapping[str, Sequence[Any]], sampler: Sampler, *names: Name) -> None:
        self.space = {name: tuple(values) for name, values in space.items()}
        seed = seed_of("hyperparameters", *names) % 2**32  # what numpy's legacy generator takes
        self._study = study_in_memory(sampler=sampler.make(self.space, seed))
        self._trials: dict[int, Any] = {}

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The number of the next trial, and its values."""
        with quietly():
            trial = self._study.ask()
            chosen = {name: values[_index(trial, name, values)] for name, values in self.space.items()}
        self._trials[trial.number] = trial
        return trial.number, chosen

    def tell(self, number: int, score: float | None, curve: Sequence[float] = ()) -> None:
        """Say what came of a trial.

        Args:
            number: which one.
            score: its score; `None` where it failed or was stopped.
            curve: where it was stopped, its score at each point until then.
        """
        from optuna.trial import TrialState

        trial = self._trials.pop(number)
        with quietly():
            for point, value in enumerate(curve, 1):
                trial.report(value, point)
            if score is not None:
                self._study.tell(trial, score)
            else:
                self._study.tell(trial, state=TrialState.PRUNED if curve else TrialState.FAIL)


def _index(trial: Any, name: str, values: Sequence[Any]) -> int:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    ordered = numbers and (all(a < b for a, b in pairwise(values)) or all(a > b for a, b in pairwise(values)))
    if ordered:
        return int(trial.suggest_int(name, 0, len(values) - 1))
    return int(trial.suggest_categorical(name, range(len(values))))


__all__ = ["INHERIT", "SAMPLERS", "SPACE", "HyperparameterStudy", "Sampler", "as_hyperparameters", "check_space"]

"""Whom a muNet search asks for children, where not scores but a rule decides: every parent, any, or a bandit's choice.

A parent stands for its lineage: its child is bred from the best path that came of it for this task. At most one child
a round is asked of each, and it is the same child whichever rule has asked for it, so rules can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathways.affinity.table import TRANSFERABILITY
from pathways.candidate import Result
from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean
from pathways.recording import Record, unpack_reading
from pathways.seeds import Name, numpy_generator

from .prior import Belief, Pairs, calibrate, chances, drawn, posterior, standardised

UNIFORM, EXHAUSTIVE, PROBE = "uniform", "exhaustive", "probe"


@dataclass(frozen=True)
class Prior:
    """Draws parents by Thompson sampling from what is believed of their children's gains, see `pathways.evolve.prior`.

    Args:
        estimator: how the transferability of each parent to a new task is measured, without training: a name of
            `pathways.affinity.table.TRANSFERABILITY`, or `probe`, the score of the parent frozen under a new head.
        options: keyword arguments of the estimator.
        correlation: of transferability and gain, as guessed before gains are seen; above -1 and below 1.
        weight: as how many earlier gains the guess counts, above 0.
        noise: the share of the gains' spread that is between children of one parent, above 0 and below 1.

    Raises:
        ConfigError: no such estimator, or a setting out of range.

    Reference: Thompson 1933, Biometrika 25; H-score as a way to choose sources is Bao et al. 2019, ICIP.

    Example:
        >>> Prior(weight=8).to_json()["prior"]["weight"]
        8
    """

    estimator: str = PROBE
    options: Mapping[str, Any] | None = None
    correlation: float = 0.7
    weight: float = 4.0
    noise: float = 0.8

    def __post_init__(self) -> None:
        if self.estimator not in (PROBE, *TRANSFERABILITY):
            raise ConfigError(
                f"`estimator` of `prior` must be one of {[PROBE, *TRANSFERABILITY]}, found {self.estimator!r}"
                f"{did_you_mean(self.estimator, [PROBE, *TRANSFERABILITY], '.')}"
            )
        for name, low, high in (("correlation", -1, 1), ("weight", 0, float("inf")), ("noise", 0, 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < high:
                raise ConfigError(f"`{name}` of `prior` must be above {low} and below {high}, found {value!r}.")
        if self.estimator == PROBE and self.options:
            raise ConfigError(f"`options` of `prior` must be left out for `probe`, found {self.options!r}.")
        self.record()

    def record(self) -> Record | None:
        """What is measured of each parent; `None` where its probe's score is what counts."""
        return None if self.estimator == PROBE else Record(self.estimator, options=self.options or {})

    def to_json(self) -> dict[str, Any]:
        """The rule as plain data."""
        options = {} if self.options is None else {"options": dict(self.options)}
        return {"prior": {
            "estimator": self.estimator, **options, "correlation": self.correlation, "weight": self.weight,
            "noise": self.noise,
        }}  # fmt: skip


Rule = Prior | str


def as_parents(value: Any) -> Rule | None:
    """The rule that a configuration names: `uniform`, `exhaustive`, `prior`, `{prior: {estimator: logme}}`; or `None`.

    Raises:
        ConfigError: it names none, or a setting is not valid.

    >>> as_parents({"prior": {"estimator": "probe"}}).correlation
    0.7
    """
    if value is None or isinstance(value, Prior) or value in (UNIFORM, EXHAUSTIVE):
        return value
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, Mapping) or list(named) != ["prior"]:
        raise ConfigError(
            f"`parents` must be {UNIFORM!r}, {EXHAUSTIVE!r}, or 'prior' alone or with settings, found {value!r}."
        )
    settings = {} if named["prior"] is None else named["prior"]
    if not isinstance(settings, Mapping):
        raise ConfigError(f"`prior` of `parents` must be a mapping of settings, found {settings!r}.")
    if unknown := sorted(set(settings) - set(Prior.__dataclass_fields__)):
        raise ConfigError(f"`prior` of `parents` must hold {list(Prior.__dataclass_fields__)}, found {unknown}.")
    return Prior(**settings)


def transferability(result: Result) -> float:
    """What a result's record measured, summed over its tasks; NaN where it failed."""
    return float(unpack_reading(result.readings[-1][1]).sum()) if result.readings else float("nan")


class Lineages:
    """The parents of one search, what was measured of them, and what their children gained.

    Args:
        rule: who is drawn.
        keys: the parents, each the first of its trunk: `root`, or a champion's task.
        earlier: the pairs of each earlier task's search, as `remembered` gives them.
    """

    def __init__(self, rule: Rule, keys: Sequence[str], earlier: Iterable[Pairs] = ()) -> None:
        self.rule, self.keys, self.earlier = rule, tuple(keys), list(earlier)
        self.transferability: dict[str, float] = {}
        self._gains: dict[str, list[float]] = {}

    def measured(self, key: str, value: float) -> None:
        """Take a parent's transferability."""
        self.transferability[key] = value

    def gained(self, key: str, gain: float) -> None:
        """Take what a trained child gained."""
        self._gains.setdefault(key, []).append(gain)

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """For each parent that had a trained child, its standardised transferability and its children's mean gain."""
        z = dict(zip(self.keys, self._standardised().tolist(), strict=True))
        return [(z[key], sum(gains) / len(gains)) for key, gains in self._gains.items()]

    def belief(self, rule: Prior) -> Belief:
        """What is believed of each parent now."""
        found = calibrate([*self.earlier, self.pairs], rule.correlation, rule.weight)
        seen = [(self.keys.index(key), gain) for key, gains in self._gains.items() for gain in gains]
        return posterior(found, self._standardised(), seen, rule.noise)

    def draw(self, count: int, rng: np.random.Generator) -> list[tuple[str, float]]:
        """A round's parents, as `choose` gives them, each with the chance that it had to be drawn first."""
        chosen = self.choose(count, rng)
        if not isinstance(self.rule, Prior):
            return [(key, 1.0 if self.rule == EXHAUSTIVE else 1 / len(self.keys)) for key in chosen]
        share = dict(zip(self.keys, chances(self.belief(self.rule), rng).tolist(), strict=True))
        return [(key, share[key]) for key in chosen]

    def turn(self, i: int, count: int, *names: Name) -> tuple[str, float]:
        """The parent of child i of a search without rounds, with its chance; `count` children would be a round.

        A round's parents are all different where belief does not decide them. A bandit draws one after another, each
        by what is believed then.
        """
        if isinstance(self.rule, Prior):
            [drawn] = self.draw(1, numpy_generator(*names, i))
            return drawn
        return self.draw(count, numpy_generator(*names, "round", i // count))[i % count]

    def choose(self, count: int, rng: np.random.Generator) -> list[str]:
        """A round's parents, all different: `count` of them, or, where every one is asked, all."""
        if self.rule == EXHAUSTIVE:
            return list(self.keys)
        if isinstance(self.rule, Prior):
            return [self.keys[place] for place in drawn(self.belief(self.rule), count, rng)]
        return [self.keys[place] for place in rng.permutation(len(self.keys))[:count].tolist()]

    def remembered(self) -> dict[str, Any]:
        """What a champion leaves of this to later searches, as plain data; nothing where nothing was measured."""
        if not isinstance(self.rule, Prior):
            return {}
        return {"gains": {"estimator": self.rule.estimator, "pairs": [list(pair) for pair in self.pairs]}}

    def _standardised(self) -> Any:
        return standardised([self.transferability.get(key, float("nan")) for key in self.keys])


def earlier_gains(rule: Rule, extras: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Pairs]:
    """The pairs that champions remember of their searches, those of tasks learned jointly once.

    Args:
        rule: gains that were measured with another estimator than its own are left out.
        extras: of each champion, the hash of its candidate and its `extra`.
    """
    if not isinstance(rule, Prior):
        return []
    found = {candidate: extra["gains"] for candidate, extra in extras if "gains" in extra}
    return [
        [(float(z), float(gain)) for z, gain in gains["pairs"]]
        for gains in found.values() if gains["estimator"] == rule.estimator
    ]  # fmt: skip


__all__ = ["EXHAUSTIVE", "PROBE", "UNIFORM", "Lineages", "Prior", "Rule", "as_parents", "earlier_gains",
           "transferability"]  # fmt: skip

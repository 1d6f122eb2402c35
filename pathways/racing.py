"""Races: candidates stop early when their validation curve says that they cannot win.

A race is plain data that a candidate carries: the rule, and what is known of earlier candidates. So it depends on
nothing but the search's own past: not on workers, on dispatches, or on which candidates train side by side.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pathways.modules import FrozenDict, content_hash
from pathways.modules.near import did_you_mean

from .errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = (0.25, 0.5, 0.75)
RIVALS = ("parent", "best")

Merits = Mapping[str, "NDArray[np.float64]"]
"""By task, how well each validation sample was answered, (N,): for classes the share of its views that were right,
for values the squared error, negated."""


@dataclass(frozen=True)
class Paired:
    """Stop a candidate whose validation samples say that it does worse than its rival did at the same point.

        at each of the k points: stop if p(samples | expected score >= the rival's) <= alpha / k

    Merits are compared sample by sample, in units of the score: each side's are multiplied by its discount for size
    and compute, which is known before training. So a candidate whose expected score at the points is not below the
    rival's is stopped with probability at most `alpha`, over its whole training (Bonferroni). For classes that is
    exact (see `pathways.pairing`), for values and for several tasks of one candidate it holds for large samples.
    It is a statement on the points: a candidate that is behind there and would have overtaken later is lost. Races are
    by right answers and squared errors also where a task's metric is another.

    Args:
        alpha: the rate, above 0 and below 1.
        at: shares of the step budget at which candidates are measured, rising.
        rival: `parent`, which a child must beat to live, or `best`, the best so far: stops more, and also those who
            would have lived and had better children.

    Raises:
        ConfigError: a setting out of range.

    Reference: McNemar 1947, Psychometrika 12 (paired proportions); as a race, Maron & Moore 1994, "Hoeffding races",
    and Birattari et al. 2002, "A racing algorithm for configuring metaheuristics" (F-Race).

    Example:
        >>> Paired(alpha=0.01).to_json()
        {'paired': {'alpha': 0.01, 'at': [0.25, 0.5, 0.75], 'rival': 'parent'}}
    """

    alpha: float = 0.05
    at: tuple[float, ...] = POINTS
    rival: str = "parent"

    def __post_init__(self) -> None:
        if isinstance(self.alpha, bool) or not isinstance(self.alpha, (int, float)) or not 0 < self.alpha < 1:
            raise ConfigError(f"`alpha` of `paired` must be above 0 and below 1, found {self.alpha!r}.")
        object.__setattr__(self, "at", checked_points(self.at))
        if self.rival not in RIVALS:
            near = did_you_mean(self.rival, RIVALS, ".")
            raise ConfigError(f"`rival` of `paired` must be one of {RIVALS}, found {self.rival!r}{near}")

    def to_json(self) -> dict[str, Any]:
        """The rule as plain data."""
        return {"paired": {"alpha": self.alpha, "at": list(self.at), "rival": self.rival}}

    def stops(self, race: Race, seen: Sequence[Merits]) -> bool:
        """Whether a candidate stops that has measured `seen`, one entry a point."""
        from .pairing import less_than_zero  # records name races; only trainers need what computes them
        from .seeds import numpy_generator

        point = len(seen) - 1
        for rival in race.rivals:
            theirs = {task: unpack(packed[point]) for task, packed in rival.merits.items()}
            differences = [race.difference(task, seen[-1][task], theirs[task], rival) for task in sorted(theirs)]
            # Right and wrong answers differ at most by the larger discount; errors have no bound.
            bound = None if race.values else max(*race.factors.values(), *rival.factors.values())
            rng = numpy_generator("race", race.hash, point)
            if less_than_zero(differences, bound=bound, rng=rng) <= self.alpha / len(self.at):
                return True
        return False


@dataclass(frozen=True)
class Rival:
    """What a race knows of one earlier candidate.

    Args:
        candidate: its hash.
        curve: its score at each of the points that it reached.
        score: its final score; `None` where it was stopped.
        factors: by task, what quality is multiplied by to be a score.
        merits: by task and point, as `pack` writes them; only where the rule compares samples.
    """

    candidate: str
    curve: tuple[float, ...] = ()
    score: float | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    merits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", tuple(self.curve))
        object.__setattr__(self, "factors", FrozenDict(self.factors))
        object.__setattr__(self, "merits", FrozenDict({task: tuple(packed) for task, packed in self.merits.items()}))

    def to_json(self) -> dict[str, Any]:
        """The rival as plain data."""
        return {
            "candidate": self.candidate, "curve": list(self.curve), "score": self.score, "factors": dict(self.factors),
            "merits": {task: list(packed) for task, packed in self.merits.items()},
        }


@dataclass(frozen=True)
class Race:
    """What a candidate is measured against while it trains. Plain data, and a pure function of what was measured.

    Args:
        rule: `Paired`, or `pathways.pruner.Pruner`.
        factors: by task, what this candidate's quality is multiplied by to be a score.
        rivals: earlier candidates; with none, merits are recorded for later races and nothing stops.
        values: the tasks whose targets are values: their merits are errors, negated, and quality is 1 / (1 + error).

    Example:
        >>> import numpy as np
        >>> race = Race(Paired(), {"a": 1.0}, (Rival("b" * 64, factors={"a": 1.0}, merits={"a": (pack(np.ones(9)),)}),))
        >>> race.points(100)
        (25, 50, 75)
        >>> race.stops([{"a": np.ones(9)}]), race.stops([{"a": np.zeros(9)}])
        (False, True)
    """

    rule: Any
    factors: Mapping[str, float]
    rivals: tuple[Rival, ...] = ()
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", FrozenDict(self.factors))
        object.__setattr__(self, "rivals", tuple(self.rivals))
        object.__setattr__(self, "values", tuple(self.values))

    @property
    def hash(self) -> str:
        """The race's identity: rivals count by their candidates' hashes, which decide all that is known of them."""
        rivals = [[rival.candidate, dict(rival.factors)] for rival in self.rivals]
        return content_hash([self.rule.to_json(), dict(self.factors), rivals, list(self.values)])

    def points(self, steps: int) -> tuple[int, ...]:
        """After which steps a candidate is measured; none where the budget is too short for distinct points."""
        found = tuple(round(share * steps) for share in self.rule.at)
        return found if sorted({*found, 0, steps}) == [0, *found, steps] else ()

    def stops(self, seen: Sequence[Merits]) -> bool:
        """Whether a candidate stops now.

        Args:
            seen: what it has measured at the points so far, in their order, at least one.
        """
        return bool(self.rivals) and bool(self.rule.stops(self, seen))

    def score(self, merits: Merits) -> float:
        """The score that merits stand for: the mean over tasks of quality, discounted."""
        return sum(self.factors[task] * quality_of(m, task in self.values) for task, m in merits.items()) / len(merits)

    def difference(self, task: str, own: NDArray[Any], theirs: NDArray[Any], rival: Rival) -> NDArray[np.float64]:
        """Sample by sample, by how much this candidate's score is above the rival's, (N,)."""
        mine, other = self.factors[task], rival.factors[task]
        if task not in self.values:
            return mine * own - other * theirs
        # mine / (1 + e) - other / (1 + e'), over its common denominator: linear in the samples
        both = quality_of(own, values=True) * quality_of(theirs, values=True)
        return (mine * (1 - theirs) - other * (1 - own)) * both

    def to_json(self) -> dict[str, Any]:
        """The race as plain data."""
        rivals = [rival.to_json() for rival in self.rivals]
        return {"rule": self.rule.to_json(), "factors": dict(self.factors), "rivals": rivals,
                "values": list(self.values)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Race:
        """The race that `to_json` wrote."""
        rivals = tuple(Rival(**rival) for rival in data["rivals"])
        return cls(as_rule(data["rule"]), data["factors"], rivals, tuple(data["values"]))


def as_rule(value: Any) -> Any:
    """The rule that a configuration names: `paired`, `{paired: {alpha: 0.01}}`, `{pruner: {name: median}}`; or `None`.

    Raises:
        ConfigError: it names none, or a setting is not valid.

    >>> as_rule({"paired": {"alpha": 0.01}}).alpha
    0.01
    """
    from .pruner import Pruner

    if value is None or isinstance(value, (Paired, Pruner)):
        return value
    named = {value: {}} if isinstance(value, str) else value
    if not isinstance(named, Mapping) or len(named) != 1 or next(iter(named)) not in ("paired", "pruner"):
        near = did_you_mean(value, ("paired", "pruner"), ".")
        rule = "'paired', or one of 'paired' and 'pruner' with settings"
        raise ConfigError(f"`racing` must be {rule}, found {value!r}{near}")
    [(kind, settings)] = named.items()
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise ConfigError(f"`{kind}` of `racing` must be a mapping of settings, found {settings!r}.")
    if kind == "pruner":
        return Pruner.of(settings)
    if unknown := sorted(set(settings) - set(Paired.__dataclass_fields__)):
        raise ConfigError(f"`paired` of `racing` must hold {list(Paired.__dataclass_fields__)}, found {unknown}.")
    return Paired(**settings)


def checked_points(at: Any) -> tuple[float, ...]:
    """The shares of the budget, as a tuple; a `ConfigError` where they do not rise between 0 and 1."""
    points = tuple(at) if isinstance(at, Sequence) and not isinstance(at, str) else ()
    numbers = all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in points)
    if not points or not numbers or list(points) != sorted(set(points)) or not 0 < points[0] <= points[-1] < 1:
        raise ConfigError(f"`at` must be rising shares of the steps, above 0 and below 1, found {at!r}.")
    return tuple(map(float, points))


def quality_of(merits: NDArray[Any], values: bool) -> float:
    """The quality that a task's merits stand for: the share of right answers, or of values 1 / (1 + error).

    >>> import numpy as np
    >>> quality_of(np.array([1, 0, 1, 1]), values=False), quality_of(np.array([-0.5, -1.5]), values=True)
    (0.75, 0.5)
    """
    mean = float(merits.mean())
    return 1 / (1 - mean) if values else mean


def pack(merits: Any) -> str:
    """Merits as text: 32-bit numbers, compressed, in base 64.

    >>> import numpy as np
    >>> unpack(pack(np.array([1.0, 0.0, 0.5])))
    array([1. , 0. , 0.5])
    """
    import numpy as np

    data = np.ascontiguousarray(np.asarray(merits), dtype="<f4").tobytes()
    return base64.b64encode(zlib.compress(data, 9)).decode()


def unpack(text: str) -> NDArray[np.float64]:
    """The merits that `pack` wrote."""
    import numpy as np

    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f4").astype(np.float64)


__all__ = ["Merits", "Paired", "Race", "Rival", "as_rule", "checked_points", "pack", "unpack"]

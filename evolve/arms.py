"""Groupings put to the test: their networks trained once a seed, each task measured with the network that serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pathways.affinity.findings import Arm, Trained
from pathways.candidate import Candidate, Result
from pathways.freeze import test_value
from pathways.seeds import numpy_generator

from .study import Session

Groups = tuple[tuple[str, ...], ...]


def random_groupings(names: Sequence[str], k: int, n: int, seed: int) -> list[Groups]:
    """`n` distinct random partitions of the tasks into `k` groups; fewer where there are no more.

    Every task is put into a random group, and partitions with an empty group are drawn again, so partitions are drawn
    evenly.

    >>> random_groupings(["a", "b"], 2, 3, seed=0)
    [(('a',), ('b',))]
    """
    rng = numpy_generator("random groupings", seed, k, *names)
    found: dict[Groups, None] = {}
    for _ in range(1000 * n):
        if len(found) == n:
            break
        places = rng.integers(k, size=len(names))
        if len(set(places)) == k:
            groups = [tuple(name for name, at in zip(names, places, strict=True) if at == g) for g in range(k)]
            found.setdefault(tuple(sorted(groups, key=lambda group: names.index(group[0]))))
    return list(found)


def put_to_the_test(
    session: Session, arms: Mapping[str, tuple[Groups, Mapping[str, int]]],
    predicted: Mapping[tuple[str, ...], Mapping[str, float]],
) -> tuple[tuple[Trained, ...], tuple[Arm, ...]]:
    """Train the networks of all arms, each once a seed, and measure them.

    Args:
        session: whose networks.
        arms: by name, the groups, and by task which of them serves it.
        predicted: by group, what the rule predicts for each of its tasks.

    Returns:
        Each distinct network, and the arms made of them.
    """
    names = session.names
    groups = [tuple(name for name in names if name in group) for arm, _ in arms.values() for group in arm]
    distinct = list(dict.fromkeys(groups))
    asked = {(group, seed): session.network(group, seed) for group in distinct for seed in session.seeds}
    found = dict(zip(asked, session.train(list(asked.values())), strict=True))
    trained = [
        trained_network(
            session, group, [(asked[group, seed], found[group, seed]) for seed in session.seeds],
            predicted=predicted.get(group, {}),
        )
        for group in distinct
    ]  # fmt: skip
    place = {group: i for i, group in enumerate(distinct)}
    return tuple(trained), tuple(
        arm_of(name, [place[tuple(n for n in names if n in group)] for group in chosen], serves, trained, names)
        for name, (chosen, serves) in arms.items()
    )


def trained_network(
    session: Session, tasks: tuple[str, ...], pairs: Sequence[tuple[Candidate, Result] | None], *, cost: float = 1.0,
    predicted: Mapping[str, float], source: str = "",
) -> Trained:  # fmt: skip
    """A network that was trained once a seed, measured on validation and test data; test data is for reporting only.

    Args:
        session: whose network it is.
        tasks: those it was trained on.
        pairs: the candidate and its result, for each seed; `None` where there was nothing to train from.
        cost: in units of the budget.
        predicted: by task, the score that the rule gives it.
        source: the tasks whose trunks it started from.
    """
    validation = np.array([[_validation(pair[1], name) if pair else np.nan for name in tasks] for pair in pairs])
    test = np.array([[_test(session, *pair, name) if pair else np.nan for name in tasks] for pair in pairs])
    spent = [pair[1].cpu_seconds - pair[1].reading_seconds for pair in pairs if pair]
    seconds = float(np.mean(spent)) if spent else float("nan")
    return Trained(tasks, cost, validation, test, seconds, dict(predicted), source)


def serving(groups: Groups) -> dict[str, int]:
    """Which group serves each task, of groups that do not overlap."""
    return {task: i for i, group in enumerate(groups) for task in group}


def arm_of(
    name: str, networks: Sequence[int], serves: Mapping[str, int], trained: Sequence[Trained], names: Sequence[str]
) -> Arm:
    """A way to split: its networks as positions in `trained`, and by task which of them serves it.

    >>> one = Trained(("a",), 1.0, np.array([[0.5]]), np.array([[0.4]]), 1.0)
    >>> arm_of("separate", [0], {"a": 0}, [one], ["a"]).test
    array([[0.4]])
    """
    def column(split: str, task: str) -> NDArray[np.float64]:
        network = trained[networks[serves[task]]]
        values: NDArray[np.float64] = getattr(network, split)[:, network.tasks.index(task)]
        return values

    return Arm(
        name, tuple(networks), dict(serves), sum(trained[i].cost for i in networks),
        *(np.stack([column(split, task) for task in names], axis=1) for split in ("validation", "test")),
    )


def _validation(result: Result, task: str) -> float:
    return result.measures[task].validation if task in result.measures else float("nan")


def _test(session: Session, candidate: Candidate, result: Result, task: str) -> float:
    """The metric on test data, for reporting only."""
    if not result.ok:
        return float("nan")
    return test_value(candidate.trained_paths(result)[task], session.tasks[task], session.system)


__all__ = ["Groups", "arm_of", "put_to_the_test", "random_groupings", "serving", "trained_network"]

"""Choices of sources put to the test: each target is trained from the transfer that was chosen for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

from pathways.affinity.check import checked_transfers
from pathways.affinity.findings import Arm, Trained
from pathways.affinity.matrix import Affinity
from pathways.affinity.selection import Selection
from pathways.seeds import numpy_generator

from .arms import arm_of, serving, trained_network
from .choose import grouped
from .study import Session
from .transfers import own_paths, transferred

OWN = ""
"""The transfer of a task that is served by its own network, from scratch."""


@dataclass(frozen=True)
class Sources:
    """Source tasks, and how they serve every task.

    Args:
        opened: the sources.
        transfers: by task, the transfer that serves it; `OWN` where it is a source itself.
    """

    opened: tuple[str, ...]
    transfers: Mapping[str, str]


def sources_of(affinity: Affinity, opened: Sequence[str]) -> Sources | None:
    """How sources serve every task best by a matrix of transfers; `None` where there is a task they cannot serve.

    >>> found = Affinity(("a", "b"), ("a", "b"), "transfer", "table", "", [[0.9, 0.1], [0.8, 0.2]])
    >>> dict(sources_of(found, ["a"]).transfers)
    {'a': '', 'b': 'a'}
    """
    prices = {name: Fraction(1) for name in opened}
    answer = checked_transfers(affinity, opened, prices, Fraction(len(opened)))
    return None if isinstance(answer, str) else Sources(tuple(opened), _with_own(answer[0], opened))


def random_sources(names: Sequence[str], k: int, n: int, seed: int) -> list[tuple[str, ...]]:
    """`n` distinct random sets of `k` tasks, evenly drawn; fewer where there are no more.

    >>> random_sources(["a", "b"], 1, 5, seed=0) in ([("a",), ("b",)], [("b",), ("a",)])
    True
    """
    every = list(combinations(names, k)) if len(names) <= _LISTED else []
    rng = numpy_generator("random sources", seed, k, *names)
    if every:
        return [every[i] for i in rng.permutation(len(every))[:n]]
    found: dict[tuple[str, ...], None] = {}
    for _ in range(1000 * n):
        if len(found) < n:
            chosen = set(rng.choice(len(names), k, replace=False).tolist())
            found.setdefault(tuple(name for i, name in enumerate(names) if i in chosen))
    return list(found)


_LISTED = 15


def put_sources_to_the_test(
    session: Session, affinities: Sequence[Affinity], selection: Selection
) -> tuple[tuple[Trained, ...], tuple[Arm, ...]]:
    """Train what was chosen and what it is compared with, each network once a seed, and measure it.

    A source serves itself by its own network, from scratch, at a cost of 1. Every other task is served by a copy of
    the chosen source's trunk with a new head, fine-tuned, which costs nothing of the budget: that is of sources. The
    splits are `chosen`, `all-in-one`, `separate` (each task its own network), what other matrices of kind transfer
    would have chosen, and `random`: as many sources at random, each task served by the best of them by the matrix.

    Args:
        session: whose tasks and training.
        affinities: all that was measured; the first is that which chose.
        selection: what was chosen.
    """
    main, names = affinities[0], session.names
    arms = {"chosen": _chosen(selection), "separate": Sources(names, dict.fromkeys(names, OWN))}
    for other in affinities[1:]:
        if other.kind == "transfer":
            arms[f"by {other.estimator}"] = _chosen(grouped(other, "taskonomy", int(selection.budget)))
    drawn = random_sources(names, len(selection.networks), session.study.random, session.system.seed)
    randoms = [found for opened in drawn if (found := sources_of(main, opened)) is not None]
    arms |= {f"random {i + 1}": found for i, found in enumerate(randoms)}
    needed = [(task, transfer) for arm in arms.values() for task, transfer in arm.transfers.items()]
    distinct = list(dict.fromkeys([(name, OWN) for name in names] + needed))
    trained = [_joint(session), *_trained(session, main, distinct)]
    place = {key: 1 + i for i, key in enumerate(distinct)}

    def arm(name: str, sources: Sources) -> Arm:
        networks = [place[task, sources.transfers[task]] for task in names]
        return arm_of(name, networks, {task: i for i, task in enumerate(names)}, trained, names)

    made = {name: arm(name, sources) for name, sources in arms.items()}
    together = arm_of("all-in-one", [0], serving((names,)), trained, names)
    return tuple(trained), (made.pop("chosen"), together, *made.values())


def _chosen(selection: Selection) -> Sources:
    opened = tuple(network.name for network in selection.networks)
    return Sources(opened, _with_own(selection.about["transfers"], opened))


def _with_own(transfers: Mapping[str, str], opened: Sequence[str]) -> dict[str, str]:
    return {task: OWN if task in opened else transfer for task, transfer in transfers.items()}


def _joint(session: Session) -> Trained:
    asked = [session.network(session.names, seed) for seed in session.seeds]
    return trained_network(session, session.names, list(zip(asked, session.train(asked), strict=True)), predicted={})


def _trained(session: Session, main: Affinity, wanted: Sequence[tuple[str, str]]) -> list[Trained]:
    """Each task's own network, and the networks that start from others' trunks."""
    asked = {(name, OWN, seed): session.network((name,), seed) for name in session.names for seed in session.seeds}
    session.train(list(asked.values()))
    for seed in session.seeds:
        paths = own_paths(session, seed)
        for task, transfer in wanted:
            made = transferred(session, transfer, task, seed, paths) if transfer != OWN else None
            if made is not None:
                asked[task, transfer, seed] = made
    found = dict(zip(asked, session.train(list(asked.values())), strict=True))
    out = []
    for task, transfer in wanted:
        keys = [(task, transfer, seed) for seed in session.seeds]
        pairs = [(asked[key], found[key]) if key in asked else None for key in keys]
        out.append(
            trained_network(
                session, (task,), pairs, cost=0.0 if transfer else 1.0,
                predicted={task: _predicted(main, task, transfer)}, source=transfer,
            )
        )
    return out


def _predicted(affinity: Affinity, task: str, transfer: str) -> float:
    """The affinity of a transfer; of a task's own network that of `self`, or of its own trunk."""
    known = [name for name in ([transfer] if transfer else ["self", task]) if name in affinity.sources]
    return affinity[task, known[0]] if known else float(np.nan)


__all__ = ["OWN", "Sources", "put_sources_to_the_test", "random_sources", "sources_of"]

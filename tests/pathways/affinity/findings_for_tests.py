"""Findings of studies that never ran: planted groups, with gains that follow them or not."""

from typing import Any

import numpy as np

from pathways.affinity.findings import Arm, Cost, Curve, Findings, Trained
from pathways.affinity.matrix import Affinity
from pathways.affinity.selection import Network, Selection

LONG = "omniglot/Atemayar_Qelisayer"


def findings(
    tasks: int = 5, seeds: int = 3, moments: int = 12, groups: int = 2, gain: float = 0.02, together: float = -0.03,
    noise: float = 0.002, verified: bool = True, estimators: int = 2, holes: bool = False, randoms: int = 5,
    higher_is_better: bool = True, peak: bool = True,
) -> Findings:  # fmt: skip
    """A study of tasks in planted groups.

    Args:
        tasks: how many.
        seeds: repeats of the measurement and of the trainings.
        moments: of each measurement.
        groups: how many are planted, and chosen.
        gain: of a task in its own group, against alone.
        together: of a task that is trained with all others, against alone.
        noise: of a training, a standard deviation.
        verified: whether networks were trained.
        estimators: how many measured.
        holes: whether some pairs were never measured and one training failed.
        randoms: random groupings.
        higher_is_better: the metric's sense.
        peak: whether memory was measured.
    """
    rng = np.random.default_rng(tasks * 1000 + seeds)
    names = tuple(LONG if i == 0 else f"omniglot/Alphabet_{i}" for i in range(tasks))
    group = np.arange(tasks) % groups
    planted = tuple(tuple(n for n, g in zip(names, group, strict=True) if g == k) for k in range(groups))
    same = group[:, None] == group[None, :]
    matrices = tuple(_matrix(e, names, same, seeds, moments, holes, rng) for e in range(estimators))
    chosen = [g for g in planted if g]
    selection = Selection(
        tuple(Network(g) for g in chosen), {n: int(group[i]) for i, n in enumerate(names)}, 0.0123,
        float(len(chosen)), float(len(chosen)), "tag", True, True, 0.0123, "subsets", 0.02,
        {n: 0.01 + 0.001 * i for i, n in enumerate(names)},
    )  # fmt: skip
    sense = 1.0 if higher_is_better else -1.0
    alone = 0.75 + 0.1 * rng.random(tasks)
    sets = [chosen, [names], [(n,) for n in names]]
    sets += [_random(names, len(chosen), rng) for _ in range(randoms)]
    titles = ["chosen", "all-in-one", "separate", *(f"random {i + 1}" for i in range(randoms))]
    trained: list[Trained] = []
    places: dict[tuple[str, ...], int] = {}
    for members in (m for s in sets for m in s) if verified else ():
        if members in places:
            continue
        places[members] = len(trained)
        at = [names.index(m) for m in members]
        mates = same[np.ix_(at, at)].mean(1)  # 1 where all partners are of one's own group
        effect = np.where(len(members) == 1, 0.0, gain * mates + together * (1 - mates))
        value = alone[at] + sense * (effect + noise * rng.normal(size=(seeds, len(at))))
        score = {m: float("nan") if len(members) == 1 else float(0.01 * s) for m, s in zip(members, mates, strict=True)}
        trained.append(Trained(members, 1.0, value + 0.001, value, 12.5 + len(at), score))
    if holes and trained:
        trained[0].test[0, 0] = np.nan
    arms = tuple(_arm(t, s, places, trained, names, seeds) for t, s in zip(titles, sets, strict=True) if verified)
    share = rng.beta(8, 2, size=(tasks, tasks)) * same + rng.beta(1, 8, size=(tasks, tasks)) * ~same
    share = (share + share.T) / 2
    np.fill_diagonal(share, 1.0)
    budgets = np.arange(1.0, tasks + 1)
    best = 0.02 * (1 - np.exp(-budgets / 2))
    curve = Curve(budgets, {
        "exact": best, "hoa": best * 0.97, "greedy": best * np.where(budgets == 2, 0.93, 1.0),
        "random": best * 0.6, "random low": best * 0.4, "random high": best * 0.8,
        "all-in-one": np.where(budgets == 1, 0.001, np.nan), "separate": np.where(budgets == tasks, 0.004, np.nan),
    }, "tag", True, "1 - L'/L")  # fmt: skip
    costs = (
        Cost("joint training", 1.0, 40.0, None), Cost("lookahead", 0.62, 25.1, 3_200_000 if peak else None),
        Cost("cosine", 0.31, 12.4, None), Cost("verification", 9.5, 380.0, None),
    )
    return Findings(
        "planted", names, "accuracy" if higher_is_better else "loss", higher_is_better, "points", tuple(range(seeds)),
        matrices, selection, curve, tuple(trained), arms, share, costs, 184_320, 2_600, {"torch": "2.13.0"},
    )  # fmt: skip


def _matrix(
    number: int, names: tuple[str, ...], same: np.ndarray, seeds: int, moments: int, holes: bool,
    rng: np.random.Generator,
) -> Affinity:  # fmt: skip
    count = len(names)
    base = 0.01 * same + 0.004 * rng.normal(size=(count, count)) + 0.003 * rng.normal(size=(count, 1))
    readings: Any = base + 0.01 * rng.normal(size=(seeds, moments, count, count))
    if holes:
        readings[:, :, -1, 0] = np.nan
        readings[:, ::2, 0, -1] = np.nan
    estimator = ("lookahead", "cosine", "first_order")[number % 3]
    return Affinity(
        names, names, "co-training", estimator, "1 - L'/L" if number == 0 else "cosine", readings,
        shared=("trunk.0.weight", "trunk.0.bias"), steps=tuple(range(0, 10 * moments, 10)),
    )  # fmt: skip


def _random(names: tuple[str, ...], count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    label = rng.permutation(np.arange(len(names)) % count)
    return [tuple(n for n, k in zip(names, label, strict=True) if k == i) for i in range(count)]


def _arm(
    title: str, split: list[tuple[str, ...]], places: dict[tuple[str, ...], int], trained: list[Trained],
    names: tuple[str, ...], seeds: int,
) -> Arm:  # fmt: skip
    networks = tuple(places[members] for members in split)
    serves = {n: next(i for i, members in enumerate(split) if n in members) for n in names}
    measured = {}
    for part in ("validation", "test"):
        measured[part] = np.stack([
            getattr(trained[networks[serves[n]]], part)[:, trained[networks[serves[n]]].tasks.index(n)] for n in names
        ], axis=1)  # fmt: skip
    return Arm(title, networks, serves, float(len(split)), measured["validation"], measured["test"])

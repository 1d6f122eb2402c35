"""What drawing parents by a rule costs against trying each: regret on a table of what every parent's child reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from pathways.evolve.parents import Lineages, Rule
from pathways.evolve.prior import Pairs
from pathways.seeds import numpy_generator

BUDGETS = (1, 2, 3, 0)  # 0 stands for half of the parents, rounded up


def regrets(found: Sequence[Mapping[str, Any]], rules: Mapping[str, Rule], draws: int = 200) -> list[dict[str, Any]]:
    """Mean regret of each rule, by how many parents it may try for each task.

        regret = best child of all parents - best child of those that were drawn

    Tables are those of the exhaustive streams. A rule learns on its way through a stream: from the children that it
    has drawn, never from the others. Beside each prior stands the same without a bandit, ` (top)`: always the parents
    of highest transferability.

    Args:
        found: orders, as `affinity_stream.run` gives them.
        rules: by name.
        draws: how often each rule goes through each stream.

    Returns:
        Rows of `rule, tries, regret, error, best`: `tries` 0 stands for half of the parents, `error` is the standard
        error over streams and tasks, `best` the share of tasks whose best parent was among those drawn.
    """
    rows = []
    tops = {f"{name} (top)": rule for name, rule in rules.items() if not isinstance(rule, str)}
    for name, rule in [*rules.items(), *tops.items()]:
        for tries in BUDGETS:
            cells = [cell for order in found for cell in _walk(order, name, rule, tries, draws)]
            means = [mean(cell) for cell in cells]
            error = stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0
            best = mean(regret == 0 for cell in cells for regret in cell)
            rows.append({"rule": name, "tries": tries, "regret": mean(means), "error": error, "best": best})
    return rows


def _walk(order: Mapping[str, Any], name: str, rule: Rule, tries: int, draws: int) -> list[list[float]]:
    """For each task that has a choice, its regret in every draw."""
    top = name.endswith(" (top)")
    steps = [step for step in order["streams"]["exhaustive"] if len(step["children"]) > 1]
    regret: list[list[float]] = [[] for _ in steps]
    measured = order["transferability"].get(name.removesuffix(" (top)"), {})
    for draw in range(1 if top else draws):
        earlier: list[Pairs] = []
        for place, step in enumerate(steps):
            children: Mapping[str, float] = step["children"]
            lineages = Lineages(rule, list(children), earlier)
            for parent in children:
                lineages.measured(parent, measured.get(step["task"], {}).get(parent, float("nan")))
            count = tries or (len(children) + 1) // 2
            if top:
                values = [lineages.transferability[parent] for parent in children]
                chosen = [lineages.keys[i] for i in np.argsort(values)[::-1][:count]]
            else:
                rng = numpy_generator("regret", name, tries, order["order"], draw, step["task"])
                chosen = lineages.choose(count, rng)
            for parent in chosen:
                lineages.gained(parent, children[parent])
            earlier.append(lineages.pairs)
            regret[place].append(max(children.values()) - max(children[parent] for parent in chosen))
    return regret


__all__ = ["BUDGETS", "regrets"]

"""Taskonomy's rule, solved: branch and bound, then HiGHS, and a second look at the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pathways.errors import ConfigError

from .check import checked_transfers
from .choice import PROVEN, require_budget
from .highs import Edges, Programmed, by_program
from .matrix import Affinity
from .selection import Network, Selection
from .sources import NODES, by_branches, transfer_network
from .subsets import Scale


def choose_sources(
    transfers: Affinity,
    budget: Fraction,
    source_costs: Mapping[str, Fraction | float | str] | None = None,
    solver: str | None = None,
    seconds: float = 60.0,
) -> Selection:
    """The sources from which the targets are best transferred, each by one transfer.

    `max sum over targets of the best affinity of a transfer all of whose sources are chosen`. Sources that no target
    uses are left out of the answer.

    Args:
        transfers: of kind transfer.
        budget: for the sources together.
        source_costs: of those that do not cost 1.
        solver: `branch and bound`, `highs` or `greedy`, instead of the first that fits.
        seconds: after which HiGHS gives what it has.

    Returns:
        A network for each source, with the targets that use it; a target that uses several is served, in `serves`, by
        the first, and `about["transfers"]` names the transfer of each target.

    Raises:
        ConfigError: a budget under which not every target has a transfer; the message says the least that suffices.

    Reference: Zamir et al. 2018 (Taskonomy, 1804.08328), section 3.4.
    """
    whole = transfer_network(transfers, source_costs)
    scale = Scale.of(whole.costs, budget, len(whole.sources))
    edges = replace(whole.edges, units=np.array(scale.units, dtype=np.int64))
    costs = dict(zip(whole.sources, whole.costs, strict=True))
    if solver == "subsets":
        raise ConfigError("`solver` must be 'branch and bound', 'highs' or 'greedy' for sources, found 'subsets'.")
    rejected = []
    for name in [solver] if solver else ["branch and bound", "highs", "greedy"]:
        found, proven = _solved(name, edges, scale.budget, seconds)
        if name == "branch and bound" and not proven and solver is None:
            rejected.append(f"{name}: its search did not end within {NODES} nodes")
            continue
        opened = [whole.sources[node] for node in found.chosen or ()]
        answer = checked_transfers(transfers, opened, costs, budget)
        if isinstance(answer, str):
            rejected.append(f"{name}: {answer}")
            continue
        return _selection(transfers, costs, found.bound, proven, answer, budget, name, rejected)
    cheap = by_program(edges, sum(scale.units), seconds=seconds, cheapest=True)
    if cheap.chosen is not None:
        require_budget(sum((whole.costs[node] for node in cheap.chosen), Fraction(0)), budget)
    raise ConfigError(f"no solver found an allowed choice within the budget ({'; '.join(rejected)}): raise it.")


def _solved(name: str, program: Edges, budget: int, seconds: float) -> tuple[Programmed, bool]:
    """What a solver chose with its bound, and whether it says that nothing is better."""
    if name == "highs":
        return by_program(program, budget, seconds=seconds), False
    chosen, ended = by_branches(program, budget, NODES if name == "branch and bound" else len(program.units))
    if name == "branch and bound" and ended:
        return Programmed(chosen, math.inf), True
    return Programmed(chosen, by_program(program, budget, seconds=seconds, relaxed=True).bound), False


def _selection(
    transfers: Affinity, costs: Mapping[str, Fraction], bound: float, proven: bool,
    answer: tuple[dict[str, str], dict[str, float]], budget: Fraction, solver: str, rejected: list[str],
) -> Selection:  # fmt: skip
    used, by_task = answer
    sign = 1.0 if transfers.higher_is_better else -1.0
    needs = {target: [target if part == "self" else part for part in name.split("|")] for target, name in used.items()}
    sources = [source for source in costs if any(source in parts for parts in needs.values())]
    value = sum(by_task.values())
    best = sum(max(sign * v for v in row if not math.isnan(v)) for row in _without_random(transfers))
    limit = sign * min(bound, best)
    optimal = proven or sign * (limit - value) <= PROVEN * max(1.0, abs(value))
    return Selection(
        networks=tuple(
            Network(tuple(t for t, parts in needs.items() if source in parts), float(costs[source]), source)
            for source in sources
        ),
        serves={target: sources.index(parts[0]) for target, parts in needs.items()},
        value=value, cost=float(sum(costs[source] for source in sources)), budget=float(budget), rule="taskonomy",
        higher_is_better=transfers.higher_is_better, optimal=optimal, bound=value if optimal else limit, solver=solver,
        by_task=by_task,
        about={"transfers": used, **({"rejected": rejected} if rejected else {})},
    )  # fmt: skip


def _without_random(transfers: Affinity) -> list[list[float]]:
    kept = [at for at, name in enumerate(transfers.sources) if name != "random"]
    return [[float(row[at]) for at in kept] for row in transfers.values]


__all__ = ["choose_sources"]

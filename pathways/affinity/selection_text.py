"""A selection as people read it."""

from __future__ import annotations

from .selection import Selection

_VALUES = {
    "standley": "sum over tasks", "disjoint": "over its tasks", "tag": "mean score of tasks",
    "taskonomy": "sum of affinities over targets",
}  # fmt: skip


def selection_text(found: Selection) -> str:
    """A line for each network, and a sentence on what they are worth.

    >>> from .selection import Network
    >>> found = Selection((Network(("a", "b")), Network(("b", "c"))), {"a": 0, "b": 0, "c": 1}, 0.5, 2.0, 2.0, "tag",
    ...                   True, True, 0.5, "subsets")
    >>> print(selection_text(found))
    1. a + b     cost 1, serves a, b
    2. b + c     cost 1, serves c
    Value 0.5 (mean score of tasks, higher is better): 2 networks, cost 2 of 2; proven best.
    """
    names = [str(network) for network in found.networks]
    width = max(len(name) for name in names)
    lines = []
    for at, (name, network) in enumerate(zip(names, found.networks, strict=True)):
        served = [task for task, by in found.serves.items() if by == at]
        helped = [task for task in network.tasks if task not in served] if found.rule == "taskonomy" else []
        text = f"serves {', '.join(served)}" if served else "serves none alone"
        text += f"; takes part for {', '.join(helped)}" if helped else ""
        lines.append(f"{at + 1}. {name:<{width}}     cost {network.cost:g}, {text}")
    sense = "higher" if found.higher_is_better else "lower"
    count = f"{len(names)} network{'s' if len(names) > 1 else ''}"
    lines.append(
        f"Value {found.value:.6g} ({_VALUES[found.rule]}, {sense} is better): {count}, cost {found.cost:g} of "
        f"{found.budget:g}; {_proof(found)}."
    )
    lines += [f"Not used: {why}." for why in found.about.get("rejected", ())]
    return "\n".join(lines)


def _proof(found: Selection) -> str:
    if found.optimal:
        return "proven best"
    return f"no choice has more than {found.gap:.3g} to gain (found by {found.solver})"


__all__ = ["selection_text"]

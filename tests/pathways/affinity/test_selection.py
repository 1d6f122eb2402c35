"""A selection says how far it may be from the best, as data and as text."""

import json
from dataclasses import replace

from pathways.affinity import Network, Selection
from pathways.affinity.selection_text import selection_text

FOUND = Selection(
    (Network(("a", "b"), 0.5, "both"), Network(("b", "c"))), {"a": 0, "b": 0, "c": 1}, value=0.75, cost=1.5, budget=2.0,
    rule="standley", higher_is_better=False, optimal=False, bound=0.5, solver="greedy",
)  # fmt: skip


def test_the_gap_is_the_distance_to_the_bound_and_nothing_where_proven() -> None:
    assert FOUND.gap == 0.25
    assert replace(FOUND, higher_is_better=True, bound=1.25).gap == 0.5
    assert replace(FOUND, optimal=True).gap == 0
    assert "no choice has more than 0.25 to gain (found by greedy)" in selection_text(FOUND)
    assert "proven best" in selection_text(replace(FOUND, optimal=True))


def test_groups_and_json() -> None:
    assert FOUND.groups == (("a", "b"), ("b", "c"))
    data = json.loads(json.dumps(FOUND.to_json(), allow_nan=False))
    assert data["networks"] == [{"tasks": ["a", "b"], "cost": 0.5, "name": "both"}, {"tasks": ["b", "c"], "cost": 1.0}]
    assert (data["sense"], data["gap"], data["serves"]) == ("min", 0.25, {"a": 0, "b": 0, "c": 1})
    assert {"value", "optimal", "seconds"} <= set(data)

"""The benchmark of what tracing costs measures both sides."""

from pathways.experiments.benchmarks.trace_rows import cost


def test_both_rows_are_measured():
    rows = {row.name: row for row in cost(1)}
    assert list(rows) == ["trace-cost", "trace-cost-stacked"]
    assert all(row.ours > 0 and row.theirs > 0 and row.goal == 1 for row in rows.values())
    assert rows["trace-cost-stacked"].ours > rows["trace-cost"].ours

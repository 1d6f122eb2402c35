"""Commands of affinity: `group` chooses networks from a table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import as_json, command, print_json

if TYPE_CHECKING:
    from pathways.affinity.choice import Table
    from pathways.affinity.selection import Selection

RULES = ("standley", "tag", "taskonomy", "disjoint")


def add(commands: Any) -> None:
    """Add the commands."""
    _add_group(commands)


def _add_group(commands: Any) -> None:
    group = command(commands, "group", _group, "choose from a table which networks to train under a budget, exactly")
    group.add_argument(
        "tables", type=Path, nargs="+", metavar="TABLE",
        help="a performance table (network,cost,TASK,…), a pair matrix (affected_task,TASK,…) or transfers (target,…); "
        "transfers of several orders may be given together",
    )  # fmt: skip
    group.add_argument("--budget", required=True, metavar="B", help="the most that the networks may cost together")
    group.add_argument("--rule", choices=RULES, help="that of the kind of table when not given")
    group.add_argument("--sense", choices=("min", "max"), help="min for performance tables, max for others")
    group.add_argument(
        "--single", metavar="SCORE",
        help="for pair matrices, the score of a task alone: a number, or `diagonal`; -1e6, or `diagonal` with "
        "`--sense min`, when not given",
    )  # fmt: skip
    group.add_argument(
        "--hoa", action="store_true", help="predict networks of three tasks or more as the mean of their pairs"
    )
    group.add_argument(
        "--source-cost", action="append", default=[], metavar="NAME=C", dest="source_costs",
        help="for transfers, what a source costs; 1 when not given; may be repeated",
    )  # fmt: skip
    group.add_argument("--score-on", type=Path, metavar="TABLE", help="another table of the same networks: test losses")
    group.add_argument(
        "--solver", choices=("subsets", "branch-and-bound", "highs", "greedy"),
        help="instead of the first that fits, in this order",
    )  # fmt: skip
    as_json(group)


def _group(options: argparse.Namespace) -> int:
    from pathways.affinity.choice import choose
    from pathways.affinity.higher_order import hoa
    from pathways.affinity.performance import PerformanceTable
    from pathways.affinity.table_files import joined, read_table
    from pathways.errors import ConfigError

    better = None if options.sense is None else options.sense == "max"
    table = joined([read_table(file, better) for file in options.tables])
    if options.hoa:
        if not isinstance(table, PerformanceTable):
            raise ConfigError("`--hoa` needs a performance table, whose networks it predicts: leave it out.")
        table = hoa(table)
    found = choose(
        table, options.budget, options.rule, single=_single(options.single),
        source_costs=_source_costs(options.source_costs),
        solver=None if options.solver is None else options.solver.replace("-", " "),
    )  # fmt: skip
    scores = {} if options.score_on is None else {"score_on": _scores(table, found, options.score_on)}
    if options.json:
        print_json({**found.to_json(), **scores})
    else:
        from pathways.affinity.selection_text import selection_text

        print(selection_text(found))
        for score in scores.values():
            print(
                f"On {score['table']}: {score['value']:.6g} with each task's best network there, {score['served']:.6g} "
                f"with those that serve it above."
            )
    return 0


def _single(text: str | None) -> float | str | None:
    from pathways.errors import ConfigError

    if text is None or text in ("diagonal", "diag"):
        return None if text is None else "diagonal"
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ConfigError(f"`--single` must be a finite number or `diagonal`, found {text!r}.")
    return value


def _source_costs(pairs: list[str]) -> dict[str, str]:
    from pathways.errors import ConfigError

    costs = {}
    for pair in pairs:
        name, equals, cost = pair.rpartition("=")
        if not equals or not name:
            raise ConfigError(f"`--source-cost` must be NAME=COST, found {pair!r}.")
        costs[name] = cost
    return costs


def _scores(table: Table, found: Selection, file: Path) -> dict[str, Any]:
    """The value of a choice on another table of the same networks."""
    from pathways.affinity.performance import PerformanceTable
    from pathways.affinity.table_files import read_table
    from pathways.affinity.ways import value_on
    from pathways.errors import ConfigError

    if not isinstance(table, PerformanceTable):
        raise ConfigError("`--score-on` needs performance tables, found a matrix to choose from: leave it out.")
    other = read_table(file, table.higher_is_better)
    if not isinstance(other, PerformanceTable):
        raise ConfigError(f"`--score-on` must be a performance table, found a matrix in {file}.")
    value, served = value_on(other, found)
    return {"table": str(file), "value": value, "served": served}

"""`python -m pathways.experiments.benchmarks NAME|all [--json]`: both sides in turns, one row a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from .row import PAIRS, Row
from .table import BENCHMARKS


def rows_of(name: str, pairs: int = PAIRS) -> Iterator[Row]:
    """The rows of one benchmark, measured now."""
    module, function = BENCHMARKS[name].split(":")
    yield from getattr(import_module(module), function)(pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; the exit status is 1 where a row falls short of its goal."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.benchmarks", description=__doc__)
    parser.add_argument("name", choices=["all", *BENCHMARKS], help="a benchmark, or all of them")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"measurements of each side, at least {PAIRS}")
    given = parser.parse_args(arguments)
    if given.pairs < PAIRS:
        parser.error(f"`--pairs` must be at least {PAIRS}, found {given.pairs}.")
    short = False
    for name in BENCHMARKS if given.name == "all" else [given.name]:
        for row in rows_of(name, given.pairs):
            short |= row.reached is False
            print(json.dumps(row.to_json()) if given.json else line_of(row), flush=True)
    return int(short)


def line_of(row: Row) -> str:
    """A row for people: the ratio with its interval, what it is to reach, both sides, the share of the floor."""
    if row.ratio is None:
        return f"{row.name}: not run: {row.note}"
    goal = "" if row.goal is None else f" (goal {row.goal:g}: {'reached' if row.reached else 'NOT reached'})"
    share = "" if row.share_of_floor is None else f", {100 * row.share_of_floor:.0f} % of the floor"
    note = f" - {row.note}" if row.note else ""
    return (
        f"{row.name}: {row.ratio:.3g}x [{row.ratio_low:.3g}, {row.ratio_high:.3g}]{goal}, "
        f"{row.ours:.4g} against {row.theirs:.4g} {row.unit}{share}{note}"
    )


if __name__ == "__main__":
    sys.exit(main())

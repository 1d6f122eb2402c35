"""`pathways compare`: runs, seeds and strategies side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import as_json, command, families, given_families, print_json


def add(commands: Any) -> None:
    """Add the command."""
    sub = command(commands, "compare", _compare, "compare runs or strategies on their common tasks, by paired tests")
    sub.add_argument(
        "arms", nargs="+", metavar="ARM",
        help="[NAME=]DIR[,DIR...][:CONTROL]: the runs of one way to learn, one a seed; with CONTROL that control of "
        "theirs, in place of their champions. The first is what the others are compared with",
    )  # fmt: skip
    sub.add_argument(
        "--out", type=Path, default=Path("comparison.html"), metavar="FILE",
        help="the page; comparison.html in this folder when not given",
    )  # fmt: skip
    families(sub)
    as_json(sub)


def _compare(options: argparse.Namespace) -> int:
    from pathways.comparison import compare, read_arm
    from pathways.comparison.page import write_comparison
    from pathways.comparison.words import comparison_json, comparison_text

    extra = given_families(options.families)
    found = compare([read_arm(arm, extra) for arm in options.arms])
    page = write_comparison(found, options.out)
    if options.json:
        print_json(comparison_json(found) | {"page": str(page)})
    else:
        print(f"{comparison_text(found)}\n\npage    {page}")
    return 0

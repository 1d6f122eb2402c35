"""The cost ledger: what each side paid for each task, and what it did not have to pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pathways.text import seconds_text

from .markup import escape, html_table
from .numbers import Cell, Table
from .tried import FAILED, STOPPED, Tried


@dataclass(frozen=True)
class Paid:
    """What one side paid for one task.

    Args:
        task, side: whose.
        candidates: how many it asked for; `known` of them were in the record already and cost nothing.
        known: see `candidates`.
        failed, stopped: how many of them failed, and how many a race stopped.
        stacked: how many trained as one program with others.
        seconds, cpu_seconds: paid in all; tasks that were learned together share them.
        steps, saved: training steps that its candidates were given, and how many of them races saved.
    """

    task: str
    side: str
    candidates: int
    known: int
    failed: int
    stopped: int
    stacked: int
    seconds: float
    cpu_seconds: float
    steps: int
    saved: int


def paid(costs: Mapping[str, Mapping[str, Any]], every: Sequence[Tried], tasks: Sequence[str]) -> tuple[Paid, ...]:
    """A `Paid` for each task and side.

    Args:
        costs: as `Ledger.costs_by_task` gives them.
        every: what was tried, as `pathways.report.tried.tried` gives it.
        tasks: those that are learned, in order.
    """
    by: dict[tuple[str, str], list[Tried]] = {}
    for one in every:
        by.setdefault((one.task, one.side), []).append(one)
    found = []
    for task in tasks:
        for side, cost in costs.get(task, {}).items():
            ones = by.get((task, side), [])
            found.append(Paid(
                task, side, cost.candidates, cost.reused, sum(one.outcome == FAILED for one in ones),
                sum(one.outcome == STOPPED for one in ones), sum(one.stack > 1 for one in ones), cost.seconds,
                cost.cpu_seconds, sum(one.steps for one in ones),
                sum(one.steps - one.stopped for one in ones if one.outcome == STOPPED),
            ))  # fmt: skip
    return tuple(found)


_COLUMNS = (
    "task", "side", "candidates", "known already", "failed", "stopped", "in stacks", "seconds", "CPU-seconds", "steps",
    "steps saved",
)  # fmt: skip


def costs_table(found: Sequence[Paid]) -> Table:
    """A row for each task and side."""
    rows = tuple(
        (p.task, p.side, p.candidates, p.known, p.failed, p.stopped, p.stacked, p.seconds, p.cpu_seconds, p.steps,
         p.saved)
        for p in found
    )  # fmt: skip
    return Table("ledger", _COLUMNS, rows)


def by_side(found: Sequence[Paid], first: Sequence[str] = ()) -> str:
    """The sums over tasks as an HTML table; columns that are 0 for every side are left out.

    Args:
        found: as `paid` gives them.
        first: the sides that found the champions, which stand first and are named so.
    """
    if not found:
        return ""
    sums: dict[str, list[Any]] = {}
    for p in found:
        row = sums.setdefault(p.side, [0] * 9)
        for i, value in enumerate((p.candidates, p.known, p.failed, p.stopped, p.stacked, p.seconds, p.cpu_seconds,
                                   p.steps, p.saved)):  # fmt: skip
            row[i] += value
    kept = [i for i in range(9) if i in (0, 5, 6) or any(row[i] for row in sums.values())]
    header = ["side", *(_COLUMNS[2 + i] for i in kept)]
    body = "".join(
        f'<tr><th scope="row">{escape(side)}{" (champions)" * (side in first)}</th>'
        f"{''.join(_cell(i, row[i]) for i in kept)}</tr>"
        for side, row in sorted(sums.items(), key=lambda item: item[0] not in first)
    )
    return html_table(header, body, words=("side",), label="What each side paid")


def _cell(column: int, value: Cell) -> str:
    if column in (5, 6):
        return f'<td class=n data-v="{value:.6g}">{seconds_text(float(value or 0))}</td>'
    return f"<td class=n>{value:,}</td>"


__all__ = ["Paid", "by_side", "costs_table", "paid"]

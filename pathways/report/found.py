"""All that a report shows, read once from a run, and what is made of it: figures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
from matplotlib.figure import Figure

from pathways.graph import path_graph
from pathways.graph.draw import MODULES, graph_figure
from pathways.summary import run_config, summarise
from pathways.text import measure_text, short_count
from pathways.trace_read import Recorded

from . import front, overview, reuse, traces
from .against import Against, against, against_table
from .figures import against_chart, cost_chart, forgetting_sides, matrix_chart, matrix_table, side_colours, task_chart
from .ledger_costs import Paid, costs_table, paid
from .numbers import Table
from .repeat import environment
from .search import chosen, search_chart, searches
from .timeline import timeline, timeline_chart
from .tried import Tried, candidates_table, tried
from .where import recorded


@dataclass(frozen=True, eq=False)
class Found:
    """All that a report shows, read once from a run: plain data, from which tables, figures and words are made.

    Args:
        summary: made by `pathways.summary.summarise`.
        config: of the run; empty where it was made from Python.
        compared: the champions against each control.
        every: what was tried, in order.
        searches: of it, what the strategies that found the champions tried, by task.
        reuse: who uses what; `None` where nothing is learned.
        paid: the cost ledger.
        environment: what the numbers depend on.
        record: what the trace says; `None` where there is none.
        graph: the path graph, of the newest tasks where there are many.
    """

    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    compared: tuple[Against, ...]
    every: tuple[Tried, ...]
    searches: Mapping[str, tuple[Tried, ...]]
    reuse: reuse.Reuse | None
    paid: tuple[Paid, ...]
    environment: Table
    record: Recorded | None
    graph: nx.MultiDiGraph

    @property
    def metric(self) -> str:
        """The metric of all tasks; empty where they have several."""
        metrics = {task["metric"] for task in self.summary["tasks"]}
        return metrics.pop() if len(metrics) == 1 else ""


def read(system: Any) -> Found:
    """What the report of a system shows."""
    from pathways import __version__

    summary, config = summarise(system), run_config(system.directory)
    briefs = system.briefs
    values = [name for name in briefs if system.records[name].target.kind == "values"]
    every = tried(system.ledger.rows(), {name: system.champions[name].candidate for name in briefs}, values)
    root = [blob for path in system.roots.values() for blob in path.frozen()]
    return Found(
        summary, config, against(summary), every,
        searches(every, {task["name"]: task["strategy"] for task in summary["tasks"]}),
        reuse.reuse({name: brief.sizes for name, brief in briefs.items()}, root) if briefs else None,
        paid(system.ledger.costs_by_task(), every, list(briefs)),
        environment(system, summary, config, __version__), recorded(system), path_graph(system, MODULES),
    )  # fmt: skip


def graph_notes(summary: Mapping[str, Any]) -> dict[str, str]:
    """A few words beside each task of the path graph: its test measure and what it added."""
    return {
        task["name"]: f"{measure_text(task['test'], task['metric'])} · {short_count(task['new_parameters'])} new"
        for task in summary["tasks"]
    }


def figures(found: Found) -> dict[str, Figure]:
    """The figures by name: those that have something to show."""
    summary, metric = found.summary, found.metric
    if not summary["tasks"]:
        return {}
    colours = side_colours(list(summary["sides"]))
    made = {"graph": graph_figure(found.graph, graph_notes(summary))}
    if metric:
        made["tasks"] = task_chart(summary)
        if found.compared:
            made["against"] = against_chart(found.compared, metric, colours)
        if len(summary["tasks"]) > 1:
            made["matrix"] = matrix_chart(summary, forgetting_sides(summary))
    if found.reuse is not None and found.reuse.modules:
        made["reuse"] = reuse.reuse_chart(found.reuse)
        if len(found.reuse.tasks) > 1:
            made["sources"] = reuse.sources_chart(found.reuse)
    several = {task: ones for task, ones in found.searches.items() if len(ones) > 1}
    if several:
        made["search"] = search_chart({task: several[task] for task in chosen(list(several))}, metric or "quality")
        varied = traces.traces(found.searches)
        if varied:
            made["hyperparameters"] = traces.traces_chart(varied)
        points = front.placed(several)
        if points:
            made["front"] = front.placed_chart(points, metric or "quality")
    made["costs"] = cost_chart(summary)
    sides = front.side_points(summary)
    if len(sides) > 1:
        made["sides"] = front.sides_chart(sides, metric, colours)
    if found.record is not None:
        made["timeline"] = timeline_chart(timeline(found.record))
    return made


def tables(found: Found) -> dict[str, Table]:
    """Every number of the report by the name of its file; empty ones are left out."""
    summary = found.summary
    varied = [trace.name for trace in traces.traces(found.searches)]
    made = [
        overview.task_table(summary), overview.stream_table(summary), against_table(found.compared),
        *(matrix_table(summary, side) for side in summary["matrices"]),
        *((reuse.modules_table(found.reuse), reuse.sources_table(found.reuse)) if found.reuse else ()),
        candidates_table(found.every), traces.settings_table(found.searches, varied) if varied else None,
        front.sides_table(front.side_points(summary)) if summary["tasks"] else None,
        front.placed_table(front.placed(found.searches)), costs_table(found.paid), found.environment,
    ]  # fmt: skip
    return {table.name: table for table in made if table is not None and table.rows}


__all__ = ["Found", "figures", "graph_notes", "read", "tables"]

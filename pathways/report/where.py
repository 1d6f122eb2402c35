"""The section of a report that says where the time went; a run without a trace has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathways.errors import PathwaysError
from pathways.text import bytes_text, short_count
from pathways.trace_read import Recorded, read_trace
from pathways.trace_summary import duration, meaning, where_time_went

from .markup import escape, html_table, picture, section

_WORKERS = 12  # rows of the table: more are the least used ones of all


def recorded(system: Any) -> Recorded | None:
    """What the trace of a system's run says; `None` where it has none, or no candidate was trained in it."""
    trace = vars(system).get("trace")
    if trace is not None:
        trace.close()  # what it holds back is part of the report
    try:
        found = read_trace(system.directory)
    except PathwaysError:
        return None
    return found if any(lane.candidates for lane in found.workers) else None


def where_section(record: Recorded | None, pictures: Mapping[str, str]) -> str:
    """What the time went into, as a picture and as tables; nothing where there is no record."""
    if record is None:
        return ""
    summary = where_time_went(record)
    label = "What each worker did, over time"
    figure = picture(pictures["timeline"], label) if "timeline" in pictures else ""
    return section(
        "Where the time went", figure + _kinds(summary) + _workers(summary),
        f"{escape(meaning(summary))} A row is a worker, or the mean of several; its colours say what it did at each "
        f"moment, and what is grey it was idle. <code>trace.json</code> in the run directory has every span: open it "
        f"at ui.perfetto.dev.",
    )  # fmt: skip


def _kinds(summary: Mapping[str, Any]) -> str:
    """Seconds by kind of work, and what one candidate cost of each."""
    count, each = summary["candidates"], summary["per_candidate"]
    rows = [(what, one["seconds"], f"{100 * one['share']:.1f} %") for what, one in summary["kinds"].items()]
    rows += [(f"driver: {what}", seconds, "") for what, seconds in summary["driver"].items()]
    body = "".join(
        f"<tr><th scope=row>{escape(what)}</th><td class=n>{seconds:,.1f}</td><td class=n>{share}</td>"
        f"<td class=n>{duration(seconds / count)}</td></tr>"
        for what, seconds, share in rows
    )
    header = ("kind of work", "seconds", "of the workers' time", "a candidate")
    return html_table(header, body, words=header[:1]) + (
        f"<p>{short_count(count)} candidates: {duration(each['work'])} of work each, {duration(each['overhead'])} "
        f"beside it (transfer and commit), {escape(bytes_text(each['moved']))} moved.</p>"
    )


def _workers(summary: Mapping[str, Any]) -> str:
    """How well each worker was used; of many, those that were used least."""
    every = summary["workers"]
    shown = sorted(every, key=lambda one: one["utilisation"])[:_WORKERS] if len(every) > _WORKERS else every
    body = "".join(
        f"<tr><th scope=row>{escape(one['worker'])}</th><td class=n>{one['seconds']:,.1f}</td>"
        f"<td class=n>{one['work']:,.1f}</td><td class=n>{one['idle']:,.1f}</td>"
        f"<td class=n>{100 * one['utilisation']:.1f} %</td><td class=n>{one['candidates']:,}</td></tr>"
        for one in shown
    )
    note = f"<p>The {len(shown)} of {len(every)} workers that worked the least of their time.</p>"
    table = html_table(("worker", "seconds", "work", "idle", "worked", "candidates"), body, words=("worker",))
    return (note if len(shown) < len(every) else "") + table


__all__ = ["recorded", "where_section"]

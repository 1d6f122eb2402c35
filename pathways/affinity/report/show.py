"""The page's tables and notes: the numbers of `tables.py` as people read them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from pathways.affinity.findings import Findings
from pathways.report.markup import escape, html_table, prose
from pathways.text import PERCENT, measure_text, points_text, seconds_text, short_count, short_names

from .heatmap import times, value_texts
from .tables import Cell, Table
from .verified import ALONE, CHOSEN, TOGETHER, difference, zero_is_alone

Format = Callable[[Cell], str]


def relative(findings: Findings) -> str:
    """What gains are relative to, as HTML; said with every table that holds some."""
    percent = " in percentage points" if findings.metric in PERCENT else ""
    seeds = _many(len(findings.seeds), "seed")
    return prose(
        f"Gains are differences of test {findings.metric}{percent}, positive where better, paired by seed over "
        f"{seeds}, with 95 % intervals over seeds; the baseline `{ALONE}` is a network for each task, "
        f"`{TOGETHER}` one network for all."
    )


def facts(findings: Findings) -> str:
    """The cards at the top."""
    chosen = findings.selection
    cards = [
        (str(len(findings.tasks)), "tasks"), (str(len(findings.seeds)), _many(len(findings.seeds), "seed").split()[1]),
        (str(len(chosen.networks)), f"networks chosen, cost {chosen.cost:g} of {chosen.budget:g}"),
    ]  # fmt: skip
    for other in (ALONE, TOGETHER):
        found = difference(findings, CHOSEN, other)
        if found is not None:
            interval = ", ".join(points_text(end, findings.metric) for end in (found.low, found.high))
            label = f"{findings.unit} against {other}" + (f" [{interval}]" if found.sure else ", one seed")
            cards.append((points_text(found.value, findings.metric), label))
    measuring = next((c for c in findings.costs if c.what == findings.affinity.estimator), None)
    if measuring is not None:
        cards.append((f"{measuring.joint_runs:.2g}×", f"of a joint training to measure {measuring.what}"))
    body = "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in cards)
    line = (
        f"{findings.affinity.estimator} · {findings.affinity.kind} affinity · rule {chosen.rule} · test "
        f"{findings.metric} · seeds {', '.join(map(str, findings.seeds))}"
    )
    return f"<div class=facts>{body}</div><p class=run>{escape(line)}</p>"


def splits(findings: Findings, table: Table) -> str:
    """The ways to split; the chosen first, as the study has them."""
    rows = []
    for record in table.records():
        gains = [
            _with_ends(record, f"gain against {other}", findings) if record["split"] != other else "–"
            for other in (ALONE, TOGETHER)
        ]
        missing = record["missing"]
        rows.append([
            str(record["split"]), str(record["networks"]), f"{record['cost']:g}",
            measure_text(_number(record["validation"]), findings.metric),
            measure_text(_number(record["test"]), findings.metric), gains[0],
            _ends(record, f"gain against {ALONE}", findings, " over tasks") or "–", gains[1],
            str(missing) if missing else "–",
        ])  # fmt: skip
    header = ["split", "networks", "cost", f"validation {findings.metric}", f"test {findings.metric}",
              f"gain against {ALONE}", "over tasks", f"gain against {TOGETHER}", "failed"]  # fmt: skip
    return _rows(header, rows, words=("split",), strong=(CHOSEN,))


def networks(findings: Findings, table: Table) -> str:
    """The chosen networks."""
    names = short_names(findings.tasks, longest=40)

    def listed(cell: Cell) -> str:
        tasks = [task for task in str(cell).split(" | ") if task]
        return ", ".join(names.get(task, task) for task in tasks) or "–"

    rows = [
        [str(r["network"]), f"{r['cost']:g}", listed(r["tasks"]), listed(r["helpers"])] for r in table.records()
    ]
    header = ["network", "cost", "serves", "helper heads"]
    return _rows(header, rows, words=header, wrapped=(2, 3))


def selection_note(findings: Findings) -> str:
    """How the networks were chosen, as HTML."""
    chosen = findings.selection
    proof = "proven the best there is by the rule" if chosen.optimal else f"at most {chosen.gap:.3g} from the best"
    edges = (
        "Grey edges are of transfers that read several sources." if chosen.rule == "taskonomy" else
        "Solid edges serve a task; grey ones are helper heads, trained to help others and not used."
    )  # fmt: skip
    return prose(
        f"Rule `{chosen.rule}` at a budget of {chosen.budget:g}, by {chosen.solver}: value {chosen.value:.4g}, "
        f"{proof}. {edges}"
    )


def tasks(findings: Findings, table: Table) -> str:
    """What each task receives and gives, and what it gained."""
    names = short_names(findings.tasks, longest=32)
    records = table.records()
    inner = np.array([[_number(record[key]) for key in ("in", "out", "net")] for record in records], dtype=np.float64)
    help_texts = value_texts(inner)
    rows = []
    for record, helps in zip(records, help_texts, strict=True):
        rows.append([
            names[str(record["task"])], _short(record["network"]),
            _short(record["predicted"]), *("–" if text == "nan" else text for text in helps),
            _signed(record["early-late Spearman"]),
            *(_with_ends(record, f"gain {name}", findings) for name in (CHOSEN, TOGETHER)),
        ])  # fmt: skip
    power = f" {times(inner)}".rstrip()
    header = ["task", "network", "predicted", *(f"{name}{power}" for name in ("in", "out", "net")), "early-late",
              f"gain {CHOSEN}", f"gain {TOGETHER}"]  # fmt: skip
    return _rows(header, rows, words=("task",))


def tasks_note(findings: Findings) -> str:
    """What the columns of `tasks` mean, as HTML."""
    unit = findings.affinity.unit or "the matrix's own unit"
    meaning = "" if zero_is_alone(findings) else " Raw affinities of two tasks compare only where their losses do."
    return prose(
        f"`in` is the mean help a task receives, `out` what it gives, `net` in less out, in {unit}; `predicted` is the "
        f"score of the network that serves it; `early-late` Spearman's correlation of its row in both halves of "
        f"training.{meaning}"
    ) + f" {relative(findings)}"


def matrices(table: Table) -> str:
    """One row a matrix."""
    rows = [
        [str(r["estimator"]), str(r["kind"]), str(r["unit"]), str(r["repeats"]), str(r["moments"]),
         _percent(r["share of positive pairs"]), _percent(r["asymmetry"]), _short(r["intra − inter"]),
         _signed(r["intra − inter (row sd)"]), _signed(r["early-late Spearman"])]
        for r in table.records()
    ]  # fmt: skip
    header = ["estimator", "kind", "unit", "repeats", "moments", "positive pairs", "asymmetry", "intra − inter",
              "in row sd", "early-late"]  # fmt: skip
    return _rows(header, rows, words=("estimator", "kind", "unit"))


def matrices_note(findings: Findings) -> str:
    """What the columns of `matrices` mean, as HTML."""
    return prose(
        "Share of positive pairs: of little meaning by itself where the estimator's sign has none. Asymmetry: the sum "
        "of |Z_ij − Z_ji| as a share of that of |Z_ij| + |Z_ji|; 0 is symmetric. Intra − inter: the mean over pairs "
        "that share a serving network less that over the others, in the unit and in standard deviations of a row; the "
        "chosen grouping was picked to make it large."
    )


def estimators(table: Table) -> str:
    """How far the matrices agree."""
    rows = []
    for r in table.records():
        ends = f"{_signed(r['low'])} to {_signed(r['high'])}" if r["low"] == r["low"] else "–"
        rows.append([str(r["estimator"]), str(r["other"]), str(r["kind"]), _signed(r["Spearman"]), ends, str(r["n"])])
    header = ["estimator", "other", "kind", "Spearman", "95 % interval", "pairs"]
    return _rows(header, rows, words=("estimator", "other", "kind"))


def method(findings: Findings) -> str:
    """What was measured on what, and what counted as shared."""
    affinity = findings.affinity
    shared = ", ".join(affinity.shared[:12]) + (f" and {len(affinity.shared) - 12} more" * (len(affinity.shared) > 12))
    seconds = sum(cost.seconds for cost in findings.costs)
    lines = [
        ("estimator", f"{affinity.estimator}, {affinity.kind}, in {affinity.unit or 'no unit'}; "
         f"{_many(affinity.repeats, 'repeat')} of {_many(affinity.readings.shape[1], 'moment')}"),
        ("shared parameters", f"{short_count(findings.shared_parameters)} ({shared or 'not named'}); the largest head "
         f"has {short_count(findings.own_parameters)}"),
        ("metric", f"{findings.metric}, {'higher' if findings.higher_is_better else 'lower'} is better; choices use "
         f"training and validation data, gains are of the test split"),
        ("seeds", ", ".join(map(str, findings.seeds))),
        ("processor time", seconds_text(seconds)),
        *((str(key), str(value)) for key, value in findings.about.items()),
    ]  # fmt: skip
    items = "".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in lines)
    return f"<ul>{items}</ul>"


def files(names: Sequence[str], pictures: Mapping[str, str]) -> str:
    """Where every number and figure lies."""
    figures = [f"figures/{name}.svg" for name in pictures]
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in [*names, *figures])
    return f"<p>Beside this page: {listed}.</p>"


def _with_ends(record: Mapping[str, Cell], name: str, findings: Findings) -> str:
    """A gain and its interval over seeds."""
    return f"{points_text(_number(record[name]), findings.metric)} {_ends(record, name, findings)}".rstrip()


def _ends(record: Mapping[str, Cell], name: str, findings: Findings, over: str = "") -> str:
    """An interval; empty where there is none."""
    low, high = (_number(record[f"{name}: {end}{over}"]) for end in ("low", "high"))
    if low is None or high is None:
        return ""
    return f"[{points_text(low, findings.metric)}, {points_text(high, findings.metric)}]"


def _rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[str], strong: Collection[str] = (),
    wrapped: Collection[int] = (),
) -> str:  # fmt: skip
    body = ""
    for row in rows:
        cells = "".join(
            f"<td{_kind(name in words, i in wrapped, row[0] in strong)}>{escape(cell)}</td>"
            for i, (name, cell) in enumerate(zip(header, row, strict=True)) if i
        )
        body += f"<tr><th scope=row>{escape(row[0])}</th>{cells}</tr>"
    return html_table(header, body, words)


def _kind(word: bool, wrapped: bool, strong: bool) -> str:
    style = " style='white-space:normal'" if wrapped else ""
    names = " ".join(["n"] * (not word) + ["strong"] * strong)
    return (f" class='{names}'" if names else "") + style


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, int | float) and cell == cell else None


def _short(cell: Cell) -> str:
    value = _number(cell)
    return "–" if value is None else f"{value:.3g}"


def _signed(cell: Cell) -> str:
    value = _number(cell)
    return "–" if value is None else f"{value:+.2f}"


def _percent(cell: Cell) -> str:
    value = _number(cell)
    return "–" if value is None else f"{100 * value:.0f} %"


__all__ = [
    "estimators", "facts", "files", "matrices", "matrices_note", "method", "networks", "relative", "selection_note",
    "splits", "tasks", "tasks_note",
]

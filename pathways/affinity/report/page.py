"""The report of a study: one self-contained HTML page, its figures and its numbers as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import inline, render
from pathways.files import write_atomically
from pathways.report.markup import escape, html_page, numbers, picture, prose, section

from . import show
from .answer import reasons, verdict
from .asymmetry import asymmetry
from .budget import budget
from .costs import costs
from .course import course
from .dendrogram import dendrogram
from .files import write_numbers
from .gains import gains
from .grid import WRITTEN
from .heatmap import heatmap, of_others, times
from .networks import networks
from .predicted import agreement_note, predicted
from .stability import stability
from .structure import early_late, pairs
from .tables import Table, tables

FIGURES: Mapping[str, Callable[[Findings], Figure | None]] = {
    "heatmap": heatmap, "dendrogram": dendrogram, "asymmetry": asymmetry, "course": course, "budget": budget,
    "networks": networks, "predicted": predicted, "stability": stability, "gains": gains, "costs": costs,
}  # fmt: skip
"""The figures of the report, each named after its file."""

_WITHOUT = {
    "heatmap": "matrices, since there is one task",
    "course": "the course of training, measured at fewer than two moments",
    "stability": "the stability of the grouping, since there was one reading or nothing was drawn again",
    "predicted": "predictions against gains, since none were both placed in a row and verified",
    "gains": "gains, since none were verified",
    "budget": "the value of other budgets, since none were solved", "costs": "costs, since none were measured",
}  # fmt: skip
_NUMBERS = {
    "gains": "gains", "predicted": "predicted", "heatmap": "standardised", "asymmetry": "asymmetry",
    "course": "course", "stability": "stability", "budget": "budget", "costs": "costs",
}  # fmt: skip
"""By figure, the table of its numbers; those of the other figures stand beside them."""


def write_report(findings: Findings, directory: str | Path, png: bool = False) -> Path:
    """Write `report.html`, `figures/*.svg`, `tables/*.csv` and `affinity.json`.

    Equal findings give equal bytes. Nothing is measured here.

    Args:
        findings: of a study.
        directory: where; it is made when it is missing.
        png: whether figures are written as PNG too.

    Returns:
        The page.
    """
    out = Path(directory)
    made = tables(findings)
    pictures = {}
    for name, draw in FIGURES.items():
        figure = draw(findings) if len(findings.tasks) > 1 else None
        if figure is None:
            continue
        svg = render(figure, "svg", f"affinity-{name}")
        pictures[name] = inline(svg, name)
        write_atomically(out / "figures" / f"{name}.svg", svg, durable=False)
        if png:
            write_atomically(out / "figures" / f"{name}.png", render(figure, "png", name), durable=False)
    files = write_numbers(findings, made, out)
    page = out / "report.html"
    names = [str(file.relative_to(out)) for file in files]
    write_atomically(page, report_page(findings, made, pictures, names).encode(), durable=False)
    return page


def report_page(
    findings: Findings, made: Mapping[str, Table], pictures: Mapping[str, str], files: list[str]
) -> str:
    """The HTML page."""
    relative = show.relative(findings)

    def figure_section(title: str, pictures: Mapping[str, str], name: str, caption: str) -> str:
        """A section with a picture and its numbers; nothing where there is no such picture."""
        if name not in pictures:
            return ""
        table = made.get(_NUMBERS.get(name, ""))
        below = numbers(table, f"{title.rstrip('?')}", folder="tables") if table is not None else ""
        return section(title, picture(pictures[name], title) + below, caption)

    sections = [
        f'<header><p class="kicker">pathways affinity</p><h1>{escape(findings.name)}</h1></header>',
        section(
            "Should I split my tasks, and how?",
            f'<p class="answer"><b class="verdict">{prose(verdict(findings))}</b>{prose(reasons(findings))}</p>'
            f"{show.facts(findings)}",
        ),
        section("The ways to split", show.splits(findings, made["splits"]), f"{relative} <code>over tasks</code>: the "
                "interval of the gain against separate over tasks instead of seeds.") if findings.arms else "",
        figure_section("Who gains, who loses", pictures, "gains", f"{relative} Dots are means over seeds, lines "
                       "the intervals. Grey bars span the random groupings of the "
                       "same cost, ticks are their medians."),
        _chosen(findings, made, pictures),
        figure_section("Were the predictions right?", pictures, "predicted", prose(agreement_note(findings)) +
                       " Bars are one standard error over seeds."),
        figure_section("Who helps whom", pictures, "heatmap", _heat_caption(findings)),
        figure_section("The same, ordered", pictures, "dendrogram", "Tasks that rank each other high stand together: "
                       "average linkage on rank affinity, averaged over both directions. Frames hold pairs that "
                       "the chosen networks group: the row's network trains on the column too."),
        section("Task by task", show.tasks(findings, made["tasks"]), show.tasks_note(findings)),
        section("The matrix in numbers", show.matrices(made["matrices"]), show.matrices_note(findings)),
        figure_section("How one-sided help is", pictures, "asymmetry", "The distance between the two directions of "
                       "each pair: where it is large, who helps is not who is helped."),
        figure_section("Affinity over training", pictures, "course", f"{_halves(findings)} Left: medians over pairs of "
                       "their place in the row, bands hold half of the pairs. Right: whether a row ranks its sources "
                       "alike in the first and the second half of training; near 0, the affinities are noise or "
                       "change as training goes on."),
        figure_section("How stable is the grouping", pictures, "stability", "All was drawn again: seeds with "
                       "replacement, and within each training blocks of moments that follow each other. A pair that "
                       "is grouped every other time is a coin's choice. Frames hold the pairs of the chosen networks."),
        figure_section("What a budget buys", pictures, "budget", "By the rule's own value, predicted, not verified. "
                       "The band spans random choices."),
        section("Do the estimators agree?", show.estimators(made["estimators"]), "Spearman's correlation over all "
                "pairs, each row standardised; intervals count rows. Kinds that differ measure different things and "
                "may rightly disagree.") if made["estimators"].rows else "",
        figure_section("What it cost", pictures, "costs", "One joint training of all tasks is the unit."),
        section("How it was measured", show.method(findings) + _missing(pictures)),
        section("All numbers", show.files(files, pictures)),
    ]  # fmt: skip
    return html_page(findings.name, "".join(sections))


def _chosen(findings: Findings, made: Mapping[str, Table], pictures: Mapping[str, str]) -> str:
    drawn = picture(pictures["networks"], "The chosen networks") if "networks" in pictures else ""
    return section(
        "The chosen networks", drawn + show.networks(findings, made["networks"]), show.selection_note(findings)
    )


def _heat_caption(findings: Findings) -> str:
    affinity = findings.affinity
    written = ""
    if max(len(affinity.affected), len(affinity.sources)) <= WRITTEN:
        written = f" Numbers are the values themselves, {escape(affinity.unit or 'without a unit')}"
        written += f" {times(of_others(affinity))}".rstrip() + "."
    sign = "" if affinity.kind == "dependence" else (
        ": a raw affinity's sign has no meaning of its own, nor has a comparison between rows"
    )
    unmeasured = " Crosses were not measured." if _holes(findings) else ""
    return (
        f"How much the task of a column helps the task of a row, by {escape(affinity.estimator)}. Colours compare "
        f"within a row only, around its median{sign}.{written}{unmeasured}"
    )


def _halves(findings: Findings) -> str:
    found = early_late(findings.affinity, findings.tasks)
    if found is None or found.all.value != found.all.value:
        return ""
    ends = f", 95 % interval {found.all.low:+.2f} to {found.all.high:+.2f}, counting rows" if found.all.sure else ""
    return f"The first half of training against the second: Spearman {found.all.value:+.2f} over all pairs{ends}."


def _missing(pictures: Mapping[str, str]) -> str:
    """Why figures are not there."""
    reasons = {why: None for name, why in _WITHOUT.items() if name not in pictures}
    return f"<p class=caption>Not shown: {escape('; '.join(reasons))}.</p>" if reasons else ""


def _holes(findings: Findings) -> bool:
    values = pairs(findings.affinity, findings.tasks)
    return bool((values != values).sum() > len(findings.tasks))


__all__ = ["FIGURES", "report_page", "write_report"]

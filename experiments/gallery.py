"""Writes `docs/gallery.md` and its figures: `python -m pathways.experiments.gallery docs`.

A run and a study are made small in a folder of their own, and each figure by the command that stands beside it. A
figure more is one line of `FIGURES`.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = "figures/gallery"
MOST = 2_000_000
"""Bytes that all figures may have together: they are part of every clone."""

RUN = """\
# gallery.yaml
name: gallery
root:
  architecture:
    - {family: flatten}
    - {family: linear, dim: 32, activation: relu}
    - {family: linear, dim: 24, activation: relu}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [0, 1, 2], [3, 4, 5], [6, 7, 8]]}
training: {steps: 40, batch: 32, lr: 1.0e-2, evaluate_every: 10}
strategy:
  munet: {generations: 2, children: 3, rates: {clone: 0.4, hyperparameter: 0.4, layers: 0.2}}
controls: [independent, fine-tune]
"""
STUDY = """\
# study.yaml
name: study
root: {architecture: [{family: flatten}, {family: linear, dim: 16, activation: relu}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5], [6, 7]]}
training: {steps: 20, batch: 16}
affinity: {estimators: [lookahead], budget: 2, seeds: 3, random: 2}
"""
GRID = """\
# grid.yaml
name: grid
tasks:
  - {source: digits_tasks, groups: [[5, 6], [6, 7]]}
training: {steps: 20, batch: 16}
strategy:
  pathnet: {preset: pathnet-2017-author, population: 8, generations: 6}
"""
CONFIGS = {"gallery.yaml": RUN, "study.yaml": STUDY, "grid.yaml": GRID}
MADE = ("pathways run gallery.yaml", "pathways affinity study.yaml", "pathways run grid.yaml")
"""What is run first."""


@dataclass(frozen=True)
class Figure:
    """A kind of figure.

    Args:
        name: of its file here, with its ending: `.svg`, `.png` or `.gif`, or `.html` for a page, which is linked.
        section: the heading it stands under.
        title: of the figure.
        says: what can be read from it.
        command: what makes it.
        file: where the command leaves it.
    """

    name: str
    section: str
    title: str
    says: str
    command: str
    file: str


_REPORT, _STUDY = "pathways report runs/gallery", "pathways affinity study.yaml"
_COMPARE = "pathways compare runs/gallery runs/gallery:independent runs/gallery:fine-tune --out comparison.html"


def _graph(name: str, title: str, says: str, options: str, file: str) -> Figure:
    return Figure(name, "Path graphs", title, says, f"pathways graph {options}", f"runs/{file}")


def _report(name: str, title: str, says: str) -> Figure:
    return Figure(f"{name}.svg", "The report", title, says, _REPORT, f"runs/gallery/figures/{name}.svg")


def _study(name: str, title: str, says: str) -> Figure:
    return Figure(f"study-{name}.svg", "Affinity", title, says, _STUDY, f"runs/study/figures/{name}.svg")


FIGURES: tuple[Figure, ...] = (
    _graph("graph.svg", "All paths", "Each task's path through the pool. A module has the colour of the task that "
           "trained it; what several tasks use has several lines.",
           "runs/gallery --format svg", "gallery/figures/graph.svg"),
    _graph("graph.html", "The same, to hover over", "Pick a task, compare two, step through time: one file, plain "
           "JavaScript, no network.", "runs/gallery --format html", "gallery/figures/graph.html"),
    _graph("shared.svg", "What several tasks use", "Only modules that at least two tasks use.",
           "runs/gallery --shared 2 --out runs/gallery/figures/shared.svg",
           "gallery/figures/shared.svg"),
    _graph("highlight.svg", "One task among the others", "Its path in full colour, the others faint.",
           "runs/gallery --highlight digits/6-7-8 --out runs/gallery/figures/highlight.svg",
           "gallery/figures/highlight.svg"),
    _graph("growth.svg", "How it grew", "A small picture after each task.", "runs/gallery --view growth",
           "gallery/figures/growth.svg"),
    _graph("growth.gif", "How it grew, moving", "The same as an animation.",
           "runs/gallery --format gif --out growth.gif", "../growth.gif"),
    _graph("lineage.svg", "A champion's line", "What it descends from: parents, mutations, scores.",
           "runs/gallery --view lineage --task digits/6-7-8", "gallery/figures/lineage.svg"),
    _graph("module.svg", "A module's card", "Who trained it, who uses it, and what leaving it out costs each of them. "
           "`ID` is the beginning of a module's id, as the table of the path graph has it.",
           "runs/gallery --view module --module ID --leave-out", "gallery/figures/module.svg"),
    _graph("grid.svg", "PathNet's grid", "Task after task: which modules are active, frozen, initialised anew.",
           "runs/grid --view grid", "grid/figures/grid.svg"),
    _graph("evolution.svg", "PathNet's population", "How its paths came together.", "runs/grid --view evolution",
           "grid/figures/evolution.svg"),
    Figure("report.html", "The report", "The whole report", "One self-contained page.", _REPORT,
           "runs/gallery/report.html"),
    _report("tasks", "Tasks beside their controls", "What each task reached, and what controls did."),
    _report("against", "Against each control", "The champions' difference, with intervals over tasks."),
    _report("matrix", "Accuracy matrix", "A row for each moment, a column for each task. What was learned stays: "
            "columns do not change downwards."),
    _report("reuse", "Who uses what", "A row for each task, a column for each module."),
    _report("search", "How the searches went", "Every dot is a candidate."),
    _report("hyperparameters", "Which hyperparameters won", "What candidates were given, in the order tried."),
    _report("costs", "What it cost", "Parameters and compute of both sides."),
    _report("timeline", "Where the time went", "A row for each worker, by kind of work."),
    Figure("live.svg", "The live view", "A run on a terminal", "What is going on and how far the run is; what has "
           "ended stays above. In a log it is plain lines.", "pathways run gallery.yaml", "runs/live.svg"),
    Figure("comparison.html", "Comparison", "Runs and controls side by side", "Paired tests over tasks and seeds, with "
           "their figures.", _COMPARE, "comparison.html"),
    Figure("study.html", "Affinity", "The report of a study", "Should these tasks share, and how? With what was "
           "predicted beside what was found.", _STUDY, "runs/study/report.html"),
    _study("heatmap", "Affinity matrix", "A row for each task that is helped, a column for each that helps."),
    _study("dendrogram", "Which tasks are near", "The tree of tasks by their affinity."),
    _study("networks", "The networks chosen", "Which tasks share one."),
    _study("gains", "What came of it", "Test gains of each way to split, with intervals over seeds."),
    _study("predicted", "Predicted beside found", "How far predictions held."),
)  # fmt: skip
"""Every kind of figure, in the order of the page."""


def page() -> str:
    """The page as Markdown."""
    lines = [
        "# Gallery", "",
        "Every kind of figure that the toolkit makes, each with the command that made it. All are of three small runs",
        "that take a minute or two; save their configurations and repeat them. The page and its figures are written by",
        "`python -m pathways.experiments.gallery docs`.", "",
        *(f"```yaml\n{text}```\n" for text in CONFIGS.values()),
        "```sh", *MADE, "```", "",
    ]  # fmt: skip
    section = ""
    for figure in FIGURES:
        if figure.section != section:
            section = figure.section
            lines += [f"## {section}", ""]
        place = f"{FOLDER}/{figure.name}"
        shown = f"[Open the page]({place})" if place.endswith(".html") else f"![{figure.title}]({place})"
        lines += [f"### {figure.title}", "", figure.says, "", shown, "", "```sh", figure.command, "```", ""]
    return "\n".join(lines)


def arguments(command: str) -> list[str]:
    """What a command hands to `pathways`.

    >>> arguments("pathways show runs/gallery")
    ['show', 'runs/gallery']
    """
    program, *rest = shlex.split(command)
    if program != "pathways":
        raise ValueError(f"`command` must begin with pathways, found {command!r}.")
    return rest


def module_of(run: str) -> str:
    """The beginning of the id of the module that most tasks use, of those that were trained."""
    from pathways.modules import Frozen
    from pathways.system import System

    used: dict[str, int] = {}
    with System.open(run) as system:
        for record in system.records.values():
            for step in record.champion.path.steps.values():
                for ref in step.modules:
                    if isinstance(ref, Frozen) and ref.spec.family == "linear":
                        used[ref.id] = used.get(ref.id, 0) + 1
    return max(used, key=lambda key: (used[key], key))[:12]


def write(docs: Path) -> None:
    """Make the runs and the figures, and write the page."""
    from pathways.experiments.cli import main as pathways

    from .live_picture import live_picture

    with tempfile.TemporaryDirectory() as made, contextlib.chdir(made):
        for name, text in CONFIGS.items():
            Path(name).write_text(text, encoding="utf-8")
        for command in dict.fromkeys([*MADE, *(figure.command for figure in FIGURES)]):
            words = [module_of("runs/gallery") if word == "ID" else word for word in arguments(command)]
            if pathways(words):
                raise SystemExit(f"gallery: {command} failed")
        Path("runs/live.svg").write_text(live_picture("gallery.yaml", "runs/watched"), encoding="utf-8")
        found = {figure.name: Path(figure.file).read_bytes() for figure in FIGURES}
    size = sum(map(len, found.values()))
    if size > MOST:
        raise SystemExit(f"gallery: the figures have {size:,} bytes, at most {MOST:,} may be kept: make one smaller.")
    folder = docs / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in found.items():
        (folder / name).write_bytes(content)
    (docs / "gallery.md").write_text(page(), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Write the page into the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.gallery", description=__doc__)
    parser.add_argument("docs", type=Path, help="the folder that the page is written to")
    write(parser.parse_args(words).docs.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["CONFIGS", "FIGURES", "FOLDER", "Figure", "page", "write"]

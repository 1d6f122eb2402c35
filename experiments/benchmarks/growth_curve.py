"""`python -m pathways.experiments.benchmarks.growth_curve OUT`: what acts on a run cost as tasks grow."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path as FilePath
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import render, styled
from pathways.files import write_atomically
from pathways.palette import FAINT, task_colour

from .acts import ACTS, STRATEGY, cost_of
from .growth import all_alphabets, stream
from .meter import Cost
from .synthetic import synthetic

SIZES = (10, 30, 100, 300, 1000)
MODULES = 100
REPEATS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or with `--rows` take what was measured before, and write `growth.json` and `growth.svg`."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.benchmarks.growth_curve", description=__doc__)
    parser.add_argument("out", type=FilePath, help="the folder of growth.json and growth.svg")
    parser.add_argument("--rows", type=FilePath, help="a growth.json to draw instead of measuring")
    parser.add_argument("--tasks", type=int, nargs="+", default=SIZES, help="the sizes of the synthetic systems")
    parser.add_argument("--modules", type=int, default=MODULES, help="how many modules each task has of its own")
    given = parser.parse_args(arguments)
    if given.rows:
        rows = json.loads(given.rows.read_text())
    else:
        rows = {"acts": list(curve(given.tasks, given.modules)), "stream": learned()}
        text = json.dumps(rows, indent=1)
        write_atomically(given.out / "growth.json", (text + "\n").encode())
    write_atomically(given.out / "growth.svg", render(growth_figure(rows["acts"], rows["stream"]), "svg", "growth"))
    print(table(rows["acts"]))
    return 0


def curve(sizes: Sequence[int], modules: int) -> Iterator[dict[str, Any]]:
    """The cost of each act on synthetic systems of so many tasks: of three processes the one in the middle."""
    for tasks in sizes:
        with tempfile.TemporaryDirectory() as folder:
            run = FilePath(folder) / "run"
            synthetic(run, tasks, modules, STRATEGY).close()
            cost_of("collect", run)  # writes the index, as any run that has learned a task has it
            for act in ACTS:
                costs = [cost_of(act, run, number) for number in range(REPEATS)]
                middle = {name: median(getattr(cost, name) for cost in costs) for name in asdict(Cost())}
                yield {"act": act, "tasks": tasks, "modules": tasks * modules, **middle}


def learned() -> list[dict[str, Any]]:
    """What each of 50 alphabets cost, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        return stream(FilePath(folder) / "run", all_alphabets())


def growth_figure(acts: Sequence[Mapping[str, Any]], alphabets: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds of each act against the number of tasks; the stream's time per sample-step, bytes and manifests."""
    with styled():
        figure = Figure(figsize=(9.0, 6.2), layout="constrained")
        (time, memory), (step, looked) = figure.subplots(2, 2)
        for i, act in enumerate(dict.fromkeys(row["act"] for row in acts)):
            rows = [row for row in acts if row["act"] == act]
            tasks = [row["tasks"] for row in rows]
            for axes, key in ((time, "seconds"), (memory, "peak_mb")):
                axes.plot(tasks, [row[key] for row in rows], "o-", color=task_colour(i), markersize=4, label=act)
        time.set(title="one act in a fresh process", ylabel="seconds", xscale="log", yscale="log")
        memory.set(title="its peak memory, libraries included", ylabel="10⁶ bytes", xscale="log", ylim=(0, None))
        for axes in (time, memory):
            axes.set_xlabel(f"tasks, of {acts[0]['modules'] // acts[0]['tasks']} modules each")
        time.legend(frameon=False, fontsize=7, ncols=2)
        number = [row["tasks"] + 1 for row in alphabets]
        rates = [1e6 * row["seconds"] / row["sample_steps"] for row in alphabets]
        step.plot(number, rates, "o", color=task_colour(0), markersize=4)
        step.set(title="50 alphabets, one after another", ylabel="µs a sample-step", ylim=(0, 2 * median(rates)))
        looked.plot(number, [row["bytes_read"] / 1e6 for row in alphabets], "o", color=task_colour(1), markersize=4,
                    label="10⁶ bytes read")  # fmt: skip
        looked.plot(number, [row["manifests"] for row in alphabets], "o", color=task_colour(2), markersize=4,
                    label="manifests read in full")  # fmt: skip
        looked.set(title="what each of them looked at", ylim=(0, None))
        looked.legend(frameon=False, fontsize=7)
        for axes in (step, looked):
            axes.set_xlabel("alphabet")
        for axes in (time, memory, step, looked):
            _grid(axes)
    return figure


def _grid(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(length=0, labelsize=8)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The acts as a Markdown table: seconds, megabytes read and peak memory for each number of tasks.

    >>> row = {"act": "open", "tasks": 10, "seconds": 0.5, "bytes_read": 2e6, "peak_mb": 300.0, "files": 3}
    >>> print(table([row]))
    | act | 10 tasks |
    |---|---|
    | open | 0.500 s, 2.0 MB read, 300 MB |
    """
    sizes = list(dict.fromkeys(row["tasks"] for row in rows))
    lines = [["act", *(f"{size:,} tasks" for size in sizes)], ["---"] * (len(sizes) + 1)]
    for act in dict.fromkeys(row["act"] for row in rows):
        found = {row["tasks"]: row for row in rows if row["act"] == act}
        cells = [
            f"{found[size]['seconds']:.3f} s, {found[size]['bytes_read'] / 1e6:.1f} MB read, "
            f"{found[size]['peak_mb']:.0f} MB"
            for size in sizes
        ]
        lines.append([act, *cells])
    return "\n".join("|---" * len(line) + "|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())

"""Accuracy against compute, for all sides of finished runs: a table and a figure.

    python -m pathways.experiments.compute_curve RUN [RUN ...] --figure FILE

Controls named `side-STEPS` are the points of one curve; runs of one configuration with other seeds are averaged.
Runs with other strategies or training are further points of the champions' curve.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import t as student

from pathways.canvas import render, styled
from pathways.errors import ConfigError
from pathways.files import write_atomically
from pathways.report.figures import side_colours
from pathways.summary import CHAMPIONS
from pathways.system import System

from .runner import stored_config

PAIRED = (
    "run", "side", "accuracy", "champions minus it", "95 % interval", "parameters", "champions' share", "CPU-seconds",
)
COLUMNS = ("side", "steps", "CPU-seconds a task", "mean test accuracy", "parameters in all", "runs")


def points(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """The points of each curve, by side: CPU-seconds and parameters a task, mean test accuracy, their number of runs.

    Args:
        summaries: of runs of one stream, as `System.summary` gives them. Under `searched` may stand what else than
            the seed decides on the champions; those of runs that differ in it are different points.

    Raises:
        ConfigError: the runs learned different tasks.

    Example:
        >>> side = {"ACC": 0.9, "cpu_seconds": 4.0, "parameters": 100}
        >>> points([{"tasks": [{"name": "a"}, {"name": "b"}], "sides": {"champions": side, "independent-300": side}}])
        {'champions': [{'steps': 0, 'cpu': 2.0, 'accuracy': 0.9, 'parameters': 100.0, 'runs': 1}], \
'independent': [{'steps': 300, 'cpu': 2.0, 'accuracy': 0.9, 'parameters': 100.0, 'runs': 1}]}
    """
    names = [task["name"] for task in summaries[0]["tasks"]]
    if any([task["name"] for task in summary["tasks"]] != names for summary in summaries):
        raise ConfigError(f"the runs must be of one stream of tasks, found others beside {names}.")
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for summary in summaries:
        searched = json.dumps(summary.get("searched"), sort_keys=True)
        for name, side in summary["sides"].items():
            found[name, searched if name == CHAMPIONS else ""].append(side)
    curves: dict[str, list[dict[str, float]]] = defaultdict(list)
    several = len([name for name, _ in found if name == CHAMPIONS]) > 1
    for (name, searched), sides in found.items():
        side, _, steps = name.rpartition("-")
        curve, number = (side, int(steps)) if side and steps.isdecimal() else (name, 0)
        if name == CHAMPIONS and several:  # told apart by the steps of their copies
            number = json.loads(searched)["training"]["steps"]
        average = {key: sum(s[key] for s in sides) / len(sides) for key in ("ACC", "cpu_seconds", "parameters")}
        curves[curve].append({
            "steps": number, "cpu": average["cpu_seconds"] / len(names), "accuracy": average["ACC"],
            "parameters": float(average["parameters"]), "runs": len(sides),
        })
    return {name: sorted(curve, key=lambda point: point["cpu"]) for name, curve in curves.items()}


def curve_table(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """The points as a Markdown table."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for name, curve in curves.items():
        for p in curve:
            steps = f"{p['steps']:,.0f}" if p["steps"] else "–"
            numbers = [f"{p['cpu']:.1f}", f"{100 * p['accuracy']:.1f}", f"{p['parameters']:,.0f}", f"{p['runs']:.0f}"]
            rows.append(f"| {' | '.join([name, steps, *numbers])} |")
    return "\n".join(rows)


def paired_table(summaries: Sequence[Mapping[str, Any]]) -> str:
    """For each run, its accuracy, parameters and compute beside each control's, as a Markdown table.

    Differences are in points, champions minus control, paired over tasks: their mean and its standard error, and the
    interval of Student's t.
    """
    rows = [f"| {' | '.join(PAIRED)} |", "|" + "---|" * len(PAIRED)]
    for summary in summaries:
        champions, tasks = summary["sides"][CHAMPIONS], summary["tasks"]
        for name, side in summary["sides"].items():
            gaps = [100 * (task["test"] - task["controls"][name]) for task in tasks if name in task["controls"]]
            error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
            gap = f"{mean(gaps):+.2f} ± {error:.2f}" if gaps else "–"
            reach = error * float(student.ppf(0.975, len(gaps) - 1)) if len(gaps) > 1 else 0.0
            interval = f"{mean(gaps) - reach:+.2f} to {mean(gaps) + reach:+.2f}" if len(gaps) > 1 else "–"
            share = f"{champions['parameters'] / side['parameters']:.0%}" if gaps else "–"
            numbers = [
                f"{100 * side['ACC']:.1f}", gap, interval, f"{side['parameters']:,}", share,
                f"{side['cpu_seconds']:.0f}",
            ]  # fmt: skip
            rows.append(f"| {' | '.join([str(summary['run']), name, *numbers])} |")
    return "\n".join(rows)


def curve_figure(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Accuracy over CPU-seconds a task, on a logarithmic axis, a line for each side."""
    colours = side_colours(list(curves))
    with styled():
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for name, curve in curves.items():
            x, y = [p["cpu"] for p in curve], [100 * p["accuracy"] for p in curve]
            size, above = (9, 3) if name == CHAMPIONS else (5, 2)
            axes.plot(x, y, marker="o", markersize=size, color=colours[name], linewidth=1.8, zorder=above)
            axes.annotate(name, (x[-1], y[-1]), (7, -3), textcoords="offset points", color=colours[name], fontsize=9)
        axes.set_xscale("log")
        longest = max(p["cpu"] for curve in curves.values() for p in curve)
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if t <= 1.5 * longest]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.margins(x=0.2)
        axes.set_xlabel("CPU-seconds a task, search included")
        axes.set_ylabel("mean test accuracy, %")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _searched(run: FilePath) -> dict[str, Any]:
    """What of a run's configuration decides on its champions, but for the seed."""
    config = stored_config(run)
    return {key: config[key] for key in ("root", "training", "strategy")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of the runs given, and draw the figure."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.compute_curve", description=__doc__)
    parser.add_argument("runs", nargs="+", type=FilePath, metavar="RUN", help="finished runs of one stream")
    parser.add_argument("--figure", type=FilePath, help="an .svg or .png file")
    options = parser.parse_args(arguments)
    summaries = [{**System.open(run).summary(), "searched": _searched(run)} for run in options.runs]
    curves = points(summaries)
    print(paired_table(summaries), curve_table(curves), sep="\n\n")
    if options.figure:
        drawn = render(curve_figure(curves), options.figure.suffix.lstrip("."), "curve")
        write_atomically(options.figure, drawn)


if __name__ == "__main__":
    main()

"""PathNet on pairs of MNIST digits: is a second task learned in fewer generations than a first one?

For each seed two binary tasks X and Y are drawn. One system learns X then Y, another Y then X, so that the same
tasks are compared as first and as second ones. Beside them stand a random path trained from scratch, and one
trained on from task to task. The settings of a run are those of `pathnet-mnist.yaml`.

    python -m pathways.experiments.pathnet_mnist --data DIR --seeds 20 --out FILE.json

Stands beside: Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks",
arXiv 1701.08734, section 3, and the re-run of jsikyoon (https://github.com/jsikyoon/pathnet, 1,000 runs).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pathways.errors import ConfigError, PathwaysError
from pathways.files import write_atomically
from pathways.modules import Frozen
from pathways.seeds import numpy_generator
from pathways.system import System
from pathways.task import Task

from .config import Config, Source, read_config, resolved
from .runner import Arrivals, carry_out, existing, load_tasks, make_system, with_fingerprints

CONFIG = FilePath(__file__).with_name("pathnet-mnist.yaml")
ORDERS = ("xy", "yx")
# A path from scratch does not know what was learned before: it is trained once for each task, beside the first order.
ORDERLESS = "random-path"
PATHNET, UNTRAINED = "pathnet", "pathnet-untrained"  # sides of the comparison, whichever variant of PathNet it is

Pair = tuple[int, int]


def draw_pairs(seed: int, classes: int = 10) -> tuple[Pair, Pair]:
    """Two different pairs of classes: of odd seeds they share the first class, of even ones none.

    The public re-runs have both kinds: kimhc6028/pathnet-pytorch always keeps the first class, jsikyoon/pathnet
    has 1-3 with 1-2 and 4-5 with 6-7.

    Example:
        >>> draw_pairs(0), draw_pairs(1)
        (((4, 2), (6, 1)), ((0, 8), (0, 6)))
    """
    a, b, c, d = (int(drawn) for drawn in numpy_generator("pathnet-mnist", "pairs", seed).permutation(classes)[:4])
    return (a, b), ((a, d) if seed % 2 else (c, d))


def study(
    config: Config, seeds: Iterable[int], out: FilePath, data: FilePath | None = None, *, untrained: bool = False,
    keep: bool = False,
) -> list[dict[str, Any]]:
    """Run all seeds and return one row for each search; what `out` holds already is not run again.

    Args:
        config: of one run; its classes, its data's seed and its own seed are replaced.
        seeds: which to run.
        out: a folder: `searches.jsonl` takes each seed's rows as it ends, `seed-N-ORDER` are run directories.
        data: the folder of external data sets.
        untrained: also learn each second task after a first one that is frozen without training.
        keep: leave run directories there when their rows are written.

    Returns:
        Rows of `seed, order, pairs, side, task, place` (`first`, `second`, or `alone` for paths from scratch),
        `generations, reached, candidates, cpu_seconds, test, fitness` (the best of each generation), `reused`
        (the share of frozen modules in the path) and `verified` (whether the system proved unchanged).

    Raises:
        ConfigError: `out` holds a study of other settings, whose file is named.
    """  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    _settings(config, untrained, out / "settings.json")
    rows = _read(out / "searches.jsonl")
    wanted = list(seeds)
    for seed in wanted:
        if seed in {row["seed"] for row in rows}:
            continue
        new = list(_seed(config, seed, out, data, untrained))
        rows += new
        write_atomically(out / "searches.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        taken = {place: [r["generations"] for r in new if r["side"] == PATHNET and r["place"] == place]
                 for place in ("first", "second")}  # fmt: skip
        print(f"seed {seed}: generations of first tasks {taken['first']}, second {taken['second']}", file=sys.stderr)
        if not keep:
            for directory in out.glob(f"seed-{seed}-*"):
                shutil.rmtree(directory)
    return [row for row in rows if row["seed"] in wanted]


def _seed(
    config: Config, seed: int, out: FilePath, data: FilePath | None, untrained: bool
) -> Iterable[dict[str, Any]]:
    """Learn both orders of one seed's tasks and describe every search."""
    pairs = draw_pairs(seed)
    source = config.tasks[0]
    tasks: list[Task] = []
    for order in ORDERS:
        ordered = pairs if order == "xy" else pairs[::-1]
        arguments = {**source.arguments, "classes": [list(pair) for pair in ordered], "seed": seed}
        here = replace(
            config, name=f"{config.name}-{seed}-{order}", seed=seed, tasks=(Source(source.source, arguments),),
            controls=tuple(c for c in config.controls if order == "xy" or c.name != ORDERLESS),
        )
        # noise is drawn for each image by its place, so the other order has the same images
        tasks = tasks[::-1] or load_tasks(here, str(CONFIG), data)
        here = with_fingerprints(here, tasks, str(CONFIG))
        facts = {"seed": seed, "order": order, "pairs": [list(pair) for pair in pairs]}
        yield from ({**facts, **row} for row in _learn(here, tasks, out / f"seed-{seed}-{order}"))
        if untrained:
            bare = replace(here, controls=())
            rows = _learn(bare, tasks, out / f"seed-{seed}-{order}-untrained", untrained=True)
            yield from ({**facts, **row, "side": UNTRAINED} for row in rows if row["place"] == "second")


def _learn(
    config: Config, tasks: Sequence[Task], directory: FilePath, untrained: bool = False
) -> Iterable[dict[str, Any]]:
    """Carry out one run, or the rest of it, and describe its searches."""
    with existing(directory, config, ()) or make_system(directory, config, tasks, ()) as system:
        if untrained and not system.records:
            # one generation at a learning rate of zero: a random path, frozen as it was drawn
            system.learn(tasks[0], replace(config.strategy.strategy, lr=0.0, generations=1, threshold=None))
        carry_out(system, config, [Arrivals([task]) for task in tasks], lambda event: None)
        verified = system.verify().ok
        yield from ({**row, "verified": verified} for row in _searches(system, config, tasks))


def _searches(system: System, config: Config, tasks: Sequence[Task]) -> Iterable[dict[str, Any]]:
    """One row for each search of a run: of PathNet and its controls, for the first and the second task."""
    pathnet = config.strategy.strategy
    for strategy in (pathnet, *(control.strategy for control in config.controls)):
        for place, task in zip(("first", "second"), tasks, strict=True):
            tried = system.ledger.rows(task.name, strategy.name)
            best: dict[int, float] = {}
            for row in tried:
                generation = int(row.labels["generation"])
                best[generation] = max(row.result.fitness, best.get(generation, 0.0))
            control = system.ledger.control(strategy.name, task.name)
            yield {
                "side": PATHNET if control is None else strategy.name, "task": task.name,
                "place": "alone" if strategy.name == ORDERLESS else place,
                "generations": 1 + max(best), "reached": strategy.reached(max(best.values())),
                "candidates": len(tried), "cpu_seconds": round(sum(row.cpu_seconds for row in tried), 3),
                "test": system.records[task.name].test if control is None else control["test"],
                "fitness": [round(best[generation], 5) for generation in sorted(best)],
                "reused": _reused(system, tasks, task) if control is None else 0.0,
            }


def _reused(system: System, tasks: Sequence[Task], task: Task) -> float:
    """The share of a champion's grid modules that another task of the run had frozen before."""
    champions = system.champions
    steps = champions[task.name].path.steps
    mine = [ref.id for name, step in steps.items() if name.startswith("layer") for ref in step.modules
            if isinstance(ref, Frozen)]  # fmt: skip
    earlier = tasks[: [other.name for other in tasks].index(task.name)]
    theirs = {blob for other in earlier for blob in champions[other.name].path.frozen()}
    return sum(blob in theirs for blob in mine) / len(mine)


def _settings(config: Config, untrained: bool, file: FilePath) -> None:
    """Write what the study runs, or check that `file` says the same: rows of different settings are not mixed."""
    plain = resolved(replace(config, seed=0, engine=replace(config.engine, kind="local", workers=0)))
    now = json.loads(json.dumps({**plain, "untrained": untrained}))
    if file.exists() and json.loads(file.read_text()) != now:
        raise ConfigError(f"`--runs` must hold a study of the same settings, found others in {file}: choose another.")
    write_atomically(file, (json.dumps(now, indent=1) + "\n").encode())


def _read(file: FilePath) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def report(config: Config, rows: Sequence[Mapping[str, Any]], at: float | None = None) -> dict[str, Any]:
    """The summary of a study's rows, over all seeds and of each kind of pairs, with the rows and the settings.

    Args:
        config: that the study ran.
        rows: of `study`.
        at: the training accuracy that counts; the threshold of the searches when not given.
    """
    from .pathnet_mnist_summary import summarise_study

    pathnet = config.strategy.strategy
    limit, at = pathnet.generations, pathnet.threshold if at is None else at
    if at is None or (pathnet.threshold is not None and at > pathnet.threshold):
        raise ConfigError(f"`--at` must be at most the threshold of the searches, {pathnet.threshold}, found {at}.")
    kinds = {"all pairs": rows, "pairs that share a class": [row for row in rows if row["seed"] % 2],
             "disjoint pairs": [row for row in rows if row["seed"] % 2 == 0]}  # fmt: skip
    return {
        "settings": resolved(config), "at": at,
        "summaries": {kind: summarise_study(some, limit, at) for kind, some in kinds.items() if some},
        "searches": list(rows),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and print its tables; 2 for bad input.

    Args:
        arguments: those of the command line when not given.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    options = _parser().parse_args(arguments)
    try:
        return _main(options)
    except PathwaysError as error:
        print(f"pathnet_mnist: error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.pathnet_mnist", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--data", type=FilePath, metavar="DIR", help="the folder of data sets; else PATHWAYS_DATA")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="seeds 0 to N-1; 20 when not given")
    parser.add_argument("--out", type=FilePath, required=True, metavar="FILE.json", help="takes settings and results")
    parser.add_argument("--runs", type=FilePath, metavar="DIR", help="run directories and rows; FILE.runs if not given")
    parser.add_argument("--figure", type=FilePath, metavar="FILE", help="also draw FILE.svg and FILE.png")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="change a setting of pathnet-mnist.yaml, such as strategy.pathnet.lr=0.01")  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="processes that train; 0 trains in this one")
    parser.add_argument("--untrained", action="store_true", help="also second tasks after an untrained first one")
    parser.add_argument("--at", type=float, metavar="ACCURACY", help="count generations to this training accuracy")
    parser.add_argument("--keep", action="store_true", help="leave the run directories there")
    return parser


def _main(options: argparse.Namespace) -> int:
    from pathways.canvas import render

    from .pathnet_mnist_summary import study_figure, study_table

    config = read_config(CONFIG, options.overrides)
    if options.seeds < 1:
        raise ConfigError(f"`--seeds` must be at least 1, found {options.seeds}.")
    if options.workers is not None:
        config = replace(config, engine=replace(config.engine, workers=options.workers))
    runs = options.runs or options.out.with_suffix(".runs")
    rows = study(config, range(options.seeds), runs, options.data, untrained=options.untrained, keep=options.keep)
    found = report(config, rows, options.at)
    write_atomically(options.out, (json.dumps(found) + "\n").encode())
    for kind, summary in found["summaries"].items():
        print(f"{kind}, {summary['seeds']} seeds\n\n{study_table(summary)}\n")
    if options.figure:
        figure = study_figure(rows, config.strategy.strategy.generations, found["at"])
        for format in ("svg", "png"):
            write_atomically(options.figure.with_suffix(f".{format}"), render(figure, format, "pathnet-mnist"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

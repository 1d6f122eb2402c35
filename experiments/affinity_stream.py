"""Ways to choose a new task's parents, on a stream of tasks that really differ.

    python -m pathways.experiments.affinity_stream --orders 1 2 3 --out FOUND.json --figure FILE.svg

The tasks, the root and muNet's settings are those of `affinity-stream.yaml`; every order draws the tasks' order, and
each rule learns all of them with champions of its own. What a candidate gives is known from then on to all rules of an
order: each pays for what it asks for, but nothing is trained twice. Then the rules are drawn from again and again, on
the table of what every champion's child reached (`affinity_regret`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pathways.assemble import PathModule
from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.evolve import MuNet, Prior
from pathways.evolve.guard import SCRATCH
from pathways.modules import BUILT_IN, Families
from pathways.path import Path
from pathways.pool import Pool
from pathways.seeds import numpy_generator
from pathways.strategy import Champion, TaskInfo, View, Winner
from pathways.task import Task
from pathways.trainer import Trainer
from pathways.trainer.evaluate import measure
from pathways.trainer.numerics import one_thread
from pathways.trainer.samples import prepare, through

from .affinity_regret import regrets
from .affinity_stream_figure import draw
from .affinity_stream_tables import tables
from .config import Config, read_config
from .runner import load_tasks, make_root

CONFIG = FilePath(__file__).with_name("affinity-stream.yaml")
PRIORS: Mapping[str, Prior] = {
    "h-score": Prior("h_score", {"shrinkage": "ledoit-wolf"}),
    "logme": Prior("logme"),
    "trans-rate": Prior("trans_rate", {"normalised": True}),
    "probe": Prior("probe"),
}
RULES: Mapping[str, Any] = {**PRIORS, "uniform": "uniform", "exhaustive": "exhaustive"}
"""By name; exhaustive comes last, so that prepared data and prefixes make it look cheap rather than the others."""


@dataclass(frozen=True)
class Learned:
    """One task of one rule's stream.

    Args:
        task: its name.
        validation, test: what its champion reached; test data took no part in any choice.
        children: what each asked parent's child reached on validation data, by parent.
        scratch: what a network of its own reached there; `None` of the first task, which is one.
        kept: `scratch` where the guard dropped sharing.
        parents: the champion's.
        trained, measured: candidates that took training steps, and those that were only measured.
        cpu_seconds: of all of them.
    """

    task: str
    validation: float
    test: float
    children: Mapping[str, float]
    scratch: float | None
    kept: str
    parents: tuple[str, ...]
    trained: int
    measured: int
    cpu_seconds: float


class Bench:
    """Trains what the rules of one order ask for, each candidate once."""

    def __init__(self, pool: Pool, tasks: Sequence[Task]) -> None:
        self.pool, self.trainer = pool, Trainer(pool)
        self._known: dict[str, Result] = {}
        for task in tasks:
            self.trainer.provide(task.without_test())

    def run(self, asked: Sequence[Candidate]) -> list[tuple[Candidate, Result]]:
        """The candidates with their results."""
        for candidate in asked:
            if candidate.hash not in self._known:
                [self._known[candidate.hash]] = self.trainer.run([candidate])
        return [(candidate, self._known[candidate.hash]) for candidate in asked]

    def test(self, path: Path, task: Task) -> float:
        """A trained path's metric on the task's test data."""
        with one_thread():
            model = PathModule(path, self._weights, BUILT_IN).eval()
            samples = prepare(task, "test")
            outputs = through(model, samples.values, (path.output,))[path.output]
            return measure(task, outputs, samples.targets).validation  # type: ignore[arg-type]

    def _weights(self, ref: Any) -> Any:
        return self.pool.get(ref.id)  # a champion holds frozen modules only


def view_of(config: Config, task: Task, champions: Mapping[str, Champion], root: Any) -> View:
    """What a search for `task` begins with."""
    info = TaskInfo(task.name, task.inputs, task.target, task.fingerprint, len(task.splits["train"]))
    return View(config.seed, (info,), dict(champions), root, config.training)


def champion_of(task: str, winner: Winner) -> Champion:
    """The winner as the champion of a task."""
    found = winner.of(task)
    return Champion(
        task, found.paths[task], found.candidate.training, found.result.measures[task], found.candidate.hash,
        tuple(found.parents), dict(found.extra),
    )  # fmt: skip


def learn(task: Task, view: View, settings: MuNet, bench: Bench) -> tuple[Learned, Champion]:
    """One search to its end."""
    search = settings.begin(view)
    every: dict[str, tuple[Candidate, Result]] = {}
    while asked := search.ask():
        results = bench.run(asked)
        every |= {candidate.hash: (candidate, result) for candidate, result in results}
        search.tell(results)
    winner = search.best()
    if winner is None:
        raise RuntimeError(f"no candidate of {task.name!r} could be trained: {next(iter(every.values()))[1].failure}")
    quality = {
        (c.labels["mutations"][0], *c.labels["parents"][:1]): r.measures[task.name].quality
        for c, r in every.values() if r.ok
    }  # fmt: skip
    measured = [c for c, _ in every.values() if c.training.steps == 0]
    champion = champion_of(task.name, winner)
    said = champion.extra.get("guard", {}).get(task.name, {})
    return Learned(
        task.name, champion.measures.quality, bench.test(champion.path, task),
        {parent[0]: q for (kind, *parent), q in quality.items() if kind not in ("probe", "measure", SCRATCH)},
        quality.get((SCRATCH,)), said.get("kept", ""), champion.parents,
        len(every) - len(measured), len(measured), sum(r.cpu_seconds for _, r in every.values()),
    ), champion  # fmt: skip


def stream(tasks: Sequence[Task], config: Config, settings: MuNet, bench: Bench, root: Any) -> dict[str, Any]:
    """All tasks in their order; what was learned, and the champions."""
    champions: dict[str, Champion] = {}
    rows = []
    for task in tasks:
        row, champion = learn(task, view_of(config, task, champions, root), settings, bench)
        rows.append(row)
        champions[task.name] = champion
    return {"learned": rows, "champions": champions}


def transferabilities(
    tasks: Sequence[Task], config: Config, settings: MuNet, bench: Bench, root: Any, champions: Mapping[str, Champion]
) -> dict[str, dict[str, dict[str, float]]]:
    """By prior, task and parent, what the prior measures of the champions that stood before the task."""
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in PRIORS}
    for i, task in enumerate(tasks[1:], 1):
        before = {other.name: champions[other.name] for other in tasks[:i]}
        for name, rule in PRIORS.items():
            measuring = replace(settings, parents=rule, generations=0, guard=False)
            search = measuring.begin(view_of(config, task, before, root))
            search.tell(bench.run(search.ask()))
            found[name][task.name] = dict(search.lineages.transferability if search.lineages else {})
    return found


def run(config: Config, tasks: Sequence[Task], orders: Sequence[int], rules: Sequence[str]) -> list[dict[str, Any]]:
    """Every order, as plain data."""
    settings = config.strategy.strategy
    root = make_root(config, tasks, Families())
    found = []
    for number in orders:
        order = [tasks[i] for i in numpy_generator("order", number).permutation(len(tasks))]
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Pool(FilePath(folder)), order)
            streams = {}
            for rule in rules:
                streams[rule] = stream(order, config, replace(settings, parents=RULES[rule]), bench, root)
                print(f"order {number}: {rule} done", file=sys.stderr, flush=True)
            every = streams["exhaustive"]
            measured = transferabilities(order, config, settings, bench, root, every["champions"])
        found.append({
            "order": number, "tasks": [task.name for task in order], "transferability": measured,
            "streams": {rule: [asdict(row) for row in one["learned"]] for rule, one in streams.items()},
        })
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print its tables, or those of an earlier run."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.affinity_stream", description=__doc__)
    add = parser.add_argument
    add("--orders", type=int, nargs="+", default=[1, 2, 3], metavar="N",
        help="which orders of the tasks, by the number they are drawn with (default 1 2 3)")  # fmt: skip
    add("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE",
        help=f"some of {', '.join(RULES)}; exhaustive is always among them")  # fmt: skip
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change a setting of affinity-stream.yaml, such as strategy.munet.children=2")  # fmt: skip
    add("--draws", type=int, default=200, help="how often each rule is drawn from for its regret")
    add("--out", type=FilePath, help="a JSON file for all that was found")
    add("--read", type=FilePath, help="such a file, in place of a run")
    add("--figure", type=FilePath, help="an .svg or .png file")
    options = parser.parse_args(arguments)
    if options.read:
        found = json.loads(options.read.read_text(encoding="utf-8"))
    else:
        config = read_config(CONFIG, options.changes)
        if not isinstance(config.strategy.strategy, MuNet):
            raise ConfigError(f"`strategy` must be muNet's, found {config.strategy.name!r}.")
        rules = [rule for rule in RULES if rule in {*options.rules, "exhaustive"}]
        found = run(config, load_tasks(config, str(CONFIG)), options.orders, rules)
    drawn = regrets(found, {**PRIORS, "uniform": "uniform"}, options.draws)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(tables(found, drawn))
    if options.figure:
        draw(found, drawn, options.figure)


__all__ = ["CONFIG", "PRIORS", "RULES", "Bench", "Learned", "learn", "main", "run", "stream"]

if __name__ == "__main__":
    main()

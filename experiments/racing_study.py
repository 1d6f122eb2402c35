"""Racing against training to the end: champions' scores, what is saved, and who was stopped wrongly.

    python -m pathways.experiments.racing_study --seeds 10 --json

For each seed and alphabet one muNet search is run without races and one with each rule, from the same seeds, with the
small root that ships with the package. Seeds also draw which drawers validate. Whoever a race stopped is trained to the
end as well, outside the count, to see what would have become of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from pathways.candidate import Candidate, Result, Training
from pathways.create import install_root
from pathways.data import omniglot
from pathways.evolve import MuNet
from pathways.pool import Pool
from pathways.strategy import TaskInfo, View
from pathways.task import Task
from pathways.trainer import Trainer

ALPHABETS = ("Gurmukhi", "Kannada")
TRAINING = Training(
    lr=2e-3, head_lr=0.1, beta2=0.99, weight_decay=0.01, warmup=0.07, steps=120, batch=32, head_init="discriminant"
)
SEARCH = MuNet(
    generations=4, children=6, size=0.98,
    rates={"clone": 0.3, "adapter": 0.1, "hyperparameter": 0.3, "layers": 0.1},
)  # fmt: skip
RULES: Mapping[str, Any] = {
    "none": None,
    "paired": "paired",
    "paired-best": {"paired": {"rival": "best"}},
    "median": {"pruner": {"name": "median"}},
    "percentile-75": {"pruner": {"name": "percentile", "percentile": 75.0}},  # stops the last quarter at each point
}


@dataclass(frozen=True)
class Outcome:
    """One search.

    Args:
        score: its champion's.
        candidates: how many were tried; `stopped`: how many of them a race stopped.
        steps, budget: training steps taken, and those that it would have been without races.
        cpu_seconds: of training, measurements for races included.
        better: candidates that beat their parent, or would have if they had not been stopped.
        lost: of these, how many were stopped.
        champions_lost: those stopped that would have had a higher score than the champion.
    """

    score: float
    candidates: int
    stopped: int
    steps: int
    budget: int
    cpu_seconds: float
    better: int
    lost: int
    champions_lost: int


class Bench:
    """Trains the candidates of one search, and knows what became of those that were not stopped.

    Args:
        task: what is learned.
        pool: where weights lie.
        whole: results of candidates that trained to their end, by their hash without the race; filled on the way, and
            shared by searches.
    """

    def __init__(self, task: Task, pool: Pool, whole: dict[str, Result]) -> None:
        # Each search has a trainer of its own: one that finds activations in memory would look cheaper.
        self.trainer = Trainer(pool)
        self.trainer.provide(task.without_test())
        self._whole = whole

    def run(self, asked: Sequence[Candidate]) -> dict[str, Result]:
        """The results of distinct candidates, by hash."""
        distinct = {candidate.hash: candidate for candidate in asked}
        results = dict(zip(distinct, self.trainer.run(list(distinct.values())), strict=True))
        self._whole.update({c.unraced: results[key] for key, c in distinct.items() if results[key].ok})
        return results

    def whole(self, candidate: Candidate) -> Result:
        """What it is without its race: a race changes nothing of a candidate that it does not stop."""
        if candidate.unraced not in self._whole:
            self.run([replace(candidate, race=None)])
        return self._whole.get(candidate.unraced, Result(candidate.unraced, "failed without its race"))


def search(task: Task, seed: int, settings: MuNet, bench: Bench, root: Any, training: Training = TRAINING) -> Outcome:
    """One search to its end."""
    info = TaskInfo(task.name, task.inputs, task.target, task.fingerprint, len(task.splits["train"].targets))
    found = settings.begin(View(seed, (info,), {}, root, training))
    every: list[Result] = []
    steps = budget = better = lost = 0
    hopes: list[float] = []
    while asked := found.ask():
        parents = {m.key: m.score for m in [*found.population, *found.seeds]}
        results = bench.run(asked)
        for candidate in {c.hash: c for c in asked}.values():
            result = results[candidate.hash]
            whole = bench.whole(candidate) if result.stopped else result
            every.append(result)
            steps += result.stopped or candidate.training.steps
            budget += candidate.training.steps
            if not whole.ok:
                continue
            score = found.score_of(candidate, whole)
            parent = parents[candidate.labels["parent"]]
            good = found.generation > 0 and parent is not None and score > parent
            better, lost = better + good, lost + (good and bool(result.stopped))
            hopes += [score] if result.stopped else []
        found.tell([(candidate, results[candidate.hash]) for candidate in asked])
    winner = found.best()
    if winner is None:
        raise RuntimeError(f"no candidate of {task.name!r} could be trained: {every[0].failure}")
    champion = float(winner.extra["score"])
    stopped = [result for result in every if result.stopped]
    return Outcome(
        champion, len(every), len(stopped), steps, budget, sum(r.cpu_seconds for r in every), better, lost,
        sum(score > champion for score in hopes),
    )


def run(seeds: Sequence[int], alphabets: Sequence[str] = ALPHABETS, settings: MuNet = SEARCH,
        training: Training = TRAINING, rules: Mapping[str, Any] = RULES) -> dict[str, list[list[Outcome]]]:
    """The outcomes, by rule, seed and alphabet."""
    found: dict[str, list[list[Outcome]]] = {name: [] for name in rules}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            pool = Pool(FilePath(folder))
            root = install_root("omniglot", pool)
            tasks = omniglot(alphabets, seed=seed)
            whole: dict[str, Result] = {}
            for name, rule in rules.items():
                raced = replace(settings, racing=rule)
                found[name].append([
                    search(task, seed, raced, Bench(task, pool, whole), root, training) for task in tasks
                ])
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    return found


def summary(found: Mapping[str, Sequence[Sequence[Outcome]]]) -> list[dict[str, Any]]:
    """For each rule: the champions' mean score, its difference to the first rule's, and what was saved and lost.

    Differences are paired over seeds, each the mean over alphabets; the interval is Student's, at 95 %.
    """
    base = [mean(o.score for o in seed) for seed in next(iter(found.values()))]
    base_cpu = sum(o.cpu_seconds for seed in next(iter(found.values())) for o in seed)
    rows = []
    for name, seeds in found.items():
        scores = [mean(o.score for o in seed) for seed in seeds]
        gaps = [score - other for score, other in zip(scores, base, strict=True)]
        reach = stdev(gaps) / len(gaps) ** 0.5 * float(student.ppf(0.975, len(gaps) - 1)) if len(gaps) > 1 else 0.0
        every = [outcome for seed in seeds for outcome in seed]
        rows.append({
            "rule": name, "seeds": len(seeds), "searches": len(every), "score": mean(scores),
            "difference": mean(gaps), "low": mean(gaps) - reach, "high": mean(gaps) + reach,
            "equal_champions": sum(
                o.score == b.score
                for own, other in zip(seeds, next(iter(found.values())), strict=True)
                for o, b in zip(own, other, strict=True)
            ),
            "candidates": sum(o.candidates for o in every), "stopped": sum(o.stopped for o in every),
            "steps_saved": 1 - sum(o.steps for o in every) / sum(o.budget for o in every),
            "cpu_saved": 1 - sum(o.cpu_seconds for o in every) / base_cpu,
            "better": sum(o.better for o in every), "lost": sum(o.lost for o in every),
            "champions_lost": sum(o.champions_lost for o in every),
        })
    return rows


COLUMNS = (
    "rule", "champions' score", "against none (95 % interval)", "steps saved", "CPU saved", "stopped",
    "of these better than the parent", "of these better than the champion",
)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a Markdown table."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for r in rows:
        gap = f"{100 * r['difference']:+.2f} ({100 * r['low']:+.2f} to {100 * r['high']:+.2f})"
        cells = [
            r["rule"], f"{100 * r['score']:.2f}", gap, f"{r['steps_saved']:.0%}", f"{r['cpu_saved']:.0%}",
            f"{r['stopped']} of {r['candidates']}", f"{r['lost']} (of {r['better']} such)", str(r["champions_lost"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, and print its table or, with `--json`, its rows."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.racing_study", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0 on (default 10)")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE",
                        help=f"some of {', '.join(RULES)}; differences are to the first (default all)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    rows = summary(run(range(options.seeds), rules={name: RULES[name] for name in options.rules}))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()

"""Training in bfloat16 against training in float32: validation accuracy, and processor time.

    python -m pathways.experiments.precision_study --seeds 10 --json

For each seed a copy of the convolutional root that ships with the package, behind a new head, and a stack of multilayer
perceptrons are trained in both precisions, from the same weights on the same batches. Seeds also draw which samples
validate.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import digits, omniglot
from pathways.evolve.paths import warm, with_head
from pathways.modules import Draft, Init, ModuleRef, ModuleSpec
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.task import Task
from pathways.trainer import Trainer

PRECISIONS = ("float32", "bfloat16")
ALPHABET = "Gurmukhi"
TRAINING = Training(lr=2e-3, steps=200, batch=128)
STACK = 4


@dataclass(frozen=True)
class Found:
    """What one model reached: validation accuracy, and processor seconds."""

    accuracy: float
    cpu_seconds: float


def conv_net(task: Task, root: Path, seed: int) -> Path:
    """A copy of the root that is trained, and a head from weights of the seed."""
    def drawn(ref: ModuleRef) -> ModuleRef:
        return replace(ref, start=Init(seed)) if isinstance(ref, Draft) and isinstance(ref.start, Init) else ref

    return with_head(warm(root), task.target, inputs=task.inputs).map_refs(drawn)


def perceptron(task: Task, seed: int) -> Path:
    """Two layers of 256 units and a head, from weights of the seed: wide enough that bfloat16 is used in stacks."""
    [name] = task.inputs
    hidden = ModuleSpec("linear", {"dim": 256, "activation": "relu"})
    specs = {"flat": ModuleSpec("flatten"), "a": hidden, "b": hidden,
             "head": ModuleSpec("classifier", {"classes": task.target.n})}
    reads = [name, *specs]
    steps = {step: Step((Draft(step, spec, Init(seed)),), (read,))
             for (step, spec), read in zip(specs.items(), reads, strict=False)}
    return Path(task.inputs, steps, "head")


def run(seeds: Iterable[int], training: Training = TRAINING) -> dict[str, dict[str, list[Found]]]:
    """Both models of each seed in both precisions, by model and precision."""
    found: dict[str, dict[str, list[Found]]] = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            pool = Pool(FilePath(name) / "pool")
            root, trainer = install_root("omniglot", pool), Trainer(pool)
            [letters], [numbers] = omniglot(alphabets=[ALPHABET], seed=seed), digits(seed=seed)
            conv, stack = [conv_net(letters, root, seed)], [perceptron(numbers, STACK * seed + k) for k in range(STACK)]
            for model, task, paths in (("conv", letters, conv), ("mlp-stack", numbers, stack)):
                trainer.provide(task)
                for precision in PRECISIONS:
                    settings = replace(training, precision=precision)
                    asked = [Candidate({task.name: path}, settings, {task.name: task.fingerprint}, run=seed)
                             for path in paths]
                    results = trainer.run(asked, len(asked) > 1)
                    own = found.setdefault(model, {}).setdefault(precision, [])
                    own.append(Found(mean(r.quality for r in results), sum(r.cpu_seconds for r in results)))
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    return found


def summary(found: Mapping[str, Mapping[str, Sequence[Found]]]) -> list[dict[str, Any]]:
    """For each model both mean accuracies, their difference paired over seeds (Student's 95 % interval), and time."""
    rows = []
    for model, sides in found.items():
        plain, low = (sides[precision] for precision in PRECISIONS)
        gaps = [b.accuracy - a.accuracy for a, b in zip(plain, low, strict=True)]
        reach = stdev(gaps) / len(gaps) ** 0.5 * float(student.ppf(0.975, len(gaps) - 1)) if len(gaps) > 1 else 0.0
        rows.append({
            "model": model, "seeds": len(gaps), "float32": mean(f.accuracy for f in plain),
            "bfloat16": mean(f.accuracy for f in low), "difference": mean(gaps), "low": mean(gaps) - reach,
            "high": mean(gaps) + reach,
            "speed": sum(f.cpu_seconds for f in plain) / sum(f.cpu_seconds for f in low),
        })
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The summary as a Markdown table, accuracies in points."""
    lines = ["| model | float32 | bfloat16 | difference (95 % interval) | speed |", "|" + "---|" * 5]
    for r in rows:
        gap = f"{100 * r['difference']:+.2f} ({100 * r['low']:+.2f} to {100 * r['high']:+.2f})"
        cells = [r["model"], f"{100 * r['float32']:.2f}", f"{100 * r['bfloat16']:.2f}", gap, f"{r['speed']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, and print its table or, with `--json`, its rows."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.precision_study", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0 on (default 10)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    rows = summary(run(range(options.seeds)))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()

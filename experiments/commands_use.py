"""Commands that use a run: `predict`, `export` and `forget`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .arguments import as_json, command, directory, opened, print_json


def add(commands: Any) -> None:
    """Add the commands."""
    predict = command(commands, "predict", _predict, "predict with a task's champion")
    _of_task(predict)
    predict.add_argument(
        "--input",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="images, .npz (arrays of stored inputs) or .csv (a row of numbers for each sample)",
    )
    predict.add_argument("--invert", action="store_true", help="images: dark on light, where the task is light on dark")
    predict.add_argument(
        "--white",
        type=float,
        metavar="VALUE",
        help="images: the stored value of white; by default what the task scales to 1",
    )
    predict.add_argument("--top", type=int, default=1, metavar="K", help="how many classes to show for each sample")
    as_json(predict)
    export = command(commands, "export", _export, "write one task's path alone")
    _of_task(export)
    export.add_argument(
        "--format",
        choices=("pt2", "safetensors", "onnx", "root"),
        default="safetensors",
        help="safetensors when not given; `root` is headless, for new systems to build on",
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="TASK.FORMAT in this folder when not given")
    forget = command(commands, "forget", _forget, "remove a task and what only it uses; all others stay as they are")
    _of_task(forget)


def _of_task(sub: argparse.ArgumentParser) -> None:
    directory(sub)
    sub.add_argument("task", metavar="TASK", help="the task's name, such as omniglot/Greek")


def _predict(options: argparse.Namespace) -> int:
    from pathways.task import Classes

    from .inputs import read_inputs

    with opened(options) as system:
        if options.task not in system.records:
            system.module(options.task)  # says which tasks there are
        record = system.records[options.task]
        outputs = system.predict(
            options.task, read_inputs(options.input, record, options.invert, options.white, _note)
        )
    if isinstance(record.target, Classes):
        answers = [_classes(row, record.target.labels, options.top) for row in outputs.tolist()]
    else:
        names = record.target.names or [f"value{i + 1}" for i in range(record.target.n)]
        answers = [{"values": dict(zip(names, row, strict=True))} for row in outputs.tolist()]
    if options.json:
        print_json(answers)
    else:
        for i, answer in enumerate(answers):
            print(f"{i}  {_answer_text(answer)}")
    return 0


def _note(text: str) -> None:
    print(f"pathways: note: {text}", file=sys.stderr)


def _classes(probabilities: list[float], labels: Any, top: int) -> dict[str, Any]:
    order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
    best = [{"label": labels[i], "probability": probabilities[i]} for i in order[: max(1, top)]]
    return {**best[0], **({"top": best} if top > 1 else {})}


def _answer_text(answer: dict[str, Any]) -> str:
    if "values" in answer:
        return "  ".join(f"{name} {value:.6g}" for name, value in answer["values"].items())
    return "  ".join(f"{a['label']} {a['probability']:.3f}" for a in answer.get("top", [answer]))


def _export(options: argparse.Namespace) -> int:
    out = options.out
    if out is None:
        ending = "" if options.format == "root" else f".{options.format}"
        out = Path(options.task.replace("/", "-") + ending)
    with opened(options) as system:
        print(system.export(options.task, options.format, out))
    return 0


def _forget(options: argparse.Namespace) -> int:
    with opened(options) as system:
        system.forget(options.task)
        left = len(system.records)
        print(f"forgot {options.task}; {left} tasks are left as they were, and `resume` will not learn it again")
    return 0

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
    from .answers import answer_text, answers_of
    from .inputs import read_inputs

    with opened(options) as system:
        if options.task not in system.records:
            system.module(options.task)  # says which tasks there are
        record = system.records[options.task]
        inputs = read_inputs(options.input, record, options.invert, options.white, _note)
        answers = answers_of(record.target, system.predict(options.task, inputs), inputs, options.top)
    if options.json:
        print_json(answers)
    else:
        for i, answer in enumerate(answers):
            print(f"{i}  {answer_text(answer)}")
    return 0


def _note(text: str) -> None:
    print(f"pathways: note: {text}", file=sys.stderr)


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

"""Commands that use a run: `predict`, `export`, `serve` and `forget`."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .arguments import (
    as_json,
    at_least_one,
    command,
    directory,
    finite,
    given_families,
    opened,
    port,
    print_json,
    tell,
)


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
        help="images, folders of images, patterns such as 'new/**/*.png'; or a .csv file with the columns of the task, "
        "or a row of numbers for each sample; or an .npz file of stored inputs",
    )
    predict.add_argument("--invert", action="store_true", help="images: dark on light, where the task is light on dark")
    predict.add_argument(
        "--white",
        type=finite,
        metavar="VALUE",
        help="images: the stored value of white; by default what the task scales to 1",
    )
    predict.add_argument(
        "--top", type=at_least_one, default=1, metavar="K", help="how many classes to show for each sample"
    )
    predict.add_argument("--out", type=Path, metavar="FILE.csv", help="write a table with a row for each sample")
    as_json(predict)
    export = command(commands, "export", _export, "write one task's path alone")
    _of_task(export)
    export.add_argument(
        "--format",
        choices=("pt2", "safetensors", "onnx", "root"),
        default="safetensors",
        help="safetensors when not given; `root` is headless, for new systems to build on",
    )
    as_json(export)
    export.add_argument("--out", type=Path, metavar="FILE", help="TASK.FORMAT in this folder when not given")
    serve = command(commands, "serve", _serve, "answer requests for a task's predictions over HTTP, JSON in and out")
    _of_task(serve)
    serve.add_argument("--host", default="127.0.0.1", metavar="NAME", help="where to listen; 127.0.0.1 when not given")
    serve.add_argument("--port", type=port, default=8000, metavar="N", help="8000 when not given")
    serve.add_argument("--ray", action="store_true", help="behind Ray Serve, which runs several replicas and batches")
    serve.add_argument(
        "--replicas", type=at_least_one, default=1, metavar="N", help="with --ray: how many processes answer"
    )
    serve.add_argument("--address", default="local", metavar="ADDR", help="with --ray: a cluster, `auto` or HOST:PORT")
    forget = command(commands, "forget", _forget, "remove a task and what only it uses; all others stay as they are")
    _of_task(forget)
    as_json(forget)


def _of_task(sub: argparse.ArgumentParser) -> None:
    directory(sub)
    sub.add_argument("task", metavar="TASK", help="the task's name, such as omniglot/Greek")


def _predict(options: argparse.Namespace) -> int:
    from .answers import answer_text, answers_of
    from .input_files import input_files
    from .inputs import read_inputs

    files = input_files(options.input)

    with opened(options) as system:
        if options.task not in system.records:
            system.module(options.task)  # says which tasks there are
        record = system.records[options.task]
        inputs = read_inputs(files, record, options.invert, options.white, _note)
        answers = answers_of(record.target, system.predict(options.task, inputs), inputs, options.top)
    images = files[0].suffix.lower() not in (".csv", ".npz")
    names = [str(file) for file in files] if images else [str(i) for i in range(len(answers))]
    if options.out is not None:
        _write_table(options.out, names, answers, "file" if images else "sample")
    if options.json:
        print_json([{"file": n, **a} for n, a in zip(names, answers, strict=True)] if images else answers)
    elif options.out is not None:
        print(options.out)
    else:
        for name, answer in zip(names, answers, strict=True):
            print(f"{name}  {answer_text(answer)}")
    return 0


def _write_table(out: Path, names: list[str], answers: list[dict[str, Any]], of: str) -> None:
    from pathways.errors import ConfigError
    from pathways.files import write_atomically

    from .answer_table import answers_csv

    if out.suffix.lower() != ".csv":
        raise ConfigError(f"`--out` must end in .csv, found {str(out)!r}: rename it, or use `--json` for JSON.")
    try:
        write_atomically(out, answers_csv(names, answers, of).encode())
    except OSError as error:
        found = f"{str(out)!r}: {error.strerror}"
        raise ConfigError(f"`--out` must be a file that can be written, found {found}.") from None


def _note(text: str) -> None:
    print(f"pathways: note: {text}", file=sys.stderr)


def _export(options: argparse.Namespace) -> int:
    out = options.out
    if out is None:
        ending = "" if options.format == "root" else f".{options.format}"
        out = Path(options.task.replace("/", "-") + ending)
    from pathways.export import export

    with opened(options) as system:
        exported = export(system, options.task, options.format, out)
        found = {"file": str(exported.file), "task": options.task, "format": options.format, "run": system.place}
    tell(options, found, str(exported.file))
    if options.format in ("pt2", "onnx"):
        print(f"pathways: {exported.said}", file=sys.stderr)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from .serve_plain import plain_server
    from .serving import Served

    if options.ray:
        return _serve_by_ray(options)
    served = Served.load(options.directory, options.task, given_families(options.families))
    with plain_server(served, options.host, options.port) as server:
        print(_serving(options, server.server_address[1]), flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _serving(options: argparse.Namespace, port: int) -> str:
    where = f"http://{options.host}:{port}"
    return f"serving {options.task} at {where}: GET /task, GET /healthz, POST /predict; stop with Ctrl-C"


def _serve_by_ray(options: argparse.Namespace) -> int:
    from threading import Event

    from .serve_ray import application, started, stopped

    app = application(
        options.directory, options.task, replicas=options.replicas, families=given_families(options.families)
    )
    started(app, options.host, options.port, options.address, options.replicas + 1)
    try:
        print(_serving(options, options.port), flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()
    finally:
        stopped()
    return 0


def _forget(options: argparse.Namespace) -> int:
    with opened(options) as system:
        system.forget(options.task)
        left = list(system.briefs)
        found = {"forgot": options.task, "left": left, "run": system.place}
        said = f"{len(left)} tasks are left as they were, and `resume` will not learn it again"
        tell(options, found, f"forgot {options.task}; {said}")
    return 0

"""Runs notebooks and keeps what their cells give: `python -m pathways.experiments.site.run_notebooks [NAME ...]`.

The site shows the copies in build/notebooks, where they are, in place of the notebooks as they are in git, which hold
no outputs. Each runs in a process and a folder of its own.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathways.files import write_atomically

from .hooks import REPOSITORY

NEED_MORE = ("05-on-a-ray-cluster",)
"""Those that start servers: they run when they are named."""


def executed(notebook: Mapping[str, Any]) -> dict[str, Any]:
    r"""A notebook with the outputs of its cells, run in this process and this folder.

    >>> cell = {"cell_type": "code", "source": ["print('a')\n", "1 + 1"], "outputs": []}
    >>> for output in executed({"cells": [cell]})["cells"][0]["outputs"]:
    ...     print(output.get("text") or output["data"]["text/plain"])
    a
    <BLANKLINE>
    2
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell = {**cell, "outputs": _outputs("".join(cell["source"]), f"cell {number + 1}", names)}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(code: str, name: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue()})
    if value is not None:
        outputs.append({"output_type": "execute_result", "metadata": {}, "data": _shown(value)})
    return outputs


def _shown(value: Any) -> dict[str, str]:
    """A value by kind of content, as notebooks ask for it."""
    found = {"text/plain": repr(value)}
    for kind, method in (("text/html", "_repr_html_"), ("image/svg+xml", "_repr_svg_")):
        made = getattr(value, method)() if hasattr(value, method) else None
        if made:
            found[kind] = made
    return found


def run(file: Path, out: Path) -> None:
    """Run one notebook in a process of its own, in an empty folder, and write it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pathways.experiments.site.run_notebooks", "--here", str(file), str(out)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": folder}
        subprocess.run(command, cwd=folder, env=environment, check=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the notebooks that are named, or all that start no servers."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--here", nargs=2, type=Path, metavar=("FILE", "OUT"), help="run one in this process")
    options = parser.parse_args(words)
    if options.here:
        file, out = options.here
        out.parent.mkdir(parents=True, exist_ok=True)
        notebook = executed(json.loads(file.read_text(encoding="utf-8")))
        write_atomically(out, json.dumps(notebook, indent=1).encode())
        return 0
    for file in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        if file.stem in options.names or (not options.names and file.stem not in NEED_MORE):
            print(file.stem, file=sys.stderr)
            run(file, REPOSITORY / "build" / "notebooks" / file.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["NEED_MORE", "executed", "main", "run"]

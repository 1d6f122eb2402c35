"""What a fresh process takes: to import the package, to print help, to show a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .row import Row, compare

HELP_SECONDS = 0.5
SHOW_SECONDS = 1.0
IMPORT_FACTOR = 1.5


def import_time(pairs: int) -> Iterator[Row]:
    """Importing the package, and the system with all that it needs, beside importing torch."""
    for name, program in (("import", "import pathways"), ("import-system", "from pathways import System")):
        yield compare(
            name, _rate("-c", program), _rate("-c", "import torch"), unit="starts/s", goal=1 / IMPORT_FACTOR,
            pairs=pairs, note=f"`{program}` against `import torch`, each in a process of its own",
        )


def help_time(pairs: int) -> Iterator[Row]:
    """`pathways --help` against its budget."""
    command = ("-m", "pathways.experiments.cli", "--help")
    yield compare("help", _rate(*command), lambda: 1 / HELP_SECONDS, unit="starts/s", goal=1.0, pairs=pairs,
                  note=_beside(HELP_SECONDS, pairs))


def show_time(pairs: int) -> Iterator[Row]:
    """`pathways show` of a small run against its budget."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        _made(run)
        command = ("-m", "pathways.experiments.cli", "show", str(run))
        yield compare("show", _rate(*command), lambda: 1 / SHOW_SECONDS, unit="starts/s", goal=1.0, pairs=pairs,
                      note=_beside(SHOW_SECONDS, pairs))


def _made(run: Path) -> None:
    """A run of two tasks, made as users make it."""
    config = run.with_suffix(".yaml")
    config.write_text(
        "name: small\n"
        "root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}\n"
        "tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3]]}]\n"
        "training: {steps: 6, batch: 16}\n"
        "strategy: {munet: {generations: 1, children: 2}}\n"
        "controls: [independent]\n"
    )
    _seconds("-m", "pathways.experiments.cli", "run", str(config), "--out", str(run), "--quiet")


def _beside(budget: float, pairs: int) -> str:
    """The budget, and what this machine takes now for less than what was measured, and for torch."""
    bare, torch = (median(_seconds("-c", program) for _ in range(pairs)) for program in ("pass", "import torch"))
    return (
        f"theirs is a budget of {budget:g} s; on this machine now `python -c pass` takes {bare:.3f} s and "
        f"`import torch` {torch:.2f} s"
    )


def _rate(*arguments: str) -> Callable[[], float]:
    """One side of a row: processes a second."""
    return lambda: 1 / _seconds(*arguments)


def _seconds(*arguments: str) -> float:
    """What a process of this interpreter takes from its start to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - begin


__all__ = ["help_time", "import_time", "show_time"]

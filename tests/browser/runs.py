"""Runs that are made in seconds and hold what a report can show: what the browser tests open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pathways.experiments.benchmarks.page_run import FIFTY
from pathways.file_lock import locked

_ROOT = FIFTY["root"]


# Like `experiments/quickstart.yaml`: a stream with three controls. Here some candidates also fail (of weights that
# grow without bound) and others lose their race.
QUICKSTART: dict[str, Any] = {
    "name": "quickstart <b>&",
    "seed": 0,
    "root": _ROOT,
    "tasks": [{"source": "digits_tasks", "groups": [[0, 1], [2, 3], [4, 5], [1, 4, 7]]}],
    "training": {"steps": 24, "batch": 16, "lr": 0.01, "weight_decay": 0.2},
    "strategy": {
        "munet": {
            "generations": 2, "children": 3, "probes": 1, "racing": "paired", "space": {"lr": [0.01, 100.0]},
            "rates": {"clone": 0.6, "adapter": 0.3, "hyperparameter": 0.6, "layers": 0.1},
        }
    },
    "controls": ["joint", {"independent": {"steps": 24}}],
    "engine": {"workers": 0},
}  # fmt: skip

STUDY: dict[str, Any] = {
    "name": "study",
    "root": _ROOT,
    "tasks": [{"source": "digits_tasks", "groups": [[0, 1], [2, 3], [4, 5], [6, 7]]}],
    "training": {"steps": 8, "batch": 16},
    "affinity": {
        "estimators": ["lookahead", {"first_order": {"every": 4}}], "budget": 2, "seeds": 2, "random": 1, "samples": 10,
    },
}  # fmt: skip


def once(make: Callable[[Path], Path], folder: Path) -> Path:
    """What `make(folder)` gives, made by the first process that asks; the others wait for it."""
    with locked(folder.with_suffix(".lock")):
        done = folder.with_suffix(".done")
        if not done.exists():
            done.write_text(str(make(folder)))
        return Path(done.read_text())

"""A run of fifty tasks that takes seconds, and the page of any run, as the command line makes them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

_TRIPLES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [1, 5, 9], [0, 4, 8]]
FIFTY: Mapping[str, Any] = {
    "name": "fifty",
    "seed": 0,
    "root": {"architecture": [
        {"family": "flatten"}, {"family": "linear", "dim": 12}, {"family": "linear", "dim": 8},
    ]},
    "tasks": [{"source": "digits_tasks", "groups": [*map(list, combinations(range(10), 2)), *_TRIPLES]}],
    "training": {"steps": 4, "batch": 8, "lr": 0.03},
    "strategy": {"munet": {"generations": 1, "children": 2, "probes": 1, "probe_training": {"steps": 0}}},
    "controls": [{"independent": {"steps": 4}}],
    "engine": {"workers": 0},
}  # fmt: skip
"""Fifty tasks, a few steps for each: how well they are learned is nothing to a page."""


def made(config: Mapping[str, Any], folder: Path) -> Path:
    """The directory of a run of the configuration, as the command line makes it, its report in it."""
    from pathways.experiments.cli import main

    folder.mkdir(parents=True, exist_ok=True)
    file, out = folder / "config.yaml", folder / "run"
    file.write_text(yaml.safe_dump(dict(config)))
    command = "affinity" if "affinity" in config else "run"
    with contextlib.redirect_stdout(io.StringIO()):
        if main([command, str(file), "--out", str(out), "--quiet"]) != 0:
            raise RuntimeError(f"{file}: the run did not end well")
    return out


__all__ = ["FIFTY", "made"]

"""How many candidates to train as one program: measured once on each machine."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path as FilePath
from statistics import median

import torch

from pathways.errors import ConfigError
from pathways.files import write_atomically
from pathways.modules import Stack
from pathways.modules.stacked import affine

from .numerics import numerics, one_thread

SIZES = (8, 16, 32, 64, 128)
LARGEST = 4096  # candidates of one stack: beyond, memory is the limit of any machine


def stack_size(wanted: int | str) -> int:
    """The most candidates of a stack: as wanted, or for `auto` what was fastest on this machine.

    The first `auto` on a machine measures, in less than a second, and keeps the figure in the user's cache folder
    (`$XDG_CACHE_HOME/pathways`); a run keeps its own in `system.json`. Results do not depend on it.

    Raises:
        ConfigError: neither a whole number of at least 1 nor `auto`.
    """
    if wanted == "auto":
        return _calibrated()
    if type(wanted) is not int or not 1 <= wanted <= LARGEST:
        raise ConfigError(f"`stack` must be `auto` or a whole number from 1 to {LARGEST}, found {wanted!r}.")
    return wanted


@cache
def _calibrated() -> int:
    key = " ".join(str(value) for value in numerics().values() if not isinstance(value, dict))
    file = FilePath(os.environ.get("XDG_CACHE_HOME") or FilePath.home() / ".cache") / "pathways" / "stack.json"
    try:
        known = json.loads(file.read_text())
        if known[key] in SIZES:
            return int(known[key])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    rates = measured_rates()
    # The smallest that is within a few per cent of the best: others of a generation go to other workers.
    best = next(size for size in SIZES if rates[size] >= 0.95 * max(rates.values()))
    known = {**known, key: best} if isinstance(known, dict) else {key: best}
    with suppress(OSError):  # a home that cannot be written to: measured again next time
        write_atomically(file, json.dumps(known).encode(), durable=False)
    return best


def measured_rates() -> dict[int, float]:
    """Path-steps a second of small stacks (784 to 3 x 20 to 3 x 20 units, 16 samples) by their size."""
    with one_thread():
        stacks = {size: _stacks(size) for size in SIZES}
        x = torch.rand(1, 16, 784, generator=torch.Generator().manual_seed(0))
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(6):  # in turns, so that what else the machine does hits all alike; the first warms up
            for size, (first, second) in stacks.items():
                begun = time.perf_counter()
                h = affine(first, "linear", x, "relu").sum(1)
                affine(second, "linear", h, "relu").sum().backward()
                seconds[size].append((time.perf_counter() - begun) / size)
        return {size: 1 / median(times[1:]) for size, times in seconds.items()}


def _stacks(size: int) -> tuple[Stack, Stack]:
    first, second = (
        {"linear.weight": torch.zeros(size, 3, 20, d), "linear.bias": torch.zeros(size, 3, 20)} for d in (784, 20)
    )
    return Stack(first, 1.0), Stack(second, 1.0)


__all__ = ["measured_rates", "stack_size"]

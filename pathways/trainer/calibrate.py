"""How many candidates to train as one program: measured once on each machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path as FilePath
from statistics import median

import torch

from pathways.devices import kind_of
from pathways.errors import ConfigError
from pathways.files import write_atomically
from pathways.modules import Stack

from .graphs import WARM, Replayed, capturable
from .numerics import numerics, repeatable
from .stack_chain import Link, backward, forward

SIZES = {"cpu": (8, 16, 32, 64, 128), "cuda": (64, 128, 256, 512, 1024)}  # by kind of device
LARGEST = 4096  # candidates of one stack: beyond, memory is the limit of any machine


def stack_size(wanted: int | str, device: str = "cpu") -> int:
    """The most candidates of a stack: as wanted, or for `auto` what was fastest on this machine and device.

    The first `auto` on a machine measures, in less than a second, and keeps the figure in the user's cache folder
    (`$XDG_CACHE_HOME/pathways`); a run keeps its own in `system.json`. Results do not depend on it.

    Raises:
        ConfigError: neither a whole number of at least 1 nor `auto`.
    """
    if wanted == "auto":
        return _calibrated(device)
    if type(wanted) is not int or not 1 <= wanted <= LARGEST:
        raise ConfigError(f"`stack` must be `auto` or a whole number from 1 to {LARGEST}, found {wanted!r}.")
    return wanted


@cache
def _calibrated(device: str) -> int:
    key = " ".join(str(value) for value in numerics(device).values() if not isinstance(value, dict))
    sizes = SIZES[kind_of(device)]
    file = FilePath(os.environ.get("XDG_CACHE_HOME") or FilePath.home() / ".cache") / "pathways" / "stack.json"
    try:
        known = json.loads(file.read_text())
        if known[key] in sizes:
            return int(known[key])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    rates = measured_rates(device)
    # The smallest that is within a tenth of the best: others of a generation go to other workers.
    best = next(size for size in sizes if rates[size] >= 0.9 * max(rates.values()))
    known = {**known, key: best} if isinstance(known, dict) else {key: best}
    with suppress(OSError):  # a home that cannot be written to: measured again next time
        write_atomically(file, json.dumps(known).encode(), durable=False)
    return best


def measured_rates(device: str = "cpu") -> dict[int, float]:
    """Path-steps a second of small stacks (784 to 3 x 20 to 3 x 20 units, 16 samples) by their size."""
    sizes, gpu = SIZES[kind_of(device)], kind_of(device) == "cuda"
    # A graph's first calls are not replays, and one call is too short to be measured while the processor launches it.
    warm, calls = (WARM + 1, 50) if gpu else (1, 1)
    with repeatable(device), capturable():
        steps = {size: _step(size, device) for size in sizes}
        seconds: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(warm):
            for step in steps.values():
                step()
        for _ in range(5):  # in turns, so that what else the machine does hits all alike
            for size, step in steps.items():
                if gpu:
                    torch.cuda.synchronize()
                begun = time.perf_counter()
                for _ in range(calls):
                    step()
                if gpu:
                    torch.cuda.synchronize()
                seconds[size].append((time.perf_counter() - begun) / (size * calls))
        return {size: 1 / median(times) for size, times in seconds.items()}


def _step(size: int, device: str) -> Callable[[], None]:
    """A step of a stack of that size, as trainers run it on that device."""
    first, second = (
        Stack({"linear.weight": torch.zeros(size, 3, 20, d, device=device),
               "linear.bias": torch.zeros(size, 3, 20, device=device)}, 1.0)
        for d in (784, 20)
    )  # fmt: skip
    x = torch.rand(1, 16, 784, generator=torch.Generator().manual_seed(0)).to(device)
    links = [Link(stack, "linear", True, True, None, None) for stack in (first, second)]

    @torch.no_grad()
    def step() -> None:
        backward(links, torch.ones_like(forward(links, [x])))

    return partial(Replayed(torch.device(device)), step) if kind_of(device) == "cuda" else step


__all__ = ["measured_rates", "stack_size"]

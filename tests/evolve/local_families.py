"""Foreign module families for the tests of engines: one is slow, one kills the process that builds it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathways.modules import Context, Module, Port
from pathways.modules.module import one_port


class Slow(Module):
    """Passes its input on, after `seconds` in each training step."""

    family = "slow"

    def __init__(self, ports: tuple[Port, ...], *, seconds: float) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.seconds = seconds

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Wait, then pass the value."""
        time.sleep(self.seconds if self.training else 0.0)
        return inputs[0]


class Fatal(Module):
    """Kills its process when it is initialised, `times` times over all processes; `file` counts."""

    family = "fatal"

    def __init__(self, ports: tuple[Port, ...], *, file: str, times: int) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.file, self.times = Path(file), times

    def initialise(self, generator: torch.Generator) -> None:
        """Count, and die."""
        with self.file.open("ab") as file:
            file.write(b"x")
        if self.file.stat().st_size <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Pass the value."""
        return inputs[0]  # type: ignore[no-any-return]


def alive(pid: int) -> bool:
    """Whether a process is there and does something."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def gone_within(seconds: float, pids: list[int]) -> bool:
    """Whether all processes end in that time."""
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(alive, pids))

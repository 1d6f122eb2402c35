"""A foreign module family that fails in its worker, as machines do, or looks at where its weights lie."""

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


class Fault(Module):
    """The identity, which does something the first `times` times that it is used, counted in a file.

    Args:
        way: `die` by signal 9, `memory` for a MemoryError, `sleep`, or `nothing`.
        file: gets a line, the process's id, each time.
        times: how often.
    """

    family = "fault"

    def __init__(self, ports: tuple[Port, ...], *, way: str, file: str, times: int = 1) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.way, self.file, self.times = way, file, times

    def initialise(self, generator: torch.Generator) -> None:
        """It has no weights."""

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """What comes in, if nothing happens."""
        if self.way != "nothing" and len(used(self.file)) < self.times:
            with Path(self.file).open("a") as file:
                file.write(f"{os.getpid()}\n")
            if self.way == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.way == "memory":
                raise MemoryError("no room left")
            time.sleep(30)
        output: Tensor = inputs[0]
        return output


class Placed(Module):
    """A linear map that writes to a file where in the memory of which process its weights lie, once they are frozen."""

    family = "placed"

    def __init__(self, ports: tuple[Port, ...], *, file: str) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.file = file
        self.scale = torch.nn.Parameter(torch.empty(self.output.shape[0]))

    def initialise(self, generator: torch.Generator) -> None:
        """All ones."""
        torch.nn.init.ones_(self.scale)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Scale, and say where the scale lies."""
        if not self.scale.requires_grad and not self.scale.is_meta:
            address = self.scale.data_ptr()
            with Path(self.file).open("a") as file:
                file.write(f"{os.getpid()} {address % 64} {place_of(address)}\n")
        output: Tensor = inputs[0] * self.scale
        return output


def used(file: str) -> list[str]:
    """The lines of a file, none where there is no file."""
    return Path(file).read_text().splitlines() if Path(file).exists() else []


def place_of(address: int) -> str:
    """Where an address of this process lies, the same words in all processes that share it; `private` if none do."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, offset, device, inode, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= address < last:
            shared = rights[3] == "s" and inode != "0"
            return f"{device}/{inode}+{int(offset, 16) + address - first}" if shared else "private"
    return "nowhere"

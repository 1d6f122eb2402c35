"""The ranks of a team over `torch.distributed`: what each part gives is gathered on all, as bytes, in order."""

from __future__ import annotations

import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from pathways.devices import kind_of
from pathways.errors import TeamError

_WORDS = 2000  # bytes of what a rank says of its failure
_SIOCGIFADDR = 0x8915  # Linux: the address of an interface
_COUNTED = 1 << 20  # exchanges are counted in a float32, which holds whole numbers far beyond


class PartFailed(Exception):  # noqa: N818
    """A candidate failed on some rank; the message is that of the first, and all ranks have it."""


class Link:
    """What connects the ranks while they train one candidate after another.

    Every exchange within a candidate has one size and carries whether a rank has failed, so that a failure on one
    reaches the others at whatever exchange they are.

    Args:
        rank, size: of the team.
        timeout: seconds, for what errors say.
        device: where tensors are exchanged from.
    """

    def __init__(self, rank: int, size: int, timeout: float, device: str) -> None:
        self.rank, self.size, self.timeout, self.device = rank, size, timeout, device
        self.began = 0.0
        self.moved = 0  # bytes that this rank has received
        self.waited = 0.0  # seconds in exchanges, for the others and for what they send
        self._next = ""  # what the others do next: `meet`, `exchange`, or nothing that waits for this rank
        self._count = 0
        self._layout: list[Tensor] = []
        self._room: dict[Any, tuple[Tensor, list[Tensor]]] = {}

    def begin(self) -> None:
        """Begin with a candidate."""
        self.began, self._next, self._count = time.process_time(), "meet", 0
        self._room.clear()

    def meet(self, identity: bytes, layout: Sequence[Tensor], failure: str = "") -> None:
        """Make sure that all ranks begin the same.

        Args:
            identity: what must be equal on all.
            layout: tensors like those of every exchange.
            failure: why this rank cannot begin.

        Raises:
            PartFailed: one of the ranks cannot begin.
            TeamError: they are not about to do the same, or one has gone.
        """
        self._layout = [torch.zeros_like(tensor) for tensor in layout]
        size = sum(tensor.numel() * tensor.itemsize for tensor in layout)
        mine = torch.tensor([bool(failure), zlib.crc32(identity), size], device=self.device)
        found = [state.tolist() for (state,) in self._gather([mine])]
        self._next = "exchange"
        self._agree([bool(failed) for failed, *_ in found], failure)
        if len({tuple(same) for _, *same in found}) > 1:
            raise TeamError(
                f"the {self.size} ranks of a team must train the same candidate from the same weights, found others: "
                f"give all of them the same candidates in the same order, on the same kind of machine."
            )

    def exchange(self, tensors: Sequence[Tensor] | None, failure: str = "") -> list[list[Tensor]]:
        """Every rank's tensors, in the order of ranks; they are overwritten by the next exchange.

        Args:
            tensors: this rank's, alike on all; `None` where it has failed.
            failure: why.

        Raises:
            PartFailed: a rank has failed.
            TeamError: one has gone, or is elsewhere.
        """
        self._count = (self._count + 1) % _COUNTED
        state = torch.tensor([float(bool(failure)), float(self._count)], device=self.device)
        found = self._gather([state, *(self._layout if tensors is None else tensors)])
        states = [first.tolist() for first, *_ in found]
        self._agree([bool(failed) for failed, _ in states], failure)
        if len({count for _, count in states}) > 1:
            raise TeamError(f"the {self.size} ranks of a team must be at the same step, found them apart: train again.")
        return [rest for _, *rest in found]

    def decision(self, decided: bool = False) -> bool:
        """What rank 0 has decided."""
        tensors = [torch.zeros_like(self._layout[0]) + decided, *self._layout[1:]]
        return bool(self.exchange(tensors)[0][0].flatten()[0])

    def end(self) -> None:
        """No rank waits for another any more."""
        self._next = ""

    def failed(self, error: Exception, words: str) -> str:
        """Tell the others of an error, where they wait; what counts is what the first says that has one."""
        if isinstance(error, PartFailed):
            return str(error)
        waiting, self._next = self._next, ""
        try:
            if waiting == "meet":
                self.meet(b"", [], words)
            elif waiting == "exchange":
                self.exchange(None, words)
        except PartFailed as agreed:
            return str(agreed)
        return words

    def _agree(self, failed: Sequence[bool], failure: str) -> None:
        """Raise what the first rank says that has failed, the same on all."""
        if not any(failed):
            return
        self._next = ""
        text = failure.encode()[:_WORDS]
        mine = torch.tensor(list(text.ljust(_WORDS, b"\0")), dtype=torch.uint8, device=self.device)
        said = self._gather([mine])[list(failed).index(True)][0]
        raise PartFailed(bytes(said.tolist()).rstrip(b"\0").decode(errors="ignore"))

    def _gather(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Every rank's tensors: those of a type travel together."""
        found = [list(tensors) for _ in range(self.size)]
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            places = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            sizes = [tensors[i].numel() for i in places]
            flat, everyone = self._room_for(dtype, sum(sizes))
            torch.cat([tensors[i].reshape(-1) for i in places], out=flat)
            began = time.perf_counter()
            # As bytes: nothing is computed on the way, and backends lack types.
            _heard(self, lambda flat=flat, everyone=everyone: distributed.all_gather(  # type: ignore[misc]
                [one.view(torch.uint8) for one in everyone], flat.view(torch.uint8)
            ))
            self.waited += time.perf_counter() - began
            self.moved += (self.size - 1) * flat.numel() * flat.itemsize
            for rank, one in enumerate(everyone):
                for i, piece in zip(places, one.split(sizes), strict=True):
                    found[rank][i] = piece.view(tensors[i].shape)
        return found

    def _room_for(self, dtype: torch.dtype, n: int) -> tuple[Tensor, list[Tensor]]:
        """Where n values of a type are put before they are sent, and where they arrive; made once for a candidate."""
        if (dtype, n) not in self._room:
            flat = torch.empty(n, dtype=dtype, device=self.device)
            self._room[dtype, n] = flat, [torch.empty_like(flat) for _ in range(self.size)]
        return self._room[dtype, n]


@contextmanager
def joined(rank: int, size: int, address: str, timeout: float, device: str, backend: str) -> Iterator[Link]:
    """The link of a process that has met the others; see `Team.join`."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or not 0 <= rank < size:
        raise TeamError(
            f"`address` must be `host:port` and `rank` one of {size}, found {address!r} and {rank!r}: give all ranks "
            f"the address on which rank 0 can listen."
        )
    backend = backend or ("nccl" if kind_of(device) == "cuda" else "gloo")
    link = Link(rank, size, timeout, device)
    with _interface(host):
        _heard(link, lambda: distributed.init_process_group(
            backend, init_method=f"tcp://{address}", rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
        ))
    try:
        yield link
    finally:
        distributed.destroy_process_group()


@contextmanager
def _interface(host: str) -> Iterator[None]:
    """Let gloo use the interface on which rank 0 is reached: it would look up this machine's name, perhaps loopback's.

    What the environment names already stays.
    """
    name = "GLOO_SOCKET_IFNAME"
    found = None if name in os.environ else interface_to(host)
    if found is None:
        yield
        return
    os.environ[name] = found
    try:
        yield
    finally:
        del os.environ[name]


def interface_to(host: str) -> str | None:
    """The name of the network interface on which this machine reaches a host; `None` where that cannot be told.

    >>> interface_to("127.0.0.1") in {name for _, name in socket.if_nameindex()} | {None}
    True
    """
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))  # sends nothing: it only chooses a route
            own = socket.inet_aton(probe.getsockname()[0])
            for _, name in socket.if_nameindex():
                try:
                    asked = fcntl.ioctl(probe, _SIOCGIFADDR, name.encode()[:15].ljust(256, b"\0"))
                except OSError:  # it has no such address
                    continue
                if asked[20:24] == own:
                    return name
    except (ImportError, OSError):  # another system, another family of addresses, or no route
        return None
    return None


def _heard(link: Link, call: Callable[[], object]) -> None:
    """Call what waits for the other ranks.

    Raises:
        TeamError: one has gone, or is late.
    """
    try:
        call()
    except (RuntimeError, ValueError) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TeamError(
            f"rank {link.rank} of {link.size} must hear from the others within {link.timeout:g} s, and one of them has "
            f"gone or is late: train the candidate again; torch says: {why}"
        ) from None


__all__ = ["Link", "PartFailed", "interface_to", "joined"]

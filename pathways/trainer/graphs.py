"""Work that is launched as one on a GPU: captured as a CUDA graph after a few calls, then replayed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_log = logging.getLogger("pathways.trainer")

WARM = 3  # calls before a capture, in which libraries choose and allocate; as torch's notes on CUDA graphs have it


class Replayed:
    """Calls a function that reads and writes tensors in places that stay: the same with a graph as without.

    A step of a small stack is some hundred kernels of a few microseconds each, which the processor cannot launch as
    fast as they run; a graph launches them as one. What changes from call to call must be a tensor in its place, for
    a number is captured as it is. The first calls run as they are, on a stream beside the main one, then one is
    captured, which computes nothing, and every later call is a replay.

    Work that cannot be captured (it asks the GPU for a number, say) runs as it is, and a log line says why.

    The function is not held, so that whoever owns both is freed, and with it the GPU's memory, when nobody needs it.

    Args:
        device: the GPU.

    Reference: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, device: torch.device) -> None:
        self._stream: Any = torch.cuda.Stream(device)
        self._graph: Any = None
        self._warm = 0
        self._refused = False

    def __call__(self, work: Callable[[], None]) -> None:
        """Do the work once; it is the same at every call, until `reset`."""
        if self._graph is None and self._warm >= WARM and not self._refused:
            self._capture(work)
        if self._graph is not None:
            self._graph.replay()
            return
        self._warm += 1
        main = torch.cuda.current_stream()
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            work()
        main.wait_stream(self._stream)

    def reset(self) -> None:
        """Forget what was captured: the work now reads other places, or does something else."""
        self._graph, self._warm = None, 0

    def _capture(self, work: Callable[[], None]) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # A capture that fails leaves its stream as the current one; the outer context puts the main one back.
            with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, stream=self._stream):
                work()
        except RuntimeError as error:
            self._refused = True
            _log.warning("steps of a stack are not captured as a CUDA graph: %s", str(error)[:300])
        else:
            self._graph = graph


@contextmanager
def capturable() -> Iterator[None]:
    """Without torch's deterministic forms, some of which sort indices and ask the GPU for their range.

    Indexed writes in this block repeat without them only where no place is written twice: a step of a stack writes one
    loss, one count of right answers, one gradient of a score into each place.
    """
    # Not `torch.use_deterministic_algorithms`, which says the same and for that imports torch's compiler: seconds.
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


__all__ = ["Replayed", "capturable"]

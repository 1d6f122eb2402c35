"""What the bits of a result depend on beside its candidate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def numerics(device: str = "cpu", dispatch: int = 1, stack: int = 1) -> dict[str, Any]:
    """The numerics fingerprint: runs agree to the bit where it is equal.

    Args:
        device: where trainers run.
        dispatch: candidates in one dispatch that do not stack.
        stack: the most candidates that train as one program.
    """
    import torch

    capability = torch.cuda.get_device_name() if device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()
    return {
        "torch": torch.__version__.split("+")[0],
        "capability": capability,
        "device": device,
        "dtype": "float32",
        "threads": 1,
        "stack": {"dispatch": dispatch, "size": stack},
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: products at one and at two threads differ in their last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""What the bits of a result depend on beside its candidate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from pathways.devices import kind_of

_UNREPEATABLE = ".*does not have a deterministic implementation.*"


def numerics(device: str = "cpu", dispatch: int = 1, stack: int = 1) -> dict[str, Any]:
    """The numerics fingerprint: runs agree to the bit where it is equal.

    On a GPU `capability` is its name, and `host` that of the processor, on which champions are probed and verified;
    which GPU of several it is does not matter.

    Args:
        device: where trainers run.
        dispatch: candidates in one dispatch that do not stack.
        stack: the most candidates that train as one program.
    """
    import torch

    processor = torch.backends.cpu.get_cpu_capability()
    gpu = kind_of(device) == "cuda"
    return {
        "torch": torch.__version__.split("+")[0],
        "capability": torch.cuda.get_device_name(device) if gpu else processor,
        **({"host": processor} if gpu else {}),
        "device": kind_of(device),
        "dtype": "float32",
        "threads": 1,
        "stack": {"dispatch": dispatch, "size": stack},
    }


def on_host(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint of what the processor of a run computes, whatever its trainers run on: probes, predictions.

    >>> on_host({"capability": "a GPU", "host": "AVX2", "device": "cuda"})
    {'capability': 'AVX2', 'device': 'cpu'}
    """
    found = {key: value for key, value in recorded.items() if key != "host"}
    return {**found, "capability": recorded["host"], "device": "cpu"} if "host" in recorded else found


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


@contextmanager
def repeatable(device: str = "cpu") -> Iterator[None]:
    """Compute so that the same work gives the same bits on that device; everything is put back afterwards.

    On a GPU: no TF32, cuDNN's deterministic choices and none by timing, torch's deterministic forms where it has
    them, that GPU as the current one.

    `CUBLAS_WORKSPACE_CONFIG` stays set: cuBLAS reads it once, at a process's first product.
    """
    with one_thread(), ExitStack() as after:
        if kind_of(device) == "cuda":
            after.enter_context(_repeatable_gpu(device))
        yield


@contextmanager
def _repeatable_gpu(device: str) -> Iterator[None]:
    import warnings

    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with warnings.catch_warnings(), torch.cuda.device(device), ExitStack() as after:
        # Such as the backward pass of max-pooling, which repeats all the same where windows do not overlap.
        warnings.filterwarnings("ignore", message=_UNREPEATABLE)
        # Not `torch.use_deterministic_algorithms`, which says the same and for that imports torch's compiler: seconds.
        after.callback(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode())
        torch.set_deterministic_debug_mode("warn")
        for owner, name, value in list(_switches()):
            after.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


def _switches() -> Iterator[tuple[Any, str, Any]]:
    """Torch's switches, and what each must be."""
    import torch

    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    yield cudnn, "deterministic", True
    yield cudnn, "benchmark", False
    # Memory that nothing reads before it is written needs no filling.
    yield torch.utils.deterministic, "fill_uninitialized_memory", False
    for old, new in ((matmul, matmul), (cudnn, cast(Any, cudnn).conv if hasattr(cudnn, "conv") else cudnn)):
        try:
            _ = old.allow_tf32
            yield old, "allow_tf32", False
        except RuntimeError:  # the process chose by torch's newer names, beside which the older cannot be read
            yield new, "fp32_precision", "ieee"

"""A GPU that is pretended on the processor: what a real one would refuse is refused, and the values are real.

Tensors are ordinary ones whose memory is noted as being on the GPU, and say so when they are asked for their device.
Each operation of torch, those of backward passes included, is looked at: one whose tensors are on two devices raises,
as on a GPU, and so does what cannot be captured while a CUDA graph is. A captured graph is the list of what was done,
which a replay does again in the same memory: a number that should have been a tensor stays as it was when captured.

torch's own `FakeTensorMode` does not serve: on a build without CUDA it ends the process at the first gradient of a
tensor that says it is on `cuda`, and it has no values to be compared or asked for. What this one cannot show is what
kernels do: types or layouts that they lack on a GPU, their rounding, their speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)
# What makes the processor wait for the GPU, which a capture cannot hold.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "bincount", "_linalg_solve_ex")
# Indices on the processor are copied to the GPU first.
# Their deterministic forms sort indices and ask for the largest.
SORTED = ("index_put", "index_put_", "_index_put_impl_", "index_add", "index_add_", "scatter_add", "scatter_add_",
          "scatter", "scatter_", "index_copy", "index_copy_")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class MixedError(RuntimeError):
    """Tensors on two devices in one operation, or something else that a GPU cannot do."""


@dataclass
class Pretended:
    """The state of the pretended GPU: which memory is on it, and what is being captured."""

    memory: dict[int, StorageWeakRef] = field(default_factory=dict)
    capture: Graph | None = None
    graphs: list[Graph] = field(default_factory=list)
    moving: torch.device | None = None  # where what is made now is to be

    def has(self, tensor: Any) -> bool:
        """Whether a tensor is on the GPU."""
        if not isinstance(tensor, Tensor):
            return False
        known = self.memory.get(tensor.untyped_storage()._cdata)
        return known is not None and not known.expired()

    def put(self, tensor: Tensor) -> None:
        """Note that a tensor is on the GPU."""
        storage = tensor.untyped_storage()
        self.memory[storage._cdata] = StorageWeakRef(storage)

    def refuse(self, what: str) -> None:
        """Raise where a graph is being captured."""
        if self.capture is not None:
            raise MixedError(f"operation not permitted when stream is capturing: {what}")


class Graph:
    """A CUDA graph: operations with their operands and results."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], Any, Any, list[Tensor]]] = []
        self.saved: dict[int, tuple[Tensor, Tensor]] = {}
        self.own: set[int] = set()
        self.replays = 0

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Do and note an operation; what it overwrites is put back at the end of the capture."""
        for tensor in _written(func, args, kwargs):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.own and storage._cdata not in self.saved:
                whole = torch.empty(0, dtype=tensor.dtype).set_(storage)
                self.saved[storage._cdata] = whole, whole.clone()
        inputs = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = func(*args, **kwargs)
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor) and t.untyped_storage()._cdata not in inputs]
        self.own |= {t.untyped_storage()._cdata for t in made}
        self.calls.append((func, args, kwargs, [t.detach() for t in tree_leaves(result) if isinstance(t, Tensor)]))
        return result

    def end(self) -> None:
        """Nothing was computed: put back what was overwritten."""
        for whole, before in self.saved.values():
            whole.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        """Do it all again, in the same places."""
        self.replays += 1
        for func, args, kwargs, results in self.calls:
            found = [t for t in tree_leaves(func(*args, **kwargs)) if isinstance(t, Tensor)]
            for place, value in zip(results, found, strict=True):
                if place.untyped_storage()._cdata != value.untyped_storage()._cdata:
                    place.copy_(value)


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation writes to."""
    if "batch_norm" in str(func):  # its running statistics, which not every schema marks
        return [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    found: list[Any] = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found += tree_leaves(args[i] if i < len(args) else kwargs.get(argument.name))
    return [t for t in found if isinstance(t, Tensor)]


class _Operations(TorchDispatchMode):
    """Every operation: where its tensors are, and so its results."""

    def __init__(self, gpu: Pretended) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        gpu, kwargs = self.gpu, kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        there = [t for t in tensors if gpu.has(t)]
        # A single number may come from the processor, but not to kernels that read it themselves.
        here = [t for t in tensors if not gpu.has(t) and (t.ndim or name.startswith("_fused"))]
        moves = gpu.moving is not None or name == "copy_"
        if there and here and not moves and not (name in INDEXING and gpu.has(args[0])):
            shapes = [(tuple(t.shape), "cuda" if gpu.has(t) else "cpu") for t in tensors]
            raise MixedError(f"Expected all tensors to be on the same device, {func} found {shapes}")
        if (there and here) or name in WAITS or (name in SORTED and torch.are_deterministic_algorithms_enabled()):
            gpu.refuse(str(func))
        before = {t.untyped_storage()._cdata for t in tensors}
        result = gpu.capture.run(func, args, kwargs) if gpu.capture is not None else func(*args, **kwargs)
        on_gpu = gpu.moving == GPU if gpu.moving is not None else bool(there)
        for made in tree_leaves(result):
            if on_gpu and isinstance(made, Tensor) and made.untyped_storage()._cdata not in before:
                gpu.put(made)
        return result


class _Functions(TorchFunctionMode):
    """What names a device, or asks a tensor for its own."""

    def __init__(self, gpu: Pretended) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        gpu, kwargs = self.gpu, dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func in (Tensor.device.__get__, Tensor.is_cuda.__get__):
            on_gpu = gpu.has(args[0])
            return on_gpu if func is Tensor.is_cuda.__get__ else GPU if on_gpu else torch.device("cpu")
        if name in ("numpy", "__array__") and gpu.has(args[0]):
            raise MixedError("can't convert cuda:0 device type tensor to numpy")
        if name == "tolist" and gpu.has(args[0]):
            gpu.refuse("tolist")
        if name in ("to", "cpu", "cuda"):
            return self._to(func, args, kwargs)
        wanted = kwargs.get("device")
        if wanted is None or torch.device(wanted).type != "cuda" or name == "_parse_to":
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None:
            raise MixedError("Expected a 'cuda' device type for generator but found 'cpu'")
        if name in ("tensor", "as_tensor"):
            gpu.refuse("a copy from the processor")
        return self._at(GPU, lambda: func(*args, **{**kwargs, "device": "cpu"}))

    def _to(self, func: Any, args: Any, kwargs: Any) -> Any:
        tensor, *rest = args
        name = func.__name__
        device = torch.device(name) if name != "to" else None
        for i, value in enumerate(rest):
            if isinstance(value, (str, torch.device)):
                device, rest[i] = torch.device(value), torch.device("cpu")
        if kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
        if device is None or (device.type == "cuda") == self.gpu.has(tensor):
            return tensor if name != "to" else func(tensor, *rest, **kwargs)
        self.gpu.refuse(f"a copy to {device}")
        copied = self._at(GPU if device.type == "cuda" else device, tensor.clone)
        return copied if name != "to" else func(copied, *rest, **kwargs)

    def _at(self, device: torch.device, make: Callable[[], Any]) -> Any:
        """What is made there."""
        self.gpu.moving = device
        try:
            made = make()
        finally:
            self.gpu.moving = None
        if device == GPU:
            for tensor in tree_leaves(made):
                if isinstance(tensor, Tensor):
                    self.gpu.put(tensor)
        return made


@contextmanager
def pretended(count: int = 1) -> Iterator[Pretended]:
    """A machine with that many GPUs, which are one as far as tensors are concerned."""
    gpu = Pretended()

    @contextmanager
    def graph(made: Graph, stream: Any) -> Iterator[None]:
        gpu.capture = made
        try:
            yield
        finally:
            gpu.capture = None
            made.end()

    def new_graph() -> Graph:
        gpu.graphs.append(Graph())
        return gpu.graphs[-1]

    stream = SimpleNamespace(wait_stream=lambda other: None)
    names = {
        "is_available": lambda: count > 0, "device_count": lambda: count, "synchronize": lambda device=None: None,
        "get_device_name": lambda device=None: "Pretended GPU", "device": lambda device: nullcontext(),
        "Stream": lambda device=None: stream, "current_stream": lambda: stream, "stream": lambda s: nullcontext(),
        "CUDAGraph": new_graph, "graph": graph,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, _Functions(gpu), _Operations(gpu):
        for name, value in names.items():
            patch.setattr(torch.cuda, name, value)
        yield gpu

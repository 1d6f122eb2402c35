"""Submodules of a user's own network as modules of a path."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pathways.modules import Context, Masked, Module, Port, PortError, Value, port_from_json
from pathways.modules.flops import NOMINAL_LENGTH
from pathways.modules.ports import split
from pathways.modules.spec import canonical_json, thaw


class Submodule(Module):
    """A submodule of a network that a constructor of yours makes, as it is: the same code, the same bits.

    Inherit it in a file that can be imported, give it a `family` name and the constructor as `build`, and pass the
    class when a system is made or opened: `System.open(run, families=[ResNet])`. `pathways.pretrained.split` makes the
    specs. Only the part that is named has weights here; the rest of the network is never allocated.

    Values without weights change to fit what paths need: buffers that the network would not save are part of the
    weights, operations in place are done on copies, of an output that is no tensor the first tensor is taken, and
    noise (dropout) comes from the context.

    Args:
        ports: the port that the submodule read where it was traced.
        submodule: its name in the network.
        reads: that port, as plain data.
        output: the port of what it gives, as plain data.
        model: the keyword arguments of `build`.

    Raises:
        PortError: other ports than `reads`.
        ValueError: the network has no such submodule, or it holds tensors that are neither parameters nor buffers.

    Example:
        >>> class Small(Submodule):
        ...     family = "small"
        ...
        ...     @staticmethod
        ...     def build(*, width):
        ...         return nn.Sequential(nn.Linear(4, width), nn.ReLU())
        >>> from pathways.modules import Families, ModuleSpec, Vector, facts, port_to_json
        >>> sizes = {"reads": port_to_json(Vector(4)), "output": port_to_json(Vector(3)), "model": {"width": 3}}
        >>> spec = ModuleSpec("small", {"submodule": "0", **sizes})
        >>> facts(spec, [Vector(4)], families=Families([Small]))
        Facts(output=Vector(dim=3), parameters=15, buffers=0, flops=24)
    """

    masks: ClassVar[bool] = False
    """Whether its submodules read values of variable length: they have `takes_mask`, or treat each place alone."""

    def __init__(
        self, ports: tuple[Port, ...], *, submodule: str, reads: Mapping[str, Any], output: Mapping[str, Any],
        model: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        wanted = port_from_json(reads)
        if tuple(ports) != (wanted,):
            found = ", ".join(map(str, ports))
            raise PortError(f"family `{self.family}` reads {wanted} in its submodule {submodule!r}, found ({found})")
        self.output = port_from_json(output)
        self._reads, self._name, self._model = wanted, submodule, dict(model or {})
        self.piece = copy.deepcopy(self._found(_network(cast(Any, type(self)), canonical_json(self._model))))
        _refuse_loose(self.piece, self.family, submodule)

    @staticmethod
    def build(**model: Any) -> nn.Module:
        """The network, with weights of any values; it is called on the meta device, so that it allocates none."""
        raise TypeError("`Submodule` is abstract: inherit it and give it the constructor of a network as `build`.")

    @classmethod
    def find(cls, network: nn.Module, name: str) -> nn.Module:
        """The submodule of that name; layouts may name parts that the network itself has not."""
        return network.get_submodule(name)

    def _found(self, network: nn.Module) -> nn.Module:
        try:
            piece = self.find(network, self._name)
        except (AttributeError, KeyError):
            raise ValueError(
                f"`submodule` must name one of the network that `{type(self).__name__}.build` makes, "
                f"found {self._name!r}: use the release of the code that it was split with."
            ) from None
        return settled(piece)

    def initialise(self, generator: torch.Generator) -> None:
        """Take the weights that `build` gives, its random numbers drawn from `generator`."""
        with noise(generator, torch.device("cpu")), torch.device("cpu"):
            made = self._found(self.build(**thaw(self._model))).state_dict()
        with torch.no_grad():
            for name, tensor in self.piece.state_dict().items():
                tensor.copy_(made[name])

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Call the submodule; the mask of a variable length passes through."""
        (value,) = inputs
        x, mask = split(value)
        if self.training:
            with noise(context.generator, x.device):
                output = self._call(x, mask)
        else:
            output = self._call(x, mask)
        return Masked(output, mask) if mask is not None and self.output.variable else output

    def _call(self, x: Tensor, mask: Tensor | None) -> Tensor:
        given = (x, mask) if getattr(self.piece, "takes_mask", False) else (x,)
        return first_tensor(self.piece(*given))

    def flops(self) -> int:
        """What torch counts in one sample's forward pass."""
        length = NOMINAL_LENGTH
        while True:
            try:
                return self._counted(length) * NOMINAL_LENGTH // length
            except (RuntimeError, IndexError):
                if not self._reads.variable or length == 1:
                    raise
                length //= 2  # there are fewer positions

    def _counted(self, length: int) -> int:
        """The count for a variable length of so many places."""
        # Where gradients are wanted torch leaves its fused form of attention, which the counter does not see.
        piece = copy.deepcopy(self.piece).eval().requires_grad_(True)
        shape = [length if n is None else n for n in self._reads.shape]
        given = [torch.zeros(1, *shape, dtype=torch.long if self._reads.integer else torch.float32, device="cpu")]
        if self._reads.variable and getattr(piece, "takes_mask", False):
            given.append(torch.ones(1, length, dtype=torch.bool, device="cpu"))
        for device in ("meta", "cpu"):
            counter = FlopCounterMode(display=False)
            try:
                # The plain form of attention is made of products, which the counter sees.
                with counter, sdpa_kernel(SDPBackend.MATH), torch.enable_grad(), torch.device(device):
                    piece(*(tensor.to(device) for tensor in given))
                break
            except RuntimeError:
                if device == "cpu":
                    raise
                piece = _zeros(piece)  # it asks for numbers, of which meta tensors have none
        return counter.get_total_flops()


def weights_of(piece: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers of a submodule, also those that it would not save."""
    found = dict(piece.named_parameters(remove_duplicate=False))
    return {name: t.detach().clone() for name, t in [*found.items(), *piece.named_buffers(remove_duplicate=False)]}


def first_tensor(output: Any) -> Tensor:
    """A submodule's output, or the first tensor of a tuple, a mapping or a dataclass."""
    if isinstance(output, Tensor):
        return output
    values: Any = ()
    if isinstance(output, Mapping):
        values = output.values()
    elif isinstance(output, (tuple, list)):
        values = output
    elif is_dataclass(output):
        values = [getattr(output, field.name) for field in fields(output)]
    for value in values:
        if isinstance(value, Tensor):
            return value
    raise ValueError(f"a submodule must give a tensor, or something whose first part is one, found {type(output)}.")


def settled(piece: nn.Module) -> nn.Module:
    """The submodule with all its buffers saved, and nothing done in place: what it reads, others read too."""
    for module in piece.modules():
        module._non_persistent_buffers_set.clear()
        if getattr(module, "inplace", False) is True:
            setattr(module, "inplace", False)  # noqa: B010 - of whatever module has such a switch
    return piece


@contextmanager
def noise(generator: torch.Generator | None, device: torch.device) -> Iterator[None]:
    """Within it torch's own generators draw what `generator` decides; afterwards they are as before."""
    seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator, device="cpu"))
    gpu = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpu):
        torch.default_generator.manual_seed(seed)
        if gpu:
            torch.cuda.manual_seed(seed)
        yield


@lru_cache(maxsize=8)
def _network(cls: Any, model: str) -> nn.Module:
    """The network without weights; made for real where its constructor asks for numbers."""
    arguments = json.loads(model)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return cls.build(**arguments).to("meta")
        except RuntimeError:
            with torch.device("cpu"):
                return cls.build(**arguments).to("meta")


def _zeros(piece: nn.Module) -> nn.Module:
    piece = piece.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in piece.state_dict().values():
            tensor.zero_()
    return piece


def _refuse_loose(piece: nn.Module, family: str, submodule: str) -> None:
    """Raise a `ValueError` for tensors that no blob could hold."""
    if len(list(piece.parameters())) < len(list(piece.named_parameters(remove_duplicate=False))):
        raise ValueError(
            f"the network of family `{family}` must name each parameter once within a submodule, found one under two "
            f"names in {submodule!r}: name submodules that hold one of them each."
        )
    for name, module in piece.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor):
                where = ".".join(part for part in (submodule, name, key) if part)
                raise ValueError(
                    f"the network of family `{family}` must keep its tensors as parameters or buffers, found {where} "
                    f"as a plain attribute: make it one with `register_buffer`."
                )


__all__ = ["Submodule", "first_tensor", "noise", "settled", "weights_of"]

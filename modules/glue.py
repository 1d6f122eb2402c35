"""Glue: weightless modules that reshape, join and cut values, or change only gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from .checks import choice, number
from .context import Context
from .module import Module, PortError, one_port
from .ports import Image, Masked, Port, Signal, Tokens, Value, Vector, like, split

AXES = ("features", "length")


class Flatten(Module):
    """All numbers of an image, or of tokens or a signal of fixed length, as one vector.

    Raises:
        PortError: another port, or a variable length (use `pool`).

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("flatten"), [Image(8, 7, 7)]).output
        Vector(dim=392)
    """

    family = "flatten"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image, Tokens, Signal)
        if port.variable:
            raise PortError(f"family `flatten` reads fixed lengths, found {port}: use `pool`")
        self.output = Vector(prod(port.shape))

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, ...) to (B, dim)."""
        return inputs[0].flatten(1)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """No settings, for fixed lengths."""
        fits = len(ports) == 1 and isinstance(ports[0], (Image, Tokens, Signal)) and not ports[0].variable
        return {} if fits else None


class Pool(Module):
    """The mean or maximum over an image's pixels, or over the real places of tokens or a signal.

    Args:
        ports: one `Image`, `Tokens` or `Signal`.
        over: `mean` or `max`.

    Raises:
        PortError: another port.
        ValueError: `over` is neither.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("pool"), [Tokens(None, 16)]).output
        Vector(dim=16)
    """

    family = "pool"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...], *, over: str = "mean") -> None:
        super().__init__()
        port = one_port(self.family, ports, Image, Tokens, Signal)
        self.maximum = choice("over", over, ("mean", "max")) == "max"
        self.axes = {Image: (2, 3), Tokens: (1,), Signal: (2,)}[type(port)]
        self.output = Vector(port.dim if isinstance(port, Tokens) else port.channels)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, ...) to (B, dim) or (B, channels)."""
        x, mask = split(inputs[0])
        if mask is None:
            return x.amax(self.axes) if self.maximum else x.mean(self.axes)
        real = mask.unsqueeze(-1 if self.axes == (1,) else 1)
        if self.maximum:
            return x.masked_fill(~real, float("-inf")).amax(self.axes)
        return x.masked_fill(~real, 0.0).sum(self.axes) / real.sum(self.axes)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """The mean."""
        return {} if len(ports) == 1 and isinstance(ports[0], (Image, Tokens, Signal)) else None


class Concat(Module):
    """Values of one kind, joined end to end.

    Along `features`, a place of a variable length is real where it is in every input.

    Args:
        ports: one or more `Vector`, `Tokens`, `Image` or `Signal`, all of one kind.
        axis: `features` joins vectors and tokens along their dim, images and signals along their channels,
            and all other sizes must agree; `length` joins tokens of one dim, and is variable where one is.

    Raises:
        PortError: no port, mixed kinds, or sizes that do not agree.
        ValueError: `axis` is neither.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("concat", {"axis": "length"}), [Tokens(4, 16), Tokens(9, 16)]).output
        Tokens(length=13, dim=16)
    """

    family = "concat"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...], *, axis: str = "features") -> None:
        super().__init__()
        along_length = choice("axis", axis, AXES) == "length"
        kinds = (Tokens,) if along_length else (Vector, Tokens, Image, Signal)
        first = ports[0] if ports else None
        if not isinstance(first, kinds) or len({_rest(port, along_length) for port in ports}) > 1:
            raise PortError(
                f"family `concat` along {axis} reads one or more ports of one kind whose other sizes agree, "
                f"found ({', '.join(map(str, ports))})"
            )
        self.output = _joined(ports, first, along_length)
        self.axis = 1 if along_length or not isinstance(first, Tokens) else 2
        self.along_length = along_length

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Join values of equal batch size."""
        joined = torch.cat([split(value)[0] for value in inputs], self.axis)
        if not self.output.variable:
            return joined
        if self.along_length:
            return Masked(joined, torch.cat([_mask(value) for value in inputs], 1))
        mask = _mask(inputs[0])
        for value in inputs[1:]:
            mask = mask & _mask(value)
        return Masked(joined, mask)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Along the features, or along the length where only that can be."""
        for along_length, kinds in ((False, (Vector, Tokens, Image, Signal)), (True, (Tokens,))):
            if ports and isinstance(ports[0], kinds) and len({_rest(port, along_length) for port in ports}) == 1:
                return {"axis": AXES[along_length]}
        return None


def _rest(port: Port, along_length: bool) -> tuple[Any, ...]:
    """The kind, and the sizes that must agree."""
    if isinstance(port, Tokens):
        return Tokens, port.dim if along_length else port.length
    return type(port), *port.shape[1:]


def _cut(port: Port, along_length: bool) -> str:
    """The field of `port` that an axis of this file means."""
    return "length" if along_length else "channels" if isinstance(port, (Image, Signal)) else "dim"


def _joined(ports: tuple[Port, ...], first: Port, along_length: bool) -> Port:
    name = _cut(first, along_length)
    sizes = [getattr(port, name) for port in ports]
    return replace(first, **{name: None if None in sizes else sum(sizes)})


def _mask(value: Value) -> Tensor:
    """A value's mask over its length; of a fixed length, all of it is real."""
    if isinstance(value, Masked):
        return value.mask
    return torch.ones(value.shape[:2], dtype=torch.bool, device=value.device)


class Slice(Module):
    """The part `[start:stop]` of a value, as Python counts: from the end where negative.

    A variable length is cut in padded places, which is exact for tokens of fixed length that were joined to
    its front or end; it stays variable.

    Args:
        ports: one `Vector`, `Tokens`, `Image` or `Signal`.
        start: the first kept index.
        stop: the first index that is dropped again; `None` keeps all to the end.
        axis: `features` cuts the dim of vectors and tokens, the channels of images and signals; `length` cuts
            the places of tokens.

    Raises:
        PortError: another port, or nothing is left.
        ValueError: a setting is not valid.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("slice", {"start": 1, "stop": 4, "axis": "length"}), [Tokens(9, 16)]).output
        Tokens(length=3, dim=16)
    """

    family = "slice"
    stacks = ("cpu", "cuda")

    def __init__(
        self, ports: tuple[Port, ...], *, start: int = 0, stop: int | None = None, axis: str = "features"
    ) -> None:
        super().__init__()
        for name, index in (("start", start), ("stop", stop)):
            if type(index) is not int and not (name == "stop" and index is None):
                raise ValueError(f"`{name}` must be a whole number, found {index!r}.")
        self.along_length = choice("axis", axis, AXES) == "length"
        kinds = (Tokens,) if self.along_length else (Vector, Tokens, Image, Signal)
        port = one_port(self.family, ports, *kinds)
        self.part = slice(start, stop)
        name = _cut(port, self.along_length)
        size = getattr(port, name)
        left = None if size is None else len(range(size)[self.part])
        if left == 0:
            raise PortError(f"family `slice` keeps nothing of {port} from {start} to {stop}")
        self.output = replace(port, **{name: left})

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Cut a value, and its mask where the length is cut."""
        (value,) = inputs
        x, mask = split(value)
        if self.along_length:
            return x[:, self.part] if mask is None else Masked(x[:, self.part], mask[:, self.part])
        return like(value, x[..., self.part] if isinstance(self.output, Tokens) else x[:, self.part])

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """All of it: where to cut, mutations decide."""
        return {} if len(ports) == 1 and isinstance(ports[0], (Vector, Tokens, Image, Signal)) else None


class Detach(Module):
    """The value itself, through which no gradient flows.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("detach"), [Vector(4)]).output
        Vector(dim=4)
    """

    family = "detach"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Stop the gradient."""
        (value,) = inputs
        return like(value, split(value)[0].detach())

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """No settings."""
        return {} if len(ports) == 1 else None


class ScaleGradient(Module):
    """The value itself, whose gradient is multiplied by `factor`.

    Args:
        ports: one port of floats.
        factor: any finite number; below 0 the gradient is reversed (Ganin and Lempitsky 2015, 1409.7495).

    Raises:
        PortError: not one port, or one of integers.
        ValueError: `factor` is not a finite number.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("scale_gradient", {"factor": 0.1}), [Vector(4)]).output
        Vector(dim=4)
    """

    family = "scale_gradient"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...], *, factor: float) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        if self.output.integer:
            raise PortError(f"family `scale_gradient` reads floats, found {self.output}")
        self.factor = number("factor", factor)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Pass the value, scale its gradient."""
        (value,) = inputs
        x, _ = split(value)
        # x - x.detach() is exactly zero, so the value stays the same to the bit.
        return like(value, x.detach() + self.factor * (x - x.detach()))

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A tenth of the gradient: what stands before it learns slowly."""
        return {"factor": 0.1} if len(ports) == 1 and not ports[0].integer else None

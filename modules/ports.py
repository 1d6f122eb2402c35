"""Ports: the types of what flows between modules.

A port says the shape of one sample; every value carries a batch axis in front. A length of `None` is
variable: the value is then a `Masked` pair, whose mask is true where an element is real.

| port | value, for a batch of B |
|---|---|
| `Vector(dim)` | float (B, dim) |
| `Image(channels, height, width)` | float (B, channels, height, width) |
| `Tokens(length, dim)` | float (B, length, dim) |
| `Ids(length, vocabulary)` | integer (B, length), 0 <= id < vocabulary |
| `Signal(channels, length)` | float (B, channels, length) |

The set is open: a new port is a frozen dataclass with a `kind` and a `shape`, named in `PORTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class PortError(ValueError):
    """Ports that do not fit."""


class Masked(NamedTuple):
    """A value of variable length: `value` (B, length, ...) and `mask` (B, length), true where real."""

    value: Tensor
    mask: Tensor


Value: TypeAlias = "Tensor | Masked"


@dataclass(frozen=True)
class Port:
    """What all ports share. `shape` is one sample's shape; `None` stands for a variable length."""

    kind: ClassVar[str] = ""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of one sample, without the batch axis."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def variable(self) -> bool:
        """Whether a length is variable, so that values are `Masked` pairs."""
        return None in self.shape

    @property
    def integer(self) -> bool:
        """Whether values are integer ids rather than floats."""
        return False

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in asdict(self).items())})"


@dataclass(frozen=True)
class Vector(Port):
    """`dim` numbers."""

    dim: int
    kind: ClassVar[str] = "vector"


@dataclass(frozen=True)
class Image(Port):
    """An image or a feature map."""

    channels: int
    height: int
    width: int
    kind: ClassVar[str] = "image"


@dataclass(frozen=True)
class Tokens(Port):
    """A sequence of vectors; `length=None` is variable and carries a mask."""

    length: int | None
    dim: int
    kind: ClassVar[str] = "tokens"


@dataclass(frozen=True)
class Ids(Port):
    """A sequence of ids below `vocabulary`; `length=None` is variable and carries a mask."""

    length: int | None
    vocabulary: int
    kind: ClassVar[str] = "ids"

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of one sample: its length."""
        return (self.length,)

    @property
    def integer(self) -> bool:
        """True: values are ids."""
        return True


@dataclass(frozen=True)
class Signal(Port):
    """A multichannel series; `length=None` is variable and carries a mask."""

    channels: int
    length: int | None
    kind: ClassVar[str] = "signal"


PORTS: dict[str, type[Port]] = {port.kind: port for port in (Vector, Image, Tokens, Ids, Signal)}


def port_to_json(port: Port) -> dict[str, Any]:
    """`port` as plain data: its kind and its fields."""
    return {"port": port.kind, **asdict(port)}


def port_from_json(data: Mapping[str, Any], ports: Mapping[str, type[Port]] = PORTS) -> Port:
    """The port that `port_to_json` wrote; a `ValueError` names what does not fit."""
    sizes = dict(data)
    kind = sizes.pop("port", None)
    if kind not in ports:
        raise ValueError(f"`port` must be one of {sorted(ports)}, found {kind!r}: check the path's ports.")
    try:
        port = ports[kind](**sizes)
    except TypeError as error:
        raise ValueError(f"the fields of port {kind!r} do not fit, found {sorted(sizes)}: {error}.") from None
    for name, size in sizes.items():
        if not (size is None and name == "length") and (type(size) is not int or size < 1):
            raise ValueError(f"`{name}` of port {kind!r} must be a whole number of at least 1, found {size!r}.")
    return port


def batch_size(value: Value) -> int:
    """How many samples a value holds."""
    return (value.value if isinstance(value, Masked) else value).shape[0]


def split(value: Value) -> tuple[Tensor, Tensor | None]:
    """A value's tensor and its mask, or `None` where it has none."""
    return (value.value, value.mask) if isinstance(value, Masked) else (value, None)


def like(value: Value, tensor: Tensor) -> Value:
    """`tensor` with the mask of `value`, if it has one."""
    return Masked(tensor, value.mask) if isinstance(value, Masked) else tensor


def example(port: Port, batch: int, generator: torch.Generator, length: int = 5) -> Value:
    """A random value of `port` with `batch` samples.

    Where its length varies, the value has `length` places, of which each sample uses 1 to `length`.
    """
    import torch

    shape = [batch, *(length if size is None else size for size in port.shape)]
    if isinstance(port, Ids):
        value = torch.randint(0, port.vocabulary, shape, generator=generator)
    else:
        value = torch.randn(shape, generator=generator)
    if not port.variable:
        return value
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    return Masked(value, torch.arange(length).expand(batch, length) < lengths)

"""The contract of a module family, and the few initialisers that families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .context import Context
from .frozendict import FrozenDict
from .near import did_you_mean
from .ports import Port, PortError, Value
from .stacked import Stack, affine


class Module(nn.Module):
    """A block that maps n >= 0 input ports to one.

    A family is a final subclass in a file of its own, named in `table.FAMILIES`. Its constructor takes the
    tuple of input ports and its configuration as typed keyword arguments, checks both, creates its
    parameters and sets `self.output`. It must not draw random numbers: `initialise` does, from the
    generator it is given. A family with `parts` takes them as the keyword argument `parts`, a mapping from
    name to built module, and keeps them in a plain dict, so that they are not counted as its own parameters.
    With no input port, `forward` returns one sample with a batch axis of 1; assembly broadcasts it.

    Attributes:
        family: the name used in specs and configurations.
        version: raised when a change alters what equal weights compute; part of every hash.
        reference: the source of the mechanism (paper, section).
        output: the port of what `forward` returns.
        head: whether the module ends a path, so that evolution never puts anything behind it.
        stacks: the kinds of device (`cpu`, `cuda`) on which many modules of one spec train faster as one, through
            `stacked`; empty where the family has no such form.
        affine: the layer's name and the activation (`none` or `relu`), where the family is nothing but
            `activation(x W + b)`; it then stacks without a form of its own.
        idle_at_zero: whether weights that are all zero have gradients that are all zero, so that slots of a stack that
            are not used stay as they are by themselves.
        sites: the values inside `forward` that deltas may change: it passes each through
            `context.at(self, site, value)`.
        site_ports: the ports of the values at its sites, of those that have one; a delta there sees plain tensors.
        inputs: its input ports, as `build` was given them.
        active: of a router, how many modules run for a sample: the other weights are exactly zero, and the modules
            behind them are not run. `None` runs all.
    """

    family: ClassVar[str] = ""
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""
    head: ClassVar[bool] = False
    sites: ClassVar[tuple[str, ...]] = ()

    output: Port
    inputs: tuple[Port, ...] = ()
    site_ports: Mapping[str, Port] = FrozenDict()
    active: int | None = None
    stacks: tuple[str, ...] = ()
    affine: tuple[str, str] | None = None
    idle_at_zero: bool = False

    def forward(self, *inputs: Any, context: Context) -> Any:
        """Map one value for each input port, each with a batch axis, to a value of port `output`."""
        raise TypeError(f"{type(self).__name__} is abstract: call a module family, such as `linear`.")

    def stacked(self, stack: Stack, *inputs: Tensor) -> Tensor:
        """What `forward` does, for K candidates with S modules each at once; this module only says what they are.

        This one serves families with `affine`, and those without weights whose modules treat each sample alone: then
        candidates are folded into the batch.

        Args:
            stack: the weights of all, (K, S, ...) each.
            inputs: (K, B, ...) each, or (1, B, ...) where all candidates read the same.

        Returns:
            (K, S, B, ...), or (1, 1, B, ...) of a family without weights where all read the same.
        """
        if self.affine:
            return affine(stack, self.affine[0], inputs[0], self.affine[1])
        k = max(len(value) for value in inputs)
        folded = [value.expand(k, *value.shape[1:]).flatten(0, 1) for value in inputs]
        return self(*folded, context=Context()).unflatten(0, (k, -1))[:, None]

    def initialise(self, generator: torch.Generator) -> None:
        """Set all parameters and buffers, drawing only from `generator`."""
        for child in self.children():
            initialise_layer(child, generator)

    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass; a multiply and an add count as two."""
        return 0

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """The input ports of each named part; by default those of the module itself."""
        return lambda name: ports

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A configuration for these input ports, for evolution where only the family was named.

        Where it can, the output has the first port, so that the module can stand behind any step. `None` where the
        family cannot read the ports.
        """
        return None


class Delta(nn.Module):
    """A change inside a frozen module for one task or condition.

    A delta family's constructor takes the host module, the ports of its condition where it reads one
    (`DeltaRef.reads`), and its configuration. `weights` changes the host's parameters (LoRA), `inside` values at
    the host's sites (prefixes, adapters inside a block), `around` what flows through it (gates); each defaults to
    no change. At its neutral condition, stated by the family, the host's outputs are unchanged to the bit.

    What it knows of a task it has from its own weights or from `parts`: a learned code, a generator that many
    tasks share. A condition that differs from sample to sample comes as a value that it reads.
    """

    family: ClassVar[str] = ""
    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters as this delta changes them."""
        return dict(host)

    def weights_in(self, host: Mapping[str, Tensor], context: Context) -> dict[str, Tensor]:
        """The host's parameters in one pass: as `weights` says, but for deltas that draw noise in training mode."""
        return self.weights(host)

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """By site of the host, what is done to the value there; `condition` are the values that the delta reads."""
        return {}

    def around(self, call: Callable[..., Value], *inputs: Value, context: Context, **condition: Any) -> Value:
        """Call the host on `inputs`, changing what goes in or comes out.

        A delta that reads a condition is given its values as `condition=(...)`.
        """
        return call(*inputs, context=context)

    @property
    def mergeable(self) -> bool:
        """Whether it changes weights only, so that `merge.merged` can put it into the host for good."""
        cls = type(self)
        return cls.weights is not Delta.weights and cls.inside is Delta.inside and cls.around is Delta.around

    def initialise(self, generator: torch.Generator) -> None:
        """Set all parameters and buffers to the neutral condition."""
        for child in self.children():
            initialise_layer(child, generator)

    def flops(self) -> int:
        """Extra floating-point operations of one sample's forward pass."""
        return 0

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """The input ports of each named part that is a module; by default none. A part that is a delta has our host."""
        return lambda name: ()

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A configuration for `host`, for evolution where only the family was named; `None` where there is none."""
        return None


def initialise_layer(layer: nn.Module, generator: torch.Generator) -> None:
    """Initialise one torch layer, and those inside it: fan-in uniform weights, zero biases, neutral norms."""
    if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.Embedding):
        nn.init.normal_(layer.weight, std=0.02, generator=generator)
    elif isinstance(layer, (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)):
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
        if layer.weight is not None:
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
    else:
        for child in layer.children():
            initialise_layer(child, generator)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def activation_named(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of that name; a `ValueError` lists the names there are."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(ACTIVATIONS)}, "
            f"found {name!r}{did_you_mean(name, ACTIVATIONS, '.')}"
        )
    return ACTIVATIONS[name]


def one_port(family: str, ports: Sequence[Port], *kinds: type[Port]) -> Any:
    """The only input port, of one of `kinds`; a `PortError` says what the family reads and what it found."""
    if len(ports) != 1 or not isinstance(ports[0], kinds or (Port,)):
        wanted = " or ".join(kind.__name__ for kind in kinds) or "Port"
        raise PortError(f"family `{family}` reads one {wanted}, found ({', '.join(map(str, ports))})")
    return ports[0]

"""Splitting a trained network into modules of a pool, by the names of its submodules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pathways.assemble import PathModule
from pathways.errors import PathError
from pathways.modules import Families, Frozen, ModuleRef, ModuleSpec, Port, Value, port_to_json
from pathways.modules.build import build
from pathways.modules.ports import split as parted
from pathways.path import Path, Step
from pathways.pool import decode, encode
from pathways.root import Root

from .glue import Glue, between, port_of
from .submodule import Submodule, first_tensor, weights_of
from .trace import Batch, Call, coarser, evaluating, traced


@dataclass
class Assembly:
    """A path that grows piece by piece, with the weights that its modules have in a network.

    Args:
        family: the family of the pieces.
        model: the arguments of its constructor.
        inputs: the ports of the path's inputs.
    """

    family: type[Submodule]
    model: Mapping[str, Any]
    inputs: Mapping[str, Port]
    steps: dict[str, Step] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def piece(self, name: str, submodule: str, piece: nn.Module, reads: str, port: Port, output: Port) -> str:
        """Add a step of one submodule, with the weights it has; returns the step's name.

        Raises:
            PathError: the family's constructor does not make what the network holds.
        """
        config = {
            "submodule": submodule, "reads": port_to_json(port), "output": port_to_json(output),
            "model": dict(self.model),
        }  # fmt: skip
        spec = ModuleSpec(self.family.family, config, self.family.version)
        given = weights_of(piece)
        made = build(spec, (port,), families=Families([self.family])).state_dict()
        held = {f"piece.{key}": tensor for key, tensor in given.items()}
        if differs := sorted(_shapes(held) ^ _shapes(made)):
            raise PathError(
                f"`{self.family.__name__}.build` must make the network that is split: of submodule {submodule!r} "
                f"{differs[0][0].removeprefix('piece.')} is not of one shape and type in both: check `model`, found "
                f"{dict(self.model)}."
            )
        return self._add(name, spec, held, reads)

    def glue(self, glue: Glue, reads: str) -> str:
        """Add weightless steps behind a step; returns the name of the last."""
        for spec in glue:
            name = f"{reads}.{spec.family}"
            while name in self.steps and self.steps[name].reads == (reads,) and self._spec(name) != spec:
                name += "'"
            reads = self._add(name, spec, {}, reads)
        return reads

    def root(self, output: str, source: Mapping[str, Any]) -> Root:
        """The path that ends in a step, with its weights."""
        return Root(Path(self.inputs, self.steps, output), self.blobs, source)

    def _spec(self, name: str) -> ModuleSpec:
        return self.steps[name].modules[0].spec

    def _add(self, name: str, spec: ModuleSpec, tensors: Mapping[str, Tensor], reads: str) -> str:
        blob, data = encode(spec, {key: tensor.cpu().contiguous() for key, tensor in tensors.items()})
        self.blobs[blob] = data
        self.steps[name] = Step((Frozen(blob, spec),), (reads,))
        return name


def split(
    network: nn.Module,
    names: Sequence[str],
    batch: Batch,
    family: type[Submodule],
    *,
    model: Mapping[str, Any] | None = None,
    ports: Mapping[str, Port] | None = None,
    source: str = "",
) -> Root:
    """A trained network as a root: a path of its submodules, all frozen, bit for bit what the network computes.

    One batch goes through the network. Each named submodule becomes a step; what it reads is looked for among what
    the submodules before it gave and the network's inputs, as it is or through weightless modules (see
    `pathways.pretrained.glue.between`). What comes behind the last named submodule is left out, unless it is such
    glue: a head of the network is none of a task's.

    Args:
        network: trained; it stays as it is.
        names: its submodules that become modules, such as `["stem", "layer1", "layer2"]`. All between the input and
            the last of them must be in one of them, or be glue.
        batch: at least two samples, as the network takes them: a tensor, or several by the name of the argument.
        family: yours, whose `build(**model)` makes the network.
        model: the arguments of `build`, plain data.
        ports: those that shapes do not tell, by name of a submodule (of its output) or of an input (`x` of a single
            tensor): ids, signals.
        source: where the weights came from; it is kept with every run that is made on the root.

    Raises:
        PathError: a submodule reads what no named submodule gave, is called more than once, reads more than one
            tensor, or does not compute the same by itself; the message says which, and what to name instead.

    Example:
        >>> class Perceptron(Submodule):
        ...     family = "perceptron"
        ...
        ...     @staticmethod
        ...     def build(*, width):
        ...         return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
        >>> root = split(Perceptron.build(width=3), ["0", "1"], torch.ones(2, 4), Perceptron, model={"width": 3})
        >>> list(root.path.steps), root.path.ports(Families([Perceptron]))["1"]
        (['0', '1'], Vector(dim=3))
    """
    given = dict(batch) if isinstance(batch, Mapping) else {"x": batch}
    if any(len(value) < 2 for value in given.values()):
        raise PathError("`batch` must hold at least two samples, found one: what mixes samples is not seen in one.")
    known = dict(ports or {})
    inputs = {name: known.get(name) or port_of(value, f"input {name!r}") for name, value in given.items()}
    calls, result = traced(network, names, batch)
    outputs = {c.name: known.get(c.name) or port_of(c.output, f"the output of {c.name!r}") for c in calls}
    assembly = Assembly(family, model or {}, inputs)
    values: dict[str, tuple[Tensor, Port]] = {name: (value, inputs[name]) for name, value in given.items()}
    made: dict[str, str] = {}
    for call in calls:
        piece = network.get_submodule(call.name)
        _alone(network, piece, call)
        reads, glue = _source(values, call, list(made))
        step = assembly.glue(glue, made.get(reads, reads))
        name = made[call.name] = call.name if call.name not in (*inputs, "head") else f"{call.name}_"
        port = port_after(glue, values[reads][1])
        assembly.piece(name, call.name, piece, step, port, outputs[call.name])
        values[call.name] = (call.output, outputs[call.name])
    last = calls[-1]
    behind = between(last.output, outputs[last.name], result)
    output = assembly.glue(behind or (), made[last.name])
    root = assembly.root(output, provenance(network, family, model or {}, source))
    if lost := [name for name, step in made.items() if step not in root.path.steps]:
        raise PathError(
            f"what submodule {lost[0]!r} gives must reach {last.name!r}, the last that was named, found no use of it: "
            f"leave it out, or {coarser(lost[0], last.name)}."
        )
    wanted = last.output if behind is None else result
    proved(root, family, given, wanted)
    one = {name: value[:1] for name, value in given.items()}
    again, alone = traced(network, names, one if isinstance(batch, Mapping) else one["x"])
    _refuse_mixed(calls, again)
    proved(root, family, one, again[-1].output if behind is None else alone)
    return root


def proved(root: Root, family: type[Submodule], given: Mapping[str, Value], wanted: Tensor) -> None:
    """Raise a `PathError` unless the path, loaded from its blobs, gives `wanted` to the bit; padding does not count."""
    def weights(ref: ModuleRef) -> Mapping[str, Tensor]:
        return decode(root.blobs[ref.id])  # type: ignore[union-attr]

    module = PathModule(root.path, weights, Families([family])).eval()
    with torch.no_grad():
        found, mask = parted(module(dict(given)))
    if mask is not None and found.shape == wanted.shape:
        found, wanted = found[mask], wanted[mask]
    if found.shape != wanted.shape or not torch.equal(found, wanted):
        apart = f"{(found - wanted).abs().max():.3g} apart" if found.shape == wanted.shape else f"{tuple(found.shape)}"
        raise PathError(
            f"the path must give what the network gives, to the bit, found values {apart}: the network that "
            f"`{family.__name__}.build` makes differs in more than weights, or computes something between submodules "
            f"that one batch does not show: name coarser submodules."
        )


def provenance(network: nn.Module, family: type[Submodule], model: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Where the weights of a root came from, as plain data."""
    cls = type(network)
    found = {"network": f"{cls.__module__}.{cls.__qualname__}", "family": family.family, "model": dict(model)}
    return {**found, **({"weights": source} if source else {})}


def port_after(glue: Glue, port: Port) -> Port:
    """The port behind weightless modules."""
    for spec in glue:
        port = build(spec, (port,)).output  # type: ignore[assignment]
    return port


def _source(values: Mapping[str, tuple[Tensor, Port]], call: Call, made: Sequence[str]) -> tuple[str, Glue]:
    """Which value a submodule reads, the newest first, and through what."""
    for plain in (True, False):
        for name in reversed(list(values)):
            value, port = values[name]
            if plain and not (value.shape == call.given.shape and torch.equal(value, call.given)):
                continue
            glue = between(value, port, call.given)
            if glue is not None:
                return name, glue
    before = f"submodule {made[-1]!r}" if made else "the network's input"
    raise PathError(
        f"between {before} and submodule {call.name!r} the network computes something that is neither a reshaping, a "
        f"mean or maximum over places, nor a choice of tokens (a residual connection, or code without a module): "
        f"{coarser(*made[-1:], call.name)}."
    )


def _alone(network: nn.Module, piece: nn.Module, call: Call) -> None:
    """A submodule must give the same for its one tensor alone."""
    with evaluating(network):
        try:
            same = torch.equal(first_tensor(piece(call.given.clone())), call.output)
        except Exception:  # a user's code may raise anything where an argument is missing
            same = False
    if not same:
        raise PathError(
            f"submodule {call.name!r} must give the same for its tensor alone, found that it needs its other "
            f"arguments: {coarser(call.name)}."
        )


def _refuse_mixed(together: Sequence[Call], alone: Sequence[Call]) -> None:
    """A sample's output may not depend on who else is in its batch, but for rounding."""
    for many, one in zip(together, alone, strict=True):
        if not torch.allclose(many.output[:1].double(), one.output.double(), rtol=1e-3, atol=1e-3):
            raise PathError(
                f"submodule {many.name!r} must treat each sample of a batch alone, found other values for one sample "
                f"than for it among others: leave it out."
            )


def _shapes(tensors: Mapping[str, Tensor]) -> set[tuple[str, tuple[int, ...], torch.dtype]]:
    return {(name, tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


__all__ = ["Assembly", "port_after", "proved", "provenance", "split"]

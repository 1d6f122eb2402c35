"""The settings of PathNet's grid, and what they mean for a task: the layers with their ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pathways.candidate import Training
from pathways.convert import conversion
from pathways.errors import ConfigError, PathError
from pathways.modules import Families, ModuleSpec, Port, PortError, Vector, facts
from pathways.strategy import TaskInfo

from .settings import as_spec, settings_json, whole_number

_LINEAR = ModuleSpec("linear", {"dim": 20, "activation": "relu"})


@dataclass(frozen=True)
class GridSettings:
    """What PathNet and its controls share: the grid, and how one generation trains.

    Args:
        name: the name in ledgers, tables and seeds.
        layers, modules, active: L, M and N: layers, cells a layer at the start, genes a layer.
        steps, batch: T and the samples of each: what one generation trains.
        lr, optimizer: of every generation, constant. The paper names SGD at 1e-4; with a mean cross-entropy
            that hardly moves, and re-implementations that reach their thresholds use 0.01, as we do.
        module: what stands in every cell, or one spec for each layer; a spec may be plain data.
        combine: how the outputs of a layer's modules combine, `sum` or `mean`, or one for each layer.
        threshold: the search stops when a generation's winner has at least this fitness; `None` never.
        generations: the most that are run.
        fitness: `training`, accuracy on the generation's own batches (the paper), or `validation`.

    Raises:
        ConfigError: a setting out of range.
    """

    name: str = "grid"
    layers: int = 3
    modules: int = 10
    active: int = 3
    steps: int = 50
    batch: int = 16
    lr: float = 0.01
    optimizer: str = "sgd"
    module: Any = _LINEAR
    combine: Any = "sum"
    threshold: float | None = 0.998
    generations: int = 500
    fitness: str = "training"

    def __post_init__(self) -> None:
        for name in ("layers", "modules", "active", "generations"):
            whole_number(name, getattr(self, name), 1)
        if self.active > self.modules:
            raise ConfigError(f"`active` must be at most `modules`, {self.modules}, found {self.active}.")
        one = not isinstance(self.module, Sequence)
        object.__setattr__(self, "module", as_spec(self.module) if one else tuple(map(as_spec, self.module)))
        combine = self.combine if isinstance(self.combine, str) else tuple(self.combine)
        object.__setattr__(self, "combine", combine)
        for name in ("module", "combine"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.layers:
                raise ConfigError(
                    f"`{name}` must have one entry for each of {self.layers} layers, found {len(value)}."
                )
        if not set(self.combines) <= {"sum", "mean"}:
            raise ConfigError(f"`combine` must be 'sum' or 'mean', found {self.combine!r}.")
        self.training()

    @property
    def specs(self) -> tuple[ModuleSpec, ...]:
        """The module spec of each layer."""
        return self.module if isinstance(self.module, tuple) else (self.module,) * self.layers

    @property
    def combines(self) -> tuple[str, ...]:
        """How each layer combines."""
        return (self.combine,) * self.layers if isinstance(self.combine, str) else self.combine

    def training(self) -> Training:
        """How one generation trains: T steps at a constant learning rate, the last weights kept."""
        return Training(
            optimizer=self.optimizer, lr=self.lr, steps=self.steps, batch=self.batch,
            schedule="constant", warmup=0.0, keep="last", fitness=self.fitness,
        )

    def reached(self, fitness: float) -> bool:
        """Whether a generation's fitness ends the search."""
        return self.threshold is not None and fitness >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return settings_json(self)


@dataclass(frozen=True)
class Layer:
    """One layer of a grid at a task: the spec of its modules, what they read and give, and how they combine.

    `converter` is the weightless module that stands before it where the modules can't read what comes.
    """

    spec: ModuleSpec
    combine: str
    converter: ModuleSpec | None
    reads: Port
    output: Port


def layers_for(settings: GridSettings, task: TaskInfo, families: Families) -> tuple[Layer, ...]:
    """The layers of the grid for a task with one input.

    Raises:
        ConfigError: the task has several inputs.
        PathError: a layer's modules can't read what comes before them; the message names the layer.
    """
    if len(task.inputs) != 1:
        raise ConfigError(
            f"`{settings.name}` reads one input, found {list(task.inputs)} in task {task.name!r}: "
            f"join them in the data."
        )
    port = next(iter(task.inputs.values()))
    layers = []
    for number, (spec, combine) in enumerate(zip(settings.specs, settings.combines, strict=True)):
        try:
            converter = _converter(spec, port, families)
            reads = port if converter is None else _output(converter, port, families)
            port = _output(spec, reads, families)
        except ValueError as error:
            raise PathError(
                f"task {task.name!r}: `module` of layer {number} must read what comes before it: {error}."
            ) from None
        layers.append(Layer(spec, combine, converter, reads, port))
    return tuple(layers)


def _converter(spec: ModuleSpec, port: Port, families: Families) -> ModuleSpec | None:
    """What `spec` needs before it to read `port`: nothing where it fits, else what makes a vector."""
    try:
        facts(spec, (port,), families=families)
    except PortError:
        found = conversion(port, Vector, families)
        return found[0] if len(found) == 1 else None
    return None


def _output(spec: ModuleSpec, port: Port, families: Families) -> Port:
    output = facts(spec, (port,), families=families).output
    if output is None:
        raise ConfigError(f"`module` must be a module family, found the delta `{spec.family}`.")
    return output

"""What is known of a learned task without reading its path: enough to list, count, share and collect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pathways.modules import Families, FrozenDict, Port, port_from_json, port_to_json

from .path import Path
from .records import TaskRecord


@dataclass(frozen=True, slots=True)
class Sketch:
    """A champion's path in short; `sketch_of` makes it.

    Args:
        path: the path's hash.
        trunk: the hash of the path up to what its head reads; empty where a trunk cannot be told from the head. Of a
            path that mixes several it is that of its own, the first.
        inputs: the port of each input.
        steps: the hash of each step of the trunk, by name, in canonical order.
        sizes: by blob, the parameters of each module, in canonical order.
        flops: of one sample's forward pass.
    """

    path: str
    trunk: str
    inputs: Mapping[str, Port]
    steps: Mapping[str, str]
    sizes: Mapping[str, int]
    flops: int

    @property
    def parameters(self) -> int:
        """All parameters of the path."""
        return sum(self.sizes.values())


@dataclass(frozen=True, slots=True)
class Brief:
    """A task's record in short; `brief_of` makes it.

    Args:
        name, index, data, test_data, strategy, metric, higher_is_better, test, new_parameters: as in its record.
        parents, validation: as in its champion.
        sketch: of its path.
        guard: what a guard against negative transfer kept, `sharing` or `scratch`; empty where there was none.
        optimizers: the blobs of the optimizer states that its champion leaves to clones of its modules.
    """

    name: str
    index: int
    data: str
    test_data: str | None
    strategy: str
    metric: str
    higher_is_better: bool
    test: float | None
    new_parameters: int
    parents: tuple[str, ...]
    validation: float
    sketch: Sketch
    guard: str = ""
    optimizers: tuple[str, ...] = ()

    @property
    def blobs(self) -> tuple[str, ...]:
        """All that must be kept for it: the blobs of its path and of optimizer states."""
        return (*self.sizes, *self.optimizers)

    @property
    def sizes(self) -> Mapping[str, int]:
        """By blob, the parameters of each module of its path."""
        return self.sketch.sizes

    @property
    def parameters(self) -> int:
        """All parameters of its path."""
        return self.sketch.parameters

    def to_json(self) -> dict[str, Any]:
        """The brief as plain data."""
        sketch = {field.name: getattr(self.sketch, field.name) for field in fields(Sketch)}
        inputs = {name: port_to_json(port) for name, port in self.sketch.inputs.items()}
        data = {field.name: getattr(self, field.name) for field in fields(Brief)}
        return data | {"sketch": sketch | {"inputs": inputs}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Brief:
        """The brief that `to_json` wrote."""
        said = data["sketch"]
        inputs = _one_of({name: port_from_json(port) for name, port in said["inputs"].items()})
        sketch = Sketch(**{**said, "inputs": inputs})
        tuples = {name: tuple(data[name]) for name in ("parents", "optimizers")}
        return cls(**{**data, **tuples, "sketch": sketch})


_inputs: dict[FrozenDict, FrozenDict] = {}


def _one_of(inputs: Mapping[str, Port]) -> FrozenDict:
    """One object for all equal inputs, of which there are few: comparing them is comparing objects."""
    return _inputs.setdefault(FrozenDict(inputs), FrozenDict(inputs))


def sketch_of(path: Path, families: Families) -> Sketch:
    """The sketch of a champion's path."""
    costs = path.costs(families)
    own, reads = path, path.steps[path.head].reads
    if path.head != path.output:
        own = Path(path.inputs, path.steps, path.head)
    steps = {name: path.step_hashes[name] for name in own.canonical_order if name != own.output}
    whole = len(reads) == 1 and reads[0] in path.steps and "head" not in steps
    trunk = path.step_hashes[reads[0]] if whole else ""
    sizes = {blob: costs.sizes[blob] for blob in path.frozen()}
    return Sketch(path.hash, trunk, _one_of(path.inputs), steps, sizes, costs.flops)


def brief_of(record: TaskRecord, families: Families) -> Brief:
    """The brief of a task's record."""
    champion = record.champion
    return Brief(
        record.name, record.index, record.data, record.test_data, record.strategy, record.metric,
        record.higher_is_better, record.test, record.new_parameters, champion.parents, champion.measures.validation,
        sketch_of(record.path, families), _kept(champion.extra, record.name),
        tuple(dict.fromkeys(champion.optimizers.values())),
    )  # fmt: skip


def _kept(extra: Mapping[str, Any], task: str) -> str:
    """What a guard kept; `extra` is whatever a strategy wants to be inherited."""
    guard = extra.get("guard")
    said = guard.get(task) if isinstance(guard, Mapping) else None
    kept = said.get("kept") if isinstance(said, Mapping) else None
    return kept if isinstance(kept, str) else ""

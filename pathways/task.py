"""Tasks: named inputs with ports, a target, three splits held in memory, a metric."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pathways.modules import FrozenDict, Masked, Port, Tokens, Value, Vector, content_hash, port_to_json
from pathways.modules.ports import batch_size

from .columns import Columns
from .errors import DataError
from .measure import DEFAULTS, Metric, metric_named
from .pictures import Pictures

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Affine:
    """How a stored value becomes an input: `x * scale + shift`, a number each or one a channel or feature.

    It is kept with the champion, so that predictions treat new data as training data was treated.

    Example:
        >>> import torch
        >>> Affine(2.0, 1.0)(torch.tensor([3.0]))
        tensor([7.])
        >>> Affine(2.0, 1.0).inverse
        Affine(scale=0.5, shift=-0.5)
    """

    scale: float | tuple[float, ...] = 1.0
    shift: float | tuple[float, ...] = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """Apply to a batch (B, ...); tuples run along axis 1 of images (four axes), else along the last."""
        x = x.float()
        if self.neutral:
            return x
        scale, shift = self.numbers(x.ndim, x.device)
        return x * scale + shift

    @property
    def neutral(self) -> bool:
        """Whether it changes nothing."""
        return self.scale == 1.0 and self.shift == 0.0

    def numbers(self, axes: int, device: Any = None) -> tuple[float | Tensor, float | Tensor]:
        """Scale and shift, shaped so that they broadcast over values with so many axes."""
        import torch  # needed by those who have tensors, not by those who read records

        def shaped(number: float | tuple[float, ...]) -> float | Tensor:
            if isinstance(number, (int, float)):
                return float(number)
            shape = [1] * axes
            shape[1 if axes == 4 else axes - 1] = len(number)
            return torch.tensor(number, dtype=torch.float32, device=device).reshape(shape)

        return shaped(self.scale), shaped(self.shift)

    @property
    def inverse(self) -> Affine:
        """The transform that undoes this one, whose scales must not be 0."""
        if isinstance(self.scale, tuple) or isinstance(self.shift, tuple):
            n = len(self.scale if isinstance(self.scale, tuple) else cast(tuple[float, ...], self.shift))
            scales = self.scale if isinstance(self.scale, tuple) else (self.scale,) * n
            shifts = self.shift if isinstance(self.shift, tuple) else (self.shift,) * n
            shifts = tuple(-shift / scale for scale, shift in zip(scales, shifts, strict=True))
            return Affine(tuple(1.0 / scale for scale in scales), shifts)
        return Affine(1.0 / self.scale, -self.shift / self.scale)

    def to_json(self) -> dict[str, Any]:
        """The transform as plain data."""
        def plain(number: float | tuple[float, ...]) -> Any:
            return list(number) if isinstance(number, tuple) else number

        return {"scale": plain(self.scale), "shift": plain(self.shift)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Affine:
        """The transform that `to_json` wrote."""
        def number(value: Any) -> float | tuple[float, ...]:
            return tuple(map(float, value)) if isinstance(value, list) else float(value)

        return cls(number(data["scale"]), number(data["shift"]))


@dataclass(frozen=True)
class Classes:
    """A target of one class out of `n`; `names` label them in predictions and reports."""

    n: int
    names: tuple[str, ...] = ()
    kind: ClassVar[str] = "classes"

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, or their numbers where they have none."""
        return self.names or tuple(map(str, range(self.n)))

    @property
    def port(self) -> Port:
        """What a path gives for it: a score for each class."""
        return Vector(self.n)


@dataclass(frozen=True)
class Values:
    """A target of `n` numbers.

    Args:
        n: how many.
        names: one for each.
        restore: how what a path gives becomes numbers as the source has them, where the source standardises its
            targets. Training, metrics and reports stay in standardised numbers, predictions are restored.
    """

    n: int = 1
    names: tuple[str, ...] = ()
    restore: Affine = Affine()
    kind: ClassVar[str] = "values"

    @property
    def port(self) -> Port:
        """What a path gives for it: the numbers."""
        return Vector(self.n)


@dataclass(frozen=True)
class Sequences:
    """A target of one class out of `n` at each place of a sequence; `names` label them.

    A place whose target is -100 has none: padding, or what nobody asks for.
    """

    n: int
    names: tuple[str, ...] = ()
    kind: ClassVar[str] = "sequences"

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, or their numbers where they have none."""
        return self.names or tuple(map(str, range(self.n)))

    @property
    def port(self) -> Port:
        """What a path gives for it: a score for each class at each place, of any length."""
        return Tokens(None, self.n)


@dataclass(frozen=True)
class Spans:
    """A target of a part of a sequence: its first and its last place.

    Args:
        length: of the longest sequence.
    """

    length: int
    names: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "spans"

    @property
    def n(self) -> int:
        """How many places there are to choose from."""
        return self.length

    @property
    def port(self) -> Port:
        """What a path gives for it: two scores at each place, for beginning and for ending there."""
        return Tokens(None, 2)


Target = Classes | Values | Sequences | Spans
IGNORED = -100
"""The target of a place that has none; torch's own number for it."""


def fits(target: Target, port: Port | None) -> bool:
    """Whether a path that gives `port` answers `target`; the length of a sequence is not part of that.

    >>> fits(Classes(3), Vector(3)), fits(Sequences(3), Tokens(9, 3)), fits(Spans(9), Vector(2))
    (True, True, False)
    """
    wanted = target.port
    return port == wanted or (isinstance(port, Tokens) and isinstance(wanted, Tokens) and port.dim == wanted.dim)


@dataclass(frozen=True, eq=False)
class Split:
    """Samples held in memory: one value for each input, and the targets.

    Args:
        inputs: by input name, stored values with a batch axis (uint8 images stay uint8 until the batch).
        targets: int64 (N,) for classes, float32 (N, n) for values, int64 (N, length) for sequences and int64 (N, 2)
            for spans.
    """

    inputs: Mapping[str, Value]
    targets: Tensor

    def __len__(self) -> int:
        return int(self.targets.shape[0])


@dataclass(frozen=True, eq=False)
class Task:
    """One task of a stream.

    Args:
        name: unique in a system, such as `omniglot/Greek`.
        inputs: the port of each input.
        target: `Classes(n)`, `Values(n)`, `Sequences(n)` or `Spans(length)`.
        splits: `train`, `validation` and `test`. Training reads the first, choices the second; the third is
            read once, at the end, for reporting: trainers get the task `without_test`.
        metric: a name of `pathways.measure.METRICS`, or a `Metric`; `accuracy` for classes, `r2` for values,
            `token_accuracy` for sequences and `exact_match` for spans when not given.
        transform: how each input's stored values become module inputs.
        source: where the data came from, for reports.
        allow_duplicates: accept samples with equal inputs in two splits. By default they are refused as a
            leak; data whose true samples repeat (few distinct inputs) says so here.
        columns: for inputs that were made of a table's columns, how: so `pathways predict` reads such tables.
        pictures: for inputs that were made of image files, how: so `pathways predict` prepares such files alike.

    Raises:
        DataError: a label out of range, a class without a training sample, NaN, a sample that stands in two
            splits, shapes that do not fit their port. The message names the task, the split and the value.
    """

    name: str
    inputs: Mapping[str, Port]
    target: Target
    splits: Mapping[str, Split]
    metric: Metric | str = ""
    transform: Mapping[str, Affine] = field(default_factory=dict)
    source: str = ""
    allow_duplicates: bool = False
    columns: Mapping[str, Columns] = field(default_factory=dict)
    pictures: Mapping[str, Pictures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", FrozenDict(self.inputs))
        metric = self.metric if isinstance(self.metric, Metric) else metric_named(
            self.metric or DEFAULTS[self.target.kind]
        )
        object.__setattr__(self, "metric", metric)
        transform = {name: self.transform.get(name, Affine()) for name in self.inputs}
        object.__setattr__(self, "transform", transform)
        from .task_checks import check_task

        check_task(self)

    @property
    def measured_by(self) -> Metric:
        """The metric, resolved."""
        return cast(Metric, self.metric)  # `__post_init__` resolves names

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what training and choosing depend on: ports, target, metric, transform, both splits."""
        return content_hash([self._head(), *(_split_hash(self.splits[s]) for s in ("train", "validation"))])

    @cached_property
    def test_fingerprint(self) -> str | None:
        """A hash of the test split; `None` where the task has none (in workers)."""
        return _split_hash(self.splits["test"]) if "test" in self.splits else None

    def _head(self) -> dict[str, Any]:
        return {
            "inputs": {name: port_to_json(port) for name, port in self.inputs.items()},
            "target": [type(self.target).__name__, self.target.n],
            "metric": self.measured_by.name,
            "transform": {name: affine.to_json() for name, affine in self.transform.items()},
        }

    def without_test(self) -> Task:
        """The task as trainers see it."""
        task = copy(self)  # not `replace`: what is left of checked splits needs no second check
        task.__dict__.pop("test_fingerprint", None)
        object.__setattr__(task, "splits", {name: self.splits[name] for name in ("train", "validation")})
        return task


def _split_hash(split: Split) -> str:
    digest = hashlib.sha256()
    for name in sorted(split.inputs):
        digest.update(name.encode())
        value = split.inputs[name]
        for tensor in value if isinstance(value, Masked) else (value,):
            _update(digest, tensor)
    _update(digest, split.targets)
    return digest.hexdigest()


def _update(digest: Any, tensor: Tensor) -> None:
    import torch

    digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    digest.update(tensor.contiguous().view(torch.uint8).numpy().data if tensor.numel() else b"")


def take(split: Split, index: Tensor) -> Split:
    """The samples of `split` at `index`."""
    def rows(value: Value) -> Value:
        return Masked(value.value[index], value.mask[index]) if isinstance(value, Masked) else value[index]

    return Split({name: rows(value) for name, value in split.inputs.items()}, split.targets[index])


__all__ = [
    "IGNORED", "Affine", "Classes", "DataError", "Sequences", "Spans", "Split", "Target", "Task", "Values",
    "batch_size", "fits", "take",
]

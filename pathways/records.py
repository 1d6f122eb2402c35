"""What the manifest holds: the record of a system and that of each task, as plain data and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Protocol, TypeVar

from pathways.modules import BUILT_IN, Draft, Families, Image, Port, Vector, content_hash
from pathways.modules.spec import thaw

from .candidate import Measures, Training
from .columns import Columns
from .errors import PathwaysError
from .fields import Fields, difference, plain_number
from .path import Path
from .pictures import Pictures
from .strategy import Champion, Strategy
from .task import Affine, Classes, Sequences, Spans, Target, Task, Values, fits


class _Plain(Protocol):
    def to_json(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=_Plain)

FORMAT = 1
"""The version of both files; raised when their keys change."""


@dataclass(frozen=True)
class SystemRecord:
    """What a system is, before it learned anything.

    Args:
        run: its identity, a hash of its configuration.
        seed: what everything random in it derives from.
        numerics: the fingerprint of the numerics it was made with, plain data.
        root: the headless path that tasks build on, where there is one.
        training: default hyperparameters and budget of its candidates.
        format: the version of the file.
        ledger: where its ledger is, if that is not in the run directory: its `url` without password, and what it
            is called there (`run`).
        roots: in place of `root`, several headless paths by name: a task builds on the first that reads its inputs.
        source: where the root's weights came from, plain data, where the root says it.
    """

    run: str
    seed: int
    numerics: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None
    training: Training = Training()  # noqa: RUF009 - immutable
    format: int = FORMAT
    ledger: Mapping[str, str] | None = None
    roots: Mapping[str, Path] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as plain data."""
        return {
            "format": self.format, "run": self.run, "seed": self.seed, "numerics": thaw(self.numerics),
            "root": None if self.root is None else self.root.to_json(), "training": self.training.to_json(),
            **({"ledger": dict(self.ledger)} if self.ledger else {}),
            **({"roots": roots_to_json(self.roots)} if self.roots else {}),
            **({"source": thaw(self.source)} if self.source else {}),
        }

    @classmethod
    def from_json(cls, file: FilePath, data: Any, families: Families = BUILT_IN) -> SystemRecord:
        """The record that `to_json` wrote; a `PathwaysError` names file and key of what does not fit."""
        fields = Fields(file, data)
        _check_format(fields)
        root = None if fields.null("root") else fields.parsed("root", lambda path: _path(path, families))
        training = fields.parsed("training", _one(Training.from_json))
        record = cls(
            fields.text("run"), fields.integer("seed"), fields.mapping("numerics"), root, training,
            ledger=_ledger(fields.inside("ledger")) if fields.has("ledger") else None,
            roots=_roots(fields.inside("roots"), families) if fields.has("roots") else {},
            source=fields.mapping("source") if fields.has("source") else {},
        )  # fmt: skip
        fields.done()
        return record


def _ledger(fields: Fields) -> dict[str, str]:
    """Where the ledger is, if not in the run directory."""
    ledger = {"url": fields.text("url"), "run": fields.text("run")}
    fields.done()
    return ledger


def roots_to_json(roots: Mapping[str, Path]) -> dict[str, Any]:
    """Several roots as plain data; their order counts, which an object of JSON does not keep."""
    return {"order": list(roots), "paths": {name: root.to_json() for name, root in roots.items()}}


def _roots(fields: Fields, families: Families) -> dict[str, Path]:
    """The roots that `roots_to_json` wrote."""
    order, paths = fields.texts("order"), fields.inside("paths")
    roots = {name: paths.parsed(name, lambda path: _path(path, families)) for name in order}
    paths.done()
    fields.done()
    return roots


@dataclass(frozen=True)
class TaskRecord:
    """A champion, with what is needed to use it, report on it and prove it unchanged. No times, no hosts.

    Args:
        champion: path, hyperparameters, raw validation measures and lineage.
        index: how many tasks were learned before it.
        target: kind, size and names of what it predicts.
        transform: by input, how stored values become module inputs.
        metric: name of the metric of its measures and of `test`.
        higher_is_better: the metric's sense.
        source: where the data came from.
        data: the fingerprint of train and validation data.
        test_data: the fingerprint of the test data; `None` where there was none.
        test: the metric on the test data, read once, at the end.
        new_parameters: parameters of the modules that no earlier task and no root had.
        probe: the SHA-256 of the file in `probes/` that has the task's name.
        strategy: the name of what found it.
        settings: the strategy's settings, plain data.
        columns: by input, the columns of a table that make it, where that is what it is made of.
        pictures: by input, how image files become it, where that is what it was made of.
    """

    champion: Champion
    index: int
    target: Target
    transform: Mapping[str, Affine]
    metric: str
    higher_is_better: bool
    source: str
    data: str
    test_data: str | None
    test: float | None
    new_parameters: int
    probe: str
    strategy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Columns] = field(default_factory=dict)
    pictures: Mapping[str, Pictures] = field(default_factory=dict)

    @classmethod
    def of(
        cls, task: Task, champion: Champion, *, index: int, strategy: Strategy, test: float | None,
        new_parameters: int, probe: str,
    ) -> TaskRecord:
        """The record of a champion of `task` that `strategy` found."""
        metric = task.measured_by
        return cls(
            champion, index, task.target, task.transform, metric.name, metric.higher_is_better, task.source,
            task.fingerprint, task.test_fingerprint, test, new_parameters, probe,
            strategy.name, strategy.to_json(), task.columns, task.pictures,
        )

    @property
    def name(self) -> str:
        """The task's name."""
        return self.champion.task

    @property
    def path(self) -> Path:
        """The champion's path."""
        return self.champion.path

    @property
    def inputs(self) -> Mapping[str, Port]:
        """The port of each input."""
        return self.champion.path.inputs

    @cached_property
    def use(self) -> str:
        """A hash of what decides predictions: path, transform and target."""
        transform = {name: _plain_affine(affine) for name, affine in self.transform.items()}
        return content_hash([self.path.hash, transform, target_to_json(self.target)])

    def to_json(self) -> dict[str, Any]:
        """The record as plain data."""
        champion = self.champion
        return {
            "format": FORMAT, "task": champion.task, "index": self.index,
            "path": champion.path.to_json(), "training": champion.training.to_json(),
            "measures": {name: _plain(value) for name, value in asdict(champion.measures).items()},
            "candidate": champion.candidate, "parents": list(champion.parents), "extra": thaw(champion.extra),
            "target": target_to_json(self.target),
            "transform": {name: _plain_affine(affine) for name, affine in self.transform.items()},
            "metric": {"name": self.metric, "higher_is_better": self.higher_is_better},
            "source": self.source, "data": self.data, "test_data": self.test_data,
            "test": None if self.test is None else plain_number(self.test),
            "new_parameters": self.new_parameters, "probe": self.probe,
            "strategy": {"name": self.strategy, "settings": thaw(self.settings)},
            **({"columns": {name: each.to_json() for name, each in self.columns.items()}} if self.columns else {}),
            **({"pictures": {name: each.to_json() for name, each in self.pictures.items()}} if self.pictures else {}),
        }

    @classmethod
    def from_json(cls, file: FilePath, data: Any, families: Families = BUILT_IN) -> TaskRecord:
        """The record that `to_json` wrote; a `PathwaysError` names file and key of what does not fit."""
        fields = Fields(file, data)
        _check_format(fields)
        champion = Champion(
            fields.text("task"), fields.parsed("path", lambda path: _path(path, families)),
            fields.parsed("training", _one(Training.from_json)), _measures(fields.inside("measures")),
            fields.text("candidate"), fields.texts("parents"), fields.mapping("extra"),
        )
        metric, strategy = fields.inside("metric"), fields.inside("strategy")
        record = cls(
            champion, fields.integer("index"), _target(fields.inside("target")),
            fields.parsed("transform", _named(Affine.from_json)),
            metric.text("name"), metric.boolean("higher_is_better"), fields.text("source"), fields.text("data"),
            None if fields.null("test_data") else fields.text("test_data"),
            None if fields.null("test") else fields.number("test"),
            fields.integer("new_parameters"), fields.text("probe"),
            strategy.text("name"), strategy.mapping("settings"),
            fields.parsed("columns", _named(Columns.from_json)) if fields.has("columns") else {},
            fields.parsed("pictures", _named(Pictures.from_json)) if fields.has("pictures") else {},
        )
        for part in (fields, metric, strategy):
            part.done()
        _check(record, fields, families)
        return record


def fingerprint(records: Iterable[TaskRecord]) -> str:
    """A hash over task names, paths and blob ids: equal for equal systems, whatever the order or time."""
    return fingerprint_of((r.name, r.path.hash, r.path.frozen()) for r in records)


def fingerprint_of(tasks: Iterable[tuple[str, str, Iterable[str]]]) -> str:
    """The same hash, from the name, the hash of the path and the blobs of each task."""
    return content_hash(sorted([name, path, sorted(blobs)] for name, path, blobs in tasks))


def _check_format(fields: Fields) -> None:
    if (found := fields.integer("format")) != FORMAT:
        fields.wrong("format", f"{FORMAT}, the format that this release reads", found)


def _check(record: TaskRecord, fields: Fields, families: Families) -> None:
    """What the parts of a champion's record must be to each other."""
    path = record.path
    if any(isinstance(ref, Draft) for step in path.steps.values() for ref in step.refs()):
        fields.wrong("path", "of frozen modules only", "a draft")
    output = path.ports(families)[path.output]
    if not fits(record.target, output):
        fields.wrong("target.n", f"the size of what the path gives, {output}", record.target.n)
    if set(record.transform) != set(path.inputs):
        fields.wrong("transform", f"one for each input, {sorted(path.inputs)}", sorted(record.transform))
    for name, columns in record.columns.items():
        if path.inputs.get(name) != Vector(columns.width):
            fields.wrong(f"columns.{name}", f"of an input of {columns.width} entries", path.inputs.get(name))
    for name, pictures in record.pictures.items():
        if path.inputs.get(name) != Image(*pictures.shape):
            fields.wrong(f"pictures.{name}", f"of an input of shape {pictures.shape}", path.inputs.get(name))
    for name in ("index", "new_parameters"):
        if getattr(record, name) < 0:
            fields.wrong(name, "at least 0", getattr(record, name))


def _path(data: dict[str, Any], families: Families) -> Path:
    path = Path.from_json(data)
    path.ports(families)
    _same(data, path.to_json())
    return path


def _one(read: Callable[[Any], T]) -> Callable[[Any], T]:
    """A parser that refuses what `read` lets pass: data that it would not have written so."""

    def parse(data: Any) -> T:
        value = read(data)
        _same(data, value.to_json())
        return value

    return parse


def _named(read: Callable[[Any], T]) -> Callable[[dict[str, Any]], dict[str, T]]:
    """The same for a mapping of names to what `read` reads."""

    def parse(data: dict[str, Any]) -> dict[str, T]:
        values = {name: read(each) for name, each in data.items()}
        _same(data, {name: value.to_json() for name, value in values.items()})
        return values

    return parse


def _plain_affine(affine: Affine) -> dict[str, Any]:
    return Affine.from_json(affine.to_json()).to_json()


def _same(found: Any, written: Any) -> None:
    """Refuse what a parser let pass: keys it does not know, or would have written otherwise."""
    if (place := difference(found, written)) is not None:
        raise PathwaysError(f"`{place}` is missing, unknown or not as it would be written.")


def _measures(fields: Fields) -> Measures:
    number = fields.number
    measures = Measures(
        number("validation"), number("quality"), number("loss"), number("fitness"), fields.integer("samples")
    )
    fields.done()
    return measures


def _target(fields: Fields) -> Target:
    kind, n, names = fields.text("kind"), fields.integer("n"), fields.texts("names")
    restore = fields.parsed("restore", _one(Affine.from_json)) if fields.has("restore") else None
    fields.done()
    if kind not in ("classes", "values", "sequences", "spans"):
        fields.wrong("kind", "'classes', 'values', 'sequences' or 'spans'", kind)
    if names and (len(names) != n or kind == "spans"):
        fields.wrong("names", "empty" if kind == "spans" else f"empty or {n} texts", names)
    if kind == "values":
        return Values(n, names, restore or Affine())
    if restore is not None:
        fields.wrong("restore", "of values only", kind)
    if kind == "spans":
        return Spans(n)
    return Sequences(n, names) if kind == "sequences" else Classes(n, names)


def target_to_json(target: Target) -> dict[str, Any]:
    """A target as plain data."""
    data: dict[str, Any] = {"kind": target.kind, "n": target.n, "names": list(target.names)}
    if isinstance(target, Values) and target.restore != Affine():
        data["restore"] = _plain_affine(target.restore)
    return data


def _plain(value: float) -> float | int | str:
    return value if isinstance(value, int) else plain_number(value)

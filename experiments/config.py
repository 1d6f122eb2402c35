"""The configuration of a run: what a YAML file may say, read strictly into frozen dataclasses.

```yaml
name: letters
seed: 0
root: omniglot                 # a root that ships with the package, null, {architecture: [modules]}, or a path from
                               # scratch by {preset: NAME}, {wiring: ...} or {steps: ...}; `roots: {NAME: ...}` are
                               # several for tasks of different inputs: see `root_config`
tasks:                         # each a source of `pathways.data` with its arguments, in the order of learning
  - source: omniglot
    alphabets: [Greek, Hebrew]
    jointly: true              # one search for all of them, with a shared trunk; else one after another;
                               # {budget: 3} divides them by affinity into three groups and learns each so
training: {steps: 400, lr: 3e-3, augment: {rotate: 10, views: 8}}
strategy:
  munet: {generations: 4}
controls: [fine-tune-all, {independent: {steps: 1000}}]
at_once: 1                     # how many tasks are learned at the same time; {affinity: first_order, most: 4} does so
                               # only with those that do not need each other's results
engine: {workers: 2}            # or {kind: ray, workers: 16, address: auto}, see `EngineConfig`
storage: s3://bucket/letters   # where the run is kept, any URL that fsspec knows; `--out` goes before it
ledger: postgresql://me@host/letters   # a database that several drivers share; RUN/ledger.db when not given
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path as FilePath
from typing import Any, cast

from pathways.candidate import Training
from pathways.errors import LedgerError
from pathways.evolve.at_once import AtOnce
from pathways.evolve.grouping import Grouping
from pathways.ledger_url import server_url, without_password

from .engine_config import EngineConfig
from .overrides import with_overrides
from .root_config import AnyRoot, root_from, root_to_json, roots_from
from .strict import Place, build, changed, made, plain
from .tables import STRATEGIES, resolve
from .yaml_file import read_yaml


@dataclass(frozen=True)
class Source:
    """A source of `pathways.data` and its arguments; it may yield many tasks.

    Args:
        source: its name.
        arguments: what it is called with.
        jointly: whether its tasks are learned together, in one search, rather than one after another; a `Grouping`
            divides them by affinity into groups, each of which is learned so.
    """

    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    jointly: bool | Grouping = False

    def to_json(self) -> dict[str, Any]:
        """The source as a configuration has it."""
        jointly = {"jointly": plain(self.jointly)} if self.jointly else {}
        return {"source": self.source, **plain(self.arguments), **jointly}


@dataclass(frozen=True)
class Named:
    """A strategy under the name it has in configurations."""

    name: str
    strategy: Any


@dataclass(frozen=True)
class Config:
    """All of a run.

    Args:
        name: the run's name; its directory is `runs/<name>` unless said otherwise.
        tasks: where the tasks come from, in the order in which they are learned.
        strategy: what searches for each task's path.
        controls: what it is compared with, under the same budget accounting.
        seed: of everything random.
        root: a shipped root's name, a chain or path from scratch, or `None`.
        roots: several of these by name, in place of `root`: a task builds on the first that reads its inputs.
        training: the hyperparameters and budget that strategies start from.
        engine: where trainers run.
        fingerprints: of each task's data, by name, where known: a run refuses other data.
        at_once: how many tasks (or groups of tasks, learned jointly) that follow each other are learned at the same
            time, none seeing the others' results; or the rule by which affinity decides it.
        ledger: the URL of a database that holds the run's ledger, for several drivers; kept without password.
        storage: where the run is kept unless `--out` says: the URL of a folder, such as `s3://bucket/run`, or a
            directory. It is no part of the run, which is the same wherever it is kept.
    """

    name: str
    tasks: tuple[Source, ...]
    strategy: Named
    controls: tuple[Named, ...] = ()
    seed: int = 0
    root: AnyRoot | None = None
    training: Training = field(default_factory=Training)
    engine: EngineConfig = field(default_factory=EngineConfig)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    at_once: int | AtOnce = 1
    ledger: str | None = None
    roots: Mapping[str, AnyRoot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ledger is not None:
            try:
                server_url(self.ledger)
            except LedgerError as error:
                raise ValueError(str(error)) from None
    storage: str | None = None

    @classmethod
    def read(cls, data: Any, file: str) -> Config:
        """The configuration that plain data describes: see `config_from`."""
        return config_from(data, file)

    def resolved(self) -> dict[str, Any]:
        """The configuration as plain data with nothing left to defaults: see `resolved`."""
        return resolved(self)


def read_config(file: FilePath, overrides: Iterable[str] = ()) -> Config:
    """The configuration in a YAML file, with `KEY=VALUE` overrides.

    Raises:
        ConfigError: one sentence with file, key, rule, found value and the nearest valid name.
    """
    return config_from(with_overrides(read_yaml(file), overrides, str(file)), str(file))


def config_from(data: Any, file: str) -> Config:
    """The configuration that plain data describes; `file` says in errors where it came from."""
    place = Place(file)
    if not isinstance(data, Mapping):
        raise place.error(f"must hold a mapping with {[f.name for f in fields(Config)]}, found {data!r:.80}.")
    if "affinity" in data and "strategy" not in data:
        raise place.error("must be a run, found a study of `affinity`: use `pathways affinity`.")
    own = ("tasks", "strategy", "controls", "at_once", "root", "roots")
    easy = {key: item for key, item in data.items() if key not in own}
    values = changed(Config, easy, place, {})
    check_name(values.get("name"), place)
    training = values.get("training", Training())
    for key in ("tasks", "strategy"):
        if key not in data:
            raise place.error(f"must have `{key}`: add it.")
    values["root"] = root_from(data.get("root"), place / "root")
    if "roots" in data:
        if values["root"] is not None:
            raise (place / "roots").error("must be left out where there is a `root`: name it among them.")
        values["roots"] = roots_from(data["roots"], place / "roots")
    values["tasks"] = sources(data["tasks"], place / "tasks")
    values["strategy"] = _named(data["strategy"], place / "strategy", training)
    named = values["strategy"]
    together = getattr(named.strategy, "jointly", False) or getattr(named.strategy, "joint", False)
    if not together and any(source.jointly for source in values["tasks"]):
        raise (place / "strategy").error(
            f"must be one that learns tasks jointly where `tasks` say so, such as munet, found {named.name!r}: "
            f"change one of them."
        )
    values["controls"] = _controls(data.get("controls"), place / "controls", training)
    values["at_once"] = _at_once(data.get("at_once", 1), values["tasks"], place / "at_once")
    return made(lambda: Config(**values), place)


def resolved(config: Config) -> dict[str, Any]:
    """The configuration as plain data with nothing left to defaults; `config_from` reads it back."""
    return {
        "name": config.name,
        "seed": config.seed,
        "root": root_to_json(config.root),
        **({"roots": {name: root_to_json(root) for name, root in config.roots.items()}} if config.roots else {}),
        "tasks": [source.to_json() for source in config.tasks],
        "training": plain(config.training),
        "strategy": {config.strategy.name: plain(config.strategy.strategy)},
        "controls": [{control.name: plain(control.strategy)} for control in config.controls],
        "engine": plain(config.engine),
        "fingerprints": dict(config.fingerprints),
        "at_once": plain(config.at_once),
        **({"ledger": without_password(config.ledger)} if config.ledger else {}),
    }


def resolve_name(table: Mapping[str, str], name: str, where: str) -> None:
    """Check that `name` is in `table` without importing what it stands for."""
    if name not in table:
        resolve(table, name, where)


def check_name(name: Any, place: Place) -> None:
    """Raise a `ConfigError` where a name cannot be that of a directory."""
    if name is None:
        raise place.error("must have `name`: add it.")
    if not name or "/" in name or "\\" in name or name.startswith(".") or not name.isprintable():
        raise (place / "name").error(f"must be usable as the name of a directory, found {name!r}.")


def sources(data: Any, place: Place) -> tuple[Source, ...]:
    """The sources of tasks that a configuration lists."""
    if not isinstance(data, list) or not data:
        raise place.error(f"must be a list of at least one source, found {data!r:.80}.")
    found = []
    for i, item in enumerate(data):
        if isinstance(item, str):
            item = {"source": item}
        if not isinstance(item, Mapping) or not isinstance(item.get("source"), str):
            raise (place / i).error(f"must be a mapping with `source` and its arguments, found {item!r:.80}.")
        jointly = item.get("jointly", False)
        if isinstance(jointly, Mapping):
            jointly = build(Grouping, jointly, place / i / "jointly", {})
        elif not isinstance(jointly, bool):
            where = place / i / "jointly"
            raise where.error(f"must be true, false, or the settings of a grouping, found {jointly!r:.80}.")
        arguments = {key: value for key, value in item.items() if key not in ("source", "jointly")}
        found.append(Source(item["source"], arguments, jointly))
    return tuple(found)


def _at_once(data: Any, sources: Sequence[Source], place: Place) -> int | AtOnce:
    """How many tasks go at once, or what decides it."""
    if isinstance(data, Mapping):
        rule = build(AtOnce, data, place, {})
        if any(source.jointly for source in sources):
            raise place.error("must be a number where `tasks` are learned jointly: affinity is of single tasks.")
        return cast(AtOnce, rule)
    if type(data) is not int or data < 1:
        raise place.error(f"must be a whole number of at least 1, or a mapping with `affinity`, found {data!r:.80}.")
    if data > 1 and any(isinstance(source.jointly, Grouping) for source in sources):
        raise place.error("must be 1 where `jointly` divides tasks into groups, whose number and order it decides.")
    return data


def _named(data: Any, place: Place, training: Training) -> Named:
    """A strategy from its name, or from a mapping of its name to its settings, `preset` among them."""
    if isinstance(data, str):
        data = {data: {}}
    if not isinstance(data, Mapping) or len(data) != 1:
        raise place.error(f"must be a name or one name with its settings, found {data!r:.80}.")
    [(name, settings)] = data.items()
    cls = resolve(STRATEGIES, name, str(place))
    place = place / name
    base: dict[type, Any] = {Training: training}
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping) or "preset" not in settings:
        return Named(name, build(cls, settings, place, base))
    if not hasattr(cls, "preset"):
        raise (place / "preset").error(f"is not a setting: `{name}` has no presets.")
    rest = {key: value for key, value in settings.items() if key != "preset"}
    changes = changed(cls, rest, place, base)
    return Named(name, made(lambda: cls.preset(settings["preset"], **changes), place / "preset"))


def _controls(data: Any, place: Place, training: Training) -> tuple[Named, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise place.error(f"must be a list of names, each with its settings or without, found {data!r:.80}.")
    controls = tuple(_named(item, place / i, training) for i, item in enumerate(data))
    names = [control.strategy.name for control in controls]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise (place / i).error(f"must be another control than those before it, found {name!r} again.")
    return controls

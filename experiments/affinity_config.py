"""The configuration of a study of affinity: tasks, architecture and training as for a run, and what is measured.

```yaml
name: affinity-letters
root: {architecture: [{family: linear, dim: 64, activation: relu}]}
tasks:
  - {source: omniglot, alphabets: [Greek, Hebrew, Korean]}
training: {steps: 300}
affinity:
  estimators: [lookahead, {first_order: {every: 5}}, pairs, {transfer: {orders: [2]}}]     # the first decides
  rule: tag
  budget: 2
  seeds: 3
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pathways.affinity.table import CO_TRAINING
from pathways.candidate import Training
from pathways.evolve.measured.measured import Measured
from pathways.evolve.measured.table import MEASURED
from pathways.evolve.study import Estimator, Study, require_steps
from pathways.modules.near import did_you_mean
from pathways.recording import Record

from .config import Source, check_name, sources
from .engine_config import EngineConfig
from .root_config import AnyRoot, root_from, root_to_json
from .strict import Place, changed, made, plain


@dataclass(frozen=True)
class AffinityConfig:
    """All of a study.

    Args:
        name: the study's name; its directory is `runs/<name>` unless said otherwise.
        tasks: where the tasks come from.
        affinity: what is measured, chosen and verified.
        seed: of everything random; repeats count on from it.
        root: the trunk that tasks share: a shipped root's name, or a chain or path from scratch.
        training: hyperparameters and budget of every network.
        engine: where trainers run.
        fingerprints: of each task's data, by name, where known: a study refuses other data.
    """

    name: str
    tasks: tuple[Source, ...]
    affinity: Study = field(default_factory=Study)
    seed: int = 0
    root: AnyRoot | None = None
    training: Training = field(default_factory=Training)
    engine: EngineConfig = field(default_factory=EngineConfig)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Any, file: str) -> AffinityConfig:
        """The study that plain data describes; `file` says in errors where it came from.

        Raises:
            ConfigError: one sentence with file, key, rule, found value and the nearest valid name.
        """
        place = Place(file)
        if not isinstance(data, Mapping):
            raise place.error(f"must hold a mapping with {[f.name for f in fields(cls)]}, found {data!r:.80}.")
        if "strategy" in data:
            raise place.error("must be a study of affinity, found a run with a `strategy`: use `pathways run`.")
        easy = {key: item for key, item in data.items() if key not in ("tasks", "affinity", "root")}
        values = changed(cls, easy, place, {})
        check_name(values.get("name"), place)
        for key in ("tasks", "root"):
            if data.get(key) is None:
                raise place.error(f"must have `{key}`: add it.")
        values["root"] = root_from(data["root"], place / "root")
        values["tasks"] = sources(data["tasks"], place / "tasks")
        values["affinity"] = _study(data.get("affinity"), place / "affinity", values.get("training", Training()))
        whole: AffinityConfig = made(lambda: cls(**values), place)
        made(lambda: require_steps(whole.affinity.training or whole.training), place)
        return whole

    def resolved(self) -> dict[str, Any]:
        """The study as plain data with nothing left to defaults; `read` reads it back."""
        study = {f.name: plain(getattr(self.affinity, f.name)) for f in fields(Study) if f.name != "estimators"}
        return {
            "name": self.name,
            "seed": self.seed,
            "root": root_to_json(self.root),
            "tasks": [source.to_json() for source in self.tasks],
            "training": plain(self.training),
            "affinity": {"estimators": [_written(item) for item in self.affinity.measured], **study},
            "engine": plain(self.engine),
            "fingerprints": dict(self.fingerprints),
        }


def _study(data: Any, place: Place, training: Training) -> Study:
    data = {} if data is None else data
    if not isinstance(data, Mapping):
        raise place.error(f"must be a mapping of settings, found {data!r:.80}.")
    easy = {key: item for key, item in data.items() if key != "estimators"}
    values = changed(Study, easy, place, {Training: training})
    if "estimators" in data:
        values["estimators"] = _estimators(data["estimators"], place / "estimators")
    return made(lambda: Study(**values), place)


def _estimators(data: Any, place: Place) -> tuple[Estimator, ...]:
    if not isinstance(data, list) or not data:
        raise place.error(f"must be a list of names, each with its settings or without, found {data!r:.80}.")
    found: list[Estimator] = []
    for i, item in enumerate(data):
        item = {item: {}} if isinstance(item, str) else item
        if not isinstance(item, Mapping) or len(item) != 1:
            raise (place / i).error(f"must be a name or one name with its settings, found {item!r:.80}.")
        [(name, settings)] = item.items()
        settings = {} if settings is None else settings
        if not isinstance(settings, Mapping):
            raise (place / i / name).error(f"must be a mapping of settings, found {settings!r:.80}.")
        found.append(_estimator(name, settings, place / i))
    return tuple(found)


def _estimator(name: Any, settings: Mapping[str, Any], place: Place) -> Estimator:
    if name in MEASURED:
        return made(lambda: Measured(name, settings), place)
    if name not in CO_TRAINING:
        known = [*CO_TRAINING, *MEASURED]
        near = did_you_mean(name, known, f": they are {known}.")
        raise place.error(f"must be an estimator that a study can measure, found {name!r}{near}")
    options = {key: value for key, value in settings.items() if key != "every"}
    every = {"every": settings["every"]} if "every" in settings else {}
    return made(lambda: Record(name, options=options, **every), place)


def _written(estimator: Estimator) -> Any:
    if isinstance(estimator, Measured):
        return {estimator.estimator: plain(estimator.options)} if estimator.options else estimator.estimator
    return {estimator.estimator: {"every": estimator.every, **plain(estimator.options)}}


def is_study(data: Any) -> bool:
    """Whether plain data is the configuration of a study, and not of a run."""
    return isinstance(data, Mapping) and "affinity" in data and "strategy" not in data


__all__ = ["AffinityConfig", "is_study"]

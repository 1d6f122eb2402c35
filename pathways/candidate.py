"""Candidates: what a strategy wants tried, with everything that decides the result; and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from pathways.modules import Draft, FrozenDict, Warm, content_hash
from pathways.modules.near import did_you_mean
from pathways.modules.spec import thaw

from .errors import ConfigError, PathError
from .path import Path
from .racing import Race
from .recording import Record
from .sampler import Sampling, as_sampler


@dataclass(frozen=True)
class Augment:
    """Random affine changes of training images, drawn uniformly within these bounds.

    Args:
        rotate: degrees, in [-rotate, rotate].
        shear: degrees, likewise.
        scale: relative, in [1 - scale, 1 + scale].
        translate: pixels, likewise.
        noise: share of pixels set to the lowest or highest value (salt and pepper), fixed.
        views: how many versions of each training sample are made, once and for all candidates of a task, so
            that activations of a frozen prefix are computed once too; 0 draws new changes for every batch.
        clean: whether the first of the views is the sample itself.
    """

    rotate: float = 0.0
    shear: float = 0.0
    scale: float = 0.0
    translate: float = 0.0
    noise: float = 0.0
    views: int = 1
    clean: bool = True

    def __post_init__(self) -> None:
        for name in _CHANGES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ConfigError(f"`{name}` of `augment` must be a number of at least 0, found {value!r}.")
            # 10 and 10.0 are one setting, and must be one hash.
            object.__setattr__(self, name, float(value))
        if type(self.views) is not int or self.views < 0:
            raise ConfigError(f"`views` of `augment` must be a whole number of at least 0, found {self.views!r}.")
        if not isinstance(self.clean, bool):
            raise ConfigError(f"`clean` of `augment` must be true or false, found {self.clean!r}.")

    def identity(self) -> dict[str, Any] | None:
        """The settings that can change a result; `None` where every sample is seen as it is."""
        changes = any(getattr(self, name) for name in _CHANGES)
        if self.views == 1 and (self.clean or not changes):
            return None
        return asdict(self) if self.views else {**asdict(self), "clean": True}


_CHANGES = ("rotate", "shear", "scale", "translate", "noise")


@dataclass(frozen=True)
class Training:
    """How a candidate is trained: hyperparameters and budget. Every field can be inherited and mutated by name.

    Args:
        optimizer: `adamw` or `sgd`.
        lr: peak learning rate.
        head_lr: learning rate of heads relative to `lr`.
        weight_decay: decoupled for AdamW, L2 for SGD; not applied to biases and norms.
        beta2: AdamW's decay of squared gradients; 0.99 suits runs of a few hundred steps.
        momentum, nesterov: SGD only.
        schedule: `constant` or `cosine` (half a wave, to almost zero at the last step).
        warmup: share of the steps with a linearly rising learning rate.
        clip: largest global gradient norm; 0 is off.
        steps: optimizer steps. 0 measures the path as it starts.
        batch: samples a step.
        label_smoothing: mass spread over all classes (Szegedy et al. 2016).
        head_init: `random`, `zeros`, or in closed form from the features that a fresh linear classifier
            reads: `class_means` (nearest class mean) or `discriminant` (Fisher's linear discriminant).
        head_refit: `none`, or the same closed forms: after the last step, linear classifiers are fitted anew to
            the features that training has made. With few samples that is often better than their trained weights.
        evaluate_every: steps between validation measurements; 0 measures only at the end.
        keep: `best` keeps the weights of the best validation measurement, `last` those of the last step.
        fitness: `validation`, or `training`: accuracy on the training batches as they were seen (PathNet).
        augment: random changes of training images; `None` is off.
        score_views: on how many versions of each validation image quality is measured, changed as training images
            are, the first unchanged: more of them make choices less noisy. It needs `augment`.
        precision: what products and convolutions of training steps compute in: `float32`, or `bfloat16`, which
            processors with instructions for it (AMX, AVX-512 BF16) run several times as fast. Weights, optimizer
            state and losses stay float32, as does all that is measured, predicted and cached.
    """

    optimizer: str = "adamw"
    lr: float = 3e-3
    head_lr: float = 1.0
    weight_decay: float = 0.0
    beta2: float = 0.999
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "cosine"
    warmup: float = 0.1
    clip: float = 0.0
    steps: int = 400
    batch: int = 64
    label_smoothing: float = 0.0
    head_init: str = "random"
    head_refit: str = "none"
    evaluate_every: int = 0
    keep: str = "best"
    fitness: str = "validation"
    augment: Augment | None = None
    score_views: int = 1
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                found = getattr(self, name)
                near = did_you_mean(found, allowed, ".")
                raise ConfigError(f"`{name}` must be one of {allowed}, found {found!r}{near}")
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise ConfigError(f"`{name}` must be a number in [{low}, {high}], found {value!r}.")
            if name not in _WHOLE:
                object.__setattr__(self, name, float(value))  # 1 and 1.0 are one setting, and must be one hash
        for name in _WHOLE:
            if not isinstance(getattr(self, name), int):
                raise ConfigError(f"`{name}` must be a whole number, found {getattr(self, name)!r}.")
        if not isinstance(self.nesterov, bool):
            raise ConfigError(f"`nesterov` must be true or false, found {self.nesterov!r}.")

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data; without `precision` at its default, as runs from before there was a choice."""
        data = {name: getattr(self, name) for name in _PLAIN} | {"augment": self.augment and asdict(self.augment)}
        if self.precision == "float32":
            del data["precision"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Training:
        """The settings that `to_json` wrote."""
        values = dict(data)
        if values.get("augment") is not None:
            values["augment"] = Augment(**values["augment"])
        return cls(**values)

    def identity(self) -> dict[str, Any]:
        """The settings that can change a result: those that this combination ignores are left out."""
        data = self.to_json()
        ignored = []
        if self.optimizer == "adamw":
            ignored += ["momentum", "nesterov"]
        else:
            ignored += ["beta2"] if self.momentum else ["beta2", "nesterov"]
        if self.evaluate_every >= self.steps:
            data["evaluate_every"] = 0
        if data["evaluate_every"] == 0:
            ignored += ["keep"]  # there is just the last measurement
        data["augment"] = None if self.augment is None else self.augment.identity()
        if self.steps == 0:
            ignored += [
                "optimizer", "lr", "head_lr", "weight_decay", "beta2", "momentum", "nesterov", "schedule", "warmup",
                "clip", "batch", "label_smoothing", "evaluate_every", "keep", "fitness", "precision",
            ]  # fmt: skip
            if self.augment is not None and self.score_views > 1:
                data["augment"] = replace(self.augment, views=self.score_views, clean=True).identity()
            else:
                data["augment"] = None
        ignored += ["score_views"] if data["augment"] is None else []
        return {name: value for name, value in data.items() if name not in ignored}


_PLAIN = tuple(f.name for f in fields(Training))
KEEPS = ("all", "fittest")
_CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("constant", "cosine"),
    "head_init": ("random", "zeros", "class_means", "discriminant"),
    "head_refit": ("none", "class_means", "discriminant"),
    "keep": ("best", "last"),
    "fitness": ("validation", "training"),
    "precision": ("float32", "bfloat16"),
}
_WHOLE = ("steps", "batch", "evaluate_every", "score_views")
_BOUNDS: dict[str, tuple[float, float]] = {
    "lr": (0, 100), "head_lr": (0, 1000), "weight_decay": (0, 100), "beta2": (0, 1), "momentum": (0, 1),
    "warmup": (0, 1), "clip": (0, 1e9), "steps": (0, 10**9), "batch": (1, 10**7), "label_smoothing": (0, 0.999),
    "evaluate_every": (0, 10**9), "score_views": (1, 1000),
}


@dataclass(frozen=True)
class Candidate:
    """`{task: path}` with all that decides its result.

    Args:
        paths: one path for each task it trains; drafts of one name are one module, across paths too.
        training: hyperparameters and budget.
        data: the fingerprint of each task's data.
        run: the run's seed.
        order: the data order's name within (run, task), usually the generation: contestants share it.
        repeat: which repeat this is; another repeat draws other init weights and noise.
        sampler: how batches alternate over several tasks: `joint` takes one batch of each task in every step,
            `proportional` one task a step, drawn by its number of samples; others in `pathways.sampler`.
        optimizer_state: whether the drafts' optimizer state is kept as blobs.
        labels: what says where it came from (strategy, number, parents, mutations); never part of the hash.
        race: what it is measured against while it trains, and when it stops; `None` trains to the end.
        keep: which blobs its asker needs, not part of the hash: `all`, or `fittest`: of the candidates of one stack
            that start a draft from the same weights, only the fittest keeps what became of it; of equals, the one of
            the lower hash.
        record: what is measured beside quality, and found in the result's `readings`; `None` is nothing.
        workers: in how many parts each batch is cut: so many processes may train it together, to the same bits as one.
    """

    paths: Mapping[str, Path]
    training: Training
    data: Mapping[str, str]
    run: int = 0
    order: int = 0
    repeat: int = 0
    sampler: Sampling = "joint"
    optimizer_state: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict, compare=False)
    race: Race | None = None
    keep: str = field(default="all", compare=False)
    record: Record | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", FrozenDict({task: self.paths[task] for task in sorted(self.paths)}))
        object.__setattr__(self, "data", FrozenDict(self.data))
        object.__setattr__(self, "sampler", as_sampler(self.sampler))
        if self.keep not in KEEPS:
            raise ConfigError(f"`keep` must be one of {KEEPS}, found {self.keep!r}.")
        if type(self.workers) is not int or self.workers < 1:
            raise ConfigError(f"`workers` must be a whole number of at least 1, found {self.workers!r}.")
        if self.workers > 1 and self.record is not None and self.record.while_training:
            raise ConfigError(f"`workers` must be 1 where affinity is recorded as tasks train, found {self.workers}.")
        if set(self.data) != set(self.paths):
            raise ConfigError(f"`data` must name the tasks {sorted(self.paths)}, found {sorted(self.data)}.")
        drafts = self.drafts()
        for task, path in self.paths.items() if len(self.paths) > 1 else ():
            for name, draft in path.drafts().items():
                if drafts[name] != draft:
                    raise PathError(
                        f"drafts named {name!r} must be equal to be one module, and the path of task {task!r} holds "
                        f"another one: rename one of them."
                    )

    def drafts(self) -> dict[str, Draft]:
        """The drafts of all paths by name, in canonical order."""
        if len(self.paths) == 1:
            return next(iter(self.paths.values())).drafts()
        return {name: draft for path in self.paths.values() for name, draft in path.drafts().items()}

    def blobs(self) -> list[str]:
        """The blobs that training it reads: of frozen modules, and what its drafts start from."""
        starts = [draft.start for draft in self.drafts().values()]
        warm = [blob for s in starts if isinstance(s, Warm) for blob in (s.blob, s.optimizer) if blob is not None]
        return list(dict.fromkeys([*(blob for path in self.paths.values() for blob in path.frozen()), *warm]))

    @cached_property
    def hash(self) -> str:
        """The candidate's identity: it changes exactly when its result could."""
        if self.record is not None:
            return content_hash([self.unraced, self.race and self.race.hash, self.record.hash])
        return self.unraced if self.race is None else content_hash([self.unraced, self.race.hash])

    @cached_property
    def unraced(self) -> str:
        """The hash without race and record: what seeds derive from, so that neither changes a weight."""
        position = {name: i for i, name in enumerate(self.drafts())}
        paths = {t: [path.hash, [position[d.name] for d in path.drafts_in_order()]] for t, path in self.paths.items()}
        return content_hash({
            "paths": paths,
            "training": self.training.identity(),
            "data": dict(self.data),
            "run": self.run,
            "order": self.order if self.training.steps else None,
            "repeat": self.repeat,
            "sampler": thaw(self.sampler) if len(self.paths) > 1 and self.training.steps else None,
            "optimizer_state": self.optimizer_state,
            **({"workers": self.workers} if self.workers > 1 and self.training.steps else {}),  # older hashes stay
        })

    def trained_paths(self, result: Result) -> dict[str, Path]:
        """The paths with each draft replaced by the blob that training gave it."""
        return {task: path.trained(result.blobs) for task, path in self.paths.items()}

    def to_json(self) -> dict[str, Any]:
        """The candidate as plain data, labels included."""
        return {
            "paths": {task: path.to_json() for task, path in self.paths.items()}, "training": self.training.to_json(),
            "data": dict(self.data), "run": self.run, "order": self.order, "repeat": self.repeat,
            "sampler": thaw(self.sampler), "optimizer_state": self.optimizer_state, "labels": dict(self.labels),
            "race": self.race and self.race.to_json(), **({"workers": self.workers} if self.workers > 1 else {}),
            **({"record": self.record.to_json()} if self.record else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """The candidate that `to_json` wrote."""
        values = dict(data)
        values["paths"] = {task: Path.from_json(path) for task, path in values["paths"].items()}
        values["training"] = Training.from_json(values["training"])
        values["race"] = Race.from_json(values["race"]) if values.get("race") else None
        values["record"] = Record.from_json(values["record"]) if values.get("record") else None
        return cls(**values)


@dataclass(frozen=True)
class Measures:
    """Raw measures of one task: the metric on validation data, the mean loss there, the fitness a strategy asked for.

    `validation` is in the metric's own unit, measured on the images as they are. `quality` is the metric over all
    `score_views`, turned so that more is better. `samples` is the number of validation samples.
    """

    validation: float
    quality: float
    loss: float
    fitness: float
    samples: int


@dataclass(frozen=True)
class Result:
    """What came of a candidate: raw measures and the blobs of its drafts. A score is computed from it, never stored.

    Args:
        candidate: the candidate's hash.
        failure: why it failed (`loss became NaN at step 17`), or empty.
        measures: by task; empty where it failed.
        curve: (step, task, validation metric) as measured while training.
        parameters: distinct parameters of its paths; `trainable`: those that were trained.
        flops: of one sample's forward pass, summed over its paths.
        seconds, cpu_seconds: wall and processor time of training and measuring.
        blobs, optimizers: the blob of each draft, and of its optimizer state where that is kept.
        stack: how many candidates were trained as one program with it, itself among them.
        alone: why it was trained by itself, where stacks are on.
        stopped: after which step its race stopped it, 0 where it trained to its end. It then has the measures of that
            step and no blobs.
        merits: by task, what its race measured at each point, as `pathways.racing.pack` writes it.
        readings: what its record measured, by step, as `pathways.recording.pack_reading` writes it: (T, T) between its
            tasks in their order, or (T,) numbers of transferability.
        reading_seconds: processor time of that, part of `cpu_seconds`.
    """

    candidate: str
    failure: str = ""
    measures: Mapping[str, Measures] = field(default_factory=dict)
    curve: tuple[tuple[int, str, float], ...] = ()
    parameters: int = 0
    trainable: int = 0
    flops: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    blobs: Mapping[str, str] = field(default_factory=dict)
    optimizers: Mapping[str, str] = field(default_factory=dict)
    stack: int = 1
    alone: str = ""
    stopped: int = 0
    merits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readings: tuple[tuple[int, str], ...] = ()
    reading_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it trained to the end: it can win."""
        return not self.failure and not self.stopped

    @property
    def quality(self) -> float:
        """The mean quality over its tasks; minus infinity where it failed."""
        return sum(m.quality for m in self.measures.values()) / len(self.measures) if self.measures else float("-inf")

    @property
    def fitness(self) -> float:
        """The mean fitness over its tasks; minus infinity where it failed."""
        return sum(m.fitness for m in self.measures.values()) / len(self.measures) if self.measures else float("-inf")

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """The result that `to_json` wrote."""
        values = dict(data)
        values["measures"] = {task: Measures(**m) for task, m in values["measures"].items()}
        values["curve"] = tuple((int(s), t, float(v)) for s, t, v in values["curve"])
        values["readings"] = tuple((int(step), str(packed)) for step, packed in values.get("readings", ()))
        values["merits"] = {task: tuple(packed) for task, packed in values.get("merits", {}).items()}
        return cls(**values)


_ATOMS = frozenset({str, int, float, bool, type(None)})


def _plain(value: Any) -> Any:
    if type(value) in _ATOMS:  # most values are; to ask whether one is a mapping takes longer
        return value
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dict(vars(value)) if isinstance(value, Measures) else value

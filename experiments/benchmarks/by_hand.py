"""Models tuned by hand: one plain PyTorch net after another in an Optuna study; no ledger, no blobs, nothing frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Training
from pathways.modules import Image, Vector
from pathways.optuna_study import quietly, study_in_memory
from pathways.path import Path
from pathways.seeds import seed_of, torch_generator
from pathways.task import Task
from pathways.trainer.augment import views_of
from pathways.trainer.optimizer import multiplier


@dataclass(frozen=True)
class ByHand:
    """How models are trained and tuned by hand.

    Args:
        name: what they are called, and what seeds derive from.
        base: the settings that each study tries first; of these count optimizer steps, batch, learning rates, decay,
            schedule, smoothing and views.
        space: by field of `base`, the values that Optuna chooses from.
        root: a chain of `conv` and `flatten` modules, whose architecture is built.
        weights: by step of the root, what nets start from; random where it is empty.
    """

    name: str
    base: Training
    space: Mapping[str, Sequence[Any]]
    root: Path
    weights: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What a study tried: the settings, and the accuracy on the validation images as they are."""

    training: Training
    accuracy: float


def around(base: Training, own: Training, space: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """A space moved to other settings: its values lie around `base` by the factors by which they lie around `own`.

    >>> around(Training(steps=900, weight_decay=0.5), Training(steps=300, weight_decay=0.1), {
    ...     "steps": (200, 300), "weight_decay": (0.0, 0.1, 0.2)})
    {'steps': (600, 900), 'weight_decay': (0.0, 0.5, 1.0)}
    """
    def moved(name: str, value: Any) -> Any:
        centre = getattr(base, name)
        number = value / getattr(own, name) * centre
        return round(number) if isinstance(centre, int) else number

    return {name: tuple(moved(name, value) for value in values) for name, values in space.items()}


def tune(side: ByHand, task: Task, candidates: int, seed: int) -> list[Trial]:
    """Tune models for one task with Optuna's TPE sampler, the base settings first; what was tried, in order.

    Args:
        side: how.
        task: of one image input and classes.
        candidates: how many models are trained.
        seed: of sampler, weights, batches and views.
    """
    from optuna.samplers import TPESampler

    names = (side.name, task.name, seed)
    study = study_in_memory(sampler=TPESampler(seed=seed_of(*names) % 2**32))
    study.enqueue_trial({name: getattr(side.base, name) for name in side.space})
    splits, augment = task.splits, side.base.augment
    [(port, affine)] = ((name, task.transform[name]) for name in task.inputs)
    images = affine(cast(Tensor, splits["train"].inputs[port]))
    views = images if augment is None else views_of(images, augment, torch_generator(*names, "views"))
    validation = affine(cast(Tensor, splits["validation"].inputs[port]))
    trials: list[Trial] = []

    def objective(trial: Any) -> float:
        chosen = {name: trial.suggest_categorical(name, values) for name, values in side.space.items()}
        training = replace(side.base, **chosen)
        net = network(side.root, task.target.n, side.weights, seed_of(*names, trial.number))
        batches = _batches(len(images), len(views), training, torch_generator(*names, trial.number))
        _train(net, views, splits["train"].targets, batches, training)
        trials.append(Trial(training, _accuracy(net, validation, splits["validation"].targets)))
        return trials[-1].accuracy

    with quietly():
        study.optimize(objective, n_trials=candidates)
    return trials


def network(root: Path, classes: int, weights: Mapping[str, Mapping[str, Tensor]], seed: int) -> nn.Sequential:
    """The root's architecture in plain PyTorch, with a linear head.

    Args:
        root: a chain of `conv` modules with batch norm, `flatten` last.
        classes: of the head.
        weights: as in `ByHand`.
        seed: of what is not given: the head, and all of it where `weights` is empty.
    """
    ports = root.ports()
    with torch.random.fork_rng(devices=[]):  # plain modules draw from torch's own generator
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for name in root.canonical_order:
            step = root.steps[name]
            if step.modules[0].spec.family == "flatten":
                layers.append(nn.Flatten())
            else:
                block = _block(cast(Image, ports[step.reads[0]]).channels, **step.modules[0].spec.config)
                layers += block.children()
                if weights:
                    block.load_state_dict(weights[name])
        net = nn.Sequential(*layers, nn.Linear(cast(Vector, ports[root.output]).dim, classes))
    return cast(nn.Sequential, cast(Any, net).to(memory_format=torch.channels_last))  # a quarter faster here


def _block(
    inputs: int, *, channels: int, norm: str, kernel: int = 3, stride: int = 1, pool: int = 1, ceil: bool = False,
    activation: str = "relu",
) -> nn.Sequential:
    """A convolution with batch norm. Maxima are taken before the activation: it has less to do, as on our side."""
    if norm != "batch" or activation not in ("relu", "none"):
        raise ValueError(f"`root` must have batch norm and `relu` or no activation, found {norm!r} and {activation!r}.")
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False))
    block.add_module("norm", nn.BatchNorm2d(channels))
    if pool > 1:
        block.add_module("pool", nn.MaxPool2d(pool, ceil_mode=ceil))
    if activation == "relu":
        block.add_module("relu", nn.ReLU(inplace=True))
    return block


def _batches(n: int, all_views: int, training: Training, generator: torch.Generator) -> Tensor:
    """Rows of the views for every step, (steps, batch): epochs of permutations, each sample in a random view."""
    needed = training.steps * training.batch
    samples = torch.cat([torch.randperm(n, generator=generator) for _ in range(-(-needed // n))])[:needed]
    view = torch.randint(0, all_views // n, (needed,), generator=generator)
    return (view * n + samples).reshape(training.steps, training.batch)


def _train(net: nn.Sequential, views: Tensor, targets: Tensor, batches: Tensor, training: Training) -> None:
    """The loop as one writes it: data in memory, indexed batches, fused AdamW."""
    groups: list[dict[str, Any]] = []
    for part, scale in ((net[:-1], 1.0), (net[-1:], training.head_lr)):
        for decayed in (True, False):
            parameters = [p for p in part.parameters() if (p.ndim > 1) == decayed]
            decay = training.weight_decay if decayed else 0.0
            groups.append({"params": parameters, "weight_decay": decay, "scale": training.lr * scale})
    optimizer = torch.optim.AdamW(groups, lr=training.lr, betas=(0.9, training.beta2), fused=True)
    n = len(targets)
    net.train()
    for step, index in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = group["scale"] * multiplier(step, training)
        loss = F.cross_entropy(net(views[index]), targets[index % n], label_smoothing=training.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _accuracy(net: nn.Module, images: Tensor, targets: Tensor) -> float:
    net.eval()
    return float((net(images).argmax(1) == targets).double().mean())


__all__ = ["ByHand", "Trial", "around", "network", "tune"]

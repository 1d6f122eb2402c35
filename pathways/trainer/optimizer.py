"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from pathways.candidate import Training
from pathways.modules import Delta, Module

# What the optimizers keep for each parameter.
_KEPT: dict[type[torch.optim.Optimizer], frozenset[str]] = {
    torch.optim.AdamW: frozenset({"step", "exp_avg", "exp_avg_sq"}),
    torch.optim.SGD: frozenset({"momentum_buffer"}),
}


def make_optimizer(drafts: Mapping[str, Module | Delta], training: Training) -> torch.optim.Optimizer:
    """One optimizer over all drafts; weight decay leaves out biases, norms and other parameters of one axis.

    Each group carries `scale`, its learning rate relative to `training.lr`. Where there is nothing to train, it
    holds one unused parameter, so that callers need not tell the cases apart.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module in drafts.values():
        scale = training.head_lr if getattr(module, "head", False) else 1.0
        for parameter in module.parameters():
            decay = training.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scale, decay), []).append(parameter)
    if not groups:
        groups[1.0, 0.0] = [nn.Parameter(torch.zeros(()))]
    listed = [
        {"params": parameters, "scale": scale, "weight_decay": decay, "lr": training.lr * scale}
        for (scale, decay), parameters in groups.items()
    ]
    if training.optimizer == "sgd":
        nesterov = training.nesterov and training.momentum > 0
        return torch.optim.SGD(listed, lr=training.lr, momentum=training.momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(listed, lr=training.lr, betas=(0.9, training.beta2), fused=True)


def multiplier(step: int, training: Training) -> float:
    """The learning rate of a step relative to its peak: linear warm-up, then constant or half a cosine to zero."""
    warm = round(training.warmup * training.steps)
    if step < warm:
        return (step + 1) / warm
    if training.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, training.steps - warm)))


@lru_cache(maxsize=256)
def multipliers(schedule: str, warmup: float, steps: int) -> tuple[float, ...]:
    """`multiplier` of every step."""
    training = Training(schedule=schedule, warmup=warmup, steps=steps)
    return tuple(multiplier(step, training) for step in range(steps))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float, training: Training) -> None:
    """Set every group's learning rate for this step."""
    for group in optimizer.param_groups:
        group["lr"] = training.lr * group["scale"] * factor


def clip(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Scale gradients down so that their global norm is at most `limit`; 0 leaves them."""
    if limit:
        torch.nn.utils.clip_grad_norm_(parameters, limit)


def state_of(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state of one module's parameters, flat: `parameter::name`."""
    return {
        f"{name}::{key}": value.detach().clone()
        for name, parameter in module.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def begin_where_state_is_lacking(optimizer: torch.optim.Optimizer) -> None:
    """Give parameters without momentum one of zero where others have theirs: fused kernels want all or none.

    So it is where some were given their state, and where some had no gradient so far: heads of tasks whose turn it was
    not, modules behind a sparse router that got no sample. The first step is the same: from zero, momentum becomes the
    gradient.
    """
    listed = sum(len(group["params"]) for group in optimizer.param_groups)
    if isinstance(optimizer, torch.optim.SGD) and 0 < len(optimizer.state) < listed:
        for group in optimizer.param_groups:
            for parameter in group["params"] if group["momentum"] else ():
                optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))


def load_state(optimizer: torch.optim.Optimizer, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `state_of` took.

    Raises:
        ValueError: the state is not of this module, or was kept by another kind of optimizer.
    """
    parameters = dict(module.named_parameters())
    kept = _KEPT[type(optimizer)]
    for flat, value in state.items():
        name, _, key = flat.partition("::")
        if name not in parameters or key not in kept:
            raise ValueError(
                f"`optimizer` state must hold {sorted(kept)} of parameters {sorted(parameters)}, found {flat!r}: "
                f"start the draft without it, or with the optimizer that kept it."
            )
        parameter = parameters[name]
        same = value.shape == parameter.shape
        value = value.to(parameter.device)
        # In the parameter's own memory layout, which fused kernels expect.
        optimizer.state[parameter][key] = torch.empty_like(parameter).copy_(value).detach() if same else value.clone()

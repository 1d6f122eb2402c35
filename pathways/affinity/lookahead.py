"""Lookahead affinity (TAG): what one task's step does to the loss of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pathways.errors import ConfigError

from .moment import Array, Moment, Reading, denominators, gradient_of, numbers, placed, untouched


def lookahead(
    moment: Moment,
    *,
    momentum: bool = False,
    weight_decay: bool = False,
    per_rate: bool = False,
    sources: int | None = None,
    generator: torch.Generator | None = None,
) -> Reading:
    """The relative fall of each task's loss after a step on another task's loss alone.

    ```
    Z[j, i] = 1 - L_j(θ_s - η (g_i [+ wd θ_s] [+ m v]), θ_j) / L_j(θ_s, θ_j)        g_i = ∇_θs L_i
    ```

    Shared parameters move, heads stay; the batch and the random draws (dropout) are the same before and after. The
    paper's formula is the default. Where the released codes differ from it, and from each other:

    | point | here | CelebA notebook | Taskonomy patch |
    |---|---|---|---|
    | score | `1 - L'/L`; divided by η with `per_rate` | divided by η | divided by η |
    | momentum | none; that of the joint optimizer with `momentum` | as with `momentum` | looked up, never used |
    | weight decay | none; in every lookahead with `weight_decay` | none | as with `weight_decay` |
    | batch norm | as the network is set; running statistics are put back | of the batch | running ones change |
    | how often | left to the caller, `Watch(every=10)` | every step | every 10 steps |

    Momentum and weight decay add the same step to every lookahead, so (to first order) a constant to each row: they
    change values much and choices little. A parameter that a source's loss does not reach moves by them alone; one that
    is not trained does not move. The step is that of SGD at `moment.rate`, whatever optimizer the run uses.

    The gradients of all tasks and the losses before come from one forward pass where `moment.losses` is one function;
    a measurement is then T backward and T + 1 forward passes of the trunk. Needs two copies of the shared weights.

    Args:
        moment: what to measure.
        momentum: whether a step goes on with the joint optimizer's velocity, `moment.momentum * moment.velocity`.
        weight_decay: whether a step decays the weights.
        per_rate: whether the score is divided by η; NaN where η is 0.
        sources: how many tasks, drawn at random, are sources of this measurement; the columns of the others are NaN.
            All when `None`. A run then costs 1 + sources/k joint runs, measured every k steps, for any number of tasks.
        generator: what draws them; it must not be one of `moment.generators`, which are put back.

    Returns:
        (T, T), rows affected, columns sources, no unit. NaN in the row and column of a task without labels, and in the
        row of a task whose loss is 0.

    Raises:
        ConfigError: `sources` is less than 1 or comes without a generator of its own; losses that do not depend on the
            weights as they are.
        DataError: a loss that is negative or not finite, before or after a step; it names the task.

    Example:
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> losses = {"a": lambda: 0.5 * w[0] ** 2, "b": lambda: 0.5 * (w[0] + w[1]) ** 2}
        >>> lookahead(Moment(("a", "b"), losses, {"w": w}, rate=0.5)).round(4)
        array([[0.75  , 1.    ],
               [0.4375, 1.    ]])

    Reference: Fifty et al. 2021, section 3 (TAG, 2109.04617); google-research/google-research, tag/.
    """
    with untouched(moment):
        with torch.enable_grad():
            losses = moment.evaluate()
        tasks = list(losses)
        before = numbers(losses)
        scale = np.array(list(denominators(before).values()))
        chosen = tasks if sources is None else _drawn(tasks, sources, generator, moment)
        start = {name: parameter.detach().clone() for name, parameter in moment.trained.items()}
        after = np.empty((len(tasks), len(chosen)))
        for column, source in enumerate(chosen):
            gradient = dict(zip(moment.shared, gradient_of(losses[source], moment), strict=True))
            _step(moment, start, gradient, momentum, weight_decay)
            with torch.no_grad():
                stepped = moment.evaluate()
            _require_fresh(losses, stepped)
            after[:, column] = list(numbers(stepped, f" after a step of {source!r}").values())
            for name, weights in start.items():
                moment.shared[name].data.copy_(weights)
    return placed(moment, tasks, _score(after, scale, moment.rate if per_rate else 1.0), chosen)


def _step(
    moment: Moment, start: dict[str, Tensor], gradient: dict[str, Tensor], momentum: bool, weight_decay: bool
) -> None:
    """Weights go from `start` one step of SGD along a gradient, in place and unseen by autograd."""
    for name, weights in start.items():
        moved = torch.add(weights, gradient[name], alpha=-moment.rate, out=moment.shared[name].data)
        if weight_decay and moment.decay_of(name):
            moved.sub_(weights, alpha=moment.rate * moment.decay_of(name))
        if momentum and name in moment.velocity:
            moved.sub_(moment.velocity[name].detach(), alpha=moment.rate * moment.momentum)


def _score(after: Array, before: Array, rate: float) -> Array:
    return (1 - after / before[:, None]) / (rate or np.nan)


def _drawn(tasks: Sequence[str], count: int, generator: torch.Generator | None, moment: Moment) -> list[str]:
    """Sources drawn without replacement."""
    if count < 1:
        raise ConfigError(f"`sources` must be at least 1, or `None` for all, found {count}.")
    if generator is None or any(generator is other for other in moment.generators):
        raise ConfigError(
            "`generator` must be given with `sources` and must not be one of `moment.generators`, whose state is put "
            "back after each measurement: make one, `torch.Generator().manual_seed(seed)`."
        )
    order = torch.randperm(len(tasks), generator=generator, device=generator.device).tolist()
    return [tasks[place] for place in sorted(order[:count])]


def _require_fresh(losses: dict[str, Tensor], stepped: dict[str, Tensor]) -> None:
    """A function that returns tensors it made before would give readings of zero."""
    for task, loss in losses.items():
        if stepped.get(task) is None or stepped[task] is loss:
            raise ConfigError(
                f"`losses` must compute the loss of {task!r} anew at every call, with the weights as they are then; it "
                f"{'is missing after a step' if task not in stepped else 'gave the same tensor twice'}."
            )


__all__ = ["lookahead"]

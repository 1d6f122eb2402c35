"""How batches alternate over the tasks that one candidate trains: all of them in every step, or one drawn for each.

| sampler | a step trains |
|---|---|
| `joint` | a batch of each task |
| `proportional` | one task, drawn by its number of samples: `p ~ n` |
| `uniform` | one task, each as likely |
| `round_robin` | one task, in turn |
| `{temperature: T}` | one task, `p ~ n ** (1 / T)`: 1 is `proportional`, a large T near `uniform` |
| `{ratios: {TASK: WEIGHT}}` | one task, drawn with fixed probabilities; the only one with a weight is drawn always |

Constant, in turn, by size and by ratios are the iteration strategies of MMF (Singh et al. 2020, facebookresearch/mmf);
fixed ratios are what UniT draws with (Hu and Singh 2021, 2102.10772); the temperature is that of T5 (Raffel et al.
2020, 1910.10683) and of HyperFormer (Mahabadi et al. 2021, 2106.04489).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pathways.modules import FrozenDict

from .errors import ConfigError

if TYPE_CHECKING:
    import torch

SAMPLERS = ("joint", "proportional", "uniform", "round_robin")
Sampling: TypeAlias = str | Mapping[str, Any]


def as_sampler(value: Any) -> Sampling:
    """`value`, one of `SAMPLERS` or a mapping of one rule, as immutable data.

    Raises:
        ConfigError: it is neither.

    >>> as_sampler({"temperature": 2})
    {'temperature': 2.0}
    """
    if isinstance(value, str) and value in SAMPLERS:
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        [(rule, given)] = value.items()
        if rule == "temperature" and _number(given) and given > 0:
            return FrozenDict({rule: float(given)})
        if rule == "ratios" and isinstance(given, Mapping) and all(_number(w) and w >= 0 for w in given.values()):
            weights = {str(task): float(weight) for task, weight in sorted(given.items())}
            if sum(weights.values()) > 0:
                return FrozenDict({rule: FrozenDict(weights)})
    raise ConfigError(
        f"`sampler` must be one of {SAMPLERS}, {{temperature: T}} with T above 0, or {{ratios: {{TASK: WEIGHT}}}} with "
        f"weights of at least 0, found {value!r}."
    )


def turns(
    sampler: Sampling, tasks: Sequence[str], samples: Sequence[int], steps: int, generator: torch.Generator
) -> list[list[int]]:
    """Which tasks each step trains, by their place in `tasks`.

    Args:
        sampler: as `as_sampler` gives it.
        tasks: their names.
        samples: how many training samples each has.
        steps: of the training.
        generator: where draws come from.

    Raises:
        ConfigError: ratios that leave out one of these tasks, or give none of them a weight.
    """
    if sampler == "joint" or len(tasks) == 1:
        return [list(range(len(tasks)))] * steps
    if sampler == "round_robin":
        return [[step % len(tasks)] for step in range(steps)]
    if not steps:
        return []
    import torch

    weights = torch.tensor(_weights(sampler, tasks, samples))
    return [[int(i)] for i in torch.multinomial(weights, steps, replacement=True, generator=generator)]


def _weights(sampler: Sampling, tasks: Sequence[str], samples: Sequence[int]) -> list[float]:
    if sampler == "proportional":
        return [float(n) for n in samples]
    if isinstance(sampler, str):
        return [1.0] * len(tasks)
    if "temperature" in sampler:
        return [float(n) ** (1 / sampler["temperature"]) for n in samples]
    ratios = sampler["ratios"]
    if not set(tasks) <= set(ratios) or not any(ratios[task] for task in tasks):
        raise ConfigError(
            f"`ratios` of `sampler` must give weights to the tasks {sorted(tasks)}, found {dict(ratios)}."
        )
    return [ratios[task] for task in tasks]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


__all__ = ["SAMPLERS", "Sampling", "as_sampler", "turns"]

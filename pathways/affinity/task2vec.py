"""Task2Vec: tasks compared by which filters of one probe network their gradients reach."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathways.errors import ConfigError
from pathways.seeds import torch_generator
from pathways.task import Classes, Task
from pathways.trainer.evaluate import loss_of
from pathways.trainer.numerics import one_thread
from pathways.trainer.samples import prepare, rows

from .encoders import called, encoded, encoder
from .matrix import Affinity
from .readout import Readout, Scaling, fit

Array = NDArray[np.float64]


def task2vec(
    tasks: Sequence[Task],
    probe: nn.Module,
    *,
    samples: int = 256,
    readout: Readout = Readout(),  # noqa: B008 - immutable
    seed: int = 0,
) -> Affinity:
    """How alike tasks are in what they need of a probe: the cosine of normalised diagonal Fisher information.

        F_t = diagonal of E_x E_y~p(y|x) [grad log p(y|x) grad log p(y|x)'], averaged in each filter
        similarity(a, b) = cos(F_a / (F_a + F_b), F_b / (F_a + F_b));    1 - similarity is the paper's distance

    The same probe serves all tasks; only a readout on top of it is trained for each. The matrix is symmetric with ones
    on its diagonal: it says how alike tasks are, not which helps which. The paper's asymmetric distance, which
    subtracts a task's complexity, and its variational estimate of F are not here: the Fisher information is computed
    sample by sample as defined, with one y drawn from the model for each.

    Where the released code differs: it squares the gradient of a batch's mean loss, which is not the mean of squared
    gradients.

    Args:
        tasks: to compare; the probe must read the inputs of each.
        probe: an encoder with parameters, or an assembled path, whose head is left out. It is not changed.
        samples: how many training samples of a task the expectation is over, at most.
        readout: how the readout of a task is made and trained.
        seed: of batches and draws.

    Returns:
        A matrix of kind `transfer`, one row and column for each task.

    Raises:
        ConfigError: the probe has no filters.

    Example:
        >>> from pathways.data import digits_tasks
        >>> probe = nn.Sequential(nn.Flatten(), nn.utils.skip_init(nn.Linear, 64, 8, bias=False), nn.ReLU())
        >>> _ = nn.init.kaiming_normal_(probe[1].weight, generator=torch.Generator().manual_seed(0))
        >>> found = task2vec(list(digits_tasks([[0, 1], [2, 3]])), probe, samples=32, readout=Readout(steps=20))
        >>> found.values.diagonal(), bool((found.values == found.values.T).all())
        (array([1., 1.]), True)

    Reference: Achille et al. 2019, Task2Vec, 1902.03545, sections 2 and 3.
    """
    if len({task.name for task in tasks}) < len(tasks):
        raise ConfigError(f"`tasks` must name each task once, found {[task.name for task in tasks]}.")
    with one_thread():
        vectors = [embedding(task, probe, samples=samples, readout=readout, seed=seed) for task in tasks]
    values = np.eye(len(tasks))
    for a, b in combinations(range(len(tasks)), 2):
        values[a, b] = values[b, a] = similarity(vectors[a], vectors[b])
    names = tuple(task.name for task in tasks)
    about = {"samples": samples, "filters": len(vectors[0]) if vectors else 0, "seed": seed}
    unit = "cosine of normalised Fisher information"
    return Affinity(names, names, "transfer", "task2vec", unit, values, about=about)


def embedding(
    task: Task,
    probe: nn.Module,
    *,
    samples: int = 256,
    readout: Readout = Readout(),  # noqa: B008 - immutable
    seed: int = 0,
) -> Array:
    """The diagonal Fisher information of a probe for a task, (filters,): the mean over each filter's weights.

    A filter is what one output unit or channel reads: a row of each parameter of two or more axes.

    Args:
        task: whose training split is read.
        probe: as in `task2vec`.
        samples: as in `task2vec`.
        readout: as in `task2vec`.
        seed: as in `task2vec`.

    Raises:
        ConfigError: the probe has no parameter of two or more axes.
    """
    model = deepcopy(encoder(probe)).requires_grad_(True).eval()
    data, generator = prepare(task, "train"), torch_generator("task2vec", task.name, seed)
    x = encoded(model, data.values)
    scaling = Scaling.of(x)
    head, scaled = readout.network(x.shape[1], task.target.n, generator), scaling(x)
    order = readout.batches(len(data), generator)
    fit(readout.descent(head, task), lambda i: head(scaled[i]), task, data.targets, order)

    chosen = torch.randperm(len(data), generator=generator)[:samples]
    used = torch.autograd.grad(
        head(scaling(called(model, rows(data.values, chosen[:1])))).sum(), list(model.parameters()), allow_unused=True
    )
    filters = [p for p, g in zip(model.parameters(), used, strict=True) if p.ndim > 1 and g is not None]
    if not filters:
        raise ConfigError("`probe` must have weights of two or more axes, found none: pass a network that has layers.")
    total = [torch.zeros(len(p), dtype=torch.double) for p in filters]
    for index in chosen:
        outputs = head(scaling(called(model, rows(data.values, index[None]))))
        gradients = torch.autograd.grad(_surprise(task, outputs, generator), filters)
        for sum_, g in zip(total, gradients, strict=True):
            sum_ += g.double().square().flatten(1).mean(1)
    return (torch.cat(total) / len(chosen)).numpy()


def similarity(a: Array, b: Array) -> float:
    """The cosine of a / (a + b) and b / (a + b), over filters that either task reaches; 1 where there are none.

    >>> similarity(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    1.0
    >>> similarity(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    0.0
    """
    reached = a + b > 0
    if not reached.any():
        return 1.0
    u, v = (each[reached] / (a + b)[reached] for each in (a, b))
    norms = float(np.linalg.norm(u) * np.linalg.norm(v))
    return min(1.0, float(u @ v) / norms) if norms > 0 else 0.0


def _surprise(task: Task, outputs: Tensor, generator: torch.Generator) -> Tensor:
    """-log p(y | x) up to a constant, at a y that is drawn from the model: of unit variance where it is a value."""
    with torch.no_grad():
        if isinstance(task.target, Classes):
            y = torch.multinomial(outputs.softmax(1), 1, generator=generator)[:, 0]
        else:
            y = outputs + torch.randn(outputs.shape, generator=generator)
    return loss_of(task, outputs, y) if isinstance(task.target, Classes) else 0.5 * (outputs - y).square().sum()


__all__ = ["embedding", "similarity", "task2vec"]

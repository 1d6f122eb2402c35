"""Linearised subset estimation (Grad-TAG): what training on a subset would give, from one trained network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from pathways.errors import ConfigError, DataError
from pathways.seeds import numpy_generator, seed_of

from .matrix import Affinity, Array
from .projection import Projection

Data = tuple[Tensor, Tensor]


def linearised(
    models: Mapping[str, nn.Module],
    train: Mapping[str, Data],
    validation: Mapping[str, Data],
    *,
    seed: int = 0,
    dims: int = 100,
    penalty: float = 1e-2,
    subsets: int | None = None,
    size: int | None = None,
    chunk: int = 64,
) -> Affinity:
    """How much better each task would be if the shared network were trained on subsets that hold another task.

    ```
    m(x; θ* + P w) = m(x; θ*) + φ(x) · w,    φ(x) = P' ∇_θs m(x; θ*)     linear in w
    w_S  = argmin  Σ over tasks i in S of mean over samples of ℓ_i(m(x; θ* + P w), y) / |S|  +  penalty/2 |w|²
    θ_S  = θ* + P w_S                                                    shared parameters; heads stay
    f_i(S) = 1 - L_i(θ_S) / L_i(θ*)                                      by forward passes on validation data
    T[i, j] = mean of f_i(S) over subsets S that hold i and j
    ```

    For classes m is the margin `z_y - log Σ_{c≠y} exp z_c`: the cross-entropy is the logistic loss of m, however many
    classes there are, and the fit is a logistic regression with an offset, by Newton's method. For values m is the
    output, ℓ half its squared error, and the fit a ridge regression. One gradient a sample is taken, once; a subset
    then costs a fit in `dims` dimensions and forward passes.

    Where the released code differs from the paper, this keeps to the paper: there the fit leaves out the offset
    m(x; θ*), and the code for images draws labels at random and rescales P w to length 2.

    Args:
        models: by task a network, trained together; the parameters that all of them hold are the shared ones, of those
            that are trained. They are measured in evaluation mode and left as they are.
        train: by task inputs (N, ...) and targets (N,): classes as integers, or values as floats (N,) or (N, 1), for
            networks with one output.
        validation: the same, on which subsets are judged.
        seed: of P and of the subsets.
        dims: the number of columns of P, whose entries are ±1/sqrt(dims).
        penalty: of the squared length of w; the smaller, the further from θ*, where the network is no longer linear.
        subsets: how many are drawn, or all where there are no more; when `None`, so many that a pair comes ten times on
            average.
        size: of each subset; half the tasks, at least 2, when `None`.
        chunk: how many samples' gradients are held at once.

    Returns:
        A matrix of kind `co-training`, one reading, rows affected; the diagonal is the mean over all subsets that hold
        the task. NaN where no subset held a pair.

    Raises:
        ConfigError: tasks differ between arguments, nothing is shared, or a number is out of range.
        DataError: a loss that is not finite, or is 0 at θ*; it names the task.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> x = torch.randn(40, 4, generator=draw)
        >>> trunk = nn.Linear(4, 3)
        >>> models = {task: nn.Sequential(trunk, nn.Tanh(), nn.Linear(3, 2)) for task in "abc"}
        >>> data = {"a": (x, (x[:, 0] > 0).long()), "b": (x, (x[:, 0] > 1).long()), "c": (x, (x[:, 1] > 0).long())}
        >>> linearised(models, data, data, dims=8).values.shape
        (3, 3)

    Reference: Li et al. 2024 (Grad-TAG, 2409.06091), Algorithms 1 and 2; VirtuosoResearch/ScalableMTL.
    """
    tasks = tuple(models)
    size = max(2, (len(tasks) + 1) // 2) if size is None else size
    _require(tasks, train, validation, size, dims, penalty)
    shared = _shared(models)
    projection = Projection(dims, seed_of("linearised", seed), dense=True)
    weights = {name: parameter.detach() for name, parameter in shared.items()}
    bundles = {task: _Bundle(task, models[task], shared) for task in tasks}
    fits = {task: bundles[task].features(*train[task], projection, chunk) for task in tasks}
    base = {task: bundles[task].loss(weights, *validation[task]) for task in tasks}
    chosen = _drawn(len(tasks), size, subsets, seed)
    gains = np.full((len(chosen), len(tasks)), np.nan)
    for row, members in enumerate(chosen):
        names = [tasks[place] for place in members]
        moved = projection.back(_fit([fits[name] for name in names], penalty).to(_dtype(weights)), weights)
        there = {name: weights[name] + moved[name] for name in weights}
        for place, name in zip(members, names, strict=True):
            gains[row, place] = 1 - bundles[name].loss(there, *validation[name]) / base[name]
    return Affinity(
        tasks, tasks, "co-training", "linearised", "1 - L(subset)/L(all)", _pair_means(gains), shared=tuple(shared),
        about={"dims": dims, "penalty": penalty, "subsets": len(chosen), "size": size, "seed": seed},
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Fit:
    """A task's samples as the fit sees them: m (N,) at θ*, φ (N, dims), and values to reach, `None` for classes."""

    start: Tensor
    slopes: Tensor
    goal: Tensor | None


class _Bundle:
    """A task's network as a function of the shared weights."""

    def __init__(self, task: str, model: nn.Module, shared: Mapping[str, Tensor]) -> None:
        names = {id(parameter): name for name, parameter in shared.items()}
        self.task, self.model = task, model
        self.own = {own: names[id(p)] for own, p in model.named_parameters() if id(p) in names}

    def features(self, x: Tensor, y: Tensor, projection: Projection, chunk: int) -> _Fit:
        """Each sample's m and projected gradient."""
        classes = not y.is_floating_point()

        def measured(weights: Mapping[str, Tensor], sample: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
            m = _margin(self.outputs(weights, sample[None])[0], target) if classes else self.outputs(
                weights, sample[None]).reshape(())  # fmt: skip
            return m, m.detach()

        weights = {name: p.detach() for own, p in self.model.named_parameters() if (name := self.own.get(own))}
        starts, slopes = [], []
        for begin in range(0, len(x), chunk):
            batch = slice(begin, begin + chunk)
            with _evaluating(self.model):
                each, start = vmap(grad(measured, has_aux=True), in_dims=(None, 0, 0))(weights, x[batch], y[batch])
            starts.append(start)
            slopes.append(projection(each))
        goal = None if classes else y.detach().reshape(len(y)).double()
        return _Fit(torch.cat(starts).detach().double(), torch.cat(slopes).detach().double(), goal)

    def outputs(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the network gives with these shared weights."""
        found: Tensor = functional_call(self.model, {own: weights[name] for own, name in self.own.items()}, (x,))
        return found

    def loss(self, weights: Mapping[str, Tensor], x: Tensor, y: Tensor) -> float:
        """The mean loss over these samples."""
        with torch.no_grad(), _evaluating(self.model):
            outputs = self.outputs(weights, x)
        if y.is_floating_point():
            found = float((outputs.reshape(len(y)) - y.reshape(len(y))).square().mean()) / 2
        else:
            found = float(nn.functional.cross_entropy(outputs, y))
        if not 0 < found < np.inf:
            raise DataError(
                f"the validation loss of task {self.task!r} must be positive and finite, found {found}: give it more "
                f"validation data, or raise `penalty`."
            )
        return found


def _margin(logits: Tensor, target: Tensor) -> Tensor:
    """`z_y - log Σ_{c≠y} exp z_c`: minus the log of its logistic loss is the cross-entropy."""
    own = torch.arange(logits.shape[-1], device=logits.device) == target
    z = torch.where(own, logits, 0.0).sum()
    return z - torch.where(own, -torch.inf, logits).logsumexp(0)


def _fit(parts: Sequence[_Fit], penalty: float, steps: int = 50) -> Tensor:
    """The w that minimises the mean over tasks of each one's mean loss, with the penalty: Newton's method, halving a
    step that does not help.
    """
    dims = parts[0].slopes.shape[1]
    w = parts[0].slopes.new_zeros(dims)
    value = _objective(parts, w, penalty)
    for _ in range(steps):
        slope, bend = penalty * w, penalty * torch.eye(dims, dtype=w.dtype, device=w.device)
        for part in parts:
            m, n = part.start + part.slopes @ w, len(part.start) * len(parts)
            if part.goal is None:
                wrong = torch.sigmoid(-m)
                slope, curve = slope - part.slopes.T @ wrong / n, wrong * (1 - wrong)
            else:
                slope, curve = slope + part.slopes.T @ (m - part.goal) / n, torch.ones_like(m)
            bend = bend + part.slopes.T @ (curve[:, None] * part.slopes) / n
        step = torch.linalg.solve(bend, slope)
        while (after := _objective(parts, w - step, penalty)) > value and float(step.norm()) > 1e-12:
            step = step / 2
        if after > value or value - after <= 1e-12 * max(1.0, abs(value)):
            break
        w, value = w - step, after
    return w


def _objective(parts: Sequence[_Fit], w: Tensor, penalty: float) -> float:
    total = penalty / 2 * float(w @ w)
    for part in parts:
        m = part.start + part.slopes @ w
        loss = nn.functional.softplus(-m) if part.goal is None else (m - part.goal).square() / 2
        total += float(loss.mean()) / len(parts)
    return total


def _pair_means(gains: Array) -> Array:
    """(subsets, T) of f_i(S), NaN outside S, to (T, T) of means over the subsets that hold both."""
    inside = np.isfinite(gains)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Array = np.where(inside, gains, 0.0).T @ inside / (inside.astype(float).T @ inside)
    return means


def _drawn(tasks: int, size: int, count: int | None, seed: int) -> NDArray[np.int64]:
    """Subsets of one size, all there are or drawn with equal chances: (count, size)."""
    share = size * (size - 1) / (tasks * (tasks - 1))
    count = max(1, round(10 / share)) if count is None else count
    if math.comb(tasks, size) <= count:
        return np.array(list(combinations(range(tasks), size)))
    generator = numpy_generator("subsets", seed)
    return np.stack([np.sort(generator.choice(tasks, size, replace=False)) for _ in range(count)])


def _shared(models: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The trained parameters that all models hold, by their names in the first."""
    held = [{id(p) for p in model.parameters()} for model in models.values()]
    first = next(iter(models.values()))
    found: dict[str, Tensor] = {
        n: p for n, p in first.named_parameters() if p.requires_grad and all(id(p) in ids for ids in held)
    }
    if not found:
        raise ConfigError("`models` must share parameters that are trained, found none: give them one trunk.")
    return found


def _require(
    tasks: Sequence[str], train: Mapping[str, Data], validation: Mapping[str, Data], size: int, dims: int,
    penalty: float,
) -> None:
    if len(tasks) < 2:
        raise ConfigError(f"`models` must hold at least two tasks, found {list(tasks)}.")
    for name, given in (("train", train), ("validation", validation)):
        if set(given) != set(tasks):
            raise ConfigError(f"`{name}` must have the tasks of `models`, {sorted(tasks)}, found {sorted(given)}.")
    if not 2 <= size <= len(tasks):
        raise ConfigError(f"`size` must be from 2 to the number of tasks, {len(tasks)}, found {size}.")
    if penalty <= 0 or dims < 1:
        raise ConfigError(f"`penalty` must be positive and `dims` at least 1, found {penalty} and {dims}.")


def _dtype(weights: Mapping[str, Tensor]) -> torch.dtype:
    return next(iter(weights.values())).dtype


class _evaluating:  # noqa: N801  a context manager, named like a function
    """Evaluation mode, and afterwards each part's own again."""

    def __init__(self, model: nn.Module) -> None:
        self.modes = [(module, module.training) for module in model.modules()]
        self.model = model

    def __enter__(self) -> None:
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        for module, mode in self.modes:
            module.training = mode


__all__ = ["linearised"]

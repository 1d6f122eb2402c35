"""What a module is worth: a task's measure with one module left out of its path, beside the measure with it.

Reference: Morcos et al. 2018, "On the importance of single directions for generalization" (1803.06959), where units are
clamped to their mean or to zero; Agresti & Min 2005, "Simple improved confidence intervals for comparing matched
proportions", Statistics in Medicine 24, for the intervals of right and wrong answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pathways.modules import Context, Delta, Frozen, Masked, Value

from .assemble import PathModule, Weights
from .errors import ConfigError, PathwaysError
from .freeze import assembled
from .measure import accuracy, exact_match
from .origin import origin
from .search import refuse_changed
from .seeds import numpy_generator
from .task import Task
from .trainer.evaluate import outputs_of, right_of
from .trainer.numerics import one_thread
from .trainer.samples import Samples, prepare, through

if TYPE_CHECKING:
    from .system import System

HOWS = ("mean", "zero", "identity", "start")
RESAMPLES = 1000


@dataclass(frozen=True)
class LeftOut:
    """What leaving out one module costs one task, on validation data.

    Args:
        module: the blob that was left out.
        task, metric, higher_is_better: whose measure, which, and its sense.
        how: what stood in its place.
        samples: how many validation samples were measured.
        intact, without: the measure of the champion as it is, and without the module.
        cost: how much worse it is without, in the metric's unit; negative where it is better.
        low, high: the 95 % interval of `cost` over samples, which both answered.
        lost, gained: how many samples are answered worse without the module, and how many better.
    """

    module: str
    task: str
    metric: str
    higher_is_better: bool
    how: str
    samples: int
    intact: float
    without: float
    cost: float
    low: float
    high: float
    lost: int
    gained: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def leave_out(system: System, tasks: Iterable[Task], module: str, how: str = "mean") -> list[LeftOut]:
    """Measure what each task's champion loses without one module. Nothing of the system is changed or recorded.

    A module is left out by what is put in place of its output, wherever it stands in the path:

    - `mean`: the mean of its output over the task's training samples as they are, for each entry of the output; where
      the length is variable one mean for all real places. Of the module only what depends on the sample is lost, so
      one that gives every sample the same (it reads nothing, say) costs nothing.
    - `zero`: zeros. For a summand that is the step without it; elsewhere later modules may never have seen such values.
    - `identity`: what it reads first, where that has the port of its output: the path without the module.

    - `start`: the frozen module that it began as a copy of: what its own training is worth to the task.

    In a chain of steps whatever stands in place of a module is all that later ones see: with `mean` and `zero` only a
    constant answer is left, whichever module it is. They tell modules apart where others stand beside them, as in a
    sum; `start` and `identity` do in chains, too.

    What changes a module inside, its deltas, goes with it. A delta that is itself left out leaves its host as it is
    without it, however that is asked for. A router's weights are replaced as an output is. A part (an expert, say) is
    replaced where its holder calls it. The head is a module too: without it only a constant answer is left.

    Measured are validation samples, not test samples: with and without, the same samples in the same order. The
    interval of shares of right answers (`accuracy`, `exact_match`) is that of Agresti and Min; of other metrics it is
    the paired percentile bootstrap over samples, seeded by the run, the module and the task.

    Args:
        system: whose champions are measured.
        tasks: the data of learned tasks; those whose path does not hold the module are passed over.
        module: the blob's id.
        how: `mean`, `zero`, `identity` or `start`.

    Returns:
        One entry for each task whose path holds the module, in the order given.

    Raises:
        ConfigError: another `how`, `identity` where the ports differ, or `start` where it is no copy.
        DataError: a task's data is not what its champion was trained on.
        PathwaysError: a task was not learned, or the module is a part that its holder does not call.
    """
    if how not in HOWS:
        raise ConfigError(f"`how` must be one of {list(HOWS)}, found {how!r}.")
    start = _start(system, module) if how == "start" else ""
    found = []
    for task in tasks:
        if task.name not in system.briefs:
            raise PathwaysError(f"`tasks` must be learned, {list(system.briefs)}, found {task.name!r}.")
        if module in system.briefs[task.name].sizes:
            refuse_changed(system, task)
            with one_thread():
                found.append(_measured(system, task, module, how, start))
    return found


def _start(system: System, module: str) -> str:
    """The frozen module that a module began as a copy of."""
    began = origin(system, module)["began"]
    if began["how"] != "copy":
        raise ConfigError(
            f"`how` can be 'start' where a module began as a copy of a frozen one, found that {module[:12]} did not "
            f"(`{began['how']}`): use 'mean' or 'zero'."
        )
    return str(began["blob"])


def _measured(system: System, task: Task, module: str, how: str, start: str) -> LeftOut:
    path = system.champions[task.name].path
    model = _Without(path, lambda ref: system.pool.get(ref.id), system.families, module, how)  # type: ignore[union-attr]
    model.eval()
    samples = prepare(task, "validation")
    intact = _outputs(model, samples)
    if how == "mean":
        model.doing = "watch"
        _outputs(model, prepare(task, "train"))
    model.doing = "replace"
    if start:
        earlier = path.map_refs(lambda ref: Frozen(start, ref.spec) if ref.id == module else ref)  # type: ignore[union-attr]
        without = _outputs(assembled(earlier, system), samples)
    else:
        without = _outputs(model, samples)
    if not model.met and not start:
        raise PathwaysError(
            f"module {module[:12]} must be called where it stands to be left out, found that its holder in the path of "
            f"{task.name!r} only reads its weights: leave out the holder."
        )
    metric = task.measured_by
    values = [metric.compute(outputs, samples.targets) for outputs in (intact, without)]
    turn = 1.0 if metric.higher_is_better else -1.0
    better = (right_of(task, intact, samples.targets) - right_of(task, without, samples.targets)).numpy()
    lost, gained = int((better > 0).sum()), int((better < 0).sum())
    if metric.compute in (accuracy, exact_match):
        low, high = matched_interval(lost, gained, len(samples))
    else:
        rng = numpy_generator(system.seed, "leave out", module, task.name)
        low, high = _bootstrap(metric.compute, intact, without, samples.targets, turn, rng)
    return LeftOut(
        module, task.name, metric.name, metric.higher_is_better, how, len(samples), values[0], values[1],
        turn * (values[0] - values[1]), low, high, lost, gained,
    )  # fmt: skip


def _outputs(model: PathModule, samples: Samples) -> Tensor:
    return outputs_of(through(model, samples.values, (model.path.output,))[model.path.output])


def matched_interval(lost: int, gained: int, samples: int) -> tuple[float, float]:
    """The 95 % interval of a difference of two shares of right answers on the same samples (Agresti & Min 2005).

    Half a sample is added to each of the four ways in which two answers can be right and wrong, so that it has a width
    even where no answer differs.

    Args:
        lost: samples that only the first answered rightly.
        gained: samples that only the second did.
        samples: all of them.

    >>> [round(end, 3) for end in matched_interval(12, 2, 100)]
    [0.026, 0.17]
    """
    b, c, n = lost + 0.5, gained + 0.5, samples + 2.0
    middle, error = (b - c) / n, float(np.sqrt(b + c - (b - c) ** 2 / n)) / n
    return max(-1.0, middle - 1.959964 * error), min(1.0, middle + 1.959964 * error)


def _bootstrap(
    compute: Callable[[Tensor, Tensor], float], intact: Tensor, without: Tensor, targets: Tensor, turn: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of the cost over samples drawn with replacement, the same for both."""
    costs: list[float] = []
    for _ in range(RESAMPLES):
        rows = torch.from_numpy(rng.integers(len(targets), size=len(targets)))
        costs.append(turn * (compute(intact[rows], targets[rows]) - compute(without[rows], targets[rows])))
    ends: NDArray[np.float64] = np.percentile(costs, [2.5, 97.5])
    return float(ends[0]), float(ends[1])


class _Without(PathModule):
    """A champion in which one module can be watched, or left out, as `doing` says; else it is as it was."""

    def __init__(self, path: Any, weights: Weights, families: Any, module: str, how: str) -> None:
        super().__init__(path, weights, families, lend=True)
        self.doing, self.how, self.met = "", how, 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor | int] = {}
        self._out = {key for key, ref in self._refs.items() if isinstance(ref, Frozen) and ref.id == module}
        placed = {key for plan in self._plan for key in (*plan.modules, *(k for ks in plan.deltas for k in ks))}
        for plan in self._plan:
            if self._out & {*plan.modules, *(key for keys in plan.deltas for key in keys)}:
                plan.__dict__["plain"] = False  # through `_output`
        for key in self._out - placed:  # a router, or a part
            if how == "identity" or isinstance(self.held[key], Delta):
                what = "a router or a part, for 'identity'" if how == "identity" else "a part that changes a module"
                raise ConfigError(f"`module` must be one of a step's own modules, found {what}: leave out its holder.")
            self.held[key].register_forward_hook(partial(self._instead, key))

    def _output(
        self, plan: Any, i: int, reads: list[Value], values: Any, batch: int, context: Context
    ) -> Value:
        """What module `i` of a step gives, or what stands for it."""
        own = set(plan.deltas[i]) & self._out
        if own and self.doing == "replace":
            self.met += 1
            kept = [n for n, key in enumerate(plan.deltas[i]) if key not in own]
            deltas, conditions = list(plan.deltas), list(plan.conditions)
            deltas[i] = tuple(plan.deltas[i][n] for n in kept)
            conditions[i] = tuple(plan.conditions[i][n] for n in kept)
            plan = replace(plan, deltas=tuple(deltas), conditions=tuple(conditions))
        output = super()._output(plan, i, reads, values, batch, context)
        if plan.modules[i] not in self._out:
            return output
        if self.how == "identity" and self.doing == "replace":
            self.met += 1
            return self._read(plan, reads, output)
        return self._instead(plan.modules[i], None, (), output)

    def _read(self, plan: Any, reads: Sequence[Value], output: Value) -> Value:
        ports = self.path.ports(self._families)
        names = self.path.steps[plan.name].reads
        shape = _tensor(output).shape
        if not reads or _tensor(reads[0]).shape != shape or isinstance(reads[0], Masked) != isinstance(output, Masked):
            given = ports[names[0]] if names else "nothing"
            raise ConfigError(
                f"`how` can be 'identity' where a module gives what it reads, found one of step {plan.name!r} that "
                f"reads {given} and gives another port: use 'mean' or 'zero'."
            )
        return reads[0]

    def _instead(self, key: str, _module: Any, _inputs: Any, output: Value) -> Value:
        """What a module gave; noted where it is watched, and replaced where it is left out."""
        if not self.doing:
            return output
        tensor = _tensor(output)
        if not tensor.is_floating_point():
            raise ConfigError(f"`module` must give numbers to be left out, found {tensor.dtype}: leave out another.")
        self.met += self.doing == "replace"
        if self.doing == "watch":
            self._watch(key, output, tensor)
            return output
        if self.how == "zero":
            instead = torch.zeros_like(tensor)
        elif key not in self._sums:
            return output  # a part that no training sample has reached gives what it gives
        else:
            instead = (self._sums[key] / self._counts[key]).to(tensor.dtype).expand_as(tensor)
        return Masked(instead, output.mask) if isinstance(output, Masked) else instead

    def _watch(self, key: str, output: Value, tensor: Tensor) -> None:
        if isinstance(output, Masked):
            real = tensor.double()[output.mask.bool()]
            total, count = real.sum(0), len(real)
        else:
            total, count = tensor.double().sum(0), len(tensor)
        self._sums[key] = self._sums.get(key, torch.zeros_like(total)) + total
        self._counts[key] = self._counts.get(key, 0) + count


def _tensor(value: Value) -> Tensor:
    return value.value if isinstance(value, Masked) else value


__all__ = ["HOWS", "LeftOut", "leave_out", "matched_interval"]

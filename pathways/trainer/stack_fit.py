"""Training a stack: the loop of `fit`, with a leading axis over candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pathways.candidate import Candidate, Measures
from pathways.modules import Draft, Init
from pathways.task import Classes, Task
from pathways.trace import EVALUATE

from .course import Course
from .evaluate import measure_stack, merits_of
from .graphs import Replayed, capturable
from .heads import closed_form
from .stack import Slots, StackedPaths
from .stack_chain import backward, chain_of, forward
from .stack_losses import answers_of, losses_and_pulls, losses_of
from .stack_optimizer import StackOptimizer
from .stack_split import StackSplit
from .stopwatch import Stopwatch

EVALUATION_ROWS = 8192  # candidates x samples in one pass without gradients: what a pass makes stays in the cache


@dataclass(eq=False)
class Fitted:
    """What came of one candidate: measures and curve, or why it failed.

    `place` is where it stands in the program at the end; `None` where it failed or was stopped. `stopped` and `merits`
    are as in `Result`.
    """

    failure: str = ""
    measures: Measures | None = None
    curve: list[tuple[int, str, float]] = field(default_factory=list)
    quality: tuple[float, float] = (float("-inf"), 0.0)
    place: int | None = None
    stopped: int = 0
    merits: dict[str, tuple[str, ...]] = field(default_factory=dict)


def fit_stack(
    candidates: Sequence[Candidate], task: Task, program: StackedPaths, train: StackSplit, validation: StackSplit,
    order: Tensor, graphs: bool = True, watch: Stopwatch | None = None,
) -> list[Fitted]:
    """Train candidates of one outline together, and measure each; `program` then holds the weights to keep.

    A candidate that fails does not touch the others; when half of a stack have failed or were stopped, it goes on
    without them.

    Args:
        candidates: those of `program`, in its order.
        task: the one that all train.
        program: their paths.
        train: what they train on.
        validation: what they are measured on.
        order: (steps, batch), rows of the training values; where the program is.
        graphs: whether steps are captured and replayed, where the program is on a GPU.
        watch: counts what is training and what measuring.
    """
    run = _Run(candidates, task, program, train, validation, order, graphs, watch or Stopwatch())
    run.fit_heads(run.training.head_init, fresh=True)
    every, steps = run.training.evaluate_every, run.training.steps if run.optimizer.parameters else 0
    with torch.enable_grad(), capturable():
        for step in range(steps):
            run.advance(step)
            run.race(step + 1)
            if every and (step + 1) % every == 0 and step + 1 < steps:
                run.measure(step + 1)
    run.measure(run.training.steps)
    run.watch.to(EVALUATE)
    run.restore()
    run.refit_heads()
    for place, k in enumerate(run.alive):
        run.fitted[k].place = None if k in run.stopped else place
    for fitted, course in zip(run.fitted, run.courses, strict=True):
        fitted.merits = course.record()
    return run.fitted


class _Run:
    """The state of one stack's training."""

    def __init__(
        self, candidates: Sequence[Candidate], task: Task, program: StackedPaths, train: StackSplit,
        validation: StackSplit, order: Tensor, graphs: bool, watch: Stopwatch,
    ) -> None:
        self.candidates, self.task, self.program = tuple(candidates), task, program
        self.train, self.validation, self.order = train, validation, order
        self.targets = train.targets[order % len(train)]  # of every step
        self.training, self.watch = candidates[0].training, watch
        self.name = next(iter(candidates[0].paths))
        self.chain = chain_of(program)
        self.optimizer = StackOptimizer(program.layers(), [c.training for c in candidates])
        self.fitted = [Fitted() for _ in candidates]
        self.alive = list(range(len(candidates)))  # which candidate stands at each place of the stack
        self.stopped: set[int] = set()
        self.courses = [Course(candidate) for candidate in candidates]
        self.points = {point for course in self.courses for point in course.points}
        k, device = len(candidates), torch.device(program.device)
        self.columns = torch.arange(k, device=device)
        self.losses = torch.zeros(self.training.steps, k, device=device)
        self.seen = torch.zeros(k, device=device)
        self.taken = 0  # steps
        smoothing = [c.training.label_smoothing for c in candidates]
        self.smoothing = torch.tensor(smoothing, device=device) if any(smoothing) else None
        self.kept: dict[tuple[int, str], Tensor] = {}
        self.back: list[int] = []
        self.answers = validation.targets.cpu()  # measures are taken on the processor
        self.at = torch.zeros(1, dtype=torch.long, device=device)  # the step, where a graph finds it
        self.replayed = Replayed(device) if graphs and device.type == "cuda" else None

    # -- a step -------------------------------------------------------------------------------------------

    def advance(self, step: int) -> None:
        """The next step, as it is or as a graph."""
        if self.replayed is None:
            self.step(step, self.order[step], self.targets[step])
        else:
            self.replayed(self.step_in_place)
        self.taken += 1

    def step_in_place(self) -> None:
        """The next step, by a number that stands in a tensor and is counted up: what a graph does at every replay."""
        self.step(self.at, self.order.index_select(0, self.at)[0], self.targets.index_select(0, self.at)[0])
        self.at += 1

    def step(self, step: int | Tensor, index: Tensor, targets: Tensor) -> None:
        """One optimizer step of all candidates on the training rows `index`; `step` is its number, or (1,) holds it."""
        self.program.train()
        scale = self.optimizer.begin(step)
        values = self.train.values(index)
        if self.chain is None:
            outputs = self.program(values)
            losses = losses_of(self.task, outputs, targets, self.smoothing)
            (losses if scale is None else losses * scale).sum().backward()
            outputs, losses = outputs.detach(), losses.detach()
        else:
            with torch.no_grad():
                outputs = forward(self.chain, values)
                losses, pulls = losses_and_pulls(self.task, outputs, targets, self.smoothing, scale)
                backward(self.chain, pulls)
        if len(self.alive) == len(self.fitted) and isinstance(step, int):
            self.losses[step] = losses
        else:
            self.losses[step, self.columns] = losses
        if self.training.fitness == "training":
            self.seen.index_add_(0, self.columns, answers_of(self.task, outputs, targets))
        if self.chain is None or not self.optimizer.fused:
            self.optimizer.step(step)

    # -- measuring ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def race(self, step: int) -> None:
        """Stop the candidates whose races are lost after `step` steps."""
        if step not in self.points:
            return
        before = self.watch.to(EVALUATE)
        outputs, lost = self._outputs(self.validation).cpu(), []
        for place, k in enumerate(self.alive):
            if k in self.stopped or step not in self.courses[k].points:
                continue
            merits = merits_of(self.task, outputs[place], self.answers)
            if self.courses[k].stops({self.name: merits}):
                lost.append(place)
        for place, found in self._measured(outputs, lost, step):
            k = self.alive[place]
            self.fitted[k].stopped, self.fitted[k].measures = step, found
            self.fitted[k].curve.append((step, self.name, found.validation))
            self._stop(k)
        self._compact()
        self.watch.to(before)

    @torch.no_grad()
    def measure(self, step: int) -> None:
        """Measure every candidate on validation data after `step` steps, and keep the weights that are best."""
        last, before = step >= self.training.steps, self.watch.to(EVALUATE)
        outputs = self._outputs(self.validation).cpu()
        losses = self.losses[:step].cpu()
        finite = torch.isfinite(losses)
        broken = {k: int(finite[:, k].int().argmin()) for k in (~finite.all(0)).nonzero().flatten().tolist()}
        for k in broken.keys() - self.stopped:
            self._fail(k, f"the loss became {float(losses[broken[k], k])} at step {broken[k]}")
        found = self._measured(outputs, self._places(), step)
        improved = [place for place, one in found if self._see(self.fitted[self.alive[place]], one, step, last)]
        self._keep(improved, last)
        if not last:
            self._compact()
        self.watch.to(before)

    def _places(self) -> list[int]:
        """Where the candidates stand that were not stopped."""
        return [place for place, k in enumerate(self.alive) if k not in self.stopped]

    def _measured(
        self, outputs: Tensor, places: Sequence[int], step: int, *, fitness: bool = True
    ) -> list[tuple[int, Measures]]:
        """The measures of the candidates at these places; those whose outputs are not finite fail."""
        if not places:
            return []
        counted = [self._fitness(self.alive[place]) if fitness else None for place in places]
        measured = measure_stack(self.task, outputs[list(places)], self.answers, counted)
        for place, found in zip(places, measured, strict=True):
            if found is None:
                why = f"validation outputs became NaN or infinite on task {self.name!r} after {step} steps"
                self._fail(self.alive[place], why)
        return [(place, found) for place, found in zip(places, measured, strict=True) if found is not None]

    def _fail(self, k: int, why: str) -> None:
        self.fitted[k].failure = f"FloatingPointError: {why}"
        self._stop(k)

    def _stop(self, k: int) -> None:
        """Train candidate `k` no further."""
        self.stopped.add(k)
        self.optimizer.stop([self.alive.index(k)])
        if self.replayed is not None:
            self.replayed.reset()

    def _compact(self) -> None:
        """Where half of the stack are stopped, go on without them; never with less than two."""
        if not 2 * len(self.stopped.intersection(self.alive)) >= len(self.alive) > 2:
            return
        places = self._places()
        places += [place for place, k in enumerate(self.alive) if k in self.stopped][: max(0, 2 - len(places))]
        kept = torch.tensor(sorted(places), device=self.columns.device)
        self.alive = [self.alive[place] for place in kept.tolist()]
        self.columns = self.columns[kept]
        self.program.select(kept)
        self.chain = chain_of(self.program)
        self.optimizer.select(kept)
        self.train, self.validation = self.train.select(kept), self.validation.select(kept)
        self.smoothing = None if self.smoothing is None else self.smoothing[kept]
        self.kept = {key: tensor[kept] for key, tensor in self.kept.items()}

    def _fitness(self, k: int) -> float | None:
        if self.training.fitness != "training" or not self.taken:
            return None
        return float(self.seen[k]) / (self.taken * self.training.batch)

    def _see(self, fitted: Fitted, found: Measures, step: int, last: bool) -> bool:
        """Take a measurement; whether the weights as they are now are the ones to keep."""
        fitted.curve.append((step, self.name, found.validation))
        quality = (found.quality, -found.loss)
        best = quality >= fitted.quality if self.training.keep == "best" else last
        if best:
            fitted.quality, fitted.measures = quality, found
        elif last and fitted.measures is not None and self.training.fitness == "training":
            # The fitness counts all training batches, whichever weights are kept.
            fitted.measures = replace(fitted.measures, fitness=found.fitness)
        return best

    def _keep(self, improved: Sequence[int], last: bool) -> None:
        """Copy the weights of candidates that improved; after the last step, note which are to be put back."""
        if last:
            self.back = [p for p, k in enumerate(self.alive) if p not in improved and k not in self.stopped]
            return
        for key, tensor in self._tensors():
            kept = self.kept.setdefault(key, tensor.detach().clone())
            kept[improved] = tensor.detach()[improved]

    @torch.no_grad()
    def restore(self) -> None:
        """Put back the weights of candidates whose last were not their best."""
        if self.back and self.kept:
            for key, tensor in self._tensors():
                tensor.data[self.back] = self.kept[key][self.back]

    def _tensors(self) -> Iterator[tuple[tuple[int, str], Tensor]]:
        """What training changes, weights and buffers, by layer and name."""
        for i, layer in enumerate(self.program.layers()):
            if any(layer.drafts):
                yield from (((i, name), tensor) for name, tensor in layer.stack.tensors.items())

    @torch.no_grad()
    def _outputs(self, split: StackSplit, last: int = 0) -> Tensor:
        """What the program gives for all samples, in evaluation mode, in large batches."""
        self.program.train(False)
        size = max(64, EVALUATION_ROWS // len(self.alive))
        chunks = [
            self.program(split.values(slice(start, start + size)), last) for start in range(0, split.rows, size)
        ]
        outputs = torch.cat(chunks, 1)
        return outputs if last else outputs.expand(len(self.alive), *outputs.shape[1:])

    # -- heads --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def fit_heads(self, kind: str, *, fresh: bool) -> bool:
        """Fit linear classifiers in closed form, or set heads to zero; with `fresh` those from random weights only.

        Returns:
            Whether any was set.
        """
        head = self.program.stages[-1].layers[0]
        if kind in ("random", "none") or not isinstance(head, Slots) or head.stack.slots > 1:
            return False
        places = [place for place, k in enumerate(self.alive) if k not in self.stopped and self._has_own_head(k, fresh)]
        if kind == "zeros":
            for tensor in head.parameters.values():
                tensor.data[places] = 0.0
            return bool(places)
        if not places or not (hasattr(head.shell, "linear") and isinstance(self.task.target, Classes)):
            return False
        features = self._outputs(self.train, last=1)
        weight, bias = head.stack["linear.weight"].data, head.stack["linear.bias"].data
        found: dict[int, tuple[Tensor, Tensor]] = {}
        for k in places:
            own = min(k, len(features) - 1)  # one set of features where all candidates read the same
            if own not in found:
                targets, classes = self.train.targets, self.task.target.n
                found[own] = closed_form(features[own], targets, classes, shared=kind == "discriminant")
            weight[k, 0], bias[k, 0] = found[own]
        return True

    def _has_own_head(self, k: int, fresh: bool) -> bool:
        path = self.candidates[k].paths[self.name]
        ref = path.steps[path.head].modules[0]
        return isinstance(ref, Draft) and (isinstance(ref.start, Init) or not fresh)

    @torch.no_grad()
    def refit_heads(self) -> None:
        """Fit the heads anew to the trained features, and measure again; a fitness counted in training stays."""
        if not self.fit_heads(self.training.head_refit, fresh=False):
            return
        places = [place for place in self._places() if self.fitted[self.alive[place]].measures is not None]
        outputs = self._outputs(self.validation).cpu()
        for place, new in self._measured(outputs, places, self.training.steps, fitness=False):
            fitted = self.fitted[self.alive[place]]
            old = fitted.measures
            assert old is not None
            fitness = old.fitness if self.training.fitness == "training" else new.quality
            fitted.measures = replace(new, fitness=fitness)
            fitted.curve.append((self.training.steps, self.name, new.validation))


__all__ = ["Fitted", "fit_stack"]

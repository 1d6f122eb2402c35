"""Training: the loop of every candidate, the order of its batches, and which weights it keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from pathways.assemble import PathModule
from pathways.candidate import Augment, Candidate, Measures
from pathways.modules import Context, Delta, Image, Module, Value
from pathways.pool import Tensors
from pathways.sampler import turns
from pathways.seeds import torch_generator
from pathways.task import Classes, Task, Values
from pathways.trace import EVALUATE

from .augment import Changes, changed
from .course import Course
from .divided import Divided
from .evaluate import loss_of, measure, merits_of, outputs_of, right_of
from .optimizer import begin_where_state_is_lacking, clip, multiplier, set_learning_rate, state_of
from .precision import products_in
from .record import Recorder
from .samples import Samples, rows, through
from .stopwatch import Stopwatch
from .team import Team


@dataclass(frozen=True, eq=False)
class Work:
    """One task of a candidate: its model, and its samples as the trainable part of the path reads them.

    With `augment`, training samples are whole inputs, which are changed anew in every batch.
    """

    name: str
    task: Task
    model: PathModule
    train: Samples
    validation: Samples
    augment: Augment | None = None

    def draw(self, n: int, generator: torch.Generator) -> dict[str, Changes]:
        """How the images of a batch of n samples are changed, by input, where that is done in every batch."""
        if self.augment is None:
            return {}
        ports = {name: self.task.inputs[name] for name in self.train.values}
        return {
            name: Changes.draw((n, *port.shape), self.augment, generator)  # type: ignore[arg-type]
            for name, port in ports.items() if isinstance(port, Image)
        }

    def batch(self, index: Tensor, drawn: Mapping[str, Changes]) -> dict[str, Value]:
        """The training values at `index`, images changed as was drawn for them."""
        values = rows(self.train.values, index)
        if self.augment is None:
            return values
        return {
            name: changed(value, self.augment, drawn[name]) if isinstance(value, Tensor) and name in drawn
            else value for name, value in values.items()
        }


@dataclass(eq=False)
class Outcome:
    """What training leaves behind."""

    measures: dict[str, Measures] = field(default_factory=dict)
    curve: list[tuple[int, str, float]] = field(default_factory=list)
    blobs: dict[str, str] = field(default_factory=dict)
    optimizers: dict[str, str] = field(default_factory=dict)
    states: dict[str, Tensors] = field(default_factory=dict)
    stopped: int = 0
    merits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    readings: list[tuple[int, str]] = field(default_factory=list)
    reading_seconds: float = 0.0
    cpu_elsewhere: float = 0.0


def fit(candidate: Candidate, works: Sequence[Work], drafts: Mapping[str, Module | Delta],
        optimizer: torch.optim.Optimizer, watch: Stopwatch, team: Team | None = None) -> Outcome:
    """Train the drafts on all works together and measure; the loop of every candidate.

    Args:
        candidate: what to train.
        works: its tasks.
        drafts: what trains, by name.
        optimizer: over the drafts.
        watch: counts what time goes into.
        team: who computes the parts of its batches; this process all of them where not given. What rank 0 alone does,
            to measure and to keep weights, is left out on other ranks.

    Raises:
        FloatingPointError: the loss became NaN or infinite; the message names the step.
    """
    training, outcome, best = candidate.training, Outcome(), _Best(candidate, drafts, optimizer)
    team = team or Team.alone(candidate.workers)
    orders = [batch_order(candidate, work).to(work.train.targets.device) for work in works]
    samples = [order % len(work.train) for order, work in zip(orders, works, strict=True)]
    turns = task_order(candidate, works)
    noise = torch_generator("noise", candidate.run, candidate.unraced, candidate.repeat)
    changes = torch_generator("changes", candidate.run, *sorted(candidate.paths), candidate.order)
    fitness = _Fitness(works) if training.fitness == "training" else None
    parameters = [p for draft in drafts.values() for p in draft.parameters()]
    course = Course(candidate)
    record, recorder = candidate.record, None
    if record is not None and record.while_training:
        recorder = Recorder(record, candidate, works, drafts, optimizer, (noise, changes))

    divided = Divided(candidate, team, drafts, parameters, len(works)) if candidate.workers > 1 else None

    def batches() -> list[tuple[dict[str, Value], Tensor]]:
        return [
            (work.batch(order[step], work.draw(training.batch, changes)),
             work.train.targets.index_select(0, sample[step]))
            for work, order, sample in zip(works, orders, samples, strict=True)
        ]  # fmt: skip

    def forward(
        step: int, draws: Sequence[Mapping[str, Changes]], cut: slice | None, source: torch.Generator
    ) -> tuple[Tensor, list[Tensor]]:
        """The mean loss of these samples of a step's batches, or of all, and what of them counts for the fitness."""
        context = Context(generator=source)
        losses, counts = [], []
        for i, drawn in zip(turns[step], draws, strict=True):
            work, index, sample = works[i], orders[i][step], samples[i][step]
            if cut is not None:
                index, sample = index[cut], sample[cut]
                drawn = {name: of_image.of(cut) for name, of_image in drawn.items()}
            targets = work.train.targets.index_select(0, sample)
            batch = work.batch(index, drawn)
            with products_in(training.precision, targets.device.type):
                outputs = outputs_of(work.model(batch, context))
            losses.append(loss_of(work.task, outputs, targets, training.label_smoothing))
            if fitness is not None:
                counts.append(fitness.count(i, outputs, targets))
        extra = context.total_loss()
        loss = torch.stack(losses).mean() if len(losses) > 1 else losses[0]
        return loss if extra is None else loss + extra, counts

    for step in range(training.steps if parameters else 0):
        set_learning_rate(optimizer, multiplier(step, training), training)
        if recorder is not None:
            before = watch.to(EVALUATE)
            recorder.see(step, batches)
            watch.to(before)
        draws = [works[i].draw(training.batch, changes) for i in turns[step]]
        if divided is None:
            loss, counts = forward(step, draws, None, noise)
            value = loss.item()
        else:
            value, counts = divided.backward(partial(forward, step, draws))
        if fitness is not None:
            fitness.see(turns[step], counts, training.batch)
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {step}")
        if divided is None:
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
        clip(parameters, training.clip)
        begin_where_state_is_lacking(optimizer)
        optimizer.step()
        if step + 1 in course.points:
            before = watch.to(EVALUATE)
            if team.told(lambda: course.stops(_merits(works))):
                outcome.stopped = step + 1
                break
            watch.to(before)
        due = training.evaluate_every and (step + 1) % training.evaluate_every == 0 and step + 1 < training.steps
        if due and team.leads:
            before = watch.to(EVALUATE)
            best.see(outcome, step + 1, measure_all(works, fitness, step + 1))
            watch.to(before)
    watch.to(EVALUATE)
    team.end()
    if divided is not None:
        outcome.cpu_elsewhere = divided.cpu_elsewhere
    if not team.leads:
        return outcome
    outcome.merits = course.record()
    if recorder is not None:
        outcome.readings, outcome.reading_seconds = recorder.readings, recorder.seconds
    if outcome.stopped:
        outcome.measures = measure_all(works, fitness, outcome.stopped)
        outcome.curve += [(outcome.stopped, name, m.validation) for name, m in outcome.measures.items()]
        return outcome
    best.see(outcome, training.steps, measure_all(works, fitness, training.steps))
    best.restore(outcome)
    return outcome


@torch.no_grad()
def _merits(works: Sequence[Work]) -> dict[str, Tensor]:
    """How well every work's validation samples are answered now."""
    found = {}
    for work in works:
        output = work.model.path.output
        outputs = outputs_of(through(work.model, work.validation.values, (output,))[output])
        found[work.name] = merits_of(work.task, outputs, work.validation.targets)
    return found


@torch.no_grad()
def measure_all(works: Sequence[Work], fitness: _Fitness | None, step: int) -> dict[str, Measures]:
    """The validation measures of every work after `step` steps.

    Raises:
        FloatingPointError: one is NaN or infinite; the message names task and step.
    """
    measures = {}
    for i, work in enumerate(works):
        output = work.model.path.output
        outputs = outputs_of(through(work.model, work.validation.values, (output,))[output])
        try:
            seen = None if fitness is None else fitness.of(i)
            found = measure(work.task, outputs, work.validation.targets, seen)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} on task {work.name!r} after {step} steps") from None
        measures[work.name] = found
    return measures


def batch_order(candidate: Candidate, work: Work) -> Tensor:
    """The order of a work's samples: see `order_of`."""
    return order_of(candidate, work.name, len(work.train), work.train.views)


def order_of(candidate: Candidate, task: str, n: int, views: int) -> Tensor:
    """The samples of every step, (steps, batch) rows of `views * n` training values: epochs of permutations.

    Each sample is seen in a random view. The order depends on run, task and the candidate's `order` only, so
    contestants see the same batches.
    """
    training = candidate.training
    generator = torch_generator("order", candidate.run, task, candidate.order)
    needed, drawn, chunks = training.steps * training.batch, 0, []
    while drawn < needed:
        sample = torch.randperm(n, generator=generator)
        view = torch.randint(0, views, (n,), generator=generator)
        chunks.append(view * n + sample)
        drawn += n
    if not chunks:
        return torch.empty(0, training.batch, dtype=torch.long)
    return torch.cat(chunks)[:needed].reshape(training.steps, training.batch)


def task_order(candidate: Candidate, works: Sequence[Work]) -> list[list[int]]:
    """Which works each step trains: all of them, or one; see `turns`."""
    generator = torch_generator("tasks", candidate.run, *sorted(candidate.paths), candidate.order)
    names, samples = [work.name for work in works], [len(work.train) for work in works]
    return turns(candidate.sampler, names, samples, candidate.training.steps, generator)


class _Fitness:
    """The share of right answers on training batches as they were seen, where a candidate asks for it."""

    def __init__(self, works: Sequence[Work]) -> None:
        self.works = works
        self.total = [torch.zeros((), device=work.train.targets.device) for work in works]
        self.seen = [0] * len(works)

    def count(self, i: int, outputs: Tensor, targets: Tensor) -> Tensor:
        """What samples of work `i` add: right answers, or squared errors, negated."""
        if isinstance(self.works[i].task.target, Classes):
            return (outputs.detach().argmax(1) == targets).sum()
        if not isinstance(self.works[i].task.target, Values):
            return right_of(self.works[i].task, outputs.detach(), targets).sum().to(outputs.dtype)
        return -((outputs.detach() - targets).square().mean() * len(targets))

    def see(self, turn: Sequence[int], counts: Sequence[Tensor], batch: int) -> None:
        """Take what a step has counted for the works whose turn it was, of `batch` samples each."""
        for i, count in zip(turn, counts, strict=False):
            self.total[i] += count
            self.seen[i] += batch

    def of(self, i: int) -> float | None:
        """The mean over what was seen; for values the mean squared error, negated. `None` before anything was seen."""
        return float(self.total[i]) / self.seen[i] if self.seen[i] else None


class _Best:
    """Keeps the weights of the best measurement, or of the last."""

    def __init__(
        self, candidate: Candidate, drafts: Mapping[str, Module | Delta], optimizer: torch.optim.Optimizer
    ) -> None:
        self.training = candidate.training
        self.keep_state = candidate.optimizer_state
        self.drafts = drafts
        self.optimizer = optimizer
        self.quality = (float("-inf"), 0.0)
        self.weights: dict[str, Tensors] | None = None

    def see(self, outcome: Outcome, step: int, measures: Mapping[str, Measures]) -> None:
        """Take a measurement; equal qualities are decided by the lower loss, then by the later step."""
        outcome.curve += [(step, name, m.validation) for name, m in measures.items()]
        n = len(measures)
        quality = (sum(m.quality for m in measures.values()) / n, -sum(m.loss for m in measures.values()) / n)
        last = step >= self.training.steps
        if self.training.keep == "last" and not last:
            return
        if self.training.keep == "last" or quality >= self.quality:
            self.quality = quality
            outcome.measures = self._with_fitness(measures)
            self.weights = None if last else self._snapshot(outcome)
        elif last:
            # The fitness counts all training batches, whichever weights are kept.
            outcome.measures = {
                name: Measures(m.validation, m.quality, m.loss, self._fitness(m, measures[name]), m.samples)
                for name, m in outcome.measures.items()
            }

    def _with_fitness(self, measures: Mapping[str, Measures]) -> dict[str, Measures]:
        return {
            name: Measures(m.validation, m.quality, m.loss, self._fitness(m, m), m.samples)
            for name, m in measures.items()
        }

    def _fitness(self, kept: Measures, seen: Measures) -> float:
        return seen.fitness if self.training.fitness == "training" else kept.quality

    def _snapshot(self, outcome: Outcome) -> dict[str, Tensors]:
        if self.keep_state:
            outcome.states = {name: state_of(self.optimizer, d) for name, d in self.drafts.items()}
        return {name: {k: t.clone() for k, t in d.state_dict().items()} for name, d in self.drafts.items()}

    def restore(self, outcome: Outcome) -> None:
        """Put the kept weights back into the drafts."""
        if self.weights is None:
            outcome.states = {}
            return
        for name, draft in self.drafts.items():
            draft.load_state_dict(self.weights[name])


__all__ = ["Outcome", "Work", "batch_order", "fit", "measure_all", "order_of", "task_order"]

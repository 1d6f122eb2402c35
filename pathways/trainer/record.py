"""What a trainer measures beside quality: affinity between a candidate's tasks while they train, or transferability."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pathways.affinity.moment import Moment
from pathways.affinity.table import ESTIMATORS
from pathways.candidate import Candidate, Training
from pathways.errors import ConfigError, DataError
from pathways.modules import Context, Delta, Module, Value
from pathways.recording import Record, pack_reading
from pathways.seeds import torch_generator
from pathways.task import Classes, Values

from .evaluate import loss_of, outputs_of
from .samples import through

if TYPE_CHECKING:
    from .fit import Work


class Recorder:
    """Measures a candidate's affinity at some of its steps; everything is afterwards as it was, to the bit.

    Args:
        record: what is measured, and when.
        candidate: whose it is.
        works: its tasks.
        drafts: what trains, by name; shared is what stands in the paths of several tasks.
        optimizer: of the drafts, whose rates and momentum are read.
        generators: what batches and forward passes draw from.

    Raises:
        ValueError: the tasks share nothing that trains, or there is just one.
    """

    def __init__(
        self, record: Record, candidate: Candidate, works: Sequence[Work], drafts: Mapping[str, Module | Delta],
        optimizer: torch.optim.Optimizer, generators: Sequence[torch.Generator],
    ) -> None:
        self.record, self.works, self.optimizer = record, works, optimizer
        self.training, self.generators = candidate.training, tuple(generators)
        names = [name for path in candidate.paths.values() for name in path.drafts()]
        self.shared = {
            f"{name}.{of}": parameter for name, draft in drafts.items() if names.count(name) > 1
            for of, parameter in draft.named_parameters()
        }  # fmt: skip
        if not self.shared:
            raise ValueError(
                f"`record` {record.estimator!r} needs several tasks whose paths share a "
                f"module that trains, found {sorted(candidate.paths)}: give their drafts one name"
            )
        self.models = nn.ModuleList([work.model for work in works])
        self.measure = estimator(record, torch_generator("record", candidate.run, candidate.unraced, candidate.repeat))
        self.readings: list[tuple[int, str]] = []
        self.seconds = 0.0

    def see(self, step: int, batches: Callable[[], Sequence[tuple[Mapping[str, Value], Tensor]]]) -> None:
        """Measure before the optimizer takes step number `step`, where it is due.

        Args:
            step: counted from 0.
            batches: gives the values and targets of every work in this step; may draw from the generators.
        """
        if step % self.record.every:
            return
        began = time.process_time()
        states = [generator.get_state() for generator in self.generators]
        losses = {
            work.name: partial(_loss, work, values, targets, self.training, self.generators[0])
            for work, (values, targets) in zip(self.works, batches(), strict=True)
        }
        try:
            reading = self.measure(self._moment(losses))
        except DataError as error:  # of this candidate's numbers: it failed, others may not
            raise FloatingPointError(f"at step {step}, {error}") from None
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)
        self.readings.append((step, pack_reading(reading)))
        self.seconds += time.process_time() - began

    def _moment(self, losses: Mapping[str, Callable[[], Tensor]]) -> Moment:
        groups = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        velocity = {
            name: state["momentum_buffer"] for name, parameter in self.shared.items()
            if (state := self.optimizer.state.get(parameter, {})).get("momentum_buffer") is not None
        }  # fmt: skip
        return Moment(
            tuple(work.name for work in self.works), losses, self.shared,
            rate=next(float(groups[id(p)]["lr"]) for p in self.shared.values()), velocity=velocity,
            momentum=self.training.momentum if velocity else 0.0,
            weight_decay={name: float(groups[id(p)]["weight_decay"]) for name, p in self.shared.items()},
            module=self.models, generators=self.generators,
        )


def estimator(record: Record, generator: torch.Generator | None = None) -> Callable[..., Any]:
    """The function that a record names, with its options, and with a generator where it draws.

    Raises:
        ConfigError: an option that it does not have.
    """
    file, name = ESTIMATORS[record.estimator].split(":")
    function = getattr(import_module(f"pathways.affinity.{file}"), name)
    known = [p.name for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    options = [option for option in known if option != "generator"]
    if unknown := sorted(set(record.options) - set(options)):
        raise ConfigError(f"`options` of `{record.estimator}` must be among {options}, found {unknown[0]!r}.")
    draws = {"generator": generator} if "generator" in known else {}
    return partial(function, **record.options, **draws)


@torch.no_grad()
def transferability(record: Record, works: Sequence[Work]) -> str:
    """What a record of transferability finds for each work, (tasks,), packed: on the features that its head reads.

    Samples are seen in their first view.
    """
    measure, found = estimator(record), []
    for work in works:
        if not isinstance(work.task.target, (Classes, Values)):
            raise ValueError(
                f"`{record.estimator}` is defined for classes and values, found {work.task.target.kind} in task "
                f"{work.task.name!r}: choose parents by another rule."
            )
        read = work.model.path.steps[work.model.path.head].reads[0]
        features = through(work.model, work.train.values, (read,))[read]
        n = len(work.train.targets)
        found.append(float(measure(features[:n].cpu().double(), work.train.targets.cpu())))  # type: ignore[union-attr]
    return pack_reading(np.array(found))


def _loss(
    work: Work, values: Mapping[str, Value], targets: Tensor, training: Training, noise: torch.Generator
) -> Tensor:
    """A work's loss on a batch, as its training sees it, in float32."""
    context = Context(generator=noise)
    loss = loss_of(work.task, outputs_of(work.model(values, context)), targets, training.label_smoothing)
    extra = context.total_loss()
    return loss if extra is None else loss + extra


__all__ = ["Recorder", "estimator", "transferability"]

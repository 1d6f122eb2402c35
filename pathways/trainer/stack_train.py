"""Training the candidates of one stack: their data, their program, their blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pathways.candidate import Candidate
from pathways.modules import Draft, Init, ModuleRef
from pathways.stack_plan import trained_part

from .fit import Outcome, order_of
from .samples import Samples
from .stack import StackedPaths
from .stack_fit import Bound, Fitted, StackSplit, fit_stack
from .stored import Held

if TYPE_CHECKING:
    from .train import Trainer


class TooLarge(Exception):  # noqa: N818
    """The activations of a frozen prefix are too large to be held, so that each candidate must run its prefix."""


def train_stack(trainer: Trainer, candidates: Sequence[Candidate], slots: Sequence[int]) -> list[Outcome | str]:
    """Train and store candidates of one shape as one program; for each what came of it, or why it failed.

    Args:
        trainer: whose data, pool and caches to use.
        candidates: of one `stack_plan.shape`.
        slots: as in `stack_plan.Group`.

    Raises:
        TooLarge: they must be trained one by one.
    """
    # A stack of one gets a twin: alone, nothing would tell values that all share from values of its own.
    members = [*candidates, *candidates] if len(candidates) == 1 else list(candidates)
    first, name = members[0], next(iter(members[0].paths))
    task = trainer.task_of(first, name)
    paths = [candidate.paths[name] for candidate in members]
    samples = {split: [_read(trainer, c, name, split) for c in members] for split in ("train", "validation")}
    trainings = [candidate.training for candidate in members]
    boundaries = [trained_part(path, training)[1] for path, training in zip(paths, trainings, strict=True)]
    train, validation = (_split(samples[split], boundaries) for split in ("train", "validation"))

    def weights(k: int, ref: ModuleRef) -> Mapping[str, Tensor] | torch.Generator:
        return trainer.weights(members[k], ref)

    shared = [bound.which is None for bound in train.bounds]
    program = StackedPaths(paths, trainings, weights, shared, slots, trainer.families)
    some = samples["train"][0]
    order = order_of(first, name, len(some), some.views)
    fitted = fit_stack(members, task, program, train, validation, order)[: len(candidates)]
    best = _fittest(candidates, fitted)
    return [_stored(trainer, name, c, program, f, best) for c, f in zip(candidates, fitted, strict=True)]


def _read(trainer: Trainer, candidate: Candidate, name: str, split: str) -> Samples:
    """What the trainable part of a candidate's path reads of a split."""
    path, task = candidate.paths[name], trainer.task_of(candidate, name)
    augment = trainer.changes_of(candidate, split)
    samples = trainer.prepared(task, split, augment)
    prefix, boundary = trained_part(path, candidate.training)
    if not prefix:
        return samples
    beyond = trainer.beyond_prefix(path, samples, lambda: trainer.assemble(candidate)[0][name])
    if not set(boundary) <= set(beyond.values):
        raise TooLarge
    return beyond


def _split(samples: Sequence[Samples], boundaries: Sequence[Sequence[str]]) -> StackSplit:
    """The samples of all candidates, each distinct value once."""
    bounds = []
    for place in range(len(boundaries[0])):
        values = [some.values[names[place]] for some, names in zip(samples, boundaries, strict=True)]
        distinct: dict[int, Held] = {id(value): value for value in values}
        position = {key: i for i, key in enumerate(distinct)}
        which = torch.tensor([position[id(value)] for value in values]) if len(distinct) > 1 else None
        bounds.append(Bound(tuple(distinct.values()), which))  # type: ignore[arg-type]
    return StackSplit(tuple(bounds), samples[0].targets)


def _fittest(candidates: Sequence[Candidate], fitted: Sequence[Fitted]) -> dict[str, str]:
    """The fittest of the candidates that start a draft from the same weights, by what it is and starts from.

    Of equals the one of the lower hash, as a tournament has it.
    """
    best: dict[str, tuple[float, str]] = {}
    for candidate, found in zip(candidates, fitted, strict=True):
        if found.place is not None and found.measures is not None:
            rank = (-found.measures.fitness, candidate.hash)
            for draft in candidate.drafts().values():
                key = _start(draft)
                best[key] = min(best.get(key, rank), rank)
    return {key: hash for key, (_, hash) in best.items()}


def _start(draft: Draft) -> str:
    """What tells whether two drafts start from the same weights; `Init()` draws weights for each candidate."""
    return f"{draft.spec.canonical} {draft.start}"


def _stored(
    trainer: Trainer, name: str, candidate: Candidate, program: StackedPaths, fitted: Fitted, best: Mapping[str, str]
) -> Outcome | str:
    if fitted.failure or fitted.measures is None:
        return fitted.failure
    outcome = Outcome({name: fitted.measures}, fitted.curve, stopped=fitted.stopped, merits=fitted.merits)
    place = fitted.place
    if place is None:
        return outcome
    all_of_it = candidate.keep == "all"
    kept = [name for name, draft in candidate.drafts().items()
            if all_of_it or draft.start == Init() or best[_start(draft)] == candidate.hash]
    trainer.store(candidate, outcome, lambda draft: program.tensors_of(place, draft), kept)
    return outcome


__all__ = ["TooLarge", "train_stack"]

"""Training the candidates of one stack: their data, their program, their blobs."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from pathways.candidate import Candidate
from pathways.modules import Draft, Init, ModuleRef, Start
from pathways.path import Path
from pathways.stack_plan import summed, trained_part, trains
from pathways.trace import STORE, TRAIN

from .fit import Outcome, order_of
from .frozen_sums import frozen_sum
from .keys import changes_of
from .samples import Samples
from .stack import StackedPaths
from .stack_fit import Fitted, fit_stack
from .stack_split import Bound, Part, StackSplit
from .stored import size

if TYPE_CHECKING:
    from .train import Trainer


T = TypeVar("T")


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
    trainings = [candidate.training for candidate in members]

    def weights(k: int, ref: ModuleRef) -> Mapping[str, Tensor] | torch.Generator:
        return trainer.weights(members[k], ref)

    train, validation = (_split(trainer, members, name, split) for split in ("train", "validation"))
    shared = [bound.which is None for bound in train.bounds]
    program = StackedPaths(paths, trainings, weights, shared, slots, trainer.families, trainer.device)
    order = order_of(first, name, len(train), train.rows // len(train)).to(trainer.device)
    trainer.watch.to(TRAIN)
    fitted = fit_stack(members, task, program, train, validation, order, trainer.graphs, trainer.watch)
    fitted = fitted[: len(candidates)]
    trainer.watch.to(STORE)
    best = _fittest(candidates, fitted)
    untrained: dict[tuple[str, Start], str] = {}
    return [_stored(trainer, name, c, program, f, best, untrained) for c, f in zip(candidates, fitted, strict=True)]


def _read(trainer: Trainer, candidate: Candidate, name: str, samples: Samples) -> Samples:
    """What the trainable part of a candidate's path reads of a split."""
    path = candidate.paths[name]
    prefix, boundary = trained_part(path, candidate.training)
    if not prefix:
        return samples
    beyond = trainer.beyond_prefix(path, samples, lambda: trainer.assemble(candidate)[0][name])
    if not set(boundary) <= set(beyond.values):
        raise TooLarge
    return beyond


def _split(trainer: Trainer, members: Sequence[Candidate], name: str, split: str) -> StackSplit:
    """A split as all candidates read it, each distinct value once."""
    task, changes = trainer.task_of(members[0], name), changes_of(members[0], split)
    samples = trainer.prepared(task, split, changes)
    read = [_read(trainer, candidate, name, samples) for candidate in members]
    paths = [candidate.paths[name] for candidate in members]
    parts = [trained_part(path, c.training) for path, c in zip(paths, members, strict=True)]
    bounds = []
    for place in range(len(parts[0][1])):
        values = [some.values[boundary[place]] for some, (_, boundary) in zip(read, parts, strict=True)]
        distinct, which = _distinct(values, trainer.device)
        bounds.append(Bound(tuple(distinct), which if len(distinct) > 1 else None))  # type: ignore[arg-type]
    sums = []
    given = [summed(path, c.training) for path, c in zip(paths, members, strict=True)]
    steps = [[n for n in path.canonical_order if n not in p] for path, (p, _) in zip(paths, parts, strict=True)]
    for own in zip(*steps, strict=True):
        if any(step in some for step, some in zip(own, given, strict=True)):
            sums.append(_part(trainer, paths, own, given, samples))
    return StackSplit(tuple(bounds), tuple(sums), samples.targets)


def _part(
    trainer: Trainer, paths: Sequence[Path], own: Sequence[str], given: Sequence[Container[str]], samples: Samples
) -> Part:
    """What one stage's frozen modules add up to for each path: nothing where it has none."""
    found = [
        frozen_sum(trainer, path, step, samples) if step in some else None
        for path, step, some in zip(paths, own, given, strict=True)
    ]
    totals = [total for total in found if total is not None]
    if len(totals) < sum(step in some for step, some in zip(own, given, strict=True)):
        raise TooLarge
    nothing = torch.zeros_like(totals[0])
    distinct, which = _distinct([nothing if total is None else total for total in found], trainer.device)
    if len(distinct) * size(nothing) > trainer.recent.limit:
        raise TooLarge
    return Part(torch.stack(distinct), which)


def _distinct(values: Sequence[T], device: str) -> tuple[list[T], Tensor]:
    """The values without repetition, and which of these each is."""
    distinct: dict[int, T] = {id(value): value for value in values}
    position = {key: i for i, key in enumerate(distinct)}
    return list(distinct.values()), torch.tensor([position[id(value)] for value in values], device=device)


def _fittest(candidates: Sequence[Candidate], fitted: Sequence[Fitted]) -> dict[tuple[str, Start], str]:
    """The fittest of the candidates that start a draft from the same weights, by what it is and starts from.

    Of equals the one of the lower hash, as a tournament has it.
    """
    best: dict[tuple[str, Start], tuple[float, str]] = {}
    if all(candidate.keep == "all" for candidate in candidates):
        return {}
    for candidate, found in zip(candidates, fitted, strict=True):
        if found.place is not None and found.measures is not None:
            rank = (-found.measures.fitness, candidate.hash)
            for draft in candidate.drafts().values():
                key = _start(draft)
                best[key] = min(best.get(key, rank), rank)
    return {key: hash for key, (_, hash) in best.items()}


def _start(draft: Draft) -> tuple[str, Start]:
    """What tells whether two drafts start from the same weights; `Init()` draws weights for each candidate."""
    return draft.spec.canonical, draft.start


def _stored(
    trainer: Trainer, name: str, candidate: Candidate, program: StackedPaths, fitted: Fitted,
    best: Mapping[tuple[str, Start], str], untrained: dict[tuple[str, Start], str],
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
    drafts = candidate.drafts()
    if changes := trains(candidate.training):
        untrained = {}
    outcome.blobs |= {n: blob for n, d in drafts.items() if n in kept and (blob := untrained.get(_start(d)))}
    trainer.store(candidate, outcome, lambda draft: program.tensors_of(place, draft), kept)
    if not changes:
        # What nothing trained is what it started from: of many heads of one seed one blob is written.
        untrained |= {_start(drafts[n]): blob for n, blob in outcome.blobs.items() if drafts[n].start != Init()}
    return outcome


__all__ = ["TooLarge", "train_stack"]

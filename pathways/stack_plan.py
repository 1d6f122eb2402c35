"""Which candidates of a generation train as one program, and why the others do not.

The plan is a function of the candidates and of the run's settings: not of workers, and not of what is known already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pathways.modules import Draft, Families, Frozen, Module, ModuleRef, Port, Vector, Warm, facts
from pathways.modules.build import build

from .candidate import Candidate, Training
from .path import Path, Step
from .prefix import frozen_parts, frozen_prefix


@dataclass(frozen=True)
class Group:
    """Candidates that train as one program.

    Args:
        candidates: in the order asked for.
        slots: for each step behind the prefix, how many modules candidates of this shape have there at most, in the
            whole generation. The size of products decides their last bits, so it must not depend on which candidates
            are left to train.
    """

    candidates: tuple[Candidate, ...]
    slots: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How a generation is trained: stacks in the order of their first candidates, and who trains alone and why."""

    stacks: tuple[Group, ...]
    alone: tuple[tuple[Candidate, str], ...]


class Alone(Exception):  # noqa: N818
    """Why a candidate cannot be in a stack."""


def plan(candidates: Iterable[Candidate], size: int, families: Families, device: str = "cpu") -> Plan:
    """How to train a generation.

    Args:
        candidates: all that were asked for, whether their results are known or not.
        size: the most candidates of a stack; 1 trains all one by one.
        families: the families that specs may name.
        device: where they train: families say on which devices stacking pays.
    """
    stacks: dict[Any, list[Candidate]] = {}
    alone: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        try:
            if size == 1:
                raise Alone("stacks are turned off (`stack: 1`)")
            stacks.setdefault(shape(candidate, families, device), []).append(candidate)
        except Alone as reason:
            alone.append((candidate, str(reason)))
    groups = []
    for members in stacks.values():
        slots = tuple(map(max, zip(*map(_modules, members), strict=True)))
        groups += [Group(tuple(members[at : at + size]), slots) for at in range(0, len(members), size)]
    return Plan(tuple(groups), tuple(alone))


def shape(candidate: Candidate, families: Families, device: str = "cpu") -> tuple[Any, ...]:
    """What candidates must have in common to be one stack, as something that can be compared.

    That is data, batches and budget, and the outline of what stands behind the frozen prefix: families,
    configurations, ports, how steps are joined. Weights, numbers such as learning rates, and how many modules of one
    spec a step sums may differ.

    Raises:
        Alone: it cannot be in a stack; the message says why.
    """
    if candidate.workers > 1:
        raise Alone("it trains data-parallel")
    if len(candidate.paths) != 1:
        raise Alone("it trains several tasks")
    if candidate.record is not None:
        raise Alone("affinity is measured while it trains")
    [(task, path)] = candidate.paths.items()
    training = candidate.training
    starts = [draft.start for draft in path.drafts().values()]
    if candidate.optimizer_state or any(isinstance(start, Warm) and start.optimizer for start in starts):
        raise Alone("it carries optimizer state")
    if training.steps and training.augment is not None and training.augment.views == 0:
        raise Alone("its images are changed anew in every batch")
    augment = None if training.augment is None else tuple(vars(training.augment).items())
    batches = (
        task, candidate.data[task], candidate.run, candidate.order, training.steps, training.batch,
        training.optimizer, training.nesterov, training.momentum > 0, training.weight_decay > 0, training.clip > 0,
        training.evaluate_every, training.keep, training.fitness, augment, training.score_views, training.head_init,
        training.head_refit, training.precision if training.steps else None,
    )
    return (*batches, outline(path, training, families, device))


def outline(path: Path, training: Training, families: Families, device: str) -> tuple[Any, ...]:
    """The steps behind the frozen prefix as a stack sees them.

    Raises:
        Alone: a step cannot be in a stack; the message says why.
    """
    if len(list(path.drafts_in_order())) != len(path.drafts()):
        raise Alone("two of its steps share a draft")
    ports = path.ports(families)
    (prefix, boundary), given = trained_part(path, training), summed(path, training)
    if path.output in prefix:
        raise Alone("all of it is frozen")
    if not isinstance(ports[path.output], Vector):
        raise Alone("it answers for each place of a sequence")
    places = {name: i for i, name in enumerate(boundary)}
    steps: list[tuple[Any, ...]] = [tuple(ports[name] for name in boundary)]
    for name in path.canonical_order:
        if name in prefix:
            continue
        step = path.steps[name]
        reads = tuple(ports[read] for read in step.reads)
        if any(port.variable for port in (*reads, ports[name])):
            raise Alone("values of variable length carry masks")
        if step.deltas or not (isinstance(step.combine, str) and (step.combine != "concat" or len(step.modules) == 1)):
            what = "deltas" if step.deltas else "a concatenation" if step.combine == "concat" else "a router"
            raise Alone(f"step {name!r} has {what}")
        # One draft of a spec tells for all.
        left = step.modules[len(given.get(name, ())):]
        some = {ref.spec.canonical if isinstance(ref, Draft) else ref.id: ref for ref in left}
        modules = dict.fromkeys(_kind(ref, step, reads, families, device) for ref in some.values())
        steps.append((tuple(modules), step.combine == "mean", tuple(places[read] for read in step.reads)))
        places[name] = len(boundary) + len(steps) - 2
    return tuple(steps)


def trained_part(path: Path, training: Training) -> tuple[frozenset[str], tuple[str, ...]]:
    """The path's frozen prefix, and what the other steps read of it and of the inputs.

    There is no prefix where nothing but a measurement of validation data is asked for: then activations would be held
    that are never read again, and modules that several paths hold are better run once for all.
    """
    return frozen_prefix(path) if trains(training) else (frozenset(), tuple(path.inputs))


def summed(path: Path, training: Training) -> Mapping[str, tuple[Frozen, ...]]:
    """The frozen modules of steps that hold drafts, too, whose sum is read like the activations of a prefix."""
    return frozen_parts(path) if trains(training) else {}


def trains(training: Training) -> bool:
    """Whether anything is changed at all: by steps, or by heads that are fitted in closed form or set to zero."""
    return bool(training.steps) or {training.head_init, training.head_refit} - {"random", "none"} != set()


def _kind(ref: ModuleRef, step: Step, reads: Sequence[Port], families: Families, device: str) -> tuple[str, str]:
    """What modules of one step must share to be slots of one stack: the spec, and what keeps them apart else."""
    spec = ref.spec
    if spec.parts:
        raise Alone(f"family `{spec.family}` has parts")
    found = facts(spec, reads, families=families)
    weightless = not (found.parameters or found.buffers)
    if weightless and len(step.modules) > 1:
        raise Alone(f"several modules of family `{spec.family}`, which has no weights, are joined")
    if device in _stacks(spec.canonical, spec, tuple(reads), families):
        # Buffers move in training and stand still in frozen modules.
        return spec.canonical, "frozen" if found.buffers and isinstance(ref, Frozen) else ""
    if isinstance(ref, Frozen) and len(step.modules) == 1:
        return spec.canonical, ref.id  # one module for all, run as it is
    raise Alone(f"family `{spec.family}` does not stack on {device}")


@lru_cache(maxsize=4096)
def _stacks(canonical: str, spec: Any, ports: tuple[Port, ...], families: Families) -> tuple[str, ...]:
    module = build(spec, ports, families=families)
    return module.stacks if isinstance(module, Module) else ()


def _modules(candidate: Candidate) -> list[int]:
    """How many modules each step behind the prefix has, beside those whose sum is given."""
    [path] = candidate.paths.values()
    (prefix, _), given = trained_part(path, candidate.training), summed(path, candidate.training)
    names = [name for name in path.canonical_order if name not in prefix]
    return [len(path.steps[name].modules) - len(given.get(name, ())) for name in names]


__all__ = ["Alone", "Group", "Plan", "outline", "plan", "shape", "summed", "trained_part", "trains"]

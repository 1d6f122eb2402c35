"""The trainer: trains and measures candidates on one device."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any, cast

import torch
from torch import Tensor, nn

from pathways.assemble import PathModule
from pathways.candidate import Augment, Candidate, Result
from pathways.devices import device_here
from pathways.errors import DataError, TeamError
from pathways.modules import (
    BUILT_IN,
    Delta,
    Draft,
    Families,
    Frozen,
    Module,
    ModuleRef,
    Warm,
    content_hash,
)
from pathways.path import Path
from pathways.pool import Pool
from pathways.prefix import frozen_parts, frozen_prefix, part_of
from pathways.seeds import torch_generator
from pathways.task import Classes, Task, fits
from pathways.trace import EVALUATE, STORE, TRAIN, Span

from .failures import FAILURES
from .fit import Outcome, Work, fit, measure_all
from .frozen_sums import frozen_sum
from .heads import fit_closed_form
from .keys import activations_key, changes_of, samples_key
from .loans import Loans, Written
from .numerics import repeatable
from .optimizer import begin_where_state_is_lacking, load_state, make_optimizer, state_of
from .prefix_cache import PrefixCache
from .record import transferability
from .samples import Recent, Samples, moved, placed, prepare, through
from .stack_train import TooLarge, train_stack
from .stopwatch import Stopwatch
from .stored import Held, size, stored_activations
from .team import Team
from .team_link import PartFailed

_log = logging.getLogger("pathways.trainer")


class Trainer:
    """Trains and scores candidates, one thread, on one device; never knows which strategy asked.

    Args:
        pool: where starts are read and trained blobs are written.
        families: the families that specs may name.
        cache_bytes: how much prepared data and how many prefix activations to keep in memory.
        prefixes: where prefix activations are kept beyond that, for this run's other workers and for later.
        device: where to compute, `cpu`, `cuda` or `cuda:N`: modules, prepared data and activations are there. What is
            drawn at random is drawn on the processor and moved, and what is stored is stored from there.
        graphs: whether steps of stacks are captured once and replayed on a GPU; elsewhere it changes nothing.

    Raises:
        ConfigError: the device is not here.
    """

    def __init__(
        self, pool: Pool, families: Families = BUILT_IN, cache_bytes: int = 1 << 29,
        prefixes: PrefixCache | None = None, device: str = "cpu", graphs: bool = True,
    ) -> None:
        self.pool = pool
        self.families = families
        self.device = device_here(device)
        self.graphs = graphs
        self.tasks: dict[str, Task] = {}
        self.recent = Recent(cache_bytes)
        self.loans = Loans()
        on_gpu = self.device.startswith("cuda")
        self.watch = Stopwatch(settle=partial(torch.cuda.synchronize, self.device) if on_gpu else None)
        self._prefixes = prefixes or PrefixCache(FilePath(), 0)

    def provide(self, task: Task) -> None:
        """Make a task's data known, by its fingerprint."""
        self.tasks[task.fingerprint] = task

    @property
    def spans(self) -> tuple[Span, ...]:
        """What the last `run` did when, by this process's clock: of each candidate, or of a stack as a whole."""
        return tuple(self.watch.spans)

    def run(
        self, candidates: Sequence[Candidate], stacked: bool = False, slots: Sequence[int] = (),
        team: Team | None = None,
    ) -> list[Result]:
        """Train and measure each candidate; one that fails gets a result that says why.

        Args:
            candidates: what to train.
            stacked: whether they have one shape and are to be trained as one program.
            slots: of that program, as in `stack_plan.Group`.
            team: the ranks that train candidates of so many workers together; each calls this with the same ones, and
                rank 0 alone stores and returns what comes of them. Without one, this process takes the parts in turn.

        Raises:
            BlobError: a blob that a candidate starts from is missing or damaged.
            DataError: a candidate's data was not provided.
            TeamError: a candidate is for another number of workers, or the ranks have lost each other.
        """
        for candidate in candidates if team is not None else ():
            if stacked or candidate.workers != team.size:  # type: ignore[union-attr]
                raise TeamError(
                    f"a team of {team.size} ranks must be given candidates of `workers: {team.size}`, found "  # type: ignore[union-attr]
                    f"{'a stack' if stacked else candidate.workers}: make the team as large as its candidates ask for."
                )
        self.watch.spans.clear()
        with repeatable(self.device):
            if not stacked:
                results = [self._try(candidate, team or Team.alone(candidate.workers)) for candidate in candidates]
                return results if team is None or team.leads else []
            together, why = self._try_stack(candidates, slots)
            return together or [
                replace(self._try(candidate, Team.alone(candidate.workers)), alone=why) for candidate in candidates
            ]

    def _try(self, candidate: Candidate, team: Team) -> Result:
        self.watch.begin(candidate.hash)
        wall, cpu = time.perf_counter(), time.process_time()
        outcome, failure = Outcome(), ""
        team.begin()
        try:
            outcome = self._train(candidate, team)
        except (PartFailed, *FAILURES) as error:
            failure = team.failed(error)
        finally:
            self.watch.end()
        if said := self._written():
            outcome, failure = Outcome(), said
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        return self._result(candidate, outcome, failure, seconds, cpu_seconds + outcome.cpu_elsewhere)

    def _try_stack(self, candidates: Sequence[Candidate], slots: Sequence[int]) -> tuple[list[Result], str]:
        """The results of a stack, which share its time evenly; none, and why, where it must be trained one by one."""
        self.watch.begin()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            outcomes = train_stack(self, candidates, slots)
        except (TooLarge, *FAILURES) as error:
            # What is wrong with one of them is found, and said, when each is trained by itself.
            why = "its prefix is too large to be held" if isinstance(error, TooLarge) else f"in a stack: {error}"[:200]
            _log.info("a stack of %d candidates is trained one by one: %s", len(candidates), why)
            self._written()
            return [], why
        finally:
            self.watch.end()
        if said := self._written():
            return [], said[:200]
        seconds = (time.perf_counter() - wall) / len(candidates)
        cpu_seconds = (time.process_time() - cpu) / len(candidates)
        return [
            replace(self._result(candidate, Outcome() if isinstance(found, str) else found,
                                 found[:500] if isinstance(found, str) else "", seconds, cpu_seconds),
                    stack=len(candidates))
            for candidate, found in zip(candidates, outcomes, strict=True)
        ], ""  # fmt: skip

    def _written(self) -> str:
        """Who wrote to frozen weights since the last call, as a sentence; what came of it is put right."""
        try:
            self.loans.check()
        except Written as error:
            self.pool.forget(ref.id for ref in error.refs)
            self.recent.clear()
            return str(error)[:500]
        finally:
            self.loans.clear()
        return ""

    def _result(self, candidate: Candidate, outcome: Outcome, failure: str, seconds: float, cpu: float) -> Result:
        sizes: dict[str, int] = {}
        flops = 0
        for path in candidate.paths.values():
            costs = path.costs(self.families)
            sizes |= costs.sizes
            flops += costs.flops
        return Result(
            candidate.hash, failure, outcome.measures, tuple(outcome.curve), sum(sizes.values()),
            sum(sizes[name] for name in candidate.drafts()), flops, seconds, cpu, outcome.blobs, outcome.optimizers,
            stopped=outcome.stopped, merits=outcome.merits, readings=tuple(outcome.readings),
            reading_seconds=outcome.reading_seconds,
        )

    def _train(self, candidate: Candidate, team: Team) -> Outcome:
        models, drafts = self.assemble(candidate)
        works = [self._work(candidate, name, model) for name, model in models.items()]
        for work in works:
            self._fit_head(work, candidate.training.head_init, fresh=True)
        optimizer = make_optimizer(drafts, candidate.training)
        for name, draft in candidate.drafts().items():
            if isinstance(draft.start, Warm) and draft.start.optimizer:
                load_state(optimizer, drafts[name], self.pool.get(draft.start.optimizer))
        begin_where_state_is_lacking(optimizer)
        self.watch.to(TRAIN)
        outcome = fit(candidate, works, drafts, optimizer, self.watch, team)
        self.loans.check()
        self.watch.to(EVALUATE)
        if outcome.stopped or not team.leads:
            return outcome
        if candidate.record is not None and not candidate.record.while_training:
            began = time.process_time()
            outcome.readings = [(candidate.training.steps, transferability(candidate.record, works))]
            outcome.reading_seconds = time.process_time() - began
        self._refit_heads(candidate, works, outcome)
        if candidate.optimizer_state:
            for name, module in drafts.items():
                outcome.states.setdefault(name, state_of(optimizer, module))
        self.store(candidate, outcome, lambda name: drafts[name].state_dict())
        return outcome

    def weights(self, candidate: Candidate, ref: ModuleRef) -> Mapping[str, Tensor] | torch.Generator:
        """What a module of a candidate starts from: tensors, or the generator that initialises it."""
        if isinstance(ref, Frozen):
            return self.frozen_weights(ref)
        if isinstance(ref.start, Warm):
            return self.pool.get(ref.start.blob)
        if ref.start.seed is not None:
            return torch_generator("init", ref.start.seed)
        position = list(candidate.drafts()).index(ref.name)
        return torch_generator("init", candidate.run, candidate.unraced, candidate.repeat, position)

    def assemble(self, candidate: Candidate) -> tuple[dict[str, PathModule], dict[str, Module | Delta]]:
        """A candidate's paths as modules, by task, and its drafts by name."""
        shared: dict[tuple[object, ...], nn.Module] = {}
        models = {
            task: self.placed(PathModule(path, partial(self.weights, candidate), self.families, shared, lend=True))
            for task, path in candidate.paths.items()
        }
        return models, {name: module for model in models.values() for name, module in model.drafts().items()}

    def placed(self, model: PathModule) -> PathModule:
        """An assembled path on the device, its frozen tensors noted as lent."""
        # Convolutions are a third faster so, on CPUs too.
        cast(Any, model).to(device=self.device, memory_format=torch.channels_last)
        return self.loans.note(model)

    def frozen_weights(self, ref: ModuleRef) -> Mapping[str, Tensor]:
        """The tensors of a module that is frozen."""
        return self.pool.get(cast(Frozen, ref).id)

    def task_of(self, candidate: Candidate, name: str) -> Task:
        """The data of a candidate's task.

        Raises:
            DataError: it was not provided.
            ValueError: the path gives something else than the task's target wants.
        """
        fingerprint = candidate.data[name]
        if fingerprint not in self.tasks:
            raise DataError(f"the data of task {name!r} was not provided to this trainer: call `provide(task)` first.")
        task, path = self.tasks[fingerprint], candidate.paths[name]
        output = path.ports(self.families)[path.output]
        if not fits(task.target, output):
            raise ValueError(f"the path of task {name!r} must give {task.target.port} to its target, found {output}")
        return task

    def _work(self, candidate: Candidate, name: str, model: PathModule) -> Work:
        task = self.task_of(candidate, name)
        augment = changes_of(candidate, "train")
        always = augment if augment is not None and augment.views == 0 else None
        train = self.prepared(task, "train", augment)
        train = train if always else self._settled(train, model)
        validation = self.prepared(task, "validation", changes_of(candidate, "validation"))
        return Work(name, task, model, train, self._settled(validation, model), always)

    def _settled(self, samples: Samples, model: PathModule) -> Samples:
        """The samples as what trains of a path reads them, with the sums of its mixed steps' frozen modules."""
        beyond = self.beyond_prefix(model.path, samples, lambda: model)
        sums = {part_of(step): frozen_sum(self, model.path, step, samples) for step in frozen_parts(model.path)}
        known = {name: value for name, value in sums.items() if value is not None}
        return replace(beyond, values={**beyond.values, **known}) if known else beyond

    def prepared(self, task: Task, split: str, augment: Augment | None) -> Samples:
        """A split as it is held, with its views, made once."""
        key = samples_key(task.fingerprint, split, augment)
        found = self.recent.get(key)
        if found is None:
            found = moved(prepare(task, split, augment), self.device)
            self.recent.put(key, found, sum(size(value) for value in found.values.values()))
        return found

    def beyond_prefix(self, path: Path, samples: Samples, assemble: Callable[[], PathModule]) -> Samples:
        """The samples as the trainable part of the path reads them: activations of its frozen prefix.

        Activations are held by step hash, so candidates that share the beginning of a prefix share its work: one
        pass keeps those of every step on the way that are small enough.
        """
        prefix, boundary = frozen_prefix(path)
        if not prefix:
            return samples
        ports = path.ports(self.families)
        bytes_of = {name: 4 * _elements(ports[name].shape) * len(samples) * samples.views for name in prefix}
        large = max(self.recent.limit // 2, self._prefixes.limit // 4)
        if sum(bytes_of[name] for name in boundary if name in prefix) > large:
            return samples
        keys = {name: activations_key(samples.key, path.step_hashes[name]) for name in prefix}
        values = {
            name: value for name in boundary
            if (value := samples.values[name] if name in path.inputs else self._known(keys[name])) is not None
        }  # fmt: skip
        missing = [name for name in boundary if name not in values]
        if missing:
            limit = self.recent.limit // 8
            small = [name for name in prefix if bytes_of[name] <= limit and keys[name] not in self.recent]
            found = through(assemble(), samples.values, tuple(dict.fromkeys([*small, *missing])))
            self.loans.check()
            for name, value in found.items():
                held = stored_activations(value)
                self.recent.put(keys[name], held, size(held))
                if name in missing:
                    values[name] = held
                    self._prefixes.put(keys[name], held)
        key = content_hash([samples.key, [path.step_hashes[name] for name in boundary]])
        return Samples(values, samples.targets, samples.views, key)

    def _known(self, key: str) -> Held | None:
        """Activations that are in memory or on disk."""
        value = self.recent.get(key)
        if value is None and (value := self._prefixes.get(key)) is not None:
            value = placed(value, self.device)
            self.recent.put(key, value, size(value))
        return value

    def _fit_head(self, work: Work, kind: str, *, fresh: bool) -> bool:
        """Fit a work's head in closed form, or set it to zero; with `fresh` only one that starts from random weights.

        Returns:
            Whether its head was set: a draft, alone in its step and for the closed forms a linear classifier.
        """
        step = work.model.path.steps[work.model.path.head]
        (ref, *others) = step.modules
        if kind in ("random", "none") or others or isinstance(ref, Frozen) or (fresh and isinstance(ref.start, Warm)):
            return False
        head = work.model.module_of(ref)
        if kind == "zeros":
            for parameter in head.parameters():
                nn.init.zeros_(parameter)
            return True
        if not (hasattr(head, "linear") and isinstance(work.task.target, Classes)):
            return False
        features = through(work.model, work.train.values, step.reads)[step.reads[0]]
        fit_closed_form(head, features, work.train.targets, shared=kind == "discriminant")  # type: ignore[arg-type]
        return True

    def _refit_heads(self, candidate: Candidate, works: Sequence[Work], outcome: Outcome) -> None:
        """Fit the heads anew to the trained features, and measure again; a fitness counted in training stays."""
        training = candidate.training
        if not any([self._fit_head(work, training.head_refit, fresh=False) for work in works]):
            return
        for name, new in measure_all(works, None, training.steps).items():
            fitness = outcome.measures[name].fitness if training.fitness == "training" else new.quality
            outcome.measures[name] = replace(new, fitness=fitness)
            outcome.curve.append((training.steps, name, new.validation))

    def store(
        self, candidate: Candidate, outcome: Outcome, tensors: Callable[[str], Mapping[str, Tensor]],
        kept: Container[str] | None = None,
    ) -> None:
        """Write the drafts' blobs, parts before the modules that hold them, and note their ids.

        Args:
            candidate: whose drafts.
            outcome: takes the ids; `outcome.states` holds the optimizer states to keep.
            tensors: a draft's weights and buffers, by its name.
            kept: the drafts whose blobs are wanted; all of them when not given.
        """
        if kept is not None and not any(name in kept for name in candidate.drafts()):
            return
        self.watch.to(STORE)

        def frozen(ref: ModuleRef) -> ModuleRef:
            if not isinstance(ref, Draft) or not (kept is None or ref.name in kept):
                return ref
            if ref.name not in outcome.blobs:
                outcome.blobs[ref.name] = self.pool.put(ref.spec, tensors(ref.name))
                if ref.name in outcome.states:
                    state = self.pool.put(ref.spec, outcome.states[ref.name], kind="optimizer")
                    outcome.optimizers[ref.name] = state
            return Frozen(outcome.blobs[ref.name], ref.spec)

        for path in candidate.paths.values():
            if any(ref.spec.parts for ref in path.refs()):
                path.map_refs(frozen)  # a spec names its parts, which must be frozen first
            else:
                for draft in path.drafts_in_order():
                    frozen(draft)


def _elements(shape: Sequence[int | None]) -> int:
    product = 1
    for side in shape:
        product *= side or 1
    return product


__all__ = ["Trainer"]

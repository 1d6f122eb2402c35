"""Benchmarks of the Ray engine: two workers, trivial candidates, a PathNet generation, frozen weights.

Both sides of a row run in turns in one Ray session. Our side is what a run does:
candidates are looked up, planned, sent, trained, their blobs written, all committed to a ledger on disk.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path as FilePath
from statistics import median

import torch

from pathways.candidate import Candidate, Result, Training
from pathways.engine import Engine
from pathways.evolve import Ray
from pathways.evolve.cluster import Cluster
from pathways.evolve.far_pool import Lent, lendable
from pathways.learn import Bench, Work, try_all
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.search import view
from pathways.seeds import torch_generator
from pathways.strategy import Winner
from pathways.system import System
from pathways.task import Classes, Split, Task
from pathways.trainer import one_thread

from . import ray_others
from .mlp_rows import mlp_candidate, vectors
from .pathnet_rows import BATCH, PATHS, SETTINGS, STEPS, Eager, digits_like, genotypes
from .row import Row, compare, row_of
from .scribbler import Scribbler

WORKERS = 2
CANDIDATES, CANDIDATE_STEPS = 4, 1500
"""Candidates of about a second each, so many a measurement."""
TRIVIAL, DISPATCH = 512, 64
MEGABYTES = 52
FROZEN_SECONDS = 0.002
TRIALS = 32


def two_workers(pairs: int) -> Iterator[Row]:
    """Candidates of about a second: two workers against one, and against two plain processes."""
    task = vectors(2000, 500)
    spawn = get_context("spawn")
    with session(2 * WORKERS + 1), _folder() as name, ProcessPoolExecutor(WORKERS, mp_context=spawn) as processes:
        numbers, data = count(), saved(task)

        def asked() -> list[Candidate]:
            made = [mlp_candidate(task, k, next(numbers)) for k in range(CANDIDATES)]
            return [replace(c, training=replace(c.training, steps=CANDIDATE_STEPS)) for c in made]

        def plain() -> float:
            candidates = asked()
            begun = time.perf_counter()
            done = [processes.submit(ray_others.train_here, name, data, [c]) for c in candidates]
            return sum(each.result() for each in done) / (time.perf_counter() - begun)

        with Bed(FilePath(name) / "two", task, WORKERS) as two, Bed(FilePath(name) / "one", task, 1) as one:
            sides = [lambda: two.rate(asked()), lambda: one.rate(asked()), plain]
            measured = in_turns(sides, pairs)
    note = (
        f"{CANDIDATES} candidates of {median(1 / rates[1] for rates in measured):.2f} s a measurement, committed; two "
        f"workers train {median(two.busy[1:]):.1%} of the time, one {median(one.busy[1:]):.1%}"
    )
    yield row_of(
        "ray-two-workers", [(a, b) for a, b, _ in measured], unit="candidates/s", goal=1.85, floor=float(WORKERS),
        note=f"{note}; theirs: one worker of the same session",
    )
    yield row_of(
        "ray-two-workers-plain", [(a, c) for a, _, c in measured], unit="candidates/s", goal=0.97, floor=1.0,
        note=f"{note}; theirs: two processes with a trainer each, without engine and ledger",
    )


def trivial(pairs: int) -> Iterator[Row]:
    """A candidate that does next to nothing, in dispatches of 64, against a call of a plain actor and against Tune."""
    task = tiny_task()
    with session(4 * WORKERS + 1), _folder() as name, one_thread():
        plain = ray_others.actors(ray_others.Plain, WORKERS, *ray_others.arrays(task, "validation"))

        def calls(ahead: int) -> float:
            begun = time.perf_counter()
            made = [lambda actor, i=i: actor.trial.remote({"seed": i}) for i in range(TRIVIAL)]
            return len(ray_others.streamed(plain, made, ahead)) / (time.perf_counter() - begun)

        with Bed(FilePath(name) / "a", task, WORKERS) as alone, Bed(FilePath(name) / "b", task, WORKERS, 64) as stacked:
            numbers = count()
            sides: list[Callable[[], float]] = [
                lambda: alone.rate(trivial_candidates(task, TRIVIAL, numbers)),
                lambda: stacked.rate(trivial_candidates(task, TRIVIAL, numbers)),
                lambda: calls(1), lambda: calls(8),
            ]  # fmt: skip
            measured = in_turns(sides, pairs)
            note = f"{TRIVIAL} candidates in dispatches of {DISPATCH}, blobs written and ledger committed"
            call = "theirs: a call of a plain actor each, without blobs and ledger"
            for label, ours, theirs, said in (
                ("ray-trivial", 0, 2, f"each trained alone; {call}, as results come"),
                ("ray-trivial-stacked", 1, 2, f"stacked; {call}, as results come"),
                ("ray-trivial-ahead", 0, 3, f"each trained alone; {call}, 8 ahead an actor"),
                ("ray-trivial-stacked-ahead", 1, 3, f"stacked; {call}, 8 ahead an actor"),
            ):
                yield row_of(
                    label, [(rates[ours], rates[theirs]) for rates in measured], unit="candidates/s",
                    goal=0.4 if theirs == 2 else None, note=f"{note}; {said}",
                )
            tune, said = tune_side(task)
            yield row_of(
                "ray-trivial-tune", [(a, b) for a, b in in_turns([sides[0], tune], pairs)], unit="candidates/s",
                goal=50.0, note=f"{note}; each trained alone; theirs: {said}",
            )


def pathnet(pairs: int) -> Iterator[Row]:
    """A generation of 64 paths over two workers, stacked, against a call a path with state dicts as torch has them."""
    task = digits_like(1000, 200)
    with session(2 * WORKERS), _folder() as name, one_thread():
        plain = ray_others.actors(ray_others.Paths, WORKERS, *ray_others.arrays(task, "train", "validation"))
        nets = [(genotype, Eager(genotype).state_dict()) for genotype in genotypes()]
        order = ray_others.orders(0, STEPS, BATCH, 1000)

        def theirs() -> float:
            begun = time.perf_counter()
            made = [lambda actor, g=g, s=s: actor.train.remote(g, s, order) for g, s in nets]
            return len(ray_others.streamed(plain, made, 2)) / (time.perf_counter() - begun)

        with Bed(FilePath(name) / "run", task, WORKERS, PATHS // WORKERS) as bed:
            ours = Generations(bed, task)
            yield compare(
                "ray-pathnet", ours.rate, theirs, unit="paths/s", goal=10.0, pairs=pairs,
                note=f"a generation of {PATHS} different paths x {STEPS} steps over {WORKERS} workers, asked for, "
                "trained in two stacks, blobs written, committed and told; theirs: a call of a plain actor a path, two "
                "ahead an actor, its state dict there and back",
            )


def frozen(pairs: int) -> Iterator[Row]:
    """Frozen weights of 52 MB reach a second worker after the first; who writes to them is named."""
    with session(2 * WORKERS), _folder() as name, one_thread():
        import ray

        state = large_state()
        readers = ray_others.actors(ray_others.Reader, WORKERS)
        sums: tuple[list[float], list[float]] = ([], [])
        looks: list[float] = []

        def ours() -> float:
            packed, total = lendable(state)
            lent = Lent(ray.put(packed), total, packed.nbytes)
            _, (seconds, added, looked) = (ray.get(reader.lent.remote("0" * 64, lent)) for reader in readers)
            sums[0].append(added)
            looks.append(looked)
            return 1 / seconds

        def theirs() -> float:
            reference = ray.put(state)
            _, (seconds, added) = (ray.get(reader.pickled.remote([reference])) for reader in readers)
            sums[1].append(added)
            return 1 / seconds

        measured = in_turns([ours, lambda: 1 / FROZEN_SECONDS, theirs], pairs)
        written = who_wrote(FilePath(name))
    note = (
        f"{MEGABYTES} MB in {len(state)} tensors, from the parcel to tensors that can be used, in a worker after "
        f"another had them; adding them all up then takes {1e3 * median(sums[0]):.1f} ms, of a pickled state dict "
        f"{1e3 * median(sums[1]):.1f} ms; to see that nothing wrote to them {1e3 * median(looks):.1f} ms"
    )
    yield row_of(
        "ray-frozen", [(a, b) for a, b, _ in measured], unit="reads/s", goal=1.0,
        note=f"{note}; theirs: a budget of {1e3 * FROZEN_SECONDS:g} ms; in this session a family wrote: {written}",
    )
    yield row_of(
        "ray-frozen-pickled", [(a, c) for a, _, c in measured], unit="reads/s", goal=None,
        note=f"{note}; theirs: `ray.get` of a state dict as it is",
    )


# -- sides ----------------------------------------------------------------------------------------------------------


class Bed:
    """A run directory with an engine, and a search that asks for what it is given.

    Args:
        folder: for the run.
        task: what candidates are trained on.
        workers: of the engine.
        stack: the most candidates of a stack; 1 trains all one by one, in dispatches of 64 where they are many.
        engine: another engine than `Ray`.
        families: that specs may name.
    """

    def __init__(
        self, folder: FilePath, task: Task, workers: int, stack: int = 1, engine: Engine | None = None,
        families: Sequence[type] = (),
    ) -> None:
        self.system = System.create(folder, stack=stack, families=families)
        self.engine = engine or Ray(workers=workers, oversubscribe=True)
        self.engine.open(self.system.pool.directory, self.system.families)
        self.engine.provide(task)
        self.work = Work(_Nothing(), "benchmark", (task.name,))
        self.stack = stack
        self.busy: list[float] = []  # of each measurement, how much of their time workers trained

    def __enter__(self) -> Bed:
        return self

    def __exit__(self, *error: object) -> None:
        self.engine.close()
        self.system.close()

    def tried(self, candidates: Sequence[Candidate]) -> list[Result]:
        """Look up, plan, train, write, commit."""
        dispatch = DISPATCH if len(candidates) >= DISPATCH else 1
        system = self.system
        bench = Bench(
            system.ledger, system.pool, self.engine, dispatch=dispatch, stack=self.stack, families=system.families
        )
        return [result for _, result in try_all([(self.work, candidates)], bench)]

    def rate(self, candidates: Sequence[Candidate]) -> float:
        """Candidates a second."""
        begun = time.perf_counter()
        results = self.tried(candidates)
        seconds = time.perf_counter() - begun
        assert len(results) == len(candidates)
        assert all(result.ok for result in results)
        self.busy.append(sum(result.seconds for result in results) / (seconds * self.engine.workers))
        return len(results) / seconds


class Generations:
    """A PathNet search whose generations are timed one by one."""

    def __init__(self, bed: Bed, task: Task) -> None:
        self.bed = bed
        self.search = SETTINGS.begin(view(bed.system, [task]))
        self.drawn = 0

    def rate(self) -> float:
        """Paths a second of the next generation; all its paths are different, as those of the other side are."""
        self.drawn += 1
        self.search.population = genotypes(self.drawn)
        begun = time.perf_counter()
        asked = self.search.ask()
        results = {result.candidate: result for result in self.bed.tried(asked)}
        self.search.tell([(candidate, results[candidate.hash]) for candidate in asked])
        return len(results) / (time.perf_counter() - begun)


def who_wrote(folder: FilePath, engine: Engine | None = None) -> str:
    """What a candidate fails with whose frozen module writes to its weights; a `RuntimeError` where it does not."""
    task, spec = tiny_task(), ModuleSpec("scribbler", {})
    with Bed(folder / "scribbler", task, 1, engine=engine, families=[Scribbler]) as bed:
        blob = bed.system.pool.put(spec, {"scale": torch.ones(8)})
        before = bed.system.pool.raw(blob)
        steps = {"scribbler": Step((Frozen(blob, spec),), ("x",)), "head": Step((_head(0),), ("scribbler",))}
        path = Path(task.inputs, steps, "head")
        [result] = bed.tried([Candidate({task.name: path}, Training(steps=0), {task.name: task.fingerprint})])
        if result.ok or blob[:12] not in result.failure or bed.system.pool.raw(blob) != before:
            raise RuntimeError(f"a module that writes must be found and named, found {result.failure!r}.")
        return result.failure


def tune_side(task: Task) -> tuple[Callable[[], float], str]:
    """Trials a second of Ray Tune, and what is to be said of them."""
    try:
        from ray import tune  # noqa: F401
    except ImportError as error:
        said = str(error).splitlines()[0]
        return (lambda: 1 / ray_others.TUNE_SECONDS), (
            f"Ray Tune cannot be imported here ({said}): {1e3 * ray_others.TUNE_SECONDS:g} ms a trial, the least that "
            f"was measured elsewhere"
        )
    x, y = ray_others.arrays(task, "validation")
    return (lambda: ray_others.tune_trials(TRIALS, x, y)), f"Ray Tune, {TRIALS} trials, actors reused, two at a time"


def trivial_candidates(task: Task, number: int, seeds: Iterator[int]) -> list[Candidate]:
    """Candidates that measure an untrained classifier, each from another seed."""
    return [
        Candidate(
            {task.name: Path(task.inputs, {"head": Step((_head(next(seeds)),), ("x",))}, "head")}, Training(steps=0),
            {task.name: task.fingerprint},
        )
        for _ in range(number)
    ]  # fmt: skip


def tiny_task() -> Task:
    """Three classes of eight numbers, 32 samples."""
    generator = torch_generator("benchmark", "tiny")

    def split() -> Split:
        return Split({"x": torch.randn(32, 8, generator=generator)}, torch.arange(32) % 3)

    return Task("tiny", {"x": Vector(8)}, Classes(3), {name: split() for name in ("train", "validation", "test")})


def saved(task: Task) -> bytes:
    """A task's training and validation data as bytes, for a process of the other side."""
    file = io.BytesIO()
    torch.save(task.without_test(), file)
    return file.getvalue()


def large_state() -> dict[str, torch.Tensor]:
    """The weights of 13 linear maps of 1,000 x 1,000: 52 MB."""
    generator = torch_generator("benchmark", "large")
    return {f"{layer}.weight": torch.rand(1000, 1000, generator=generator) for layer in range(MEGABYTES // 4)}


def in_turns(sides: Sequence[Callable[[], float]], pairs: int) -> list[tuple[float, ...]]:
    """Measure sides in turns, after one run of each that is not counted; every other turn goes the other way round.

    >>> in_turns([lambda: 1.0, lambda: 2.0], 2)
    [(1.0, 2.0), (1.0, 2.0)]
    """
    for side in sides:
        side()
    measured = []
    for turn in range(pairs):
        places = range(len(sides)) if turn % 2 == 0 else reversed(range(len(sides)))
        found = {place: sides[place]() for place in places}
        measured.append(tuple(found[place] for place in range(len(sides))))
    return measured


@contextmanager
def session(cores: int) -> Iterator[None]:
    """A Ray session on this machine that believes in so many cores; engines and actors of both sides stand in it."""
    cluster = Cluster("local", cores)
    cluster.connect()
    try:
        yield
    finally:
        cluster.disconnect()


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


def _head(seed: int) -> Draft:
    return Draft("head", ModuleSpec("classifier", {"classes": 3}), Init(seed))


class _Nothing:
    """A search that asks for nothing: what is tried is given to it."""

    def ask(self) -> list[Candidate]:
        return []

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        return None

    def best(self) -> Winner | None:
        return None


__all__ = ["frozen", "pathnet", "trivial", "two_workers"]

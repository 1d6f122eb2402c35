"""Freezing: the winner's blobs are reloaded from disk, probed and named in the task's manifest, the commit point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from pathways.modules import Masked, ModuleRef, Value

from . import manifest, upkeep
from .assemble import PathModule
from .errors import DataError
from .files import write_atomically
from .ledger_rows import SYSTEM, Evaluation
from .manifest import TaskRecord
from .path import Path
from .seeds import torch_generator
from .strategy import Champion, Strategy, Winner, optimizers_of
from .task import Split, Task, take
from .trainer.evaluate import measure, outputs_of
from .trainer.numerics import one_thread
from .trainer.samples import prepare, through

if TYPE_CHECKING:
    from .pool import Pool
    from .system import System

PROBE_SAMPLES = 16


def freeze(system: System, tasks: Sequence[Task], strategy: Strategy, winner: Winner) -> None:
    """Make a search's winner the champion of its tasks.

    Blobs are forced to disk first, then each task's probe is written, then its manifest, which commits it.
    Tasks learned jointly commit one by one; a run that is killed in between freezes the rest when it resumes.
    Processes that share the run do so one after another, and each only while it holds its tasks.
    """
    system.refresh()
    for task in tasks:
        won = winner.of(task.name)
        path = won.paths[task.name]
        system.tasks[task.name] = task
        if task.name in system.records:
            _check_same(system.records[task.name], won)
            continue
        kept = [*path.frozen(), *optimizers_of(won.extra).values()]
        system.pool.ensure(kept)
        system.pool.sync(kept)
        test = test_value(path, task, system)
        probe = probe_of(task, path, system)
        if system.mirror is not None:
            system.mirror.push_blobs(_new(system, kept))  # before others have to wait for it
        with upkeep.freezing(system):
            for name in [t.name for t in tasks]:  # a process that was silent for too long may have lost them
                system.ledger.renew(name, system.owner, system.lease_seconds)
            sizes = path.costs(system.families).sizes
            least = 1 + max((other.index for other in system.briefs.values()), default=-1)
            record = TaskRecord.of(
                task,
                Champion(
                    task.name, path, won.candidate.training, won.result.measures[task.name], won.candidate.hash,
                    won.parents, dict(won.extra),
                ),
                index=system.ledger.place(task.name, least),
                strategy=strategy,
                test=test,
                new_parameters=sum(sizes[blob] for blob in _new(system, sizes)),
                probe=write_probe(system.directory, task, probe),
            )
            if system.mirror is None:
                manifest.write_task(system.directory, record, new=True)
            else:
                system.mirror.commit(record, _new(system, kept))
            system.shelf.add(task.name)
            _record_late(system)


def _new(system: System, blobs: Iterable[str]) -> list[str]:
    """Those of the blobs that no champion, root or control keeps yet."""
    every = list(blobs)
    kept = upkeep.needed(system, every)
    return [blob for blob in every if blob not in kept]


def _check_same(record: TaskRecord, winner: Winner) -> None:
    """A task that is frozen already must be one of this joint search, which was killed before it froze the rest."""
    if record.champion.candidate != winner.candidate.hash:
        raise DataError(
            f"task {record.name!r} was learned by another search than this one: learn the other tasks without it, "
            f"or `forget` it first."
        )


def remeasure(system: System) -> None:
    """Record what each champion reached on its own task's test data, where that is not recorded yet.

    It was measured once, when the champion was frozen. It holds after every later task, R[i, j] = R[j, j]: the same
    path of the same blobs gives the same outputs, and only `verify`, which proves it, has to compute them again. All
    are recorded, unless a run was killed before it recorded one, or did not have the data then.
    """
    if _late(system):
        with upkeep.freezing(system):
            _record_late(system)


def _late(system: System) -> list[str]:
    """The tasks from the first on that is not recorded though it could be."""
    done = set(system.ledger.learned())
    names = list(system.briefs)
    first = next((i for i, name in enumerate(names) if name in system.tasks and name not in done), len(names))
    return names[first:]


def _record_late(system: System) -> None:
    late = _late(system)  # of these some may be recorded, and must stand behind what they come after
    done = set(system.ledger.learned()) if late else set()
    recorded = system.ledger.evaluations(SYSTEM, carried=False) if done.intersection(late) else []
    own = {e.task: e for e in recorded if e.after == e.task} | {n: _own(system, n) for n in late if n in system.tasks}
    if late:
        system.ledger.record_learned([own[name] for name in late if name in own])


def _own(system: System, name: str) -> Evaluation:
    """What a champion reached on its own task."""
    brief, task = system.briefs[name], system.tasks[name]
    value = nan if brief.test is None else brief.test
    return Evaluation(SYSTEM, name, name, "test", brief.metric, value, len(task.splits["test"]))


def assembled(path: Path, system: System, *, fresh: bool = False) -> PathModule:
    """The path with its weights from the pool, in evaluation mode; `fresh` reads every blob from disk."""
    pool: Pool = system.pool

    def weights(ref: ModuleRef) -> Mapping[str, Tensor]:
        return pool.get(ref.id, fresh=fresh)  # type: ignore[union-attr]

    return PathModule(path, weights, system.families).eval()


def test_value(path: Path, task: Task, system: System) -> float:
    """The task's metric on its test split, for reporting only."""
    with one_thread():
        samples = prepare(task, "test")
        outputs = through(assembled(path, system), samples.values, (path.output,))[path.output]
        return measure(task, outputs_of(outputs), samples.targets).validation


# -- probes -------------------------------------------------------------------------------------------------


def probe_of(task: Task, path: Path, system: System) -> bytes:
    """A fixed batch of inputs beside the outputs of the champion, reloaded from disk, as the bytes of a file."""
    split: Split = task.splits["validation"]
    order = torch.randperm(len(split), generator=torch_generator("probe", task.fingerprint))
    chosen = take(split, order[:PROBE_SAMPLES].sort().values)
    tensors = flat(chosen.inputs)
    tensors["output"] = replay(path, task_inputs(task, chosen.inputs), system)
    return to_bytes({name: tensor.contiguous() for name, tensor in tensors.items()})


def write_probe(directory: FilePath, task: Task, probe: bytes) -> str:
    """Store the probe of a task; its file's SHA-256."""
    write_atomically(manifest.probe_file(directory, task.name), probe)
    return hashlib.sha256(probe).hexdigest()


def replay(path: Path, inputs: Mapping[str, Value], system: System) -> Tensor:
    """The outputs of a path reloaded from disk, run eagerly without gradients in one batch with one thread."""
    with one_thread(), torch.no_grad():
        output = assembled(path, system, fresh=True)(inputs)
    return output.value if isinstance(output, Masked) else output


def task_inputs(task: Task | TaskRecord, stored: Mapping[str, Value]) -> dict[str, Value]:
    """Stored values as a path reads them: transformed, integer ids as they are."""
    ports = task.inputs
    values: dict[str, Value] = {}
    for name, value in stored.items():
        if ports[name].integer:
            values[name] = value
        elif isinstance(value, Masked):
            values[name] = Masked(task.transform[name](value.value), value.mask)
        else:
            values[name] = task.transform[name](value)
    return values


def flat(inputs: Mapping[str, Value]) -> dict[str, Tensor]:
    """Inputs as a flat mapping of tensors: `input/NAME`, and `mask/NAME` where masked."""
    tensors: dict[str, Tensor] = {}
    for name, value in inputs.items():
        tensors[f"input/{name}"] = value.value if isinstance(value, Masked) else value
        if isinstance(value, Masked):
            tensors[f"mask/{name}"] = value.mask
    return tensors


def unflat(tensors: Mapping[str, Tensor]) -> dict[str, Value]:
    """The inputs that `flat` wrote."""
    values: dict[str, Value] = {}
    for key, tensor in tensors.items():
        if key.startswith("input/"):
            name = key.removeprefix("input/")
            mask = tensors.get(f"mask/{name}")
            values[name] = tensor if mask is None else Masked(tensor, mask.bool())
    return values


def read_probe(data: bytes) -> tuple[dict[str, Value], Tensor]:
    """The inputs and outputs of a probe file."""
    tensors = from_bytes(data)
    return unflat(tensors), tensors["output"]

"""What virtual workers do: results, seconds and blobs as those of candidates that were trained for real."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from torch import Tensor

from pathways.candidate import Candidate, Result
from pathways.evolve.far_worker import RESULTS, Parcel, Reply
from pathways.modules import BUILT_IN, Draft, Families, build
from pathways.modules.spec import canonical_json
from pathways.pool import encode
from pathways.prefix import frozen_prefix
from pathways.seeds import seed_of, torch_generator
from pathways.strategy import Strategy
from pathways.system import System
from pathways.task import Task
from pathways.trainer.keys import prefix_keys


def measured(tasks: Sequence[Task], strategy: Strategy, **options: Any) -> tuple[Result, ...]:
    """Results of candidates that are trained here, one after another, as the ledger of that run has them.

    Args:
        tasks: to learn; those of the first do not count, since libraries are loaded meanwhile.
        strategy: whose candidates are trained.
        options: of `System.create`.
    """
    with tempfile.TemporaryDirectory() as folder, System.create(FilePath(folder) / "run", stack=1, **options) as system:
        for task in tasks:
            system.learn(task, strategy)
        rows = system.ledger.rows()
        return tuple(row.result for row in rows if row.result.ok and tasks[0].name not in row.tasks)


@dataclass
class Work:
    """Answers parcels with results like those that were measured: which one is decided by a candidate's hash.

    Blobs have the sizes that they would have, and contents of their own.

    Args:
        results: of real candidates.
        seconds: what a candidate takes in the mean; their spread stays as it was measured.
        samples: of a task whose activations of a frozen prefix are shared; 0 shares none.
        families: of the modules.
    """

    results: Sequence[Result]
    seconds: float
    samples: int = 0
    families: Families = BUILT_IN

    def __post_init__(self) -> None:
        self._mean = float(np.mean([result.seconds for result in self.results]))
        self._templates: dict[Any, dict[str, Tensor]] = {}

    def __call__(self, parcel: Parcel, knows: set[str]) -> tuple[float, Reply]:
        """The seconds that a parcel takes, and its reply; activations that its worker cannot reach it makes."""
        results, blobs, made = [], {}, {}
        for candidate in parcel.dispatch.candidates:
            own = {}
            for name, (blob, data) in self._blobs(candidate).items():
                own[name] = blob
                blobs[blob] = np.frombuffer(data, np.uint8)
            results.append(self._result(candidate, own))
            reached = knows.union(parcel.claimed)
            made.update({key: size for key, size in self._prefixes(candidate).items() if key not in reached})
        reply = Reply(RESULTS, tuple(results), blobs=blobs, prefixes={key: (None, size) for key, size in made.items()})
        return sum(result.seconds for result in results), reply

    def _result(self, candidate: Candidate, blobs: Mapping[str, str]) -> Result:
        seed = seed_of("scale", candidate.hash)
        like = self.results[seed % len(self.results)]
        quality = (seed % 10_007) / 10_007
        [measures] = like.measures.values()
        seconds = like.seconds / self._mean * self.seconds
        return replace(
            like, candidate=candidate.hash, blobs=blobs, optimizers={}, seconds=seconds,
            measures={
                task: replace(measures, validation=quality, quality=quality, fitness=quality)
                for task in candidate.paths
            },
            curve=tuple((step, task, value) for task in candidate.paths for step, _, value in like.curve),
        )  # fmt: skip

    def _blobs(self, candidate: Candidate) -> dict[str, tuple[str, bytes]]:
        found = {}
        for path in candidate.paths.values():
            ports = path.ports(self.families)
            for step in path.steps.values():
                for ref in step.modules:
                    if isinstance(ref, Draft):
                        tensors = self._template(ref, [ports[read] for read in step.reads])
                        for tensor in list(tensors.values())[:1]:  # a module may have none
                            tensor.view(-1)[0] = seed_of(candidate.hash, ref.name) % 1_000_003
                        found[ref.name] = encode(ref.spec, tensors)
        return found

    def _template(self, draft: Draft, ports: Sequence[Any]) -> dict[str, Tensor]:
        key = canonical_json(draft.spec.identity()), tuple(ports)
        if key not in self._templates:
            module = build(draft.spec, list(ports), torch_generator("scale", draft.name))
            self._templates[key] = {
                name: tensor.detach().clone() for name, tensor in module.state_dict().items()
            }
        return self._templates[key]

    def _prefixes(self, candidate: Candidate) -> dict[str, int]:
        """What a trainer would keep of the frozen prefix, each value under its key, with its bytes."""
        found: dict[str, int] = {}
        for task, path in candidate.paths.items() if self.samples else ():
            prefix, boundary = frozen_prefix(path)
            ports = path.ports(self.families)
            numbers = [int(np.prod([side or 1 for side in ports[name].shape])) for name in boundary if name in prefix]
            alone = replace(candidate, paths={task: path}, data={task: candidate.data[task]})
            found |= {key: 4 * max(numbers) * self.samples for key in prefix_keys(alone) if numbers}
        return found


__all__ = ["Work", "measured"]

"""Task2Vec in a study: tasks compared by what they need of one trunk."""

from __future__ import annotations

from typing import Literal

from pathways.affinity.encoders import encoder, untrained
from pathways.affinity.matrix import Affinity
from pathways.affinity.readout import Readout
from pathways.affinity.task2vec import task2vec as compare
from pathways.candidate import Candidate, Result

from ..study import Session
from .networks import by_seed, joint, trunk_of
from .options import Count


def task2vec(
    session: Session, *, probe: Literal["joint", "untrained"] = "joint", samples: Count = 256,
    readout: Readout = Readout(),  # noqa: B008 - immutable
) -> Affinity:  # fmt: skip
    """How alike tasks are by the Fisher information of one probe; see `pathways.affinity.task2vec`.

    Args:
        session: whose tasks are compared.
        probe: `joint`, the trunk of each seed's network of all tasks, or `untrained`, the same trunk with weights
            drawn anew.
        samples: of each task, at most.
        readout: how the readout of each task is made and trained.

    Returns:
        A symmetric matrix of kind transfer, a repeat for each seed, with ones on its diagonal.

    Reference: Achille et al. 2019 (Task2Vec, 1902.03545).
    """
    def similar(seed: int, candidate: Candidate, result: Result) -> Affinity:
        trunk = encoder(trunk_of(session, candidate, result))
        if probe == "untrained":
            trunk = untrained(trunk, "task2vec", "probe", seed)
        return compare(list(session.tasks.values()), trunk, samples=samples, readout=readout, seed=seed)

    parts = {seed: similar(seed, candidate, result) for seed, (candidate, result) in joint(session).items()}
    return by_seed(session, parts, probe=probe)


__all__ = ["task2vec"]

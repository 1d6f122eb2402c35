"""Grad-TAG in a study: subsets estimated around the network of all tasks that the study trains anyway."""

from __future__ import annotations

from torch import Tensor, nn

from pathways.affinity.linearised import Data
from pathways.affinity.linearised import linearised as estimate
from pathways.affinity.matrix import Affinity
from pathways.assemble import PathModule
from pathways.modules import Value
from pathways.task import Task
from pathways.trainer.numerics import one_thread
from pathways.trainer.samples import prepare, rows

from ..study import Session
from .networks import by_seed, joint, trainable
from .options import Count, Positive, Several


def linearised(
    session: Session, *, dims: Count = 100, penalty: Positive = 1e-2, subsets: Count | None = None,
    size: Several | None = None, chunk: Count = 64,
) -> Affinity:
    """Linearised subset estimation around each seed's network of all tasks; see `pathways.affinity.linearised`.

    The base model θ* is the network of all tasks, trained as the study trains it; training samples are read in their
    first view, and subsets are judged on validation data.

    Args:
        session: whose network of all tasks is taken.
        dims: random dimensions of projected gradients.
        penalty: of the fits.
        subsets: how many are drawn.
        size: of each subset.
        chunk: samples whose gradients are held at once.

    Returns:
        A co-training matrix, a repeat for each seed; each seed draws its own projection and subsets.

    Reference: Li et al. 2024 (Grad-TAG, 2409.06091).
    """
    data = {split: {name: _data(task, split) for name, task in session.tasks.items()} for split in _SPLITS}
    parts = {}
    for seed, (candidate, result) in joint(session).items():
        models: dict[str, nn.Module] = {
            name: OneInput(model) for name, model in trainable(session, candidate, result).items()
        }
        with one_thread():
            parts[seed] = estimate(
                models, *data.values(), seed=seed, dims=dims, penalty=penalty, subsets=subsets, size=size, chunk=chunk
            )
    return by_seed(session, parts, base="the network of all tasks")


_SPLITS = ("train", "validation")


class OneInput(nn.Module):
    """A path of one input as a function of that input's tensor."""

    def __init__(self, model: PathModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Value:
        """Map (batch, ...) to scores or values."""
        found: Value = self.model(x)
        return found


def _data(task: Task, split: str) -> Data:
    samples = prepare(task, split)
    [x] = rows(samples.values, slice(None)).values()
    assert isinstance(x, Tensor)
    return x, samples.targets


__all__ = ["OneInput", "linearised"]

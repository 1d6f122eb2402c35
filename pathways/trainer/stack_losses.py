"""The training objective of a stack's candidates, its gradient, and how good their answers are."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from pathways.task import Classes, Task


def losses_of(task: Task, outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    """The training objective of each candidate, as `evaluate.loss_of`.

    Args:
        task: says whether targets are classes or values.
        outputs: (K or 1, B, ...).
        targets: (B, ...), the same for all candidates.
        smoothing: (K,) label smoothing; `None` where no candidate has any.

    Returns:
        (K or 1,).
    """
    if not isinstance(task.target, Classes):
        return (outputs - targets).square().flatten(1).mean(1)
    # Products leave samples innermost in memory: over classes as the middle axis this is 20 times as fast.
    k, b = outputs.shape[:2]
    logs = F.log_softmax(outputs.transpose(1, 2), 1)
    right = -logs.gather(1, targets.expand(k, 1, b)).mean((1, 2))
    return right if smoothing is None else (1 - smoothing) * right - smoothing * logs.mean((1, 2))


def answers_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """How good each candidate's outputs are, (K,): how many classes are right, or minus the squared errors."""
    if isinstance(task.target, Classes):
        return (outputs.transpose(1, 2).max(1).indices == targets).sum(1, dtype=outputs.dtype)
    return -(outputs - targets).square().flatten(2).mean(2).sum(1)


def losses_and_pulls(
    task: Task, outputs: Tensor, targets: Tensor, smoothing: Tensor | None, scale: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The losses as `losses_of` gives them, and by hand the gradient of their sum.

    Args:
        task: says whether targets are classes or values.
        outputs: (K, B, ...).
        targets: (B, ...), the same for all candidates.
        smoothing: (K,) label smoothing; `None` where no candidate has any.
        scale: (K,), what each loss is multiplied with; `None` for nothing.

    Returns:
        (K,) losses, not scaled, and the gradient of the scaled ones, of the outputs' shape.
    """
    k, b = outputs.shape[:2]
    if not isinstance(task.target, Classes):
        off = outputs - targets
        losses = off.square().flatten(1).mean(1)
        return losses, _scaled(off, scale, 2 * k / off.numel())
    logs = F.log_softmax(outputs.transpose(1, 2), 1)
    index = targets.expand(k, 1, b)
    losses = logs.gather(1, index).view(k, b).sum(1).mul_(-1 / b)
    if smoothing is None:
        pulls = logs.exp_().scatter_(1, index, -1.0, reduce="add")
    else:
        losses = (1 - smoothing) * losses - smoothing * logs.mean((1, 2))
        smooth = smoothing[:, None, None]
        pulls = logs.exp_().sub_(smooth / logs.shape[1]).scatter_add_(1, index, (smooth - 1).expand(k, 1, b))
    return losses, _scaled(pulls, scale, 1 / b).transpose(1, 2)


def _scaled(pulls: Tensor, scale: Tensor | None, by: float) -> Tensor:
    return pulls.mul_(by if scale is None else (scale * by).view(-1, *[1] * (pulls.ndim - 1)))


__all__ = ["answers_of", "losses_and_pulls", "losses_of"]

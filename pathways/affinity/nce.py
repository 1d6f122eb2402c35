"""NCE: how well the labels that a source gives tell the target's classes."""

from __future__ import annotations

import torch
from torch import Tensor

from pathways.errors import DataError

from .frozen_features import checked, require_classes


def nce(source_labels: Tensor, targets: Tensor) -> float:
    """The negative conditional entropy of the target's classes given a source's labels, in nats, at most 0.

        NCE = -H(Y | Z) = mean over n of log P(y_n | z_n),    P from the counts of the N samples

    It is 0 where each source label has one target class, and minus the entropy of the classes where labels say
    nothing of them.

    Args:
        source_labels: (N,) integers: the source's labels of the target's samples, or what its classifier gives them.
        targets: (N,) classes of the target.

    Raises:
        DataError: shapes that do not fit, or numbers that are no labels.

    The numbers of NCE in the LogME paper come from code that its authors call wrong; this is the definition.

    Example:
        >>> nce(torch.tensor([4, 4, 2]), torch.tensor([0, 0, 1])), nce(torch.tensor([4, 4]), torch.tensor([0, 1]))
        (0.0, -0.6931471805599453)

    Reference: Tran et al. 2019, Transferability and hardness of supervised classification tasks, 1908.08142, section 4.
    """
    if source_labels.is_floating_point() or source_labels.ndim != 1:
        raise DataError(
            f"`source_labels` must be integers (N,), found {tuple(source_labels.shape)} of {source_labels.dtype}: take "
            f"the argmax of scores."
        )
    labels, y = checked(source_labels[:, None], targets)
    require_classes(y, "NCE")
    z = labels[:, 0].unique(return_inverse=True)[1]
    pair = z * (int(y.max()) + 1) + y
    return float((torch.bincount(pair)[pair] / torch.bincount(z)[z].double()).log().mean())


__all__ = ["nce"]

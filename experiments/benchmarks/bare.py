"""The other side of benchmarks that train one model: loops as one writes them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bare_loop(model: nn.Module, values: Any, targets: Tensor, steps: int, batch: int, lr: float,
              parameters: Sequence[nn.Parameter]) -> None:
    """The loop as one writes it: data in memory, indexed batches, fused AdamW."""
    [(name, x)] = values.items()
    optimizer = torch.optim.AdamW(parameters, lr=lr, fused=True, weight_decay=0.0)
    model.train()
    order = torch.randint(0, len(targets), (steps, batch))
    for index in order:
        loss = F.cross_entropy(model({name: x[index]}), targets[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def bare_evaluation(model: nn.Module, values: Any, targets: Tensor, batch: int = 1024) -> float:
    """Accuracy, in batches, without gradients."""
    [(name, x)] = values.items()
    model.eval()
    right = 0
    for start in range(0, len(targets), batch):
        outputs = model({name: x[start : start + batch]})
        right += int((outputs.argmax(1) == targets[start : start + batch]).sum())
    return right / len(targets)


__all__ = ["bare_evaluation", "bare_loop"]

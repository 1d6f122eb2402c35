"""One step of a candidate whose batches are divided: gradients of the parts, weighted and added in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from pathways.candidate import Candidate
from pathways.modules import Delta, Module
from pathways.seeds import torch_generator

from .team import Team, share_of

Forward = Callable[[slice, torch.Generator], tuple[Tensor, list[Tensor]]]
"""From which samples of the batch, and a source of noise, to their mean loss and what is counted for each task."""


class Divided:
    """Takes a candidate's steps in parts.

    Noise of a part is drawn from a generator of its own. What moves in a forward pass (the statistics of batch norm) is
    that of the part; after the step all have the mean, weighted as gradients are. Whole numbers are the first part's.

    Args:
        candidate: whose batches are divided in `candidate.workers` parts.
        team: who computes them.
        drafts: what trains.
        parameters: of the drafts.
        counted: how many tasks are counted for fitness, at most.
    """

    def __init__(
        self, candidate: Candidate, team: Team, drafts: Mapping[str, Module | Delta],
        parameters: Iterable[nn.Parameter], counted: int,
    ) -> None:
        n, size = candidate.training.batch, candidate.workers
        self.team, self.counted = team, counted
        self.parameters = list({id(parameter): parameter for parameter in parameters}.values())
        modules = {id(module): module for draft in drafts.values() for module in draft.modules()}.values()
        self._holders = [(module, name) for module in modules for name, held in module._buffers.items()
                         if held is not None]  # fmt: skip
        self.cuts = [share_of(n, size, part) for part in range(size)]
        self.shares = [(cut.stop - cut.start) / n for cut in self.cuts]
        names = ("noise", candidate.run, candidate.unraced, candidate.repeat)
        self._noise = [torch_generator(*names, part) for part in range(size)]
        self.cpu_elsewhere = 0.0
        team.meet(self._identity(candidate), [self._numbers(), *self.parameters, *self._buffers()])

    def backward(self, forward: Forward) -> tuple[float, list[Tensor]]:
        """Set the gradients of a step, and move what moves.

        Args:
            forward: the loss of a part.

        Returns:
            The loss of the whole batch, and what was counted in it for each task.
        """
        before = [held.clone() for held in self._buffers()]
        moved = [held.clone() for held in before]
        total: list[Tensor | None] = [None] * len(self.parameters)
        numbers = self._numbers()
        cpu = 0.0
        for part, (found, *rest) in enumerate(self.team.parts(lambda part: self._part(part, forward, before))):
            gradients, buffers = rest[: len(total)], rest[len(total) :]
            known = found[2 + self.counted :].tolist()
            for i, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
                if not known[i]:
                    continue
                if (so_far := total[i]) is None:
                    # In the parameter's own memory layout: fused kernels expect it, and norms add in its order.
                    total[i] = torch.empty_like(parameter).copy_(gradient).detach()
                else:
                    so_far += gradient
            for held, old, new in zip(moved, before, buffers, strict=True):
                if held.is_floating_point():
                    held += self.shares[part] * (new - old)  # what does not move stays as it was, to the bit
                elif part == 0:
                    held.copy_(new)
            cpu += float(found[1])
            numbers += found
        for parameter, added in zip(self.parameters, total, strict=True):
            parameter.grad = added
        self._set_buffers(moved)
        self.cpu_elsewhere = cpu
        return float(numbers[0]), list(numbers[2 : 2 + self.counted])

    def _part(self, part: int, forward: Forward, before: list[Tensor]) -> list[Tensor]:
        """What a part gives: loss, processor time, counts, which gradients there are; gradients; what has moved."""
        self._set_buffers(before)
        for parameter in self.parameters:
            parameter.grad = None
        numbers = self._numbers()
        if self.shares[part]:
            loss, counts = forward(self.cuts[part], self._noise[part])
            loss = self.shares[part] * loss
            loss.backward()
            numbers[0] = loss.detach()
            for i, count in enumerate(counts):
                numbers[2 + i] = count
        numbers[1] = self.team.cpu_seconds()
        gradients = [parameter.grad for parameter in self.parameters]
        known = [float(gradient is not None) for gradient in gradients]
        numbers[2 + self.counted :] = torch.tensor(known, device=numbers.device)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, gradients, strict=True)]
        return [numbers, *filled, *self._buffers()]

    def _numbers(self) -> Tensor:
        device = self.parameters[0].device if self.parameters else None
        return torch.zeros(2 + self.counted + len(self.parameters), device=device)

    def _buffers(self) -> list[Tensor]:
        return [held for module, name in self._holders if (held := module._buffers[name]) is not None]

    @torch.no_grad()
    def _set_buffers(self, values: list[Tensor]) -> None:
        for held, value in zip(self._buffers(), values, strict=True):
            held.copy_(value)

    def _identity(self, candidate: Candidate) -> bytes:
        """What all ranks must begin with."""
        if self.team.link is None:
            return b""
        held = (tensor.detach().cpu().reshape(-1) for tensor in chain(self.parameters, self._buffers()))
        return candidate.hash.encode() + b"".join(tensor.view(torch.uint8).numpy().tobytes() for tensor in held)


__all__ = ["Divided", "Forward"]

"""What torch can trace: each family under `torch.export` with a batch of any size, and a step under `torch.compile`."""

import os
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pathways.assemble import PathModule
from pathways.evolve.paths import with_head
from pathways.experiments.families_page import Use, built, uses
from pathways.modules import Context, Masked
from pathways.modules.ports import example, split
from pathways.preset import preset, presets
from pathways.task import Classes

# `inductor` makes machine code of what was traced: minutes for all families, and a compiler of C++.
BACKEND = os.environ.get("PATHWAYS_COMPILE_BACKEND", "aot_eager")
USES = {name: use for name, use in uses().items() if use.host is None}

DELTAS = [name for name in presets() if any(step.deltas for step in preset(name).steps.values())]


class Flat(nn.Module):
    """A module of tensors: masks are inputs of their own, and auxiliary losses are added to the output."""

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.module, self.ports = built(use.spec, use.ports), use.ports
        self.parts = nn.ModuleList(p for held in vars(self.module).values() if isinstance(held, dict)
                                   for p in held.values() if isinstance(p, nn.Module))

    def forward(self, *tensors: Tensor) -> Tensor:
        given, values = iter(tensors), []
        for port in self.ports:
            x = next(given)
            values.append(Masked(x, next(given)) if port.variable else x)
        context = Context()
        tensor, _ = split(self.module(*values, context=context))
        extra = context.total_loss()
        return tensor if extra is None else tensor + extra


def tensors_of(use: Use, batch: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    values: list[Any] = [example(port, batch, generator) for port in use.ports]
    return [x for value in values for x in (value if isinstance(value, Masked) else (value,))]


@pytest.mark.parametrize("name", sorted(USES))
def test_a_family_is_exported_for_any_batch(name: str) -> None:
    use, any_size = USES[name], torch.export.Dim("batch", min=2, max=64)
    module, tensors = Flat(use).eval(), tensors_of(use)
    sizes = (tuple({0: any_size} for _ in tensors),) if tensors else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, tuple(tensors), dynamic_shapes=sizes, strict=False).module()
    more = tensors_of(use, batch=7)
    torch.testing.assert_close(program(*more), module(*more), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(USES))
def test_a_training_step_is_compiled_whole(name: str) -> None:
    """Forward and backward pass are one graph each, without a break, and give the gradients of the plain module."""
    use = USES[name]
    plain, traced, tensors = Flat(use).train(), Flat(use).train(), tensors_of(use)
    torch._dynamo.reset()
    compiled = torch.compile(traced, backend=BACKEND, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, wanted = compiled(*tensors), plain(*tensors)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    if not wanted.requires_grad:
        return
    found.square().sum().backward()
    wanted.square().sum().backward()
    for (key, ours), theirs in zip(traced.named_parameters(), plain.parameters(), strict=True):
        if theirs.grad is None:
            assert ours.grad is None or not bool(ours.grad.any()), key
        else:
            torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", DELTAS)
def test_a_path_with_deltas_is_exported_for_any_batch(name: str) -> None:
    path, generator = with_head(preset(name), Classes(3)), torch.Generator().manual_seed(0)
    module = PathModule(path, lambda ref: generator).eval()
    names = list(path.inputs)
    given = {name: [example(port, batch, generator) for batch in (4, 7)] for name, port in path.inputs.items()}
    if any(port.variable for port in path.inputs.values()):
        pytest.skip("masks are inputs of their own: `System.export` writes them, and its tests read them back")
    sizes = ({name: {0: torch.export.Dim("batch", min=2, max=64)} for name in names},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = {name: given[name][0] for name in names}
        program = torch.export.export(module, (first,), dynamic_shapes=sizes, strict=False).module()
    more = {name: given[name][1] for name in names}
    torch.testing.assert_close(program(more), module(more), atol=1e-5, rtol=1e-4)

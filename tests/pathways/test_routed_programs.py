"""Paths with routers and mixtures can be traced: for any number of samples a program gives what the path gives."""

from typing import Any

import pytest
import torch
from tiny import linear, seeded
from torch import nn

from pathways.assemble import PathModule
from pathways.modules import Draft, ModuleSpec, Vector
from pathways.modules.ports import example
from pathways.path import Path, Step
from pathways.preset import preset

PRESETS = [
    "capsules", "denoising-experts", "expert-memory", "keyed-modulators", "mixture-of-mlps", "modality-experts",
    "modular-vision", "multi-head-routing", "multipath", "poly", "sparse-experts", "task-coded-gate", "task-gates",
]  # fmt: skip


class Program(nn.Module):
    """What is traced: a path, from its inputs alone."""

    def __init__(self, path: PathModule) -> None:
        super().__init__()
        self.path = path

    def forward(self, values: dict[str, Any]) -> Any:
        return self.path(values)


def gated_by_a_code() -> Path:
    """Whole modules behind a gate that reads each sample beside a learned code."""
    router = Draft("router", ModuleSpec("topk_router", {"experts": 2, "k": 1}))
    code = Draft("code", ModuleSpec("learned_tokens", {"length": 1, "dim": 3}))
    return Path({"x": Vector(4)}, {
        "code": Step((code,), ()),
        "experts": Step((linear("a", 4), linear("b", 4)), ("x",), router, gate=("x", "code")),
    }, "experts")  # fmt: skip


@pytest.mark.parametrize("name", [*PRESETS, "gated by a code"])
def test_a_program_gives_what_the_path_gives(name: str) -> None:
    path = gated_by_a_code() if name == "gated by a code" else preset(name)
    module = PathModule(path, lambda ref: seeded()).eval().requires_grad_(False)
    for i, parameter in enumerate(module.parameters()):
        parameter.add_(torch.randn(parameter.shape, generator=seeded(i)), alpha=0.3)
    five, three = ({n: example(port, size, seeded(size)) for n, port in path.inputs.items()} for size in (5, 3))
    batch = torch.export.Dim("batch", min=1, max=512)
    shapes = ({n: {0: batch} for n in five},)
    program = torch.export.export(Program(module), (five,), dynamic_shapes=shapes).module()
    for values in (five, three):
        torch.testing.assert_close(program(values), module(values), atol=1e-5, rtol=1e-5)

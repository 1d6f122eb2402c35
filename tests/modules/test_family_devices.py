"""Every built-in family computes where its weights and values are: what it makes itself is made there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from pretend_cuda import pretended

from pathways.modules import Masked
from pathways.testing import ModuleFamilySuite


def suites() -> list[type[ModuleFamilySuite]]:
    """The suites of the test files beside this one."""
    found = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if "ModuleFamilySuite)" in file.read_text() and file.name != Path(__file__).name:
            spec = importlib.util.spec_from_file_location(f"suites_of_{file.stem}", file)
            tests = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(tests)
            classes = [cls for cls in vars(tests).values() if isinstance(cls, type) and cls is not ModuleFamilySuite]
            # Parts are moved by the path that holds them.
            found += [cls for cls in classes if issubclass(cls, ModuleFamilySuite) and not cls.spec.parts]
    return found


def placed(value: Any, device: str) -> Any:
    """A value on a device."""
    if isinstance(value, Masked):
        return Masked(value.value.to(device), value.mask.to(device))
    return value.to(device)


def outcome(suite: Any, device: str) -> list[Any]:
    """Output and gradients of a module in training, on a device, brought back."""
    module = suite.trained().to(device).train()
    values = [placed(value, device) for value in suite.values()]
    output = suite.run(module, values, noise=2)
    tensor = output.value if isinstance(output, Masked) else output
    assert tensor.device.type == device
    if tensor.requires_grad:
        tensor.square().sum().backward()
    gradients = [p.grad.cpu() for p in module.parameters() if p.grad is not None]
    return [tensor.detach().cpu(), *gradients, *(b.cpu() for b in module.buffers())]


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.__name__)
def test_a_family_computes_where_it_is(suite):
    here = outcome(suite(), "cpu")
    with pretended():
        there = outcome(suite(), "cuda")
    assert len(here) == len(there)
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))

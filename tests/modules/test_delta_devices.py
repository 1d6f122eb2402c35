"""Every built-in delta computes where its host is: what it makes itself is made there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from pretend_cuda import pretended
from test_family_devices import placed

from pathways.modules.ports import split
from pathways.testing import DeltaFamilySuite
from pathways.testing.module_family import moved


def suites() -> list[type[DeltaFamilySuite]]:
    """The suites of the test files beside this one."""
    found = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if "(DeltaFamilySuite)" in file.read_text() and file.name != Path(__file__).name:
            spec = importlib.util.spec_from_file_location(f"deltas_of_{file.stem}", file)
            tests = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(tests)
            classes = [cls for cls in vars(tests).values() if isinstance(cls, type) and hasattr(cls, "spec")]
            found += [cls for cls in classes if issubclass(cls, DeltaFamilySuite)]
    return found


def outcome(suite: DeltaFamilySuite, device: str) -> list[Any]:
    """The host's output under the delta and the delta's gradients, on a device, brought back."""
    host, delta = moved(suite.built_host(), device), moved(suite.trained(), device)
    values, condition = ([placed(v, device) for v in some] for some in (suite.values(), suite.condition()))
    output = split(suite.run_all(host, [delta], values, condition))[0]
    assert output.device.type == device
    output.square().sum().backward()
    return [output.detach().cpu(), *(p.grad.cpu() for p in delta.parameters())]


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.__name__)
def test_a_delta_computes_where_its_host_is(suite):
    here = outcome(suite(), "cpu")
    with pretended():
        there = outcome(suite(), "cuda")
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))

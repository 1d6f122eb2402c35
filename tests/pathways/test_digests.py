from __future__ import annotations

import torch

from pathways.digests import sample_digests
from pathways.modules import Ids, Masked, Signal, Vector


def test_equal_rows_have_equal_digests() -> None:
    rows = torch.tensor([[1, 2], [3, 4], [1, 2]], dtype=torch.uint8)
    a, b, c = sample_digests({"x": rows}, {"x": Vector(2)})
    assert a == c != b
    assert len(a) == 16


def test_strided_rows_count_by_content() -> None:
    x, ports = torch.arange(6.0).reshape(3, 2), {"x": Vector(2)}
    assert sample_digests({"x": x}, ports) == sample_digests({"x": x.T.contiguous().T}, ports)


def test_two_inputs_do_not_run_into_each_other() -> None:
    ports = {"x": Ids(None, 9), "y": Ids(None, 9)}
    real = torch.ones(1, 1, dtype=torch.bool)
    two = Masked(torch.tensor([[1, 2]]), real.expand(1, 2))
    one, tail = Masked(torch.tensor([[1]]), real), Masked(torch.tensor([[2, 3]]), real.expand(1, 2))
    three = Masked(torch.tensor([[3]]), real)
    assert sample_digests({"x": two, "y": three}, ports) != sample_digests({"x": one, "y": tail}, ports)


def test_padding_does_not_count() -> None:
    port = {"x": Signal(2, None)}
    short = Masked(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[True, True]]))
    padded = Masked(torch.tensor([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]]), torch.tensor([[True, True, False]]))
    assert sample_digests({"x": short}, port) == sample_digests({"x": padded}, port)

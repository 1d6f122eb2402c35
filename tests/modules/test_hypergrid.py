import pytest
import torch

from pathways.modules import Context, Draft, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})
CODE = Draft("code", ModuleSpec("learned_tokens", {"length": 1, "dim": 3}))
GRID = {"row_cells": 2, "column_cells": 4}


class TestHyperGrid(DeltaFamilySuite):
    spec = ModuleSpec("hypergrid", GRID)
    host, ports = BLOCK, (Tokens(None, 8),)


class TestHyperGridOfParts(DeltaFamilySuite):
    spec = ModuleSpec("hypergrid", {**GRID, "rows": "global", "code": 3}, parts={"code": CODE})
    host, ports = BLOCK, (Tokens(5, 8),)


class TestHyperGridOfSamples(DeltaFamilySuite):
    spec = ModuleSpec("hypergrid", {**GRID, "columns": "global"})
    host, ports, conditions = BLOCK, (Tokens(None, 8),), (Vector(3),)


class TestHyperGridLinear(DeltaFamilySuite):
    spec = ModuleSpec("hypergrid", {"row_cells": 3, "column_cells": 1, "target": "linear.weight"})
    host, ports = ModuleSpec("linear", {"dim": 6}), (Vector(4),)


def make(*conditions, moved=True, parts=None, **config):
    host = build(BLOCK, [Tokens(5, 8)], seeded(0)).eval().requires_grad_(False)
    delta = build(ModuleSpec("hypergrid", {**GRID, **config}), conditions, seeded(1), host=host)
    if moved:
        move(delta, 2)
    return host, delta


def run(host, delta, x, *condition):
    return TestHyperGrid().run_all(host, [delta], [x], condition)


def test_b22_a_gate_is_constant_in_its_cell_and_between_zero_and_one():
    host, delta = make(gate="paper", code=3)
    before = dict(host.named_parameters())
    gates = delta.weights(before)["down.weight"] / before["down.weight"]
    cells = gates.unflatten(1, (4, 4)).unflatten(0, (2, 4))  # down is (8, 16)
    torch.testing.assert_close(cells, cells[:, :1, :, :1].expand_as(cells), atol=1e-5, rtol=1e-5)
    assert bool(((gates > 0) & (gates < 1)).all())
    assert len(cells[:, 0, :, 0].flatten().unique()) == 8
    x = delta.code.numbers
    expected = torch.sigmoid(torch.outer(delta.rows @ x, delta.columns @ x))
    torch.testing.assert_close(cells[:, 0, :, 0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("gate", "factor"), [("paper", 0.5), ("doubled", 1.0)])
def test_b22_the_zero_condition_gives_half_the_weight_or_all_of_it(gate, factor):
    host, delta = make(gate=gate)
    torch.nn.init.zeros_(delta.code.numbers)
    assert torch.equal(delta.weights(dict(host.named_parameters()))["down.weight"], factor * host.down.weight)


def test_b22_a_new_task_adds_the_cells_times_the_size_of_the_condition():
    _, delta = make(code=3)
    assert delta.rows.numel() + delta.columns.numel() == (2 + 4) * 3
    _, shared = make(code=3, rows="global")
    assert shared.rows.numel() + shared.columns.numel() == 2 + 4 * 3


@pytest.mark.parametrize("config", [{}, {"rows": "global"}, {"gate": "paper"}])
def test_b22_gates_of_samples_are_gates_of_codes(config):
    host, by_value = make(Vector(3), **config)
    _, by_code = make(code=3, moved=False, **config)
    by_code.load_state_dict({**by_value.state_dict(), "code.numbers": torch.zeros(3)})
    x, z = torch.randn(3, 5, 8, generator=seeded(3)), torch.randn(3, 3, generator=seeded(4))
    together = run(host, by_value, x, z)
    for i in range(3):
        with torch.no_grad():
            by_code.code.numbers.copy_(z[i])
        torch.testing.assert_close(together[i], run(host, by_code, x[i : i + 1])[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together, host(x, context=Context()), atol=1e-3)


@pytest.mark.parametrize(
    ("config", "ports", "host", "message"),
    [
        ({"row_cells": 3}, (), BLOCK, r"`row_cells` must divide 8 of the target's \(8, 16\), found 3"),
        ({"column_cells": 0}, (), BLOCK, "`column_cells` must be a whole number of at least 1, found 0"),
        ({"rows": "global", "columns": "global"}, (), BLOCK, "`rows` or `columns` must be local, found both global"),
        ({"rows": "none"}, (), BLOCK, r"`rows` must be one of \['local', 'global'\], found 'none'"),
        ({"gate": "half"}, (), BLOCK, r"`gate` must be one of \['doubled', 'paper'\], found 'half'"),
        ({"target": "up.weight"}, (Vector(3),), BLOCK, "`target` must be left out where a condition is read"),
        ({}, (Tokens(5, 3),), BLOCK, "family `hypergrid` reads one Vector, found"),
        ({"target": "linear.weight"}, (Vector(3),), ModuleSpec("linear", {"dim": 8}), "`host` must have the sites"),
    ],
)
def test_bad_settings_are_named(config, ports, host, message):
    inputs = (Tokens(5, 8),) if host is BLOCK else (Vector(8),)
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("hypergrid", {**GRID, **config}), ports, host=(host, inputs))

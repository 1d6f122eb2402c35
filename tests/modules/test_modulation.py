import pytest
import torch

from pathways.modules import Context, Image, ModuleSpec, PortError, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})


class TestModulation(DeltaFamilySuite):
    spec = ModuleSpec("modulation")
    host, ports, conditions = BLOCK, (Tokens(None, 8),), (Vector(3),)
    draws = False


class TestModulationByTokens(DeltaFamilySuite):
    spec = ModuleSpec("modulation")
    host, ports, conditions = BLOCK, (Tokens(3, 8), Tokens(None, 6)), (Tokens(2, 3),)
    draws = False


class TestModulationByCode(DeltaFamilySuite):
    spec = ModuleSpec("modulation", {"code": 3})
    host, ports = BLOCK, (Tokens(5, 8),)


def make():
    host = build(BLOCK, [Tokens(5, 8)], seeded(0)).eval().requires_grad_(False)
    return host, build(ModuleSpec("modulation"), [Vector(3)], seeded(1), host=host)


def test_b29_both_branches_are_modulated_and_gated():
    host, delta = make()
    move(delta, 2)
    x, c = torch.randn(2, 5, 8, generator=seeded(3)), torch.randn(2, 3, generator=seeded(4))
    s1, b1, g1, s2, b2, g2 = delta.linear(c)[:, None].chunk(6, -1)
    normed = host.norm(x) * (1 + s1) + b1
    h = x + (1 + g1) * host._attend(normed, normed, None, Context())
    inner = torch.nn.functional.gelu(host.up(host.norm_ff(h) * (1 + s2) + b2))
    found = TestModulation().run_all(host, [delta], [x], [c])
    torch.testing.assert_close(found, h + (1 + g2) * host.down(inner), atol=1e-5, rtol=1e-5)


def test_b29_two_conditions_differ_after_one_step_and_a_new_one_adds_no_parameters():
    host, delta = make()
    x = torch.randn(1, 5, 8, generator=seeded(3)).expand(2, 5, 8)
    conditions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    def run():
        return TestModulation().run_all(host, [delta], [x], [conditions])

    count = sum(p.numel() for p in delta.parameters())
    assert torch.equal(run(), host(x, context=Context()))
    (run() * torch.randn(2, 5, 8, generator=seeded(5))).sum().backward()
    torch.optim.SGD(delta.parameters(), 0.1).step()
    first, second = run()
    assert not torch.allclose(first, second, atol=1e-3)
    assert sum(p.numel() for p in delta.parameters()) == count == 4 * 48


@pytest.mark.parametrize(
    ("host", "ports", "config", "error", "message"),
    [
        (BLOCK, (Tokens(None, 3),), {}, PortError, "`modulation` has a Vector or Tokens of fixed length"),
        (BLOCK, (Image(1, 2, 2),), {}, PortError, "`modulation` has a Vector or Tokens"),
        (BLOCK, (), {"code": 0}, ValueError, "`code` must be a whole number of at least 1, found 0"),
        (ModuleSpec("pool"), (Vector(3),), {}, ValueError, "`host` must have the sites"),
    ],
)
def test_bad_settings_are_named(host, ports, config, error, message):
    with pytest.raises(error, match=message):
        facts(ModuleSpec("modulation", config), ports, host=(host, (Tokens(5, 8),)))

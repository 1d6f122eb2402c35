import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, PortError, Tokens, Vector, build
from pathways.modules.routing.agreement import squash
from pathways.testing import ModuleFamilySuite


class TestAgreement(ModuleFamilySuite):
    spec = ModuleSpec("agreement", {"capsules": 3, "dim": 4})
    ports = (Tokens(6, 8),)
    refused = ((), (Vector(8),), (Tokens(None, 8),))


class TestAgreementResidual(ModuleFamilySuite):
    spec = ModuleSpec("agreement", {"capsules": 5, "dim": 4, "rounds": 2, "residual": True})
    ports = (Tokens(5, 4),)


def make(rounds=3):
    spec = ModuleSpec("agreement", {"capsules": 3, "dim": 4, "rounds": rounds})
    return build(spec, [Tokens(6, 8)], torch.Generator().manual_seed(0))


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_h6_coupling_rows_sum_to_one():
    _, couplings = make().route(noise(5, 6, 8))
    assert len(couplings) == 3
    for coupling in couplings:
        torch.testing.assert_close(coupling.sum(2), torch.ones(5, 6))
    torch.testing.assert_close(couplings[0], torch.full((5, 6, 3), 1 / 3))


def test_h6_agreement_rises_with_rounds():
    """Mean over samples of sum_ij c_ij U_ij . v_j, for 1 to 5 rounds."""
    x, found = noise(20, 6, 8), []
    for rounds in range(1, 6):
        module = make(rounds)
        capsules, couplings = module.route(x)
        predicted = torch.einsum("bid,ijod->bijo", x, module.weight)
        agreement = (couplings[-1] * torch.einsum("bijo,bjo->bij", predicted, capsules)).sum((1, 2)).mean()
        found.append(float(agreement.detach()))
    assert found == sorted(found)
    assert found[2] > 1.5 * found[0]


def test_h6_wiring_follows_the_input():
    _, couplings = make().route(noise(4, 6, 8))
    assert not torch.allclose(couplings[-1][0], couplings[-1][1], atol=0.05)


def test_squash_keeps_directions_and_lengths_below_one():
    s = noise(7, 4) * torch.tensor([0.01, 0.1, 1, 2, 5, 20, 100])[:, None]
    v = squash(s)
    torch.testing.assert_close(torch.cosine_similarity(s, v), torch.ones(7))
    length = s.norm(dim=1)
    torch.testing.assert_close(v.norm(dim=1), length**2 / (1 + length**2))
    assert not squash(torch.zeros(2, 3)).any()


def test_the_fitting_one_starts_as_the_identity():
    x, config = noise(3, 5, 4), BUILT_IN["agreement"].fitting((Tokens(5, 4),))
    module = build(ModuleSpec("agreement", config), [Tokens(5, 4)], torch.Generator().manual_seed(0))
    assert torch.equal(module(x, context=Context()), x)
    assert BUILT_IN["agreement"].fitting((Tokens(None, 4),)) is None


def test_bad_settings_are_named():
    with pytest.raises(PortError, match="with `residual` reads Tokens"):
        build(ModuleSpec("agreement", {"capsules": 3, "dim": 4, "residual": True}), [Tokens(5, 4)])
    with pytest.raises(ValueError, match="`rounds` must be a whole number of at least 1, found 0"):
        build(ModuleSpec("agreement", {"capsules": 3, "dim": 4, "rounds": 0}), [Tokens(5, 4)])

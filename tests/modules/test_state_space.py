import pytest
import torch
from torch.nn import functional as F

from pathways.modules import Context, Masked, ModuleSpec, Tokens, Vector, build
from pathways.modules.state_space import scan
from pathways.testing import ModuleFamilySuite


class TestStateSpace(ModuleFamilySuite):
    spec = ModuleSpec("state_space", {"state": 4, "expand": 1})
    ports = (Tokens(6, 8),)
    refused = ((), (Vector(8),), (Tokens(5, 8),) * 2)


class TestStateSpaceMasked(ModuleFamilySuite):
    spec = ModuleSpec("state_space", {"state": 3, "kernel": 2})
    ports = (Tokens(None, 6),)


class TestStateSpaceFixed(ModuleFamilySuite):
    spec = ModuleSpec("state_space", {"state": 4, "selective": False})
    ports = (Tokens(None, 6),)


def make(port, **config):
    return build(ModuleSpec("state_space", config), [port], torch.Generator().manual_seed(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_b12_for_fixed_parameters_the_recurrence_is_a_convolution():
    module, length = make(Tokens(20, 6), state=4, selective=False).double(), 20
    u = noise(3, length, 12).double()
    recurrent = scan(*module._coefficients(u, None))
    step = F.softplus(module.step_bias)  # (channels,)
    rate = module.log_decay.exp()  # (channels, state)
    t = torch.arange(length).double()
    kernel = (module.read * module.write * step[:, None] * torch.exp(-step[:, None] * rate * t[:, None, None])).sum(-1)
    convolved = F.conv1d(F.pad(u.transpose(1, 2), (length - 1, 0)), kernel.t().flip(1)[:, None], groups=12)
    torch.testing.assert_close(recurrent, convolved.transpose(1, 2), atol=1e-9, rtol=1e-9)
    # A selective scan is none: what it adds for the sum of two inputs is not the sum of what it adds for each.
    chosen = make(Tokens(20, 6), state=4).double()
    both, one, other = (scan(*chosen._coefficients(v, None)) for v in (u + u.flip(0), u, u.flip(0)))
    assert not torch.allclose(both, one + other, atol=1e-3)


def test_b12_the_scan_is_the_recurrence_step_by_step():
    stays, added, read = noise(2, 5, 3, 4).sigmoid(), noise(2, 5, 3, 4, seed=2), noise(2, 5, 4, seed=3)
    h, expected = torch.zeros(2, 3, 4), []
    for t in range(5):
        h = stays[:, t] * h + added[:, t]
        expected.append(torch.einsum("bcn,bn->bc", h, read[:, t]))
    torch.testing.assert_close(scan(stays, added, read), torch.stack(expected, 1), atol=1e-6, rtol=1e-5)


def test_b12_a_place_reads_only_what_came_before():
    block, x = make(Tokens(7, 6)), noise(1, 7, 6).requires_grad_()
    block(x, context=Context())[0, 3].sum().backward()
    assert bool(x.grad[0, :4].any(1).all())
    assert not bool(x.grad[0, 4:].any())


def test_b12_padding_leaves_the_state_as_it_is():
    masked, fixed, x = make(Tokens(None, 6)), make(Tokens(4, 6)), noise(1, 7, 6)
    alone = fixed(x[:, 3:], context=Context())
    mask = torch.tensor([[False] * 3 + [True] * 4])
    found = masked(Masked(x, mask), context=Context()).value
    torch.testing.assert_close(found[:, 3:], alone, atol=1e-5, rtol=1e-5)


def test_b12_its_state_reaches_further_back_than_its_convolution():
    block = make(Tokens(12, 6), kernel=2)

    def reached():
        x = noise(1, 12, 6).requires_grad_()
        block(x, context=Context())[0, -1].sum().backward()
        return x.grad[0].abs().amax(1)

    assert bool((reached() > 1e-5).all())
    torch.nn.init.constant_(block.log_decay, 20.0)  # all is forgotten at once
    assert (reached() > 1e-5).tolist() == [False] * 10 + [True] * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"state": 0}, "`state` must be a whole number of at least 1, found 0"),
        ({"expand": 0}, "`expand` must be a whole number of at least 1, found 0"),
        ({"kernel": 0}, "`kernel` must be a whole number of at least 1, found 0"),
        ({"selective": "yes"}, "`selective` must be true or false, found 'yes'"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(Tokens(5, 8), **config)

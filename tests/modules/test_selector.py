import pytest
import torch

from pathways.modules import Context, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

POOL = ModuleSpec("pool")


class TestSelector(DeltaFamilySuite):
    spec = ModuleSpec("selector", {"dim": 4, "groups": 3})
    host, ports = ModuleSpec("transformer", {"heads": 2}), (Tokens(6, 8),)


class TestSelectorFlatten(DeltaFamilySuite):
    spec = ModuleSpec("selector", {"dim": 3, "hidden": 5})
    host, ports = ModuleSpec("flatten"), (Tokens(4, 5),)


def make(**config):
    host = build(POOL, [Tokens(6, 4)], seeded(0))
    return host, build(ModuleSpec("selector", {"dim": 4, **config}), [], seeded(1), host=host)


def test_b28_fields_attend_within_their_group():
    _, delta = make(groups=3)
    move(delta, 2)
    x = torch.randn(2, 6, 4, generator=seeded(3))
    query, key, value = delta.attention(x).chunk(3, -1)
    same = torch.arange(6) // 2 == (torch.arange(6) // 2)[:, None]
    logits = (query @ key.transpose(1, 2) / 2).masked_fill(~same, float("-inf"))
    squeezed = logits.softmax(-1) @ value @ delta.indicator / 2
    expected = 2 * torch.sigmoid(delta.up(torch.relu(delta.down(squeezed))))
    torch.testing.assert_close(delta.factors(x), expected, atol=1e-5, rtol=1e-5)


def selected(relevant, seed):
    """Mean factor of each field after training on a target that is in the `relevant` fields; the rest is noise."""
    host, delta = make()
    x = torch.randn(256, 6, 4, generator=seeded(seed))
    target = x[:, relevant].mean(1)
    optimizer = torch.optim.Adam(delta.parameters(), 0.02)
    losses = []
    for _ in range(120):
        found = TestSelector().run_all(host, [delta], [x], ())
        loss = (found - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    return delta.factors(x).detach().mean(0)


def test_b28_irrelevant_fields_get_lower_mean_factors_and_tasks_differ():
    first, second = selected([0, 1, 2], 3), selected([3, 4, 5], 3)
    assert float(first[:3].min()) > float(first[3:].max()) + 0.5
    assert float(second[3:].min()) > float(second[:3].max()) + 0.5


@pytest.mark.parametrize(
    ("config", "port", "message"),
    [
        ({"dim": 0}, Tokens(6, 4), "`dim` must be a whole number of at least 1, found 0"),
        ({"dim": 2, "hidden": 0}, Tokens(6, 4), "`hidden` must be a whole number of at least 1, found 0"),
        ({"dim": 2, "groups": 4}, Tokens(6, 4), "`groups` must divide the 6 fields, found 4"),
        ({"dim": 2}, Tokens(None, 4), "`host` must read fields, Tokens of fixed length, found a host that reads"),
    ],
)
def test_bad_settings_are_named(config, port, message):
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("selector", config), [], host=(POOL, (port,)))


def test_hosts_of_vectors_have_no_fields():
    host = build(ModuleSpec("linear", {"dim": 2}), [Vector(3)], seeded(0))
    delta = make()[1]
    assert type(delta).fitting(host) is None
    assert delta.fitting(make()[0]) == {"dim": 4}
    assert delta.around(lambda x, context: x, torch.ones(1, 6, 4), context=Context()).shape == (1, 6, 4)

import pytest
import torch
from torch.nn import functional as F

from pathways.modules import Context, ModuleSpec, Tokens, Vector, build
from pathways.testing import DeltaFamilySuite
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2})


class TestPrefix(DeltaFamilySuite):
    spec = ModuleSpec("prefix", {"length": 3})
    host, ports = BLOCK, (Tokens(None, 8),)


class TestPrefixOfCrossAttention(DeltaFamilySuite):
    spec = ModuleSpec("prefix", {"length": 2})
    host, ports = BLOCK, (Tokens(3, 8), Tokens(None, 6))


def test_b30_each_head_adds_what_it_reads_of_the_prefix_times_its_gate():
    host = build(BLOCK, [Tokens(5, 8)], seeded(0)).eval()
    delta = build(ModuleSpec("prefix", {"length": 3}), [], seeded(1), host=host)
    with torch.no_grad():
        delta.gate.copy_(torch.tensor([0.5, -2.0]))
    x = torch.randn(2, 5, 8, generator=seeded(2))
    query = host._per_head(host.query(host.norm(x)))
    changes = delta.inside()
    assert changes["query"](query) is query
    mixed = torch.randn(query.shape, generator=seeded(3))
    read = F.scaled_dot_product_attention(query, delta.keys.expand(2, -1, -1, -1), delta.values.expand(2, -1, -1, -1))
    expected = mixed + torch.tensor([0.5, -2.0])[:, None, None] * read
    torch.testing.assert_close(changes["mixed"](mixed), expected, atol=1e-6, rtol=1e-6)


def test_b30_the_gate_opens_in_the_first_step_and_then_keys_learn():
    host = build(BLOCK, [Tokens(5, 8)], seeded(0)).eval().requires_grad_(False)
    delta = build(ModuleSpec("prefix", {"length": 3}), [], seeded(1), host=host)
    x = torch.randn(2, 5, 8, generator=seeded(2))
    optimizer = torch.optim.SGD(delta.parameters(), 0.1)
    seen = []
    for _ in range(2):
        changes = {site: (change,) for site, change in delta.inside().items()}
        optimizer.zero_grad()
        host(x, context=Context().changed(host, changes)).square().sum().backward()
        seen.append([bool(p.grad.any()) for p in (delta.gate, delta.keys)])
        optimizer.step()
    assert seen == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("host", "port", "length", "message"),
    [
        (BLOCK, Tokens(5, 8), 0, "`length` must be a whole number of at least 1, found 0"),
        (ModuleSpec("linear", {"dim": 5}), Vector(4), 2, r"`host` must have the sites \['query', 'mixed'\], found"),
    ],
)
def test_bad_settings_are_named(host, port, length, message):
    module = build(host, [port], seeded(0))
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("prefix", {"length": length}), [], host=module)

import pytest
import torch

from pathways.modules import Context, ModuleSpec, Tokens, build
from pathways.modules.merge import merged
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

SPECS = [
    ModuleSpec("lora", {"rank": 2, "target": "down.weight"}),
    ModuleSpec("ia3"),
    ModuleSpec("hypergrid", {"row_cells": 2, "column_cells": 4}),
    ModuleSpec("hypernetwork", {"target": "up.weight", "code": 3}),
    ModuleSpec("tuned_norms"),
    ModuleSpec("conditional_norm", {"code": 3}),
]


class Suite(DeltaFamilySuite):
    host, ports = ModuleSpec("transformer", {"heads": 2, "ff": 2}), (Tokens(None, 8),)


def deltas(host, specs):
    found = [build(spec, [], seeded(i), host=host) for i, spec in enumerate(specs)]
    for i, delta in enumerate(found):
        move(delta, 20 + i)
    return found


def test_b30_all_that_change_weights_merge_in_their_order():
    host, values = Suite().built_host(), Suite().values()
    alone, some = Suite().built_host(), deltas(host, SPECS)
    before = {name: tensor.clone() for name, tensor in host.state_dict().items()}
    alone.load_state_dict(merged(host, some))
    expected = Suite().run_all(host, some, values, ())
    assert torch.equal(alone(*values, context=Context()).value, expected.value)
    assert not torch.allclose(expected.value, host(*values, context=Context()).value, atol=1e-2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in host.state_dict().items())
    other = merged(host, some[::-1])["down.weight"]
    assert not torch.allclose(other, alone.down.weight, atol=1e-4)  # order counts: factors on a sum


def test_merged_tensors_are_named_and_shaped_as_the_hosts_and_carry_no_gradient():
    host = Suite().built_host()
    found = merged(host, deltas(host, SPECS))
    assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in host.state_dict().items()}
    assert not any(tensor.requires_grad for tensor in found.values())
    assert merged(host, [])["up.weight"].equal(host.up.weight)


def test_what_no_weights_can_say_is_refused():
    host = Suite().built_host()
    with pytest.raises(ValueError, match="`deltas` must change weights only, found `bottleneck`, which changes values"):
        merged(host, deltas(host, [ModuleSpec("ia3"), ModuleSpec("bottleneck", {"dim": 2})]))

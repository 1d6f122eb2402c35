import pytest
import torch

from pathways.modules import Context, Draft, Ids, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})
SQUEEZE = Draft("squeeze", ModuleSpec("linear", {"dim": 3}))
LINEAR = ModuleSpec("linear", {"dim": 1})


class TestChannelGate(DeltaFamilySuite):
    spec = ModuleSpec("channel_gate", {"hidden": 3})
    host, ports = ModuleSpec("conv", {"channels": 4}), (Image(5, 4, 4),)


class TestChannelGateOfCrossAttention(DeltaFamilySuite):
    spec = ModuleSpec("channel_gate", {"hidden": 3, "index": 1, "channels": 6}, parts={"squeeze": SQUEEZE})
    host, ports = BLOCK, (Tokens(3, 8), Tokens(None, 6))
    draws = False  # its own weights all start as zeros


class TestChannelGateVector(DeltaFamilySuite):
    spec = ModuleSpec("channel_gate", {"hidden": 2})
    host, ports = ModuleSpec("linear", {"dim": 3}), (Vector(4),)


def sum_of_channels(dim=8):
    """A frozen host that adds up its channels."""
    host = build(LINEAR, [Vector(dim)], seeded(0)).requires_grad_(False)
    torch.nn.init.ones_(host.linear.weight)
    return host


def test_b26_gates_are_chosen_from_the_squeezed_input():
    host = sum_of_channels()
    delta = build(ModuleSpec("channel_gate", {"hidden": 3}), [], seeded(1), host=host)
    move(delta, 2)
    x = torch.randn(5, 8, generator=seeded(3))
    gates = 2 * torch.sigmoid(delta.choose(torch.nn.functional.gelu(delta.own(x))))
    found = TestChannelGateVector().run_all(host, [delta], [x], ())
    torch.testing.assert_close(found, host(x * gates, context=Context()), atol=1e-5, rtol=1e-5)


def test_b26_two_conflicting_tasks_choose_different_channels():
    """Of one output, one task wants the sum of the first four channels, the other that of the last; P is shared."""
    host, suite = sum_of_channels(), TestChannelGateVector()
    squeeze = build(ModuleSpec("linear", {"dim": 4}), [Vector(8)], seeded(5))
    spec = ModuleSpec("channel_gate", {"hidden": 4, "channels": 8}, parts={"squeeze": SQUEEZE})
    tasks = [build(spec, [], seeded(1), parts={"squeeze": squeeze}, host=host) for _ in range(2)]
    x = torch.randn(256, 8, generator=seeded(3))
    targets = [x[:, :4].sum(1, keepdim=True), x[:, 4:].sum(1, keepdim=True)]
    optimizer = torch.optim.Adam([*squeeze.parameters(), *(p for task in tasks for p in task.parameters())], 0.05)
    losses = []
    for _ in range(150):
        loss = sum((suite.run_all(host, [d], [x], ()) - y).square().mean() for d, y in zip(tasks, targets, strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    top = [set(task.gates(x).mean(0).topk(4).indices.tolist()) for task in tasks]
    assert top == [{0, 1, 2, 3}, {4, 5, 6, 7}]  # an overlap of 0


@pytest.mark.parametrize(
    ("spec", "ports", "host", "message"),
    [
        (ModuleSpec("channel_gate", {"hidden": 0}), [Vector(4)], LINEAR, "`hidden` must be a whole number of at least"),
        (ModuleSpec("channel_gate", {"hidden": 2, "index": 1}), [Vector(4)], LINEAR, "`index` must be below 1, "),
        (ModuleSpec("channel_gate", {"hidden": 2}), [Ids(3, 4)], ModuleSpec("embed", {"dim": 4}),
         "`index` must be of one with channels, found 0, which is Ids"),
        (ModuleSpec("channel_gate", {"hidden": 2}, parts={"squeeze": SQUEEZE}), [Vector(4)], LINEAR,
         "`channels` must be the 4 of the host's input, found None"),
        (ModuleSpec("channel_gate", {"hidden": 2, "channels": 4}, parts={"squeeze": SQUEEZE}), [Vector(4)], LINEAR,
         r"`squeeze` must give Vector\(dim=2\), found Vector\(dim=3\)"),
    ],
)
def test_bad_settings_are_named(spec, ports, host, message):
    with pytest.raises(ValueError, match=message):
        facts(spec, [], host=(host, tuple(ports)))

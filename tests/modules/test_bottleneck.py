import pytest
import torch

from pathways.assemble import PathModule
from pathways.errors import PathError
from pathways.modules import Context, Draft, Frozen, Image, Init, ModuleSpec, Tokens, Vector, build
from pathways.path import DeltaRef, Path, Step
from pathways.pool import Pool
from pathways.testing import DeltaFamilySuite
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})


class TestBottleneck(DeltaFamilySuite):
    spec = ModuleSpec("bottleneck", {"dim": 3})
    host, ports = BLOCK, (Tokens(None, 8),)


class TestBottleneckInside(DeltaFamilySuite):
    spec = ModuleSpec("bottleneck", {"dim": 3, "sites": ["inner", "output"], "activation": "gelu"})
    host, ports = BLOCK, (Tokens(5, 8),)


class TestBottleneckInDecoder(DeltaFamilySuite):
    spec = ModuleSpec("bottleneck", {"dim": 3, "sites": ["self_attended", "attended", "inner"]})
    host, ports = ModuleSpec("decoder", {"heads": 2}), (Tokens(None, 8), Tokens(4, 6))


class TestBottleneckInMLP(DeltaFamilySuite):
    spec = ModuleSpec("bottleneck", {"dim": 3, "sites": ["inner"]})
    host, ports = ModuleSpec("mlp", {"hidden": 10}), (Vector(6),)


class TestBottleneckBehind(DeltaFamilySuite):
    spec = ModuleSpec("bottleneck", {"dim": 3})
    host, ports = ModuleSpec("conv", {"channels": 4}), (Image(2, 5, 5),)


def block():
    return build(BLOCK, [Tokens(5, 8)], seeded(0)).eval().requires_grad_(False)


def delta(host, seed, moved=True):
    found = build(ModuleSpec("bottleneck", {"dim": 3}), [], seeded(seed), host=host)
    if moved:
        with torch.no_grad():
            for parameter in found.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=seeded(seed + 50)), alpha=0.2)
    return found


def run(host, deltas, x):
    return TestBottleneck().run_all(host, deltas, [x], ())


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def test_b18_the_change_is_a_residual_bottleneck_on_what_a_branch_adds():
    host, x = block(), noise(2, 5, 8)
    found = delta(host, 1)
    with torch.no_grad():
        for parameter in found.adapters["transformed"].up.parameters():
            parameter.zero_()
    adapter = found.adapters["attended"]
    branch = host._attend(host.norm(x), host.norm(x), None, Context())
    h = x + branch + adapter.up(torch.relu(adapter.down(adapter.norm(branch))))
    expected = h + host.down(torch.nn.functional.gelu(host.up(host.norm_ff(h))))
    torch.testing.assert_close(run(host, [found], x), expected, atol=1e-6, rtol=1e-6)


def test_b18_two_tasks_trained_in_turn_forget_nothing():
    host, x, y = block(), noise(16, 5, 8), noise(16, 5, 8, seed=2)
    before = {name: tensor.clone() for name, tensor in host.state_dict().items()}
    tasks, outputs, losses = [delta(host, i, moved=False) for i in (1, 2)], [], []
    for sign, task in zip((1.0, -1.0), tasks, strict=True):
        optimizer = torch.optim.Adam(task.parameters(), 0.02)
        for _ in range(30):
            loss = (run(host, [task], x) - sign * y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        outputs.append(run(host, [task], x).detach())
    assert losses[29] < 0.8 * losses[0]
    assert losses[59] < 0.8 * losses[30]
    assert torch.equal(run(host, [tasks[0]], x), outputs[0])
    assert not torch.equal(outputs[0], outputs[1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in host.state_dict().items())


def test_b20_a_stack_is_the_upper_on_what_the_lower_gives():
    host, x = block(), noise(2, 5, 8)
    language, other, task = (delta(host, seed) for seed in (1, 2, 3))
    with torch.no_grad():  # one site is enough to see the order
        for each in (language, other, task):
            for parameter in each.adapters["attended"].up.parameters():
                parameter.zero_()
    h = x + host._attend(host.norm(x), host.norm(x), None, Context())
    branch = host.down(torch.nn.functional.gelu(host.up(host.norm_ff(h))))

    def at(each, value):
        return each.adapters["transformed"](value, context=Context())

    for lower in (language, other):
        torch.testing.assert_close(run(host, [lower, task], x), h + at(task, at(lower, branch)), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(run(host, [language, task], x), run(host, [task, language], x), atol=1e-3)


def test_b20_the_lower_is_exchanged_under_an_upper_that_stays():
    host, x = block(), noise(2, 5, 8)
    language, other, task = (delta(host, seed) for seed in (1, 2, 3))
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    assert not torch.equal(run(host, [language, task], x), run(host, [other, task], x))
    assert torch.equal(run(host, [delta(host, 9, moved=False), task], x), run(host, [task], x))
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.state_dict().items())


def test_b19_a_stored_delta_gives_the_same_outputs_in_any_slot_that_fits(tmp_path):
    host, x, pool = block(), noise(2, 5, 8), Pool(tmp_path)
    stored = delta(host, 1)
    spec = ModuleSpec("bottleneck", {"dim": 3})
    names = {"task/one": pool.put(spec, stored.state_dict())}
    assert pool.put(spec, stored.state_dict()) == names["task/one"]  # equal content is stored once
    loaded = delta(host, 7)
    loaded.load_state_dict(pool.get(names["task/one"]))
    assert torch.equal(run(host, [loaded], x), run(host, [stored], x))
    other = build(BLOCK, [Tokens(None, 8)], seeded(5)).eval()  # another block of the same width
    slot = delta(other, 7)
    slot.load_state_dict(pool.get(names["task/one"]))
    assert torch.equal(run(other, [slot], x), run(other, [stored], x))


def stored_path(pool, width):
    """A frozen adapter of 8 numbers a token, in a block of `width`."""
    spec = ModuleSpec("bottleneck", {"dim": 3})
    blob = pool.put(spec, delta(block(), 1).state_dict())
    step = Step((Draft("m", BLOCK, Init(0)),), ("x",), deltas=(DeltaRef(0, Frozen(blob, spec)),))
    return Path({"x": Tokens(5, width)}, {"out": step}, "out")


def test_b19_a_stored_delta_of_another_shape_is_refused_with_one_sentence(tmp_path):
    pool = Pool(tmp_path)

    def weights(ref):
        return pool.get(ref.id) if isinstance(ref, Frozen) else seeded(0)

    assert PathModule(stored_path(pool, 8), weights)(noise(2, 5, 8)).shape == (2, 5, 8)
    with pytest.raises(PathError, match=r"`bottleneck`\) must have .*up.bias \(10,\).*, found .*up.bias \(8,\)"):
        PathModule(stored_path(pool, 10), weights)


@pytest.mark.parametrize(
    ("host", "port", "config", "message"),
    [
        (BLOCK, Tokens(5, 8), {"dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
        (BLOCK, Tokens(5, 8), {"dim": 1, "sites": ["query"]}, r"`sites` must name places of the host, .*\['query'\]"),
        (BLOCK, Tokens(5, 8), {"dim": 1, "sites": []}, r"`sites` must name .* found \[\]"),
        (BLOCK, Tokens(5, 8), {"dim": 1, "sites": ["inner", "inner"]}, "each once"),
        (ModuleSpec("linear", {"dim": 5}), Vector(4), {"dim": 1, "sites": ["inner"]}, r"of \['output'\]"),
        (BLOCK, Tokens(5, 8), {"dim": 1, "activation": "cos"}, "`activation` must be one of"),
    ],
)
def test_bad_settings_are_named(host, port, config, message):
    module = build(host, [port], seeded(0))
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("bottleneck", config), [], host=module)

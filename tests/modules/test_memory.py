import pytest
import torch

from pathways.modules import BUILT_IN, Context, Draft, ModuleSpec, Tokens, Vector, build, facts
from pathways.modules.routing.memory import ExpertMemory
from pathways.testing import ModuleFamilySuite


class TestExpertMemory(ModuleFamilySuite):
    spec = ModuleSpec("expert_memory", {"experts": 3, "hidden": 5})
    ports = (Tokens(4, 8), Tokens(4, 8))
    refused = ((), (Tokens(4, 8), Tokens(5, 8)), (Tokens(4, 8),) * 3)


class TestExpertMemoryFirst(ModuleFamilySuite):
    spec = ModuleSpec("expert_memory", {"experts": 2})
    ports = (Tokens(None, 8),)
    refused = ((),)


class TestExpertMemoryOfParts(ModuleFamilySuite):
    spec = ModuleSpec("expert_memory", parts={
        f"expert{e}": Draft(f"e{e}", ModuleSpec("linear", {"dim": 8, "activation": "relu"})) for e in range(3)
    })
    ports = (Vector(8), Vector(8))


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(*ports, seed=0):
    """A layer whose weights are drawn, as after training."""
    module = build(ModuleSpec("expert_memory", {"experts": 3}), ports, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.add_(noise(*parameter.shape, seed=30 + i), alpha=0.3)
    return module.eval()


PAIR = (Tokens(4, 8), Tokens(4, 8))


def test_r7_gates_sum_to_one_and_vary_by_sample():
    module = make(*PAIR)
    gates = module.gates(noise(5, 4, 8), noise(5, 4, 8, seed=2)).detach()
    assert gates.shape == (5, 4)  # three experts and the memory
    torch.testing.assert_close(gates.sum(1), torch.ones(5))
    assert float(gates.std(0).min()) > 0.01


def test_r7_removing_the_memory_changes_the_gates():
    module, x, memory = make(*PAIR), noise(5, 4, 8), noise(5, 4, 8, seed=2)
    assert not torch.allclose(module.gates(x, memory), module.gates(x, torch.zeros_like(memory)), atol=1e-2)


def test_r7_the_memory_is_one_more_expert_and_is_updated():
    module, x, memory = make(*PAIR), noise(5, 4, 8), noise(5, 4, 8, seed=2)
    gates = module.gates(x, memory)
    outputs = [module.experts.one(e)(x) for e in range(3)] + [memory]
    y = sum(gates[:, e, None, None] * output for e, output in enumerate(outputs))
    torch.testing.assert_close(module(x, memory, context=Context()), memory + module.update(y), atol=1e-5, rtol=1e-5)


def test_r7_a_memory_starts_as_it_came():
    memory = noise(5, 4, 8, seed=2)
    for ports, values in ((PAIR, (noise(5, 4, 8), memory)), (PAIR[:1], (memory,))):
        module = build(ModuleSpec("expert_memory", {"experts": 3}), ports, torch.Generator().manual_seed(0))
        assert torch.equal(module(*values, context=Context()), memory)


def test_r7_tasks_read_shared_experts_their_own_way():
    """Only a task's own gates and memory get its gradients; experts get those of both."""
    experts = {f"expert{e}": build(ModuleSpec("linear", {"dim": 8}), [Vector(8)], torch.Generator().manual_seed(e))
               for e in range(3)}  # fmt: skip
    tasks = []
    for seed in range(2):
        module = ExpertMemory((Vector(8),), parts=experts)
        module.initialise(torch.Generator().manual_seed(20 + seed))
        torch.nn.init.eye_(module.update.weight)
        tasks.append(module)
    x = noise(6, 8)
    first, second = (module(x, context=Context()) for module in tasks)
    assert not torch.allclose(first, second, atol=1e-2)
    (first * noise(6, 8, seed=5)).sum().backward()
    assert bool(tasks[0].gate.weight.grad.any())
    assert tasks[1].gate.weight.grad is None
    assert all(expert.linear.weight.grad is not None for expert in experts.values())


def test_what_fits():
    fitting = BUILT_IN["expert_memory"].fitting
    for ports in (PAIR, (Vector(4),), (Tokens(None, 4),)):
        assert build(ModuleSpec("expert_memory", fitting(ports)), ports).output == ports[0]
    assert fitting((Vector(4), Vector(5))) is None
    assert fitting(()) is None


@pytest.mark.parametrize(
    ("names", "config", "message"),
    [
        ((), {}, "`experts` must be a whole number of at least 1, found None"),
        (("expert0",), {"experts": 1}, "`experts` and `hidden` must be left out where experts are parts"),
        (("expert1",), {}, r"`parts` must be named `expert0`, `expert1` and on, found numbers \[1\]"),
    ],
)
def test_bad_settings_are_named(names, config, message):
    parts = {name: Draft(name, ModuleSpec("linear", {"dim": 8})) for name in names}
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("expert_memory", config, parts=parts), [Vector(8)])


def test_experts_must_give_what_they_read():
    with pytest.raises(ValueError, match=r"experts that read Vector\(dim=8\) must all give Vector\(dim=8\), found "):
        facts(ModuleSpec("expert_memory", parts={"expert0": Draft("e", ModuleSpec("linear", {"dim": 3}))}), [Vector(8)])

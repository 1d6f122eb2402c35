from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import seeded
from torch import Tensor

from pathways.candidate import Training
from pathways.modules import Delta, Image, Module, ModuleSpec, Tokens, Vector, build
from pathways.trainer.optimizer import (
    begin_where_state_is_lacking,
    clip,
    load_state,
    make_optimizer,
    multiplier,
    set_learning_rate,
    state_of,
)


def drafts() -> dict[str, Module | Delta]:
    return {
        "conv": build(ModuleSpec("conv", {"channels": 2, "norm": "batch"}), [Image(1, 4, 4)], seeded()),
        "linear": build(ModuleSpec("linear", {"dim": 3}), [Vector(4)], seeded()),
        "tokens": build(ModuleSpec("learned_tokens", {"length": 2, "dim": 3}), [], seeded()),
        "block": build(ModuleSpec("transformer", {"heads": 2}), [Tokens(2, 4)], seeded()),
        "flat": build(ModuleSpec("flatten"), [Image(1, 4, 4)], seeded()),
        "head": build(ModuleSpec("classifier", {"classes": 2}), [Vector(3)], seeded()),
    }


def settings_of(optimizer: torch.optim.Optimizer, modules: dict[str, Module | Delta], field: str) -> dict[str, float]:
    """The value of a group's field for each parameter, by module and name."""
    names = {id(p): f"{m}.{n}" for m, module in modules.items() for n, p in module.named_parameters()}
    return {names[id(p)]: group[field] for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_every_parameter_is_in_one_group(kind: str) -> None:
    modules = drafts()
    optimizer = make_optimizer(modules, Training(optimizer=kind, weight_decay=0.1, head_lr=2.0))
    listed = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for module in modules.values() for p in module.parameters())


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_weight_decay_exempts_biases_and_norms(kind: str) -> None:
    modules = drafts()
    decay = settings_of(make_optimizer(modules, Training(optimizer=kind, weight_decay=0.1)), modules, "weight_decay")
    exempt = {name for name, value in decay.items() if value == 0}
    assert exempt == {name for name in decay if name.endswith("bias") or "norm" in name}
    assert {decay[name] for name in decay.keys() - exempt} == {0.1}
    assert decay["tokens.tokens"] == decay["conv.conv.weight"] == 0.1


def test_heads_have_a_learning_rate_of_their_own() -> None:
    modules, training = drafts(), Training(lr=0.02, head_lr=5.0)
    optimizer = make_optimizer(modules, training)
    rates = settings_of(optimizer, modules, "lr")
    assert {rates[name] for name in rates if name.startswith("head.")} == {0.1}
    assert {rates[name] for name in rates if not name.startswith("head.")} == {0.02}
    set_learning_rate(optimizer, 0.5, training)
    rates = settings_of(optimizer, modules, "lr")
    assert {rates[name] for name in rates if name.startswith("head.")} == {0.05}
    assert {rates[name] for name in rates if not name.startswith("head.")} == {0.01}


def test_the_settings_reach_the_optimizer() -> None:
    modules = drafts()
    sgd = make_optimizer(modules, Training(optimizer="sgd", momentum=0.9, nesterov=True))
    assert isinstance(sgd, torch.optim.SGD)
    assert {(g["momentum"], g["nesterov"]) for g in sgd.param_groups} == {(0.9, True)}
    adamw = make_optimizer(modules, Training(beta2=0.95))
    assert isinstance(adamw, torch.optim.AdamW)
    assert {g["betas"] for g in adamw.param_groups} == {(0.9, 0.95)}


def test_nesterov_without_momentum_is_plain_descent() -> None:
    sgd = make_optimizer(drafts(), Training(optimizer="sgd", nesterov=True))
    assert not any(g["nesterov"] for g in sgd.param_groups)


def test_schedules_by_value() -> None:
    constant = Training(schedule="constant", warmup=0.0, steps=4)
    assert [multiplier(s, constant) for s in range(4)] == [1.0] * 4
    warm = Training(schedule="constant", warmup=0.4, steps=10)
    assert [multiplier(s, warm) for s in range(10)] == [0.25, 0.5, 0.75, 1.0] + [1.0] * 6
    cosine = Training(schedule="cosine", warmup=0.0, steps=4)
    fall = [1.0, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]
    assert [multiplier(s, cosine) for s in range(4)] == pytest.approx(fall)
    both = Training(schedule="cosine", warmup=0.5, steps=8)
    assert [multiplier(s, both) for s in range(8)] == pytest.approx([0.25, 0.5, 0.75, 1.0, *fall])
    assert multiplier(0, Training(steps=1)) == 1.0
    assert multiplier(3, Training(steps=4, warmup=1.0)) == 1.0


@given(st.integers(1, 60), st.floats(0, 1), st.sampled_from(["constant", "cosine"]))
@settings(deadline=None, max_examples=100)
def test_schedules_rise_then_never_rise_again(steps: int, warmup: float, schedule: str) -> None:
    training = Training(steps=steps, warmup=warmup, schedule=schedule)
    factors = [multiplier(s, training) for s in range(steps)]
    warm = round(warmup * steps)
    assert all(0 < f <= 1 for f in factors)
    assert all(a < b for a, b in pairwise(factors[:warm]))
    assert all(a >= b for a, b in pairwise(factors[warm:]))


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(0, 20))
@settings(deadline=None, max_examples=60)
def test_clipping_bounds_the_global_norm_and_keeps_the_direction(numbers: list[float], limit: float) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in numbers]
    for parameter, number in zip(parameters, numbers, strict=True):
        parameter.grad = torch.tensor([number])
    before = torch.tensor(numbers)
    clip([*parameters, torch.nn.Parameter(torch.zeros(1))], limit)
    after = torch.cat([p.grad for p in parameters if p.grad is not None])
    norm = float(before.norm())
    if limit == 0 or norm <= limit:
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
    else:
        torch.testing.assert_close(after, before * (limit / norm), rtol=1e-4, atol=1e-6)


# -- state --------------------------------------------------------------------------------------------------

KINDS = [Training(), Training(optimizer="sgd", momentum=0.9), Training(optimizer="sgd", momentum=0.9, nesterov=True)]


def step(modules: dict[str, Module | Delta], optimizer: torch.optim.Optimizer, seed: int) -> None:
    generator = seeded(seed)
    for module in modules.values():
        for parameter in module.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(memory_format=layout(parameter))
    optimizer.step()


def layout(tensor: Tensor) -> torch.memory_format:
    strided = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if strided else torch.contiguous_format


@pytest.mark.parametrize("training", KINDS)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_a_state_taken_over_goes_on_as_if_never_stopped(training: Training, memory: torch.memory_format) -> None:
    """Stored states are contiguous, whatever layout the parameters have; the next step must be the same to the bit."""
    modules = {"conv": build(ModuleSpec("conv", {"channels": 3}), [Image(2, 4, 4)], seeded())}
    modules["conv"].to(memory_format=memory)
    optimizer = make_optimizer(modules, training)
    for seed in range(3):
        step(modules, optimizer, seed)
    stored = {name: t.contiguous() for name, t in state_of(optimizer, modules["conv"]).items()}
    other = {"conv": build(ModuleSpec("conv", {"channels": 3}), [Image(2, 4, 4)], seeded())}
    other["conv"].load_state_dict(modules["conv"].state_dict())
    other["conv"].to(memory_format=memory)
    resumed = make_optimizer(other, training)
    load_state(resumed, other["conv"], stored)
    step(modules, optimizer, 9)
    step(other, resumed, 9)
    for a, b in zip(modules["conv"].parameters(), other["conv"].parameters(), strict=True):
        assert torch.equal(a, b)
    for name, value in state_of(resumed, other["conv"]).items():
        assert torch.equal(value, state_of(optimizer, modules["conv"])[name])


def test_a_state_is_a_copy_in_both_directions() -> None:
    modules = {"linear": drafts()["linear"]}
    optimizer = make_optimizer(modules, KINDS[0])
    step(modules, optimizer, 0)
    taken = state_of(optimizer, modules["linear"])
    kept = {name: t.clone() for name, t in taken.items()}
    step(modules, optimizer, 1)
    assert all(torch.equal(taken[name], kept[name]) for name in kept)
    load_state(optimizer, modules["linear"], taken)
    step(modules, optimizer, 2)
    assert all(torch.equal(taken[name], kept[name]) for name in kept)
    assert kept.keys() == {f"linear.{p}::{k}" for p in ("weight", "bias") for k in ("step", "exp_avg", "exp_avg_sq")}


def test_a_state_of_another_optimizer_or_module_is_refused() -> None:
    modules = {"linear": drafts()["linear"]}
    adamw, sgd = make_optimizer(modules, KINDS[0]), make_optimizer(modules, KINDS[1])
    step(modules, adamw, 0)
    step(modules, sgd, 0)
    kept = {o: state_of(o, modules["linear"]) for o in (adamw, sgd)}
    with pytest.raises(ValueError, match=r"`optimizer` state must hold .*momentum_buffer.*found 'linear\.weight::"):
        load_state(sgd, modules["linear"], kept[adamw])
    with pytest.raises(ValueError, match=r"must hold .*exp_avg.*found 'linear\.weight::momentum_buffer'"):
        load_state(adamw, modules["linear"], kept[sgd])
    with pytest.raises(ValueError, match=r"found 'linear\.weight::step'"):
        load_state(adamw, drafts()["conv"], {"linear.weight::step": torch.zeros(())})


def test_momentum_of_some_drafts_goes_on_beside_others_that_begin() -> None:
    """As with torch's plain form, which takes what there is of each parameter."""
    sides = {}
    for fused in (True, False):
        modules = {name: drafts()[name] for name in ("linear", "head")}
        optimizer = make_optimizer(modules, Training(optimizer="sgd", lr=0.1, momentum=0.9))
        for group in optimizer.param_groups:
            group["fused"] = fused
        given = {f"{n}::momentum_buffer": torch.ones_like(p) for n, p in modules["linear"].named_parameters()}
        load_state(optimizer, modules["linear"], given)
        if fused:
            begin_where_state_is_lacking(optimizer)
        parameters = [p for module in modules.values() for p in module.parameters()]
        for _ in range(3):
            for parameter in parameters:
                parameter.grad = torch.full_like(parameter, 0.5)
            optimizer.step()
        sides[fused] = [p.detach() for p in parameters]
    assert all(torch.allclose(one, other) for one, other in zip(sides[True], sides[False], strict=True))


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_parameters_may_get_their_first_gradient_late(kind: str) -> None:
    """As behind a sparse router: then each is trained as if its first step were the first of all."""
    training = Training(optimizer=kind, momentum=0.9 if kind == "sgd" else 0.0, nesterov=kind == "sgd", lr=0.1)
    modules = {
        name: build(ModuleSpec("linear", {"dim": 3}), [Vector(4)], seeded()) for name in ("always", "late")
    }
    optimizer = make_optimizer(modules, training)
    alone = build(ModuleSpec("linear", {"dim": 3}), [Vector(4)], seeded())
    other = make_optimizer({"late": alone}, training)
    for step in range(4):
        for name, module in modules.items():
            for parameter in module.parameters():
                parameter.grad = torch.full_like(parameter, 0.5) if name == "always" or step > 1 else None
        begin_where_state_is_lacking(optimizer)
        optimizer.step()
        if step > 1:
            for parameter in alone.parameters():
                parameter.grad = torch.full_like(parameter, 0.5)
            other.step()
        assert torch.equal(modules["late"].linear.weight, alone.linear.weight)

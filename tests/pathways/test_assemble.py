from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import assembled, chain, frozen, head, linear, seeded
from torch import Tensor, nn

from pathways.assemble import PathModule
from pathways.errors import PathError
from pathways.modules import (
    Context,
    Delta,
    Draft,
    Families,
    Frozen,
    Ids,
    Image,
    Init,
    Masked,
    Module,
    ModuleRef,
    ModuleSpec,
    Port,
    PortError,
    Tokens,
    Vector,
    facts,
)
from pathways.modules.ports import example
from pathways.modules.ports import split as parts_of
from pathways.path import DeltaRef, Path, Step
from pathways.pool import Pool, same
from pathways.prefix import frozen_prefix

CONV = ModuleSpec("conv", {"channels": 3, "norm": "batch"})
LINEAR = ModuleSpec("linear", {"dim": 3})


@pytest.fixture
def pool(tmp_path: FilePath) -> Pool:
    return Pool(tmp_path)


def draft(name: str, family: str, **config: Any) -> Draft:
    return Draft(name, ModuleSpec(family, config), Init(0))


def step_path(
    port: Port, *modules: ModuleRef, combine: str | ModuleRef = "sum", deltas: tuple[DeltaRef, ...] = ()
) -> Path:
    return Path({"x": port}, {"s": Step(modules, ("x",), combine, deltas)}, "s")


def run(model: PathModule, ref: ModuleRef, x: Tensor) -> Tensor:
    return model.module_of(ref)(x, context=Context())


def take_steps(model: PathModule, x: Tensor, steps: int = 3) -> None:
    """Optimizer steps over everything that has a gradient, in training mode."""
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


class Mixture(Module):
    """The mean of its parts, scaled by a learned number."""

    family = "mixture"

    def __init__(self, ports: tuple[Port, ...], *, parts: dict[str, Module]) -> None:
        super().__init__()
        self.inner = dict(parts)
        self.output = next(iter(parts.values())).output
        self.scale = nn.Parameter(torch.empty(1))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.ones_(self.scale)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        outputs = [part(*inputs, context=context) for part in self.inner.values()]
        return self.scale * sum(outputs) / len(outputs)


# -- frozen parts -------------------------------------------------------------------------------------------


def test_frozen_parts_never_change_whatever_train_says(pool: Pool) -> None:
    kept = frozen(pool, CONV, Image(1, 5, 5))
    before = {name: t.clone() for name, t in pool.get(kept.id).items()}
    trained = draft("own", "conv", channels=2, norm="batch")
    path = chain(Image(1, 5, 5), kept, trained, draft("flat", "flatten"), head(2))
    model = assembled(path, pool)
    x = torch.randn(6, 1, 5, 5, generator=seeded(1))
    module = model.module_of(kept)
    own = model.module_of(trained)
    mean = own.norm.running_mean.clone()
    for mode in (True, False, True):
        model.train(mode)
        assert model.training is own.training is mode
        assert not any(part.training for part in module.modules())
    take_steps(model, x)
    assert same(module.state_dict(), before)
    assert same(pool.get(kept.id), before)
    assert not any(p.requires_grad for p in module.parameters())
    assert all(p.requires_grad for p in own.parameters())
    assert not torch.equal(own.norm.running_mean, mean)


def test_frozen_parts_inside_a_draft_stay_frozen(pool: Pool) -> None:
    """Parts are no children of their holder, so that `.train()` on the holder does not reach them."""
    expert = frozen(pool, LINEAR, Vector(4))
    holder = Draft("mix", ModuleSpec("mixture", parts={"a": expert, "b": linear("b", 3)}))
    model = PathModule(chain(Vector(4), holder), lambda ref: pool.get(ref.id) if isinstance(ref, Frozen) else seeded(2),
                       Families([Mixture]))
    x = torch.randn(5, 4, generator=seeded())
    before = {name: t.clone() for name, t in pool.get(expert.id).items()}
    own = {name: t.clone() for name, t in model.drafts()["b"].state_dict().items()}
    take_steps(model, x)
    assert same(model.module_of(expert).state_dict(), before)
    assert not same(model.drafts()["b"].state_dict(), own)
    assert set(model.drafts()) == {"mix", "b"}
    mixed = 0.5 * (run(model, expert, x) + model.drafts()["b"](x, context=Context()))
    torch.testing.assert_close(model(x), mixed * model.drafts()["mix"].state_dict()["scale"])


def test_gradients_reach_all_drafts_and_nothing_else(pool: Pool) -> None:
    below = frozen(pool, ModuleSpec("linear", {"dim": 5, "activation": "tanh"}), Vector(4))
    above = frozen(pool, ModuleSpec("linear", {"dim": 6}), Vector(3), seed=1)
    host = frozen(pool, LINEAR, Vector(5), seed=2)
    delta = draft("lora", "lora", rank=2)
    path = Path({"x": Vector(4)}, {
        "below": Step((below,), ("x",)),
        "middle": Step((host, linear("own", 3, activation="none")), ("below",), deltas=(DeltaRef(0, delta),)),
        "above": Step((above,), ("middle",)),
        "head": Step((head(),), ("above",)),
    }, "head")
    model = assembled(path, pool)
    model(torch.randn(7, 4, generator=seeded(1))).square().sum().backward()
    with_gradient = {id(p) for p in model.parameters() if p.grad is not None}
    assert with_gradient == {id(p) for d in model.drafts().values() for p in d.parameters()}
    assert set(model.drafts()) == {"own", "lora", "head"}
    # `up` starts at zero, so at the start it alone has a gradient that is not zero.
    assert model.drafts()["lora"].up.grad.abs().sum() > 0
    assert model.drafts()["own"].linear.weight.grad.abs().sum() > 0


# -- combinations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("combine", ["sum", "mean", "concat"])
def test_combinations_equal_hand_computation(combine: str) -> None:
    refs = [linear(f"m{i}", 3, activation="tanh") for i in range(3)]
    path = step_path(Vector(4), *refs, combine=combine)
    model = assembled(path)
    x = torch.randn(5, 4, generator=seeded(3))
    outputs = [run(model, ref, x) for ref in refs]
    by_hand = {"sum": outputs[0] + outputs[1] + outputs[2], "mean": (outputs[0] + outputs[1] + outputs[2]) / 3,
               "concat": torch.cat(outputs, 1)}
    torch.testing.assert_close(model(x), by_hand[combine])
    assert model(x).shape[1:] == path.ports()["s"].shape


@pytest.mark.parametrize("combine", ["sum", "mean", "concat"])
def test_one_module_is_its_own_combination(combine: str) -> None:
    ref = linear("m", 3)
    model = assembled(step_path(Vector(4), ref, combine=combine))
    x = torch.randn(5, 4, generator=seeded(3))
    assert torch.equal(model(x), run(model, ref, x))


def test_images_concatenate_along_channels() -> None:
    refs = [draft("a", "conv", channels=2), draft("b", "conv", channels=3)]
    path = step_path(Image(1, 4, 4), *refs, combine="concat")
    model = assembled(path)
    x = torch.randn(2, 1, 4, 4, generator=seeded(3))
    assert torch.equal(model(x), torch.cat([run(model, ref, x) for ref in refs], 1))
    assert path.ports()["s"] == Image(5, 4, 4)


def test_step_names_of_any_form_stay_apart() -> None:
    """Two concatenations whose names differ only by a dot and an underscore are two."""
    def pair(a: str, b: str, width: int) -> tuple[Draft, Draft]:
        return linear(a, width), linear(b, width)

    path = Path({"x": Vector(4)}, {
        "a.b": Step(pair("p", "q", 3), ("x",), "concat"),
        "a_b": Step(pair("r", "s", 2), ("x",), "concat"),
        "both": Step((draft("join", "concat"),), ("a.b", "a_b")),
    }, "both")
    assert assembled(path)(torch.randn(2, 4, generator=seeded())).shape == (2, 10)


def test_a_router_weights_the_modules_by_input() -> None:
    refs = [linear(f"m{i}", 3, activation="tanh") for i in range(3)]
    router = draft("router", "topk_router", experts=3, k=2)
    model = assembled(step_path(Vector(4), *refs, combine=router)).eval()
    with torch.no_grad():
        model.drafts()["router"].gate.weight.normal_(generator=seeded(5))
    x = torch.randn(6, 4, generator=seeded(3))
    gate = run(model, router, x)
    by_hand = sum(gate[:, i, None] * run(model, ref, x) for i, ref in enumerate(refs))
    torch.testing.assert_close(model(x), by_hand)
    assert (gate > 0).sum(1).tolist() == [2] * 6
    context = Context(generator=seeded())
    model.train()(x, context)
    assert [name for name, _ in context.losses] == ["balance"]


class FirstNumbers(Module):
    """A router over any float port: the softmax of each sample's first two numbers."""

    family = "first_numbers"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = Vector(2)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        return parts_of(inputs[0])[0].flatten(1)[:, :2].softmax(1)


@pytest.mark.parametrize(("port", "spec"), [
    (Image(1, 4, 4), ModuleSpec("conv", {"channels": 2})),
    (Tokens(None, 4), LINEAR),
])
def test_a_router_weights_images_and_masked_tokens(port: Port, spec: ModuleSpec) -> None:
    refs = Draft("a", spec, Init(0)), Draft("b", spec, Init(1))
    router = Draft("router", ModuleSpec("first_numbers"))
    path = step_path(port, *refs, combine=router)
    model = PathModule(path, lambda ref: seeded(len(ref.name)), Families([FirstNumbers]))
    x = example(port, 5, seeded(1))
    gate = run(model, router, x)
    a, b = (parts_of(run(model, ref, x))[0] for ref in refs)
    by_hand = torch.stack([gate[i, 0] * a[i] + gate[i, 1] * b[i] for i in range(5)])
    value, mask = parts_of(model(x))
    torch.testing.assert_close(value, by_hand)
    assert (mask is None) == (not port.variable)
    assert mask is None or torch.equal(mask, x.mask)


def test_a_router_that_does_not_read_the_port_is_refused() -> None:
    router = draft("router", "topk_router", experts=2, k=2)
    with pytest.raises(PathError, match="its router: family `topk_router` reads Vectors"):
        step_path(Tokens(None, 4), linear("a", 3), linear("b", 3), combine=router).ports()


def test_ids_are_not_combined_as_numbers() -> None:
    copies = draft("a", "detach"), draft("b", "detach")
    with pytest.raises(PathError, match="step 's' cannot combine ids"):
        step_path(Ids(3, 5), *copies).ports()


# -- deltas -------------------------------------------------------------------------------------------------


def test_a_delta_is_neutral_at_first_and_changes_its_host_only(pool: Pool) -> None:
    host, other = frozen(pool, LINEAR, Vector(4)), frozen(pool, LINEAR, Vector(4), seed=1)
    delta = draft("lora", "lora", rank=2, alpha=3.0)
    plain = assembled(step_path(Vector(4), host, other), pool)
    model = assembled(step_path(Vector(4), host, other, deltas=(DeltaRef(1, delta),)), pool)
    x = torch.randn(5, 4, generator=seeded(3))
    assert torch.equal(model(x), plain(x))
    lora = model.drafts()["lora"]
    with torch.no_grad():
        lora.up.normal_(generator=seeded(6))
    changed = 3.0 / 2 * lora.up @ lora.down
    torch.testing.assert_close(model(x), plain(x) + x @ changed.T)


def test_deltas_of_one_host_apply_in_order(pool: Pool) -> None:
    host = frozen(pool, LINEAR, Vector(4))
    deltas = tuple(DeltaRef(0, draft(name, "lora", rank=1)) for name in ("first", "second"))
    model = assembled(step_path(Vector(4), host, deltas=deltas), pool)
    x = torch.randn(5, 4, generator=seeded(3))
    expected = run(model, host, x)
    for lora in model.drafts().values():
        with torch.no_grad():
            lora.up.normal_(generator=seeded(6))
        expected = expected + x @ (lora.up @ lora.down).T
    torch.testing.assert_close(model(x), expected)


class Gate(Delta):
    """Multiplies the host's output and adds to it."""

    family = "gate"

    def __init__(self, host: Module, *, factor: float, plus: float) -> None:
        super().__init__()
        self.factor, self.plus = factor, plus

    def around(self, call: Callable[..., Any], *inputs: Any, context: Context) -> Any:
        return self.factor * call(*inputs, context=context) + self.plus


def test_deltas_around_a_host_apply_from_the_inside_out(pool: Pool) -> None:
    host = frozen(pool, LINEAR, Vector(4))
    plus, times = draft("plus", "gate", factor=1.0, plus=3.0), draft("times", "gate", factor=2.0, plus=0.0)
    path = step_path(Vector(4), host, deltas=(DeltaRef(0, plus), DeltaRef(0, times)))
    model = PathModule(path, lambda ref: pool.get(host.id) if ref == host else seeded(), Families([Gate]))
    x = torch.randn(5, 4, generator=seeded(3))
    torch.testing.assert_close(model(x), 2 * (run(model, host, x) + 3))


# -- sources and masks --------------------------------------------------------------------------------------


def test_learned_tokens_are_broadcast_over_the_batch() -> None:
    tokens = draft("queries", "learned_tokens", length=3, dim=4)
    path = Path({"x": Tokens(5, 4)}, {
        "queries": Step((tokens,)),
        "attend": Step((draft("attend", "transformer", heads=2),), ("queries", "x")),
    }, "attend")
    model = assembled(path)
    x = torch.randn(6, 5, 4, generator=seeded(3))
    values = model.compute({"x": x}, ("queries", "attend"))
    learned = model.drafts()["queries"].tokens
    assert torch.equal(values["queries"], learned.expand(6, 3, 4))
    assert values["attend"].shape == (6, 3, 4)
    alone = torch.cat([model(x[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(values["attend"], alone)


@pytest.mark.parametrize("combine", ["sum", "mean", "concat"])
def test_masks_pass_through_combinations(combine: str) -> None:
    refs = (linear("a", 3), linear("b", 3))
    x = example(Tokens(None, 4), 6, seeded(1))
    assert isinstance(x, Masked)
    model = assembled(step_path(Tokens(None, 4), *refs, combine=combine))
    value = model(x)
    assert isinstance(value, Masked)
    assert torch.equal(value.mask, x.mask)
    a, b = (parts_of(run(model, ref, x))[0] for ref in refs)
    by_hand = {"sum": a + b, "mean": (a + b) / 2, "concat": torch.cat([a, b], 2)}[combine]
    torch.testing.assert_close(value.value[value.mask], by_hand[x.mask])


def test_padding_never_reaches_the_output() -> None:
    path = chain(Ids(None, 7), draft("embed", "embed", dim=4, positions=8), draft("block", "transformer", heads=2),
                 draft("pool", "pool"), head(2))
    model = assembled(path).eval()
    ids = torch.randint(0, 7, (5, 6), generator=seeded(2))
    mask = torch.arange(6).expand(5, 6) < torch.tensor([[1], [2], [3], [4], [6]])
    changed = torch.where(mask, ids, (ids + 3) % 7)
    torch.testing.assert_close(model(Masked(ids, mask)), model(Masked(changed, mask)))
    short = Masked(ids[:3, :3], mask[:3, :3])
    torch.testing.assert_close(model(short), model(Masked(ids, mask))[:3])


# -- sharing ------------------------------------------------------------------------------------------------


def test_a_draft_used_twice_is_one_module() -> None:
    twice = linear("twice", 4)
    path = chain(Vector(4), twice, twice)
    model = assembled(path)
    x = torch.randn(3, 4, generator=seeded())
    assert torch.equal(model(x), run(model, twice, run(model, twice, x)))
    assert len(list(model.parameters())) == 2


def test_a_frozen_module_at_equal_ports_is_built_once(pool: Pool) -> None:
    kept = frozen(pool, ModuleSpec("linear", {"dim": 4}), Vector(4))
    model = assembled(chain(Vector(4), kept, kept), pool)
    assert len(list(model.parameters())) == 2
    x = torch.randn(3, 4, generator=seeded())
    assert torch.equal(model(x), run(model, kept, run(model, kept, x)))


def test_drafts_are_one_module_across_paths(pool: Pool) -> None:
    host = frozen(pool, LINEAR, Vector(4))
    own, delta = linear("own", 3), draft("lora", "lora", rank=1)
    shared: dict[tuple[object, ...], nn.Module] = {}

    def model(classes: int) -> PathModule:
        path = Path({"x": Vector(4)}, {
            "body": Step((host, own), ("x",), deltas=(DeltaRef(0, delta),)),
            "head": Step((head(classes, f"head{classes}"),), ("body",)),
        }, "head")
        def weights(ref: ModuleRef) -> Any:
            return pool.get(ref.id) if isinstance(ref, Frozen) else seeded(classes)

        return PathModule(path, weights, shared=shared)

    two, three = model(2), model(3)
    for name in ("own", "lora"):
        assert two.drafts()[name] is three.drafts()[name]
    assert set(two.drafts()) == {"own", "lora", "head2"}
    with torch.no_grad():
        two.drafts()["lora"].up.fill_(1.0)
    x = torch.randn(3, 4, generator=seeded())
    bodies = [m.compute({"x": x}, ("body",))["body"] for m in (two, three)]
    torch.testing.assert_close(bodies[0], bodies[1])


def test_a_draft_at_two_ports_is_refused_in_one_path_and_across_paths() -> None:
    own = linear("own", 3)
    with pytest.raises(PathError, match="draft 'own' reads different ports in two steps: use two drafts"):
        assembled(chain(Vector(4), own, own))
    shared: dict[tuple[object, ...], nn.Module] = {}
    PathModule(chain(Vector(4), own), lambda ref: seeded(), shared=shared)
    with pytest.raises(PathError, match="draft 'own' reads different ports"):
        PathModule(chain(Vector(5), own), lambda ref: seeded(), shared=shared)


def test_a_delta_draft_in_two_hosts_is_refused(pool: Pool) -> None:
    hosts = frozen(pool, LINEAR, Vector(4)), frozen(pool, LINEAR, Vector(4), seed=1)
    delta = draft("lora", "lora", rank=1)
    path = step_path(Vector(4), *hosts, deltas=(DeltaRef(0, delta), DeltaRef(1, delta)))
    with pytest.raises(PathError, match="draft 'lora' changes different modules"):
        assembled(path, pool)


def test_a_frozen_module_may_stand_at_two_ports(pool: Pool) -> None:
    flat = frozen(pool, ModuleSpec("flatten"), Image(1, 2, 2))
    steps = {"a": Step((flat,), ("x",)), "b": Step((flat,), ("y",)), "c": Step((draft("c", "concat"),), ("a", "b"))}
    path = Path({"x": Image(1, 2, 2), "y": Image(2, 2, 2)}, steps, "c")
    value = assembled(path, pool)({"x": torch.ones(3, 1, 2, 2), "y": torch.zeros(3, 2, 2, 2)})
    assert value.shape == (3, 12)


# -- weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tensors", "found"), [
    ({"linear.weight": torch.zeros(3, 4)}, "linear.weight (3, 4)"),
    ({"linear.weight": torch.zeros(3, 5), "linear.bias": torch.zeros(3)}, "linear.weight (3, 5)"),
    ({"linear.weight": torch.zeros(3, 4), "linear.bias": torch.zeros(3), "more": torch.zeros(1)}, "more (1,)"),
    ({}, "none"),
])
def test_wrong_tensors_are_refused_by_name(tensors: dict[str, Tensor], found: str) -> None:
    path = chain(Vector(4), linear("own", 3))
    with pytest.raises(PathError) as error:
        PathModule(path, lambda ref: tensors)
    assert "module own (`linear`) must have tensors linear.bias (3,), linear.weight (3, 4), found" in str(error.value)
    assert found in str(error.value)


def test_loaded_weights_are_copies(pool: Pool) -> None:
    blob = frozen(pool, LINEAR, Vector(4))
    before = {name: t.clone() for name, t in pool.get(blob.id).items()}
    path = chain(Vector(4), Draft("own", LINEAR))
    model = PathModule(path, lambda ref: pool.get(blob.id))
    take_steps(model, torch.randn(4, 4, generator=seeded()))
    assert not same(model.drafts()["own"].state_dict(), before)
    assert same(pool.get(blob.id), before)


# -- computing ----------------------------------------------------------------------------------------------


def calls_of(model: PathModule) -> list[str]:
    """The names of steps whose first module is called from now on, in order."""
    seen: list[str] = []
    for plan in model._plan:
        model.held[plan.modules[0]].register_forward_hook(lambda *_, name=plan.name: seen.append(name))
    return seen


def test_steps_whose_values_are_given_are_skipped() -> None:
    model = assembled(chain(Vector(4), linear("a", 5), linear("b", 6), head()))
    x = torch.randn(3, 4, generator=seeded())
    inner = model.compute({"x": x}, ("s0", "s1"))
    seen = calls_of(model)
    assert torch.equal(model(x), model({"s1": inner["s1"]}))
    assert seen == ["s0", "s1", "s2", "s2"]
    seen.clear()
    again = model.compute({"s0": inner["s0"], "x": x}, ("s0", "s1"))
    assert seen == ["s1"]
    assert torch.equal(again["s1"], inner["s1"])
    assert again["s0"] is inner["s0"]


def test_what_must_run_is_worked_out_once_for_what_is_given_and_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = assembled(chain(Vector(4), linear("a", 5), linear("b", 6), head()))
    asked = []
    needed = model._needed
    monkeypatch.setattr(model, "_needed", lambda *what: asked.append(what) or needed(*what))
    x = torch.randn(3, 4, generator=seeded())
    for _ in range(2):
        inner = model.compute({"x": x}, ("s0", "s1"))
        assert torch.equal(model({"s1": inner["s1"]}), model(x))
    assert asked == [(("x",), ("s0", "s1")), (("s1",), ("s2",)), (("x",), ("s2",))]
    for _ in range(2):
        with pytest.raises(PathError, match="input 'x' must be given, found \\['s5'\\]"):
            model({"s5": x})


def test_steps_that_the_output_does_not_need_are_not_run() -> None:
    steps = {"dead": Step((linear("dead", 2),), ("x",)), "out": Step((linear("live", 3),), ("x",))}
    path = Path({"x": Vector(4)}, steps, "out")
    model = assembled(path)
    assert set(model.drafts()) == {"live"}
    assert model(torch.zeros(2, 4)).shape == (2, 3)


def test_missing_inputs_are_told() -> None:
    path = Path({"x": Vector(4), "y": Vector(2)}, {"s": Step((draft("c", "concat"),), ("x", "y"))}, "s")
    model = assembled(path)
    with pytest.raises(PathError, match="input 'y' must be given, found \\['x'\\]"):
        model({"x": torch.zeros(2, 4)})
    with pytest.raises(PathError, match="input 'y' must be given"):
        model(torch.zeros(2, 4))
    with pytest.raises(PathError, match="found none"):
        model({})


def test_the_frozen_prefix(pool: Pool) -> None:
    a, b = frozen(pool, LINEAR, Vector(4)), frozen(pool, LINEAR, Vector(3), seed=1)
    own, delta, router = linear("own", 3), draft("d", "lora", rank=1), draft("r", "topk_router", experts=2, k=1)
    tokens = frozen(pool, ModuleSpec("learned_tokens", {"length": 2, "dim": 3}))

    def prefix(steps: dict[str, Step], output: str) -> tuple[frozenset[str], tuple[str, ...]]:
        return frozen_prefix(Path({"x": Vector(4)}, steps, output))

    def chained(*refs: Step) -> dict[str, Step]:
        return {f"s{i}": step for i, step in enumerate(refs)}

    assert prefix(chained(Step((own,), ("x",))), "s0") == (frozenset(), ("x",))
    all_frozen = chained(Step((a,), ("x",)), Step((b,), ("s0",)))
    assert prefix(all_frozen, "s1") == (frozenset({"s0", "s1"}), ("s1",))
    headed = {**all_frozen, "h": Step((head(),), ("s1",))}
    assert prefix(headed, "h") == (frozenset({"s0", "s1"}), ("s1",))
    # What stands behind a draft is not in the prefix, though it is frozen itself.
    assert prefix(chained(Step((own,), ("x",)), Step((b,), ("s0",))), "s1") == (frozenset(), ("x",))
    # A delta or a router to be trained takes a step out, and so does a draft among its modules.
    assert prefix(chained(Step((a,), ("x",), deltas=(DeltaRef(0, delta),))), "s0") == (frozenset(), ("x",))
    assert prefix(chained(Step((a, a), ("x",), router)), "s0") == (frozenset(), ("x",))
    assert prefix(chained(Step((a, own), ("x",))), "s0") == (frozenset(), ("x",))
    # A skip connection puts an inner step, or the input, on the boundary beside the last one.
    skip = {**all_frozen, "j": Step((draft("j", "concat"),), ("s1", "s0", "x")), "h": Step((head(),), ("j",))}
    assert prefix(skip, "h") == (frozenset({"s0", "s1"}), ("x", "s0", "s1"))
    # Learned tokens that are frozen belong to it; steps that the output does not need do not.
    source = {"t": Step((tokens,)), "p": Step((draft("p", "pool"),), ("t",)), "dead": Step((a,), ("x",)),
              "j": Step((draft("j", "concat"),), ("p", "x"))}
    assert prefix(source, "j") == (frozenset({"t"}), ("x", "t"))
    # A holder is a draft where one of its parts is.
    holder = Frozen("f" * 64, ModuleSpec("mixture", parts={"a": own}))
    assert prefix(chained(Step((holder,), ("x",))), "s0") == (frozenset(), ("x",))


# -- any chain ----------------------------------------------------------------------------------------------

PORTS = st.one_of(
    st.builds(Vector, st.integers(1, 6)),
    st.builds(Image, st.integers(1, 3), st.integers(2, 5), st.integers(2, 5)),
    st.builds(Tokens, st.sampled_from([None, 1, 4]), st.sampled_from([2, 4])),
    st.builds(Ids, st.sampled_from([None, 3]), st.integers(1, 5)),
)
SPECS = [
    ModuleSpec("linear", {"dim": 4, "activation": "gelu"}),
    ModuleSpec("linear", {"dim": 3, "bias": False}),
    ModuleSpec("conv", {"channels": 3, "norm": "batch", "pool": 2}),
    ModuleSpec("conv", {"channels": 4, "stride": 2, "norm": "layer"}),
    ModuleSpec("conv", {"channels": 2, "residual": True}),
    ModuleSpec("pool"),
    ModuleSpec("pool", {"over": "max"}),
    ModuleSpec("adapter", {"dim": 2}),
    ModuleSpec("transformer", {"heads": 2}),
    ModuleSpec("embed", {"dim": 4, "positions": 8}),
    ModuleSpec("slice", {"stop": 2}),
    ModuleSpec("scale_gradient", {"factor": 0.5}),
    ModuleSpec("classifier", {"classes": 3}),
    ModuleSpec("regressor", {"values": 2}),
    *map(ModuleSpec, ("flatten", "detach", "concat")),
]
CHOICES = st.lists(st.integers(0, 2**16), min_size=1, max_size=5)


@given(PORTS, CHOICES, st.integers(1, 3), st.sampled_from(["sum", "mean", "concat"]))
@settings(deadline=None, max_examples=60)
def test_shapes_agree_with_ports_for_any_chain(port: Port, choices: list[int], width: int, combine: str) -> None:
    steps: dict[str, Step] = {}
    last, at = "x", port
    for choice in choices:
        fitting = [spec for spec in SPECS if fits(spec, at)]
        if not fitting:
            break
        spec = fitting[choice % len(fitting)]
        name = f"s{len(steps)}"
        refs = tuple(Draft(f"{name}_{i}", spec, Init(0)) for i in range(width))
        if width > 1 and not (concatenates if combine == "concat" else sums)(spec, at):
            refs = refs[:1]
        steps[name] = Step(refs, (last,), combine)
        last, at = name, Path({"x": port}, steps, name).ports()[name]
    if not steps:
        return
    path = Path({"x": port}, steps, last)
    model = assembled(path).eval()
    x = example(port, 3, seeded(4))
    values = model.compute({"x": x}, tuple(steps))
    ports = path.ports()
    for name, value in values.items():
        tensor, mask = parts_of(value)
        assert (mask is not None) == ports[name].variable
        assert tensor.shape[0] == 3
        assert all(want in (None, size) for want, size in zip(ports[name].shape, tensor.shape[1:], strict=True))
        assert tensor.dtype == (torch.int64 if ports[name].integer else torch.float32)
    assert torch.equal(parts_of(model(x))[0], parts_of(values[last])[0])
    trained = sum(p.numel() for d in model.drafts().values() for p in d.parameters())
    assert trained == path.costs().parameters


def fits(spec: ModuleSpec, port: Port) -> bool:
    try:
        facts(spec, (port,))
    except (PortError, ValueError):
        return False
    return True


def concatenates(spec: ModuleSpec, port: Port) -> bool:
    output = facts(spec, (port,)).output
    return output is not None and fits(ModuleSpec("concat"), output)


def sums(spec: ModuleSpec, port: Port) -> bool:
    output = facts(spec, (port,)).output
    return output is not None and not output.integer

"""Leaving a module out: what stands in its place, on which samples, and how sure the difference is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from learned import munet_system, pathnet_system, tasks
from tiny import clusters, frozen, seeded

from pathways.errors import ConfigError, DataError, PathwaysError
from pathways.freeze import assembled
from pathways.leave_out import _bootstrap, _Without, leave_out, matched_interval
from pathways.measure import r2
from pathways.modules import BUILT_IN, Frozen, Masked, ModuleSpec, Tokens, Vector, build
from pathways.origin import origin
from pathways.path import DeltaRef, Path, Step
from pathways.pool import Pool
from pathways.trainer.samples import prepare, through

LINEAR = ModuleSpec("linear", {"dim": 4, "activation": "relu"})
X = torch.randn(20, 4, generator=seeded(3))


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with pathnet_system(tmp_path_factory.mktemp("leave") / "run", count=2) as system:
        yield system


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    with munet_system(tmp_path_factory.mktemp("leave") / "run") as system:
        yield system


def without(path, pool, module, how, watch=X, x=X):
    """The output of a path with a module left out, the mean taken over `watch`."""
    model = _Without(path, lambda ref: pool.get(ref.id), BUILT_IN, module, how).eval()
    with torch.no_grad():
        if how == "mean":
            model.doing = "watch"
            model(watch)
        model.doing = "replace"
        return model(x)


def value(pool, path, x=X):
    return without(path, pool, "none", "zero", x=x)


# -- systems ------------------------------------------------------------------------------------------------


def test_nothing_of_the_system_changes(grid):
    before = grid.fingerprint, len(grid.ledger.rows()), sorted(grid.directory.rglob("*.json"))
    for blob in list(grid.briefs["t/a"].sizes)[:3]:
        leave_out(grid, tasks(2), blob)
    assert (grid.fingerprint, len(grid.ledger.rows()), sorted(grid.directory.rglob("*.json"))) == before
    assert grid.verify().ok


def test_with_it_is_what_the_champion_has_measured(grid):
    for blob, users in grid.champions.users.items():
        found = leave_out(grid, tasks(2), blob)
        assert [each.task for each in found] == [task.name for task in tasks(2) if task.name in users]
        for each in found:
            assert each.intact == grid.champions[each.task].measures.validation
            assert each.cost == each.intact - each.without
            assert each.low <= each.cost <= each.high
            assert each.cost * each.samples == pytest.approx(each.lost - each.gained)


def test_without_the_head_only_a_constant_answer_is_left(grid):
    head = grid.champions["t/a"].path
    blob = head.steps["head"].modules[0].id
    task = tasks(2)[0]
    [found] = leave_out(grid, [task], blob)
    shares = torch.bincount(task.splits["validation"].targets).double() / found.samples
    assert found.without in shares.tolist()


def test_its_beginning_in_its_place_is_the_path_with_the_other_module(chains):
    for blob, users in chains.champions.users.items():
        began = origin(chains, blob)["began"]
        if began["how"] != "copy":
            continue
        for found in leave_out(chains, [task for task in tasks() if task.name in users], blob, "start"):
            path = chains.champions[found.task].path
            other = path.map_refs(
                lambda ref, blob=blob, start=began["blob"]: Frozen(start, ref.spec) if ref.id == blob else ref
            )
            task = next(task for task in tasks() if task.name == found.task)
            samples = prepare(task, "validation")
            outputs = through(assembled(other, chains), samples.values, (other.output,))[other.output]
            assert found.without == task.measured_by.compute(outputs, samples.targets)
        return
    pytest.fail("no module of the system is a copy: another seed is needed")


@pytest.mark.parametrize(("how", "said"), [
    ("median", "`how` must be one of"), ("start", "began as a copy"), ("identity", "gives what it reads"),
])  # fmt: skip
def test_what_cannot_stand_in_its_place_is_refused(grid, how, said):
    head = grid.champions["t/a"].path.steps["head"].modules[0].id
    with pytest.raises(ConfigError, match=said):
        leave_out(grid, tasks(2), head, how)


def test_other_tasks_and_other_data_are_refused(grid):
    head = grid.champions["t/a"].path.steps["head"].modules[0].id
    with pytest.raises(PathwaysError, match="`tasks` must be learned"):
        leave_out(grid, [clusters("t/z")], head)
    with pytest.raises(DataError, match="changed"):
        leave_out(grid, [clusters("t/a", seed=9)], head)


def test_no_test_data_is_needed(grid):
    head = grid.champions["t/a"].path.steps["head"].modules[0].id
    task = tasks(2)[0]
    blank = replace(task.splits["test"], targets=task.splits["test"].targets * 0)
    hidden = replace(task, splits={**task.splits, "test": blank})
    with pytest.raises(DataError):
        leave_out(grid, [hidden], head)  # it is noticed, since the run's record says what it was
    assert leave_out(grid, [task], head)


# -- paths --------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path):
    return Pool(tmp_path / "pool")


def test_a_summand_of_zeros_is_a_sum_without_it(pool):
    one, two = (frozen(pool, LINEAR, Vector(4), seed=seed) for seed in (1, 2))
    both = Path({"x": Vector(4)}, {"s": Step((one, two), ("x",))}, "s")
    alone = Path({"x": Vector(4)}, {"s": Step((one,), ("x",))}, "s")
    assert torch.equal(without(both, pool, two.id, "zero"), value(pool, alone))


def test_the_mean_is_that_of_the_samples_it_was_shown(pool):
    one, two = (frozen(pool, LINEAR, Vector(4), seed=seed) for seed in (1, 2))
    both, alone = (Path({"x": Vector(4)}, {"s": Step(refs, ("x",))}, "s") for refs in ((one, two), (one,)))
    second = Path({"x": Vector(4)}, {"s": Step((two,), ("x",))}, "s")
    expected = value(pool, alone) + value(pool, second, X[:7]).double().mean(0).float()
    torch.testing.assert_close(without(both, pool, two.id, "mean", watch=X[:7]), expected)


def test_identity_is_the_path_without_the_module(pool):
    one, two, three = (frozen(pool, LINEAR, Vector(4), seed=seed) for seed in (1, 2, 3))
    first, last = {"a": Step((one,), ("x",))}, Step((three,), ("b",))
    whole = Path({"x": Vector(4)}, {**first, "b": Step((two,), ("a",)), "c": last}, "c")
    short = Path({"x": Vector(4)}, {**first, "c": Step((three,), ("a",))}, "c")
    assert torch.equal(without(whole, pool, two.id, "identity"), value(pool, short))


def test_a_module_that_stands_in_two_places_is_left_out_of_both(pool):
    one = frozen(pool, LINEAR, Vector(4), seed=1)
    twice = Path({"x": Vector(4)}, {"a": Step((one,), ("x",)), "b": Step((one,), ("a",))}, "b")
    assert torch.equal(without(twice, pool, one.id, "identity"), X)


@pytest.mark.parametrize("how", ["mean", "zero", "identity"])
def test_a_delta_left_out_leaves_its_host_as_it_is(pool, how):
    host = frozen(pool, LINEAR, Vector(4), seed=1)
    lora = ModuleSpec("lora", {"rank": 2})
    generator = seeded(5)
    module = build(lora, (), generator, host=build(LINEAR, (Vector(4),), seeded(1)))
    tensors = {name: torch.randn(t.shape, generator=generator) for name, t in module.state_dict().items()}
    delta = Frozen(pool.put(lora, tensors), lora)
    path = Path({"x": Vector(4)}, {"a": Step((host,), ("x",), deltas=(DeltaRef(0, delta),))}, "a")
    bare = Path({"x": Vector(4)}, {"a": Step((host,), ("x",))}, "a")
    assert not torch.equal(value(pool, path), value(pool, bare))
    assert torch.equal(without(path, pool, delta.id, how), value(pool, bare))
    assert torch.equal(without(path, pool, host.id, "zero"), torch.zeros(20, 4))


def test_a_router_gives_every_sample_its_mean_weights(pool):
    one, two = (frozen(pool, LINEAR, Vector(4), seed=seed) for seed in (1, 2))
    spec = ModuleSpec("topk_router", {"experts": 2, "k": 2})
    gate_weight = torch.randn(2, 4, generator=seeded(4))
    router = Frozen(pool.put(spec, {"gate.weight": gate_weight, "noise.weight": gate_weight * 0}), spec)
    path = Path({"x": Vector(4)}, {"s": Step((one, two), ("x",), router)}, "s")
    gate = Path({"x": Vector(4)}, {"s": Step((router,), ("x",))}, "s")
    weights = value(pool, gate).mean(0)
    parts = [value(pool, Path({"x": Vector(4)}, {"s": Step((ref,), ("x",))}, "s")) for ref in (one, two)]
    torch.testing.assert_close(
        without(path, pool, router.id, "mean"), weights[0] * parts[0] + weights[1] * parts[1]
    )
    with pytest.raises(ConfigError, match="leave out its holder"):
        without(path, pool, router.id, "identity")


def test_a_part_is_replaced_where_its_holder_calls_it(pool):
    experts = [frozen(pool, LINEAR, Vector(4), seed=seed) for seed in (1, 2)]
    spec = ModuleSpec("moe", {"k": 2}, parts={f"expert{i}": expert for i, expert in enumerate(experts)})
    module = build(spec, (Vector(4),), seeded(6), parts={
        f"expert{i}": build(LINEAR, (Vector(4),), seeded(i + 1)) for i in range(2)
    })  # fmt: skip
    own = {name: t for name, t in module.state_dict().items() if "expert" not in name}
    path = Path({"x": Vector(4)}, {"s": Step((Frozen(pool.put(spec, own), spec),), ("x",))}, "s")
    found = without(path, pool, experts[0].id, "zero") + without(path, pool, experts[1].id, "zero")
    torch.testing.assert_close(found, value(pool, path))


def test_places_that_are_not_real_do_not_count(pool):
    spec = ModuleSpec("linear", {"dim": 2})
    module = frozen(pool, spec, Tokens(None, 4), seed=1)
    path = Path({"x": Tokens(None, 4)}, {"s": Step((module,), ("x",))}, "s")
    x = torch.randn(3, 5, 4, generator=seeded(2))
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    given = Masked(x, mask)
    found = without(path, pool, module.id, "mean", watch=given, x=given)
    whole = value(pool, path, given).value
    torch.testing.assert_close(found.value, whole[mask].mean(0).expand_as(whole))
    assert torch.equal(found.mask, mask)


# -- intervals ----------------------------------------------------------------------------------------------


def test_matched_intervals_hold_what_they_say():
    """Of 2,000 draws of 60 samples the interval holds the true difference in 95 %, give or take."""
    rng = np.random.default_rng(0)
    lost, gained = 0.15, 0.05
    held = 0
    for b, c, _ in rng.multinomial(60, [lost, gained, 1 - lost - gained], size=2000):
        low, high = matched_interval(int(b), int(c), 60)
        held += low <= lost - gained <= high
    assert 0.935 <= held / 2000 <= 0.975


def test_an_interval_has_a_width_where_no_answer_differs():
    low, high = matched_interval(0, 0, 100)
    assert low == -high
    assert 0.01 < high < 0.05
    assert matched_interval(30, 4, 50) == tuple(-end for end in reversed(matched_interval(4, 30, 50)))


def test_other_metrics_are_resampled_in_pairs():
    rng = np.random.default_rng(0)
    targets = torch.randn(200, 1, generator=seeded(1))
    near, far = (targets + size * torch.randn(200, 1, generator=seeded(2)) for size in (0.1, 0.5))
    low, high = _bootstrap(r2, near, far, targets, 1.0, rng)
    cost = r2(near, targets) - r2(far, targets)
    assert 0 < low < cost < high
    assert _bootstrap(r2, near, near, targets, 1.0, rng) == (0.0, 0.0)


def test_plain_data(grid):
    [found, *_] = leave_out(grid, tasks(2), grid.champions["t/a"].path.steps["head"].modules[0].id)
    assert SimpleNamespace(**found.to_json()).module == found.module

"""Paths: what they are does not depend on names or order, and changes with everything else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.errors import PathError
from pathways.modules import Draft, Frozen, Image, Init, ModuleSpec, Tokens, Vector, Warm
from pathways.path import DeltaRef, Path, Step

LINEAR = ModuleSpec("linear", {"dim": 4})
LORA = ModuleSpec("lora", {"rank": 1})
GATE = ModuleSpec("topk_router", {"experts": 2, "k": 1})
HEAD = ModuleSpec("classifier", {"classes": 3})


def frozen(letter: str, spec: ModuleSpec = LINEAR) -> Frozen:
    """A frozen module with a made-up blob."""
    return Frozen(letter * 64, spec)


def draft(name: str, spec: ModuleSpec = LINEAR, start: Any = None) -> Draft:
    """A draft; without a start it begins at random."""
    return Draft(name, spec, start or Init())


@st.composite
def paths(draw: st.DrawFn) -> Path:
    """Valid paths of up to five steps of linear modules, with shared drafts, warm starts, joins and concatenations."""
    starts = [Init(), Init(1), Warm("e" * 64), Warm("e" * 64, "f" * 64)]
    pool = [draft(f"draft{i}", LINEAR, start) for i, start in enumerate(starts)] + [frozen(c) for c in "abc"]
    sizes = {"x": 4, "y": 4}
    steps: dict[str, Step] = {}
    for number in range(draw(st.integers(1, 5))):
        name = f"step{number}"
        if draw(st.booleans()):
            fours = sorted(known for known, size in sizes.items() if size == 4)
            modules = tuple(draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3)))
            combine = draw(st.sampled_from(["sum", "mean", "concat"]))
            steps[name] = Step(modules, (draw(st.sampled_from(fours)),), combine)
            sizes[name] = 4 * len(modules) if combine == "concat" else 4
        else:
            reads = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=2, max_size=3))
            steps[name] = Step((frozen("d", ModuleSpec("concat")),), tuple(reads))
            sizes[name] = sum(sizes[read] for read in reads)
    return Path({"x": Vector(4), "y": Vector(4)}, steps, name)


def renamed(path: Path, step_names: dict[str, str], draft_names: dict[str, str], order: list[str]) -> Path:
    """The same path with other names, its steps given in another order."""
    def change(ref: Any) -> Any:
        return replace(ref, name=draft_names[ref.name]) if isinstance(ref, Draft) else ref

    names = {**{name: name for name in path.inputs}, **step_names}
    steps = {name: path.steps[name].map_refs(change) for name in order}
    return Path(
        dict(reversed(list(path.inputs.items()))),
        {names[n]: replace(step, reads=tuple(names[r] for r in step.reads)) for n, step in steps.items()},
        names[path.output],
    )


@settings(deadline=None, max_examples=60)
@given(paths(), st.randoms(use_true_random=False))
def test_names_and_order_do_not_enter_the_hash(path: Path, random: Any) -> None:
    order, letters, numbers = list(path.steps), list("zyxwv"), list("9876543")
    for items in (order, letters, numbers):
        random.shuffle(items)
    step_names = {name: f"s{letters.pop()}" for name in path.steps}
    other = renamed(path, step_names, {name: numbers.pop() for name in path.drafts()}, order)
    assert other.hash == path.hash
    assert {step_names[n]: path.step_hashes[n] for n in path.steps} == {n: other.step_hashes[n] for n in other.steps}
    assert other.costs().parameters == path.costs().parameters
    assert other.costs().flops == path.costs().flops
    assert [d.spec for d in other.drafts().values()] == [d.spec for d in path.drafts().values()]


@settings(deadline=None, max_examples=60)
@given(paths())
def test_paths_survive_json_and_pickle(path: Path) -> None:
    text = json.dumps(path.to_json())
    again = Path.from_json(json.loads(text))
    assert again == path
    assert hash(again) == hash(path)
    assert again.hash == path.hash
    assert json.dumps(again.to_json()) == text
    assert pickle.loads(pickle.dumps(path)) == path


@settings(deadline=None, max_examples=60)
@given(paths(), st.data())
def test_any_other_module_is_another_path(path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(path.steps)))
    step = path.steps[name]
    position = data.draw(st.integers(0, len(step.modules) - 1))
    fresh = frozen("9", step.modules[position].spec)
    modules = (*step.modules[:position], fresh, *step.modules[position + 1:])
    other = Path(path.inputs, {**path.steps, name: replace(step, modules=modules)}, path.output)
    assert other.hash != path.hash
    assert other.step_hashes[name] != path.step_hashes[name]


@settings(deadline=None, max_examples=60)
@given(paths())
def test_trained_paths_hold_blobs_where_drafts_were(path: Path) -> None:
    blobs = {name: f"{i:064x}" for i, name in enumerate(path.drafts())}
    trained = path.trained(blobs)
    assert not trained.drafts()
    assert set(trained.frozen()) == set(path.frozen()) | set(blobs.values())
    assert trained.ports() == path.ports()
    assert trained.costs().flops == path.costs().flops
    assert (trained.hash == path.hash) == (not blobs)


# -- everything that counts, one by one -----------------------------------------------------------------------


def base() -> Path:
    """A path with everything: a delta, a router, frozen modules, drafts of both starts, a shared one, two inputs."""
    return Path(
        {"x": Vector(4), "y": Vector(4)},
        {
            "first": Step((frozen("a"), draft("one")), ("x",), "sum", (DeltaRef(0, draft("delta", LORA)),)),
            "gated": Step((draft("two", start=Warm("e" * 64)), frozen("b")), ("first",), draft("gate", GATE)),
            "again": Step((draft("one"), frozen("c")), ("y",), "concat"),
            "both": Step((frozen("d", ModuleSpec("concat")),), ("gated", "again")),
            "head": Step((draft("head", HEAD),), ("both",)),
        },
        "head",
    )


def with_step(name: str, **changes: Any) -> Callable[[Path], Path]:
    """The path with one step changed."""
    return lambda path: Path(path.inputs, {**path.steps, name: replace(path.steps[name], **changes)}, path.output)


def with_draft(old: str, **changes: Any) -> Callable[[Path], Path]:
    """The path with one draft changed wherever it stands."""
    def change(ref: Any) -> Any:
        return replace(ref, **changes) if isinstance(ref, Draft) and ref.name == old else ref

    return lambda path: path.map_refs(change)


CHANGES: dict[str, Callable[[Path], Path]] = {
    "family": with_draft("two", spec=ModuleSpec("adapter", {"dim": 2})),
    "configuration": with_draft("two", spec=ModuleSpec("linear", {"dim": 4, "activation": "relu"})),
    "configuration of a head": with_draft("head", spec=ModuleSpec("classifier", {"classes": 4})),
    "version": with_draft("two", spec=replace(LINEAR, version=2)),
    "blob": with_step("first", modules=(frozen("9"), draft("one"))),
    "start blob": with_draft("two", start=Warm("d" * 64)),
    "optimizer state": with_draft("two", start=Warm("e" * 64, "d" * 64)),
    "random start": with_draft("two", start=Init()),
    "init seed": with_draft("head", start=Init(3)),
    "draft to blob": with_step("head", modules=(frozen("9", HEAD),)),
    "order of modules": with_step("first", modules=(draft("one"), frozen("a"))),
    "one module twice": with_step("first", modules=(frozen("a"), frozen("a"))),
    "combination": with_step("first", combine="mean"),
    "router to sum": with_step("gated", combine="sum"),
    "router": with_draft("gate", spec=ModuleSpec("topk_router", {"experts": 2, "k": 2})),
    "read": with_step("first", reads=("y",)),
    "order of reads": with_step("both", reads=("again", "gated")),
    "no delta": with_step("first", deltas=()),
    "delta of another module": with_step("first", deltas=(DeltaRef(1, draft("delta", LORA)),)),
    "rank of a delta": with_draft("delta", spec=ModuleSpec("lora", {"rank": 2})),
    "two deltas": with_step("first", deltas=(DeltaRef(0, draft("delta", LORA)), DeltaRef(0, frozen("9", LORA)))),
    "sharing ends": with_step("again", modules=(draft("other"), frozen("c"))),
    "sharing begins": with_draft("two", name="one", start=Init()),
    "name of an input": lambda p: Path(
        {"x": Vector(4), "z": Vector(4)}, {**p.steps, "again": replace(p.steps["again"], reads=("z",))}, p.output),
    "port of an input": lambda p: Path({**p.inputs, "y": Vector(5)}, p.steps, p.output),
    "output": lambda p: Path(p.inputs, p.steps, "both"),
}


def test_every_change_gives_another_hash() -> None:
    hashes = {what: change(base()).hash for what, change in CHANGES.items()}
    assert base().hash not in hashes.values()
    assert len(set(hashes.values())) == len(CHANGES)


def test_a_step_keeps_its_hash_when_only_later_steps_change() -> None:
    changed = CHANGES["combination"](base())
    same = {name for name in base().steps if base().step_hashes[name] == changed.step_hashes[name]}
    assert same == {"again"}


def test_one_module_has_one_hash_however_it_is_joined() -> None:
    hashes = {with_step("head", combine=combine)(base()).hash for combine in ("sum", "mean", "concat")}
    assert hashes == {base().hash}


def test_parts_enter_by_what_they_are_and_by_sharing() -> None:
    def holder(first: Draft, second: Draft, **names: Draft) -> Path:
        spec = ModuleSpec("mixture", {}, parts={"p": first, "q": second})
        return Path({"x": Vector(4)}, {"a": Step((draft("holder", spec),), ("x",))}, "a")

    assert holder(draft("a"), draft("b")).hash == holder(draft("c"), draft("d")).hash
    assert holder(draft("a"), draft("b")).hash != holder(draft("a"), draft("a")).hash
    assert holder(draft("a"), draft("b")).hash != holder(draft("a"), draft("b", start=Init(1))).hash
    assert list(holder(draft("a"), draft("b")).drafts()) == ["a", "b", "holder"]


def test_steps_that_the_output_does_not_depend_on_are_left_out() -> None:
    whole = base()
    extra = Path(whole.inputs, {"idle": Step((draft("idle"),), ("x",)), **whole.steps}, whole.output)
    assert extra == whole
    assert extra.trained(dict.fromkeys(whole.drafts(), "9" * 64)).drafts() == {}


# -- costs ----------------------------------------------------------------------------------------------------


def test_a_shared_module_counts_its_parameters_once_and_its_flops_at_each_use() -> None:
    def chain(first: str, second: str) -> Path:
        steps = {"a": Step((draft(first),), ("x",)), "b": Step((draft(second),), ("a",))}
        return Path({"x": Vector(4)}, {**steps, "h": Step((draft("head", HEAD),), ("b",))}, "h")

    shared, apart = chain("m", "m"), chain("m", "n")
    assert shared.costs().sizes == {"m": 20, "head": 15}
    assert shared.costs().parameters == 35
    assert apart.costs().parameters == 55
    assert shared.costs().flops == apart.costs().flops == 2 * (4 * 4 * 2 + 4 * 3)


def test_costs_count_deltas_and_routers() -> None:
    costs = base().costs()
    assert set(costs.sizes) == {"a" * 64, "b" * 64, "c" * 64, "d" * 64, "one", "two", "delta", "gate", "head"}
    assert costs.sizes["delta"] == 8
    assert costs.sizes["head"] == 12 * 3 + 3
    assert costs.sizes["d" * 64] == 0


# -- what is refused ------------------------------------------------------------------------------------------


def one_step(**changes: Any) -> Path:
    """A path of one step."""
    step = {"modules": (draft("a"),), "reads": ("x",), **changes}
    return Path({"x": Vector(4)}, {"a": Step(**step)}, "a")


@pytest.mark.parametrize(("build", "message"), [
    (lambda: one_step(reads=("z",)), r"step 'a' reads 'z', which is neither an input \['x'\] nor a step \['a'\]"),
    (lambda: one_step(reads=("a",)), r"steps \['a'\] read each other in a circle"),
    (lambda: with_step("first", reads=("both",))(base()), r"\['both', 'first', 'gated', 'head'\] read each other"),
    (lambda: one_step(modules=()), "step 'a' must hold at least one module"),
    (lambda: one_step(combine="max"), r"`combine` of step 'a' must be one of .* found 'max'"),
    (lambda: Path({"x": Vector(4)}, {"x": Step((draft("a"),), ())}, "x"), "'x' must not have the name of an input"),
    (lambda: Path({"x": Vector(4)}, {"a": Step((draft("a"),), ("x",))}, "b"), "`output` must name a step .* found 'b'"),
    (lambda: one_step(modules=(draft("a"), draft("a", start=Init(1)))), "drafts named 'a' must be equal"),
])
def test_graphs_that_are_no_path_are_refused(build: Callable[[], Path], message: str) -> None:
    with pytest.raises(PathError, match=message):
        build()


CONV = ModuleSpec("conv", {"channels": 2})
IMAGE = Image(1, 4, 4)


@pytest.mark.parametrize(("path", "messages"), [
    (Path({"x": IMAGE}, {"c": Step((draft("c", CONV),), ("x",)), "h": Step((draft("h", HEAD),), ("c",))}, "h"),
     ["step 'h'", "`classifier`", "Vector", "'c' (`conv`) gives Image(channels=2, height=4, width=4)"]),
    (Path({"x": IMAGE}, {"h": Step((draft("h", HEAD),), ("x",))}, "h"),
     ["step 'h'", "`classifier`", "'x' (input) gives Image(channels=1, height=4, width=4)"]),
    (Path({"x": Vector(4)}, {"h": Step((draft("h"), draft("g", HEAD)), ("x",))}, "h"),
     ["step 'h'", "`linear` gives Vector(dim=4)", "`classifier` gives Vector(dim=3)", "concat"]),
    (with_step("gated", combine=draft("gate", ModuleSpec("topk_router", {"experts": 3, "k": 1})))(base()),
     ["step 'gated'", "router must give Vector(dim=2)", "Vector(dim=3)"]),
    (with_step("first", deltas=(DeltaRef(2, draft("delta", LORA)),))(base()),
     ["step 'first'", "`host`", "below 2, found 2"]),
    (with_draft("delta", spec=ModuleSpec("lora", {"rank": 1, "target": "nothing"}))(base()),
     ["step 'first'", "nothing"]),
    (with_draft("two", spec=ModuleSpec("unheard"))(base()), ["step 'gated'", "`family` must be one of", "'unheard'"]),
    (with_draft("two", spec=ModuleSpec("linear"))(base()), ["step 'gated'", "`linear`", "dim"]),
    (Path({"x": Tokens(3, 4)}, {"h": Step((draft("h", HEAD),), ())}, "h"), ["step 'h'", "it reads nothing"]),
])
def test_ports_that_do_not_fit_name_both_modules_and_both_ports(path: Path, messages: list[str]) -> None:
    with pytest.raises(PathError) as caught:
        path.ports()
    for message in messages:
        assert message in str(caught.value)


@pytest.mark.parametrize("edit", [
    lambda d: d.pop("inputs"), lambda d: d.pop("steps"), lambda d: d.pop("output"), lambda d: d.update(output=["head"]),
    lambda d: d.update(steps=[]), lambda d: d["inputs"].update(x={"port": "cube", "dim": 3}),
    lambda d: d["inputs"].update(x={"port": "vector", "dim": 0}), lambda d: d["steps"]["head"].update(surprise=1),
    lambda d: d["steps"]["head"].pop("reads"), lambda d: d["steps"]["head"]["modules"][0].pop("spec"),
    lambda d: d["steps"]["head"].update(modules=[{"frozen": "../x", "spec": {}}]),
    lambda d: d["steps"]["head"]["modules"][0]["spec"].pop("family"),
])
def test_data_that_is_no_path_is_refused(edit: Callable[[Any], Any]) -> None:
    data = json.loads(json.dumps(base().to_json()))
    edit(data)
    with pytest.raises(PathError):
        Path.from_json(data)

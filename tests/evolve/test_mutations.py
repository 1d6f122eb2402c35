"""Mutations of paths: whatever is done to a path, it stays one, and what was frozen stays as it was."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.errors import PathError
from pathways.evolve.mutations import add_adapter, add_top, clone, drop_top, insert, replace_step, step_along
from pathways.evolve.outline import adapter_of, blocks, chain, layers
from pathways.evolve.paths import with_head, without_head
from pathways.modules import Draft, Frozen, Image, Init, ModuleSpec, Tokens, Vector, Warm
from pathways.path import DeltaRef, Path, Step
from pathways.task import Classes
from pathways.testing.fake import example_root, sha

ADAPTER = ModuleSpec("adapter", {"dim": 4})
BLOCK = ModuleSpec("conv", {"channels": 4, "norm": "batch"})
TOKENS = ModuleSpec("transformer", {"heads": 2})


def frozen(name: str, spec: ModuleSpec) -> Frozen:
    return Frozen(sha("blob", name), spec)


def row(**specs: ModuleSpec) -> dict[str, Step]:
    steps, last = {}, "x"
    for name, spec in specs.items():
        steps[name] = Step((frozen(name, spec),), (last,))
        last = name
    return steps


IMAGES = Path({"x": Image(1, 8, 8)}, row(
    b1=BLOCK, b2=replace(BLOCK, config={**BLOCK.config, "pool": 2}), b3=BLOCK,
    flat=ModuleSpec("flatten"), dense=ModuleSpec("linear", {"dim": 6}),
), "dense")
SEQUENCE = Path({"x": Tokens(5, 8)}, row(t1=TOKENS, t2=TOKENS, pool=ModuleSpec("pool")), "pool")
WIDE = Path({"x": Vector(5)}, {
    "low": Step((frozen("low", ModuleSpec("linear", {"dim": 6})),), ("x",)),
    "mixed": Step(
        (frozen("m0", ModuleSpec("linear", {"dim": 6})), frozen("m1", ModuleSpec("linear", {"dim": 6}))), ("low",),
        frozen("gate", ModuleSpec("topk_router", {"experts": 2, "k": 1})),
        (DeltaRef(0, frozen("delta", ModuleSpec("lora", {"rank": 1}))),),
    ),
}, "mixed")
SCRATCH = example_root(frozen=False)
TRUNKS = [IMAGES, SEQUENCE, WIDE, example_root(), SCRATCH]
HEAD = Classes(3)


def blobs(path: Path) -> dict[str, ModuleSpec]:
    """Each blob that the path shares or starts from, with its spec."""
    found = {}
    for ref in path.refs():
        if isinstance(ref, Frozen):
            found[ref.id] = ref.spec
        elif isinstance(ref.start, Warm):
            found[ref.start.blob] = ref.spec
    return found


def assert_is_a_path(trunk: Path, known: dict[str, ModuleSpec]) -> None:
    """Ports fit, it survives JSON, it takes a head, and its blobs are known ones, used as what they are."""
    ports = trunk.ports()
    again = Path.from_json(json.loads(json.dumps(trunk.to_json())))
    assert (again, again.hash) == (trunk, trunk.hash)
    assert blobs(trunk).items() <= known.items()
    headed = with_head(trunk, HEAD)
    assert headed.ports()["head"] == Vector(3)
    # Cutting the head off gives the trunk again, but for the step that makes its output a vector.
    cut = without_head(headed)
    assert cut.ports()[trunk.output] == ports[trunk.output]
    assert {name: cut.steps[name] for name in trunk.steps} == dict(trunk.steps)


def trained(trunk: Path, salt: int) -> Path:
    """The path as training would leave it: each draft a new blob."""
    return trunk.trained({name: sha("trained", salt, name, trunk.hash) for name in trunk.drafts()})


Change = Callable[[Path, int], Path | None]
CHANGES: dict[str, Change] = {
    "clone": lambda path, i: clone(path, list(path.steps)[i % len(path.steps)]),
    "adapter": lambda path, i: add_adapter(path, list(path.steps)[i % len(path.steps)], ADAPTER),
    "drop": lambda path, i: drop_top(path),
    "add": lambda path, i: add_top(path, TRUNKS),
    "train": trained,
    "head": lambda path, i: without_head(with_head(path, HEAD, start=Init(i))),
}


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(TRUNKS),
    st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 9)), max_size=8),
)
def test_any_sequence_of_mutations_gives_a_valid_path(trunk: Path, changes: list[tuple[str, int]]) -> None:
    known = {blob: spec for one in TRUNKS for blob, spec in blobs(one).items()}
    for kind, i in changes:
        before, data = trunk, json.dumps(trunk.to_json())
        after = CHANGES[kind](trunk, i)
        assert json.dumps(before.to_json()) == data, "a mutation never changes the path that it is given"
        if after is None:
            continue
        if kind == "train":
            known |= blobs(after)
        trunk = after
        assert_is_a_path(trunk, known)
        if kind in ("clone", "adapter", "train"):
            assert trunk.ports()[trunk.output] == before.ports()[before.output]
        if kind == "clone":
            assert blobs(trunk) == blobs(before)
        if kind in ("adapter", "drop", "add"):
            old, new = blobs(before).keys(), blobs(trunk).keys()
            assert new <= old if kind == "drop" else new >= old or kind == "add"


# -- clone --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trunk", TRUNKS)
def test_clone_copies_one_step_and_shares_the_rest(trunk: Path) -> None:
    for step in trunk.steps:
        made = clone(trunk, step)
        for name in trunk.steps:
            refs = list(zip(trunk.steps[name].refs(), made.steps[name].refs(), strict=True))
            for old, new in refs:
                if name != step or isinstance(old, Draft):
                    assert new == old
                else:
                    assert isinstance(new, Draft)
                    assert (new.spec, new.start) == (old.spec, Warm(old.id))
        assert made.ports() == trunk.ports()


def test_clone_copies_modules_router_and_deltas_under_names_of_their_own() -> None:
    made = clone(WIDE, "mixed")
    assert len(made.drafts()) == 4
    assert {d.start.blob for d in made.drafts().values() if isinstance(d.start, Warm)} == set(WIDE.frozen()) - {
        sha("blob", "low")}


def test_clone_copies_only_what_it_is_told() -> None:
    made = clone(WIDE, "mixed", only={sha("blob", "m1")})
    assert [d.start for d in made.drafts().values()] == [Warm(sha("blob", "m1"))]
    assert set(made.frozen()) == set(WIDE.frozen()) - {sha("blob", "m1")}


def test_clone_takes_optimizer_state_over() -> None:
    blob, state = sha("blob", "low"), sha("state")
    (draft,) = clone(WIDE, "low", {blob: state}).drafts().values()
    assert draft.start == Warm(blob, state)


def test_a_clone_never_takes_the_name_of_another_draft() -> None:
    linear = ModuleSpec("linear", {"dim": 5})
    path = Path({"x": Vector(5)}, {
        "a": Step((Draft("b", linear),), ("x",)), "b": Step((frozen("other", linear),), ("a",)),
    }, "b")
    drafts = clone(path, "b").drafts()
    assert len(drafts) == 2
    assert [d.start for d in drafts.values()] == [Init(), Warm(sha("blob", "other"))]


def test_a_module_that_stands_twice_in_a_step_stays_one() -> None:
    twice = frozen("twice", ModuleSpec("linear", {"dim": 5}))
    path = Path({"x": Vector(5)}, {"a": Step((twice, twice), ("x",))}, "a")
    (draft,) = clone(path, "a").drafts().values()
    assert clone(path, "a").steps["a"].modules == (draft, draft)


# -- insert and adapters ------------------------------------------------------------------------------------


def test_what_read_the_step_reads_what_was_put_behind_it() -> None:
    made = insert(IMAGES, "b1", ADAPTER, "new")
    assert made.steps["new"].reads == ("b1",)
    assert made.steps["b2"].reads == ("new",)
    assert made.output == IMAGES.output
    assert insert(IMAGES, "dense", ADAPTER, "new").output == "new"
    assert {ref for ref in made.refs() if isinstance(ref, Frozen)} == set(IMAGES.refs())


def test_names_of_inserted_steps_must_be_new_and_their_places_known() -> None:
    with pytest.raises(PathError, match="`name` must be new in the path, found 'b2'"):
        insert(IMAGES, "b1", ADAPTER, "b2")
    with pytest.raises(PathError, match="`after` must name a step"):
        insert(IMAGES, "x", ADAPTER, "new")


def test_a_layer_has_one_adapter_and_only_where_ports_fit() -> None:
    made = add_adapter(IMAGES, "b1", ADAPTER)
    assert made is not None
    assert made.ports() == {**IMAGES.ports(), "b1.adapter": IMAGES.ports()["b1"]}
    assert add_adapter(made, "b1", ADAPTER) is None
    ids = Path({"x": Image(1, 4, 4)}, row(conv=BLOCK), "conv")
    assert add_adapter(ids, "conv", ModuleSpec("linear", {"dim": 2})) is None, "a linear module reads no image"


# -- top layers ---------------------------------------------------------------------------------------------


def test_drop_top_drops_a_layer_with_its_adapter_and_what_stood_behind() -> None:
    assert layers(IMAGES) == ["b1", "b2", "b3", "dense"]
    grown = add_adapter(IMAGES, "dense", ADAPTER)
    assert grown is not None
    for trunk in (IMAGES, grown):
        shorter = drop_top(trunk)
        assert shorter is not None
        assert list(shorter.steps) == ["b1", "b2", "b3"]
        assert shorter.hash == IMAGES.step_hashes["b3"]
    below = add_adapter(IMAGES, "b3", ADAPTER)
    assert below is not None
    shorter = drop_top(below)
    assert shorter is not None
    assert shorter.output == "b3.adapter", "the adapter of the layer that stays, stays"


def test_the_last_layer_is_never_dropped() -> None:
    trunk: Path | None = IMAGES
    heights = []
    while trunk is not None:
        heights.append(len(layers(trunk)))
        trunk = drop_top(trunk)
    assert heights == [4, 3, 2, 1]


def test_a_path_that_would_read_no_input_is_not_made() -> None:
    tokens = frozen("tokens", ModuleSpec("learned_tokens", {"length": 2, "dim": 8}))
    path = Path({"x": Tokens(3, 8)}, {
        "queries": Step((tokens,)),
        "both": Step((frozen("concat", ModuleSpec("concat", {"axis": "length"})),), ("queries", "x")),
        "block": Step((frozen("block", TOKENS),), ("both",)),
    }, "block")
    assert layers(path) == ["queries", "block"]
    assert drop_top(path) is None


@pytest.mark.parametrize("change", [lambda path: path, lambda path: trained(clone(path, "b1"), 0)])
def test_a_dropped_layer_comes_back_shared(change: Callable[[Path], Path]) -> None:
    shorter = drop_top(change(IMAGES))
    assert shorter is not None
    longer = add_top(shorter, [IMAGES])
    assert longer is not None
    assert (longer.output, longer.steps["dense"], longer.steps["flat"]) == (
        "dense", IMAGES.steps["dense"], IMAGES.steps["flat"])
    assert not longer.drafts()


def test_models_of_equal_content_come_before_those_of_equal_names() -> None:
    other = clone(IMAGES, "b1")
    wider = Step((Draft("dense", ModuleSpec("linear", {"dim": 9})),), ("flat",))
    other = trained(replace_step(other, "dense", wider), 1)
    shorter = drop_top(IMAGES)
    assert shorter is not None
    longer = add_top(shorter, [other, IMAGES])
    assert longer is not None
    assert longer.ports()["dense"] == Vector(6)


def test_a_layer_is_not_taken_where_it_would_read_another_port() -> None:
    small = Path({"x": Image(1, 6, 6)}, dict(IMAGES.steps), "dense")
    shorter = drop_top(small)
    assert shorter is not None
    longer = add_top(shorter, [IMAGES])
    assert longer is not None
    assert longer.output == "top1", "the dense layer's weights were made for images of another size"


def test_where_no_model_is_longer_a_fresh_layer_like_the_last_is_added() -> None:
    adapted = add_adapter(IMAGES, "dense", ADAPTER)
    assert adapted is not None
    for trunk in (IMAGES, adapted):
        longer = add_top(trunk, TRUNKS)
        assert longer is not None
        (draft,) = longer.drafts().values() if trunk is IMAGES else [longer.drafts()["top1"]]
        assert draft == Draft("top1", ModuleSpec("linear", {"dim": 6}), Init())
        assert chain(longer)[-2] == trunk.output
    twice = add_top(trained(longer, 0), TRUNKS)
    assert twice is not None
    assert twice.output == "top2"


def test_no_layer_is_added_where_none_fits() -> None:
    halving = Path({"x": Image(1, 2, 2)}, row(a=ModuleSpec("conv", {"channels": 2, "pool": 2})), "a")
    assert halving.ports()["a"] == Image(2, 1, 1)
    assert add_top(halving, []) is None


# -- outlines -----------------------------------------------------------------------------------------------


def test_outlines_tell_blocks_layers_and_adapters() -> None:
    path = add_adapter(IMAGES, "b2", ADAPTER)
    assert path is not None
    assert blocks(path) == ["b1", "b2", adapter_of("b2"), "b3", "dense"]
    assert layers(path) == layers(IMAGES)
    # A user's own step of such a name, which adapts no layer, is a layer.
    own = Path({"x": Vector(4)}, row(**{"my.adapter": ADAPTER}), "my.adapter")
    assert layers(own) == ["my.adapter"]


# -- steps along lists --------------------------------------------------------------------------------------


@given(st.lists(st.integers(-50, 50), min_size=1, unique=True), st.integers(-60, 60), st.sampled_from([-1, 1]))
def test_a_step_goes_to_the_neighbour_and_stays_at_the_ends(values: list[int], current: int, direction: int) -> None:
    values.sort()
    found = step_along(values, current, direction)
    beyond = [v for v in values if (v - current) * direction > 0]
    assert found == (min(beyond, key=lambda v: abs(v - current)) if beyond else current)


def test_words_step_along_their_list_and_unlisted_ones_start_it() -> None:
    assert step_along(["constant", "cosine"], "constant", 1) == "cosine"
    assert step_along(["constant", "cosine"], "cosine", 1) == "cosine"
    assert step_along(["constant", "cosine"], "other", -1) == "constant"


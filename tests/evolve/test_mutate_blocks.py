"""Modules of any family put into paths, in place of others, beside and inside them, and taken out again."""

import json

import pytest
import torch
from helpers_blocks import CHAINS, LINEAR, TRANSFORMER, as_frozen, chain, families_of, paths
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.assemble import PathModule
from pathways.errors import PathError
from pathways.evolve.mutate_blocks import drop_block, insert_block, replace_block
from pathways.evolve.mutate_branches import add_branch, drop_branch
from pathways.evolve.mutate_deltas import add_delta, drop_delta
from pathways.evolve.mutate_heads import replace_head
from pathways.evolve.mutated import checked
from pathways.evolve.mutations import add_adapter, add_top, clone, drop_top, insert
from pathways.evolve.outline import blocks, is_inner, layers
from pathways.evolve.outline import chain as chain_of
from pathways.evolve.paths import with_head, without_head
from pathways.modules import (
    BUILT_IN,
    FAMILIES,
    Context,
    Draft,
    Families,
    Frozen,
    FrozenDict,
    Ids,
    Image,
    Init,
    Masked,
    Module,
    ModuleSpec,
    Tokens,
    Vector,
    Warm,
)
from pathways.modules.ports import example
from pathways.path import DeltaRef, Path, Step
from pathways.seeds import torch_generator
from pathways.task import Classes
from pathways.testing.fake import sha

VECTORS, IMAGES, TOKENS = (as_frozen(CHAINS[name]) for name in ("vectors", "images", "tokens"))


def outputs(path: Path, batch: int = 3):
    """What a path gives in evaluation, where equal modules have equal weights whatever they are called."""
    module = PathModule(path, lambda ref: torch_generator(ref.spec.canonical)).eval()
    values = {name: example(port, batch, torch_generator("x", name)) for name, port in path.inputs.items()}
    with torch.no_grad():
        output = module(values, Context())
    return output.value if isinstance(output, Masked) else output


# -- all of them, one after another ---------------------------------------------------------------------------------


CHANGES = {
    "insert": lambda path, step, family: insert_block(path, step, family),
    "replace": lambda path, step, family: replace_block(path, step, family),
    "drop": lambda path, step, family: drop_block(path, step),
    "branch": lambda path, step, family: add_branch(path, step, family),
    "routed": lambda path, step, family: add_branch(path, step, family, "topk_router"),
    "unbranch": lambda path, step, family: drop_branch(path, step),
    "delta": lambda path, step, family: add_delta(path, step, family),
    "undelta": lambda path, step, family: drop_delta(path, step),
    "clone": lambda path, step, family: clone(path, step),
    "adapter": lambda path, step, family: add_adapter(path, step, ModuleSpec("adapter", {"dim": 2})),
    "add top": lambda path, step, family: add_top(path, list(CHAINS.values())),
    "drop top": lambda path, step, family: drop_top(path),
    "train": lambda path, step, family: path.trained({name: sha(path.hash, name) for name in path.drafts()}),
    "head": lambda path, step, family: without_head(with_head(path, Classes(3))),
}
TAKES_OUT = ("replace", "drop", "unbranch", "undelta", "drop top", "clone")


def blobs(path: Path) -> dict[str, ModuleSpec]:
    """Each blob that the path shares or starts from, with its spec."""
    found = {}
    for ref in path.refs():
        if isinstance(ref, Frozen):
            found[ref.id] = ref.spec
        elif isinstance(ref.start, Warm):
            found[ref.start.blob] = ref.spec
    return found


@settings(max_examples=120)
@given(
    st.sampled_from(sorted(paths())),
    st.lists(
        st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 9), st.sampled_from(sorted(FAMILIES))), max_size=6
    ),
)
def test_any_sequence_of_mutations_gives_a_valid_path(name, changes):
    path = as_frozen(paths()[name])
    for kind, place, family in changes:
        data, known = json.dumps(path.to_json()), blobs(path)
        try:
            after = CHANGES[kind](path, list(path.steps)[place % len(path.steps)], family)
        except PathError as error:
            assert str(error).endswith("."), error  # noqa: PT017
            after = None
        assert json.dumps(path.to_json()) == data, "a mutation never changes the path that it is given"
        if after is None:
            continue
        ports = after.ports()
        again = Path.from_json(json.loads(json.dumps(after.to_json())))
        assert (again, again.hash) == (after, after.hash)
        assert set(after.steps).isdisjoint(after.inputs)
        assert with_head(after, Classes(3)).ports()["head"] == Vector(3)
        if kind in ("train", "head", "clone", "adapter", "add top"):
            path = after
            continue
        assert after.hash != path.hash
        assert blobs(after).items() <= known.items()
        if kind not in TAKES_OUT:
            assert blobs(after).keys() == known.keys(), "all that was there is still there"
        before = path.ports()
        for step, was in path.steps.items():  # weights are used on what they were made for
            if step in after.steps and after.steps[step] == was:
                assert [type(before[r]) for r in was.reads] == [type(ports[r]) for r in was.reads]
        path = after
    PathModule(path, lambda ref: torch.Generator().manual_seed(0))  # drafts of one name are one module everywhere


@settings(max_examples=60)
@given(st.sampled_from(sorted(paths())), st.integers(0, 9), st.sampled_from(sorted(FAMILIES)))
def test_what_was_put_somewhere_can_be_taken_out_again(name, place, family):
    path = as_frozen(paths()[name])
    step = list(path.steps)[place % len(path.steps)]
    takes = {
        "insert": lambda after: drop_block(after, next(n for n in after.steps if n == f"{step}+{family}")),
        "branch": lambda after: drop_branch(after, step), "routed": lambda after: drop_branch(after, step),
        "delta": lambda after: drop_delta(after, step),
    }  # fmt: skip
    for kind, take in takes.items():
        try:
            after = CHANGES[kind](path, step, family)
        except PathError:
            continue
        back = take(after)
        assert back.hash == path.hash, (kind, list(after.steps))
        assert dict(back.steps) == dict(path.steps) or kind != "insert"


# -- inserting --------------------------------------------------------------------------------------------------------


def test_glue_stands_before_and_behind_where_ports_differ():
    made = insert_block(VECTORS, "a", "transformer")
    assert list(made.steps) == ["a", "a+transformer+in1", "a+transformer", "a+transformer+out1", "b"]
    assert [made.steps[n].modules[0].spec.family for n in list(made.steps)[1:4]] == ["as_tokens", "transformer", "pool"]
    assert made.steps["b"].reads == ("a+transformer+out1",)
    glue = {name: draft.start for name, draft in made.drafts().items()}
    assert glue == {"a+transformer+in1": Init(0), "a+transformer": Init(), "a+transformer+out1": Init(0)}
    assert made.ports()["b"] == VECTORS.ports()["b"]


@pytest.mark.parametrize(("trunk", "step", "family"), [
    (VECTORS, "a", "adapter"), (VECTORS, "b", "transformer"), (IMAGES, "a", "adapter"), (TOKENS, "a", "transformer"),
    (TOKENS, "pooled", "adapter"), (IMAGES, "c", "adapter"), (IMAGES, "b", "residual_conv"),
])  # fmt: skip
def test_most_families_start_as_the_identity(trunk, step, family):
    torch.testing.assert_close(outputs(insert_block(trunk, step, family)), outputs(trunk))


def test_another_width_behind_is_projected():
    made = insert_block(VECTORS, "a", ModuleSpec("linear", {"dim": 5}))
    assert made.ports()["a+linear"] == Vector(5)
    assert made.steps["a+linear+out1"].modules[0].spec == ModuleSpec("linear", {"dim": 8})
    assert made.drafts()["a+linear+out1"].start == Init()
    image = insert_block(IMAGES, "a", ModuleSpec("conv", {"channels": 3}))
    assert image.steps["a+conv+out1"].modules[0].spec.config["kernel"] == 1


def test_what_cannot_be_read_back_is_refused_with_both_ports():
    with pytest.raises(PathError, match=r"given \(Image\(channels=4, height=8, width=8\)\): there is no canonical conv"
                       r"ersion from Tokens\(length=64, dim=4\) to Image\(channels=4, height=8, width=8\)"):
        insert_block(IMAGES, "a", "transformer")
    with pytest.raises(PathError, match=r"given \(Vector\(dim=8\)\): family `conv` reads one Image, found"):
        insert_block(VECTORS, "a", ModuleSpec("conv", {"channels": 3}))
    with pytest.raises(PathError, match=r"family `embed` does not fit at 'a', where it is given \(Vector\(dim=8\)\): "
                       "family `embed` has no configuration for them"):
        insert_block(VECTORS, "a", "embed")


def test_behind_the_end_it_may_give_any_port():
    longer = insert_block(as_frozen(chain(Image(1, 8, 8), a=ModuleSpec("conv", {"channels": 4}))), "a", "transformer")
    assert longer.ports()[longer.output] == Tokens(64, 4)


def test_tokens_of_a_source_are_joined_where_readers_can_use_more():
    made = insert_block(TOKENS, "a", "learned_tokens")
    length = made.steps["a+learned_tokens"].modules[0].spec.config["length"]
    assert made.ports()["a+learned_tokens+out1"] == Tokens(5 + length, 8)
    assert chain_of(made) == ["a", "a+learned_tokens+out1", "b", "pooled"]
    assert drop_block(made, "a+learned_tokens").hash == TOKENS.hash
    source = made.steps["a+learned_tokens"].modules[0].spec
    other = replace_block(as_frozen(made), "a+learned_tokens", source)
    assert list(other.drafts()) == ["a+learned_tokens"]
    assert list(other.steps) == list(made.steps)
    flat = as_frozen(chain(Tokens(5, 8), a=TRANSFORMER, flat=ModuleSpec("flatten"), c=LINEAR))
    with pytest.raises(PathError, match="family `learned_tokens` does not fit at 'a'"):
        insert_block(flat, "a", "learned_tokens")


def test_weights_are_used_on_what_they_were_made_for():
    flat = as_frozen(chain(Tokens(5, 8), a=TRANSFORMER, flat=ModuleSpec("flatten"), c=LINEAR))
    cut = ModuleSpec("slice", {"stop": 3, "axis": "length"})
    with pytest.raises(PathError, match=r"step 'c' has weights for \(Vector\(dim=40\)\), found \(Vector\(dim=24\)\)"):
        insert_block(flat, "a", cut)
    pooled = insert_block(TOKENS, "a", cut)
    assert pooled.ports()["b"] == Tokens(3, 8)
    untrained = chain(Tokens(5, 8), a=TRANSFORMER, flat=ModuleSpec("flatten"), c=LINEAR)
    assert insert_block(untrained, "a", cut).ports()["flat"] == Vector(24)


def test_a_second_value_is_one_that_was_named_or_the_nearest():
    two = Path({"x": Tokens(5, 8), "y": Tokens(3, 6)}, {
        "a": Step((Draft("a", TRANSFORMER),), ("x",)), "b": Step((Draft("b", TRANSFORMER),), ("a",)),
        "both": Step((Draft("both", TRANSFORMER),), ("b", "y")),
    }, "both")  # fmt: skip
    made = insert_block(two, "b", TRANSFORMER, also=("y",))
    assert made.steps["b+transformer"].reads == ("b", "y")
    joined = insert_block(VECTORS, "b", "path_router") if "path_router" in FAMILIES else None
    assert joined is None or joined.steps["b+path_router"].reads == ("b", "a")


def test_the_same_family_twice_has_names_of_its_own():
    twice = insert_block(insert_block(VECTORS, "a", "linear"), "a", "linear")
    assert list(twice.steps) == ["a", "a+linear'", "a+linear", "b"]
    assert len(twice.drafts()) == 2


def test_parts_of_what_is_inserted_are_fresh_modules_of_their_own():
    class Two(Module):
        """The sum of two parts."""

        family = "two"

        def __init__(self, ports, *, parts):
            super().__init__()
            self.output = ports[0]

    part = Draft("b", LINEAR)
    spec = ModuleSpec("two", parts=FrozenDict({"first": part, "second": part}))
    made = insert_block(CHAINS["vectors"], "a", spec, Families([Two]))
    assert list(made.drafts()) == ["a", "a+two.first", "a+two", "b"]
    assert made.steps["a+two"].modules[0].spec.parts["second"].name == "a+two.first"


def test_places_and_families_that_are_none_are_named():
    headed = as_frozen(with_head(VECTORS, Classes(3)))
    for change in (insert_block, replace_block):
        with pytest.raises(PathError, match="step 'head' must not be a head"):
            change(headed, "head", "linear")
        with pytest.raises(PathError, match="family `lora` must be a module, found a delta"):
            change(VECTORS, "a", "lora")
        with pytest.raises(PathError, match="family `classifier` must not be a head"):
            change(VECTORS, "a", "classifier")
    with pytest.raises(PathError, match="`after` must name a step or an input"):
        insert_block(VECTORS, "z", "linear")
    with pytest.raises(PathError, match="`step` must name a step"):
        drop_block(VECTORS, "x")
    assert insert_block(VECTORS, "x", "linear").steps["a"].reads == ("x+linear",)


# -- replacing and dropping -------------------------------------------------------------------------------------------


def test_a_step_is_replaced_and_its_readers_read_the_same_port():
    made = replace_block(IMAGES, "b", "depthwise_conv" if "depthwise_conv" in FAMILIES else "adapter")
    assert made.steps["a"] == IMAGES.steps["a"]
    assert made.ports()["flat"] == IMAGES.ports()["flat"]
    assert IMAGES.steps["b"].modules[0].id not in made.frozen()
    glued = replace_block(VECTORS, "b", "transformer")
    assert list(glued.steps) == ["a", "b+in1", "b", "b+out1"]
    assert glued.output == "b+out1"
    assert layers(glued) == layers(VECTORS) == ["a", "b"]


def test_replacing_again_leaves_one_set_of_glue():
    once = replace_block(VECTORS, "a", "transformer")
    again = replace_block(once, "a", ModuleSpec("linear", {"dim": 8}))
    assert list(again.steps) == ["a", "b"]
    behind = insert_block(once, "a", "linear")
    assert behind.steps["a+linear"].reads == ("a+out1",)
    assert list(replace_block(behind, "a", ModuleSpec("linear", {"dim": 8})).steps) == ["a", "a+linear", "b"]


def test_the_width_that_is_read_is_the_width_that_is_given():
    narrow = as_frozen(chain(Vector(8), a=ModuleSpec("linear", {"dim": 3}), b=LINEAR))
    made = replace_block(narrow, "a", "linear")
    assert (list(made.steps), made.ports()["a"]) == (["a", "b"], Vector(3))


def test_what_gives_no_such_port_is_no_replacement():
    with pytest.raises(PathError, match=r"given \(Image\(channels=4.*\)\) and must give Vector\(dim=256"):
        replace_block(IMAGES, "flat", ModuleSpec("embed", {"dim": 4}))
    with pytest.raises(PathError, match="a mutation must change the path, found one that is the same"):
        checked(VECTORS, VECTORS, BUILT_IN)


def test_a_step_is_dropped_where_its_readers_can_read_on():
    shorter = drop_block(VECTORS, "a")
    assert (list(shorter.steps), shorter.steps["b"].reads) == (["b"], ("x",))
    assert list(drop_block(VECTORS, "b").steps) == ["a"]
    for trunk, step, message in (
        (IMAGES, "flat", r"step 'flat' cannot be dropped: there is no canonical conversion from Image\(.*\) to Vector"),
        (IMAGES, "a", r"step 'a' cannot be dropped: step 'b' has weights for \(Image\(channels=4"),
        (as_frozen(chain(Vector(8), a=LINEAR)), "a", "step 'a' cannot be dropped: no step would be left"),
    ):
        with pytest.raises(PathError, match=message):
            drop_block(trunk, step)


def test_a_head_is_replaced_by_another_of_as_many_outputs():
    headed = as_frozen(with_head(IMAGES, Classes(3)))
    made = replace_head(headed, "regressor")
    assert made.steps["head"].modules[0].spec == ModuleSpec("regressor", {"values": 3})
    assert without_head(made) == without_head(headed)
    with pytest.raises(PathError, match="`what` must be a head, found family `linear`"):
        replace_head(headed, "linear")
    with pytest.raises(PathError, match="`path` must end in a head, found step 'c'"):
        replace_head(IMAGES, "regressor")
    with pytest.raises(PathError, match=r"must give Vector\(dim=3\)"):
        replace_head(headed, ModuleSpec("classifier", {"classes": 4}))


# -- deltas -----------------------------------------------------------------------------------------------------------


def test_a_delta_starts_as_no_change():
    made = add_delta(VECTORS, "a", "lora")
    assert made.steps["a"].deltas == (DeltaRef(0, made.drafts()["a+lora"]),)
    assert torch.equal(outputs(made), outputs(VECTORS))
    twice = add_delta(made, "a", "lora")
    assert [ref.module.name for ref in twice.steps["a"].deltas] == ["a+lora", "a+lora'"]
    assert drop_delta(twice, "a", 0).steps["a"].deltas == twice.steps["a"].deltas[1:]


def test_deltas_change_frozen_modules_only():
    with pytest.raises(PathError, match=r"`host` must be a frozen module of step 'a', one of \[\], found 0"):
        add_delta(CHAINS["vectors"], "a", "lora")
    with pytest.raises(PathError, match=r"`host` must be a frozen module of step 'a', one of \[0\], found 1"):
        add_delta(VECTORS, "a", "lora", 1)
    with pytest.raises(PathError, match="`what` must be a delta, found family `linear`"):
        add_delta(VECTORS, "a", "linear")
    with pytest.raises(PathError, match="delta `lora` does not fit `flatten` in step 'flat'"):
        add_delta(IMAGES, "flat", "lora")
    with pytest.raises(PathError, match="`index` must name a delta of step 'a', which has 0"):
        drop_delta(VECTORS, "a")


# -- branches ---------------------------------------------------------------------------------------------------------


def test_a_branch_is_added_and_a_gate_begins_with_what_was_there():
    summed = add_branch(VECTORS, "b", "linear")
    assert summed.steps["b"].combine == "sum"
    assert summed.steps["b"].modules[0] == VECTORS.steps["b"].modules[0]
    routed = add_branch(VECTORS, "b", "linear", "topk_router")
    assert routed.steps["b"].combine.spec.config["k"] == 1
    assert torch.equal(outputs(routed), outputs(VECTORS))


def test_a_router_reads_a_vector_of_what_the_modules_read():
    routed = add_branch(TOKENS, "b", "transformer", "topk_router")
    assert routed.steps["b"].gate == ("b+gate1",)
    assert routed.steps["b+gate1"].modules[0].spec.family == "pool"
    assert torch.equal(outputs(routed), outputs(TOKENS))
    assert layers(routed) == ["a", "b"]


def test_a_branch_of_another_port_and_steps_that_are_joined_otherwise_are_refused():
    with pytest.raises(PathError, match=r"family `linear` does not fit beside the modules of step 'b', which read "
                       r"\(Vector\(dim=8\)\) and give Vector\(dim=8\)"):
        add_branch(VECTORS, "b", ModuleSpec("linear", {"dim": 3}))
    routed = add_branch(VECTORS, "b", "linear", "topk_router")
    with pytest.raises(PathError, match="found 2 joined by router `topk_router`"):
        add_branch(routed, "b", "linear")
    with pytest.raises(PathError, match="found 2 joined by sum"):
        add_branch(add_branch(VECTORS, "b", "linear"), "b", "linear", "topk_router")
    with pytest.raises(PathError, match="router `linear` does not fit at step 'b': it must weight two modules"):
        add_branch(VECTORS, "b", "linear", "linear")
    with pytest.raises(PathError, match="`index` must name one of several modules of step 'b', found -1 of 1"):
        drop_branch(VECTORS, "b")


def test_a_dropped_branch_takes_its_deltas_and_the_others_keep_theirs():
    two = as_frozen(add_branch(VECTORS, "b", "linear"))
    both = add_delta(add_delta(two, "b", "lora", 0), "b", "lora", 1)
    assert [delta.host for delta in both.steps["b"].deltas] == [0, 1]
    left = drop_branch(both, "b", 0)
    assert left.steps["b"].modules == both.steps["b"].modules[1:]
    assert left.steps["b"].deltas == (DeltaRef(0, both.steps["b"].deltas[1].module),)


# -- what later mutations see -----------------------------------------------------------------------------------------


def test_what_was_added_is_no_layer_but_can_be_cloned_and_goes_with_its_layer():
    grown = as_frozen(insert_block(insert_block(VECTORS, "a", "transformer"), "b", ModuleSpec("linear", {"dim": 5})))
    assert layers(grown) == ["a", "b"]
    assert blocks(grown) == ["a", "a+transformer", "b", "b+linear", "b+linear+out1"]
    assert [is_inner(name) for name in blocks(grown)] == [False, False, False, False, True]
    assert drop_top(grown).output == "a+transformer+out1"
    assert drop_top(grown).hash == insert_end(grown)
    assert isinstance(clone(grown, "a+transformer").drafts()["a+transformer"].start, Warm)


def insert_end(path: Path) -> str:
    return path.step_hashes["a+transformer+out1"]


def test_a_dropped_layer_comes_back_without_what_was_added_to_it():
    grown = as_frozen(insert_block(VECTORS, "b", "adapter"))
    longer = add_top(drop_top(VECTORS), [grown])
    assert longer.output == "b"
    assert longer.steps["b"] == grown.steps["b"]


def test_gates_and_conditions_follow_what_is_put_between():
    code = Step((Draft("code", ModuleSpec("learned_tokens", {"length": 1, "dim": 4})),))
    vector = Step((Draft("vector", ModuleSpec("pool")),), ("code",))
    router = Draft("router", ModuleSpec("topk_router", {"experts": 2, "k": 1}))
    mixed = Step((Draft("m0", LINEAR), Draft("m1", LINEAR)), ("x",), router, gate=("vector",))
    path = Path({"x": Vector(8)}, {"code": code, "vector": vector, "mixed": mixed}, "mixed")
    made = insert_block(path, "vector", "linear")
    assert made.steps["mixed"].gate == ("vector+linear",)
    assert drop_block(made, "vector+linear") == path
    assert insert(path, "vector", ModuleSpec("linear", {"dim": 4}), "n").steps["mixed"].gate == ("n",)
    assert layers(as_frozen(made)) == ["mixed"]


def test_clone_copies_gates_deltas_parts_and_what_holds_them():
    part = Frozen(sha("part"), LINEAR)
    other = Frozen(sha("other"), LINEAR)
    holder = Frozen(sha("holder"), ModuleSpec("two", parts=FrozenDict({"first": part, "second": other})))
    delta = DeltaRef(0, Frozen(sha("delta"), ModuleSpec("lora", {"rank": 1})), ("code",))
    gate = Frozen(sha("gate"), ModuleSpec("topk_router", {"experts": 1, "k": 1}))
    path = Path({"x": Vector(8), "code": Vector(2)}, {"a": Step((holder,), ("x",), gate, (delta,), ("code",))}, "a")
    made = clone(path, "a")
    assert not made.frozen()
    assert {draft.start for draft in made.drafts().values()} == {Warm(blob) for blob in path.frozen()}
    assert len(made.drafts()) == 5
    assert (made.steps["a"].gate, made.steps["a"].deltas[0].reads) == (("code",), ("code",))
    some = clone(path, "a", only={part.id})
    assert {draft.start.blob for draft in some.drafts().values()} == {part.id, holder.id}, (
        "what holds a copied part is another module")
    assert some.hash != path.hash


def test_ids_are_read_by_what_reads_tokens():
    path = as_frozen(chain(Ids(5, 9), a=ModuleSpec("embed", {"dim": 8}), b=TRANSFORMER))
    made = replace_block(path, "a", "embed")
    assert families_of(made) == ["embed", "linear", "transformer"] or families_of(made) == ["embed", "transformer"]
    assert made.ports()["b"] == Tokens(5, 8)

"""Canonical conversions between ports."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pathways.assemble import PathModule
from pathways.convert import conversion, reading, through, ways, width_of
from pathways.errors import PathError
from pathways.evolve.paths import with_head
from pathways.modules import Draft, Ids, Image, Init, Masked, ModuleSpec, Signal, Tokens, Vector, facts
from pathways.path import Path, Step
from pathways.task import Classes

KINDS = (Vector, Image, Tokens, Ids, Signal)
GOES = {
    (Vector, Tokens): ["as_tokens"], (Image, Tokens): ["as_tokens"], (Signal, Tokens): ["as_tokens"],
    (Ids, Tokens): ["embed"], (Image, Vector): ["flatten"], (Tokens, Vector): ["pool"], (Signal, Vector): ["pool"],
    (Ids, Vector): ["embed", "pool"],
}
"""The table of `pathways.convert`."""
SIZES = st.integers(1, 6)
LENGTHS = st.none() | SIZES
PORTS = st.one_of(
    st.builds(Vector, SIZES), st.builds(Image, SIZES, SIZES, SIZES), st.builds(Tokens, LENGTHS, SIZES),
    st.builds(Ids, LENGTHS, SIZES), st.builds(Signal, SIZES, LENGTHS),
)  # fmt: skip
EXAMPLES = (Vector(3), Image(2, 3, 4), Tokens(None, 3), Ids(5, 9), Signal(2, None))


def names(glue):
    return [spec.family for spec in glue]


@pytest.mark.parametrize(("found", "kind"), list(itertools.product(EXAMPLES, KINDS)))
def test_one_way_or_none_leads_from_each_kind_to_each(found, kind):
    if type(found) is kind:
        assert conversion(found, kind) == ()
    elif (type(found), kind) in GOES:
        glue = conversion(found, kind)
        assert names(glue) == GOES[type(found), kind]
        assert type(through(found, glue)) is kind
    else:
        with pytest.raises(PathError) as raised:
            conversion(found, kind)
        assert str(found) in str(raised.value)
        assert f"any {kind.__name__}" in str(raised.value)


@given(PORTS, PORTS)
def test_a_conversion_gives_what_is_wanted_or_names_both_ports(found, wanted):
    try:
        glue = conversion(found, wanted)
    except PathError as error:
        assert str(found) in str(error)  # noqa: PT017
        assert str(wanted) in str(error)  # noqa: PT017
        assert "put a module between" in str(error)  # noqa: PT017
    else:
        assert through(found, glue) == wanted
        assert (glue == ()) == (found == wanted)


@pytest.mark.parametrize(("found", "wanted", "families"), [
    (Vector(3), Vector(4), ["linear"]),
    (Tokens(None, 3), Tokens(None, 4), ["linear"]),
    (Image(2, 3, 4), Image(5, 3, 4), ["conv"]),
    (Image(2, 3, 4), Vector(24), ["flatten"]),
    (Image(2, 3, 4), Vector(7), ["flatten", "linear"]),
    (Image(2, 3, 4), Tokens(12, 2), ["as_tokens"]),
    (Ids(5, 9), Tokens(5, 7), ["embed"]),
    (Vector(3), Tokens(1, 4), ["as_tokens", "linear"]),
])  # fmt: skip
def test_another_width_is_projected(found, wanted, families):
    assert names(conversion(found, wanted)) == families


@pytest.mark.parametrize(("found", "wanted"), [
    (Tokens(5, 8), Tokens(6, 8)), (Tokens(None, 8), Tokens(6, 8)), (Image(2, 3, 4), Image(2, 4, 3)),
    (Image(2, 3, 4), Tokens(11, 2)), (Signal(2, 5), Signal(3, 5)), (Tokens(4, 8), Image(8, 2, 2)),
    (Ids(5, 9), Ids(5, 8)),
])  # fmt: skip
def test_other_lengths_and_pictures_of_tokens_are_refused(found, wanted):
    with pytest.raises(PathError, match="no canonical conversion from"):
        conversion(found, wanted)


def test_a_projection_of_an_image_treats_each_pixel_alone():
    (spec,) = conversion(Image(2, 3, 4), Image(5, 3, 4))
    assert facts(spec, [Image(2, 3, 4)]).parameters == 2 * 5 + 5


@given(PORTS)
def test_ways_begin_with_the_port_itself_and_reach_each_kind_once(found):
    reached = [type(through(found, way)) for way in ways(found)]
    assert reached[0] is type(found)
    assert len(set(reached)) == len(reached)
    assert set(reached) == {type(found)} | {kind for start, kind in GOES if start is type(found)}


@pytest.mark.parametrize(("found", "spec", "families"), [
    (Image(1, 4, 4), ModuleSpec("linear", {"dim": 3}), ["flatten"]),
    (Image(1, 4, 4), ModuleSpec("conv", {"channels": 3}), []),
    (Image(4, 4, 4), ModuleSpec("transformer", {"heads": 2}), ["as_tokens"]),
    (Ids(5, 9), ModuleSpec("transformer", {"heads": 2}), ["embed"]),
    (Ids(5, 9), ModuleSpec("classifier", {"classes": 2}), ["embed", "pool"]),
])  # fmt: skip
def test_a_family_gets_what_it_reads(found, spec, families):
    assert names(reading(found, spec)) == families


def test_what_a_family_cannot_be_given_is_refused_with_its_reason():
    with pytest.raises(PathError, match=r"no canonical conversion from Vector\(dim=3\) to what family `conv` reads"):
        reading(Vector(3), ModuleSpec("conv", {"channels": 3}))


def test_widths():
    assert [width_of(port) for port in EXAMPLES] == [3, 2, 3, None, 2]


def test_a_root_that_ends_in_ids_takes_a_head():
    same = Draft("same", ModuleSpec("slice", {"axis": "length"}))
    with pytest.raises(PathError):
        Path({"x": Ids(4, 9)}, {"a": Step((same,), ("x",))}, "a").ports()
    path = with_head(Path({"x": Ids(4, 9)}, {"a": Step((Draft("a", ModuleSpec("detach")),), ("x",))}, "a"), Classes(3))
    assert list(path.steps) == ["a", "a.embed", "a.embed.pool", "head"]
    starts = {draft.name: draft.start for draft in path.drafts().values()}
    assert starts == {"a": Init(), "a.embed": Init(), "a.embed.pool": Init(0), "head": Init()}
    module = PathModule(path, lambda ref: torch.Generator().manual_seed(0))
    assert module(torch.tensor([[1, 2, 3, 4]])).shape == (1, 3)


def test_what_stands_before_a_head_is_what_it_was():
    def ending(port):
        return with_head(Path({"x": port}, {"a": Step((Draft("a", ModuleSpec("detach")),), ("x",))}, "a"), Classes(3))

    for port, converter in ((Image(1, 2, 2), "flatten"), (Tokens(3, 2), "pool"), (Signal(2, None), "pool")):
        step = ending(port).steps[f"a.{converter}"]
        assert step.modules == (Draft(f"a.{converter}", ModuleSpec(converter), Init(0)),)
    assert list(ending(Vector(2)).steps) == ["a", "head"]


def test_glue_passes_masks():
    x = Masked(torch.ones(1, 3, 4), torch.tensor([[True, True, False, False]]))
    (spec,) = conversion(Signal(3, None), Tokens)
    path = Path({"x": Signal(3, None)}, {"a": Step((Draft("a", spec),), ("x",))}, "a")
    assert PathModule(path, lambda ref: torch.Generator())(x).mask is x.mask

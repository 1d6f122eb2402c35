import pytest
import torch

from pathways.modules import BUILT_IN, Context, Ids, Image, ModuleSpec, PortError, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestFields(ModuleFamilySuite):
    spec = ModuleSpec("fields", {"dim": 6})
    ports = (Vector(4),)
    refused = ((), (Image(1, 2, 2),), (Vector(4), Vector(4)), (Ids(2, 5), Vector(4)), (Ids(None, 5),))


class TestFieldsOfCategories(ModuleFamilySuite):
    spec = ModuleSpec("fields", {"dim": 6, "widths": [1, 3, 1]})
    ports = (Vector(5),)


class TestFieldsOfIds(ModuleFamilySuite):
    spec = ModuleSpec("fields", {"dim": 6})
    ports = (Vector(2), Ids(3, 5))


class TestFieldsOfIdsAlone(ModuleFamilySuite):
    spec = ModuleSpec("fields", {"dim": 6})
    ports = (Ids(3, 5),)


def fields(*ports, **config):
    return build(ModuleSpec("fields", {"dim": 6, **config}), ports, torch.Generator().manual_seed(0))


def test_t8_a_number_scales_its_vector_and_a_category_chooses_one():
    module = fields(Vector(4), Ids(2, 5), widths=[1, 3])
    x, ids = torch.tensor([[2.5, 0.0, 1.0, 0.0]]), torch.tensor([[4, 1]])
    number, one_hot, first, second = module(x, ids, context=Context())[0]
    weight, bias, table = module.weight, module.bias, module.table.weight
    assert torch.equal(number, 2.5 * weight[0] + bias[0])
    assert torch.equal(one_hot, weight[2] + bias[1])
    assert torch.equal(first, table[4] + bias[2])
    assert torch.equal(second, table[5 + 1] + bias[3])  # each field has a table of its own


def test_t8_an_unknown_category_is_the_bias_of_its_field():
    module = fields(Vector(4), widths=[1, 3])
    found = module(torch.tensor([[2.5, 0.0, 0.0, 0.0]]), context=Context())
    assert torch.equal(found[0, 1], module.bias[1])


def test_the_family_finds_its_own_configuration():
    for ports in ((Vector(4),), (Ids(3, 5),), (Vector(2), Ids(3, 5))):
        assert isinstance(facts(ModuleSpec("fields", BUILT_IN["fields"].fitting(ports)), ports).output, Tokens)
    assert BUILT_IN["fields"].fitting((Vector(4000),)) is None
    assert BUILT_IN["fields"].fitting((Image(1, 2, 2),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"widths": [1, 2]}, r"`widths` must add up to the 4 entries of the vector, found \[1, 2\]"),
        ({"widths": [1, 0, 3]}, "`widths` must be a whole number of at least 1, found 0"),
        ({"dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        fields(Vector(4), **config)


def test_ids_of_variable_length_are_no_fields():
    with pytest.raises(PortError, match="reads one Vector, one Ids of fixed length or both"):
        fields(Vector(4), Ids(None, 5))

import torch

from pathways.modules import Context, Ids, Image, Masked, ModuleSpec, Tokens, build
from pathways.modules.ports import example
from pathways.testing import ModuleFamilySuite


class TestBlank(ModuleFamilySuite):
    spec = ModuleSpec("blank")
    ports = (Image(2, 4, 4),)


class TestBlankMasked(ModuleFamilySuite):
    spec = ModuleSpec("blank")
    ports = (Tokens(None, 4),)


def test_nothing_of_the_value_is_left_but_its_mask():
    generator = torch.Generator().manual_seed(0)
    for port in (Image(1, 3, 3), Ids(None, 9)):
        value = example(port, 3, generator)
        found = build(ModuleSpec("blank"), [port])(value, context=Context())
        if isinstance(value, Masked):
            assert found.mask is value.mask
            found, value = found.value, value.value
        assert not bool(found.any())
        assert (found.shape, found.dtype) == (value.shape, value.dtype)

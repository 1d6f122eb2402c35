import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, PortError, Tokens, build
from pathways.testing import ModuleFamilySuite


class TestGatedAttention(ModuleFamilySuite):
    spec = ModuleSpec("gated_attention", {"heads": 2, "places": [3, 2]})
    ports = (Tokens(2, 4), Tokens(3, 4), Tokens(5, 4))
    refused = ((), (Tokens(2, 4),) * 2, (Tokens(2, 4), Tokens(3, 4), Tokens(5, 6)), (Tokens(2, 4),) * 4)


class TestGatedAttentionMasked(ModuleFamilySuite):
    spec = ModuleSpec("gated_attention", {"heads": 2, "places": [1, 2]})
    ports = (Tokens(None, 4), Tokens(None, 4), Tokens(3, 4))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(places, *ports):
    spec = ModuleSpec("gated_attention", {"heads": 2, "places": places})
    return build(spec, ports, torch.Generator().manual_seed(0)).eval()


def test_t12_what_was_not_looked_at_in_time_is_not_looked_at_in_space():
    module = made([2, 2], Tokens(1, 4), Tokens(None, 4), Tokens(4, 4))
    with torch.no_grad():
        module.key_value_space.weight[:4].zero_()  # keys: all places are as likely, so that values alone can tell
    x, temporal, space = noise(1, 1, 4), noise(1, 2, 4, seed=1), noise(1, 4, 4, seed=2)
    other = space.clone()
    other[:, 2:] += 1.0  # the places of the second step

    def differs(*mask):
        seen = Masked(temporal, torch.tensor([mask]))
        first, second = (module(x, seen, value, context=Context()) for value in (space, other))
        return not torch.equal(first, second)

    assert differs(True, True)
    assert not differs(True, False)  # where the second step is padding it has no weight, and neither have its places


def test_t12_one_step_in_time_opens_the_gate():
    module = made([4], Tokens(2, 4), Tokens(1, 4), Tokens(4, 4))
    x, temporal, space = noise(3, 2, 4), noise(3, 1, 4, seed=1), noise(3, 4, 4, seed=2)
    found = module(x, temporal, space, context=Context())
    moved = module(x, temporal, space.flip(1), context=Context())
    torch.testing.assert_close(found, moved)  # within a step the order of places does not matter
    assert not torch.allclose(found, module(x, temporal, 2 * space, context=Context()))


@pytest.mark.parametrize("places", [[3], [2, 2, 1], [5]])
def test_places_must_fit_the_caches(places):
    with pytest.raises(PortError, match="`places` of family `gated_attention` must add up to the spatial cache"):
        made(places, Tokens(1, 4), Tokens(2, 4), Tokens(4 if places != [2, 2, 1] else 5, 4))


def test_bad_settings_are_named():
    ports = (Tokens(1, 4), Tokens(1, 4), Tokens(2, 4))
    with pytest.raises(ValueError, match="`heads` must divide the dim 4 of the tokens, found 3"):
        build(ModuleSpec("gated_attention", {"heads": 3, "places": [2]}), ports)
    with pytest.raises(ValueError, match="`places` must be a whole number of at least 1, found 0"):
        build(ModuleSpec("gated_attention", {"heads": 2, "places": [0, 2]}), ports)

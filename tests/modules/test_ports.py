import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.modules import PORTS, Ids, Image, Masked, Signal, Tokens, Vector, port_from_json, port_to_json
from pathways.modules.ports import batch_size, example, like, split

SIZES = st.integers(1, 1000)
LENGTHS = st.none() | SIZES
ANY_PORT = (
    st.builds(Vector, SIZES)
    | st.builds(Image, SIZES, SIZES, SIZES)
    | st.builds(Tokens, LENGTHS, SIZES)
    | st.builds(Ids, LENGTHS, SIZES)
    | st.builds(Signal, SIZES, LENGTHS)
)


@settings(deadline=None, max_examples=100)
@given(ANY_PORT)
def test_ports_survive_json(port):
    assert port_from_json(json.loads(json.dumps(port_to_json(port)))) == port


@pytest.mark.parametrize(
    "port",
    [Vector(3), Image(2, 3, 4), Tokens(3, 4), Tokens(None, 4), Ids(3, 9), Ids(None, 9), Signal(2, None)],
    ids=str,
)
def test_an_example_fits_its_port(port):
    value = example(port, 40, torch.Generator().manual_seed(0), length=6)
    tensor, mask = split(value)
    assert batch_size(value) == 40
    assert tuple(tensor.shape) == (40, *(6 if size is None else size for size in port.shape))
    assert (mask is None) == (not port.variable)
    if mask is not None:
        lengths = mask.sum(1)
        assert lengths.min() == 1
        assert lengths.max() == 6
        assert bool((mask == (torch.arange(6) < lengths[:, None])).all())
    if port.integer:
        assert tensor.dtype == torch.int64
        assert 0 <= int(tensor.min()) <= int(tensor.max()) == 8
    assert isinstance(like(value, tensor), type(value))


def test_every_port_is_in_the_table():
    assert set(PORTS.values()) == {Vector, Image, Tokens, Ids, Signal}
    assert all(port.kind == kind for kind, port in PORTS.items())


def test_a_masked_value_is_a_pair():
    value, mask = torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
    assert split(Masked(value, mask)) == (value, mask)
    assert split(value) == (value, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"port": "picture", "dim": 3}, "`port` must be one of .* found 'picture'"),
        ({"dim": 3}, "`port` must be one of .* found None"),
        ({"port": "vector", "size": 3}, r"fields of port 'vector' do not fit, found \['size'\]"),
        (
            {"port": "vector", "dim": 0},
            "`dim` of port 'vector' must be a whole number of at least 1, found 0",
        ),
        (
            {"port": "vector", "dim": None},
            "`dim` of port 'vector' must be a whole number of at least 1, found None",
        ),
        ({"port": "tokens", "length": True, "dim": 2}, "`length` of port 'tokens' must be .* found True"),
    ],
)
def test_bad_data_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        port_from_json(data)

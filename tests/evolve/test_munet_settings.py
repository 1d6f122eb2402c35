"""muNet: presets, and settings as plain data."""

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers_munet import VIEW

from pathways.candidate import Training
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.presets import MUNET_PRESETS
from pathways.testing.fake import drive


def test_presets_are_what_was_published() -> None:
    made = MuNet.preset("munet-2022")
    assert (made.generations, made.children, made.probes, made.size, made.mutable_rates) == (8, 8, "all", 1.0, False)
    assert set(made.rates.values()) == {0.1}
    assert (list(made.adapter_dims), made.first_adapter_dim) == ([8, 16, 32, 64, 128], 32)
    assert isinstance(made.training, Training)
    assert (made.training.optimizer, made.training.lr, made.training.momentum, made.training.clip) == (
        "sgd", 0.01, 0.9, 1.0)
    for name, values in made.space.items():
        assert getattr(made.training, name) in values
    assert MuNet.preset("munet-2022", size=0.9).size == 0.9
    with pytest.raises(ConfigError, match="'munet-2022'"):
        MuNet.preset("munet")


@pytest.mark.parametrize("made", [
    MuNet(), MuNet(probes=3, adapter=None), *(MuNet.preset(name) for name in MUNET_PRESETS),
])
def test_settings_survive_plain_data(made: MuNet) -> None:
    again = MuNet(**json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()
    once, twice = (drive(replace(m, generations=1), VIEW) for m in (made, again))
    assert [c.hash for c in once.candidates] == [c.hash for c in twice.candidates]


@pytest.mark.parametrize(("wrong", "message"), [
    ({"generations": -1}, "`generations` must be a whole number of at least 0"),
    ({"children": 0}, "`children` must be a whole number of at least 1"),
    ({"probes": "some"}, "`probes` must be 'all' or a whole number"),
    ({"probes": True}, "`probes` must be 'all' or a whole number"),
    ({"rates": {"clone": 1.5}}, "rate `clone` must be a probability, found 1.5"),
    ({"rates": {"clnoe": 0.5}}, "`rates` must name mutations or their kinds.*found 'clnoe'"),
    ({"size": 1.5}, "`size` must be above 0 and at most 1"),
    ({"compute": 0}, "`compute` must be above 0"),
    ({"space": {"speed": [1]}}, "`space` must give non-empty lists for fields of `training`, found 'speed'"),
    ({"space": {"lr": []}}, "`space` must give non-empty lists"),
    ({"space": {"lr": [0.1, -1]}}, "`lr` must be a number"),
    ({"space": {"schedule": ["cosine", "restarts"]}}, "`schedule` must be one of"),
    ({"adapter_dims": []}, "`adapter_dims`"),
    ({"workers": 0}, "`workers` must be a whole number of at least 1, found 0"),
    ({"adapter_dims": [0]}, "`adapter_dims` must be a whole number of at least 1"),
    ({"scratch_training": {"stepz": 1}}, "`scratch_training` must name fields of `training`, found"),
    ({"scratch_generations": -1}, "`scratch_generations` must be"),
    ({"probe_training": {"stepz": 1}}, "`probe_training` must name fields of `training`, found"),
])
def test_bad_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MuNet(**wrong)

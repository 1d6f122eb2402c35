"""The picture of the live view is of a real run, and needs nothing from outside."""

import re
from xml.etree import ElementTree

import pytest

from pathways.errors import ConfigError
from pathways.experiments.live_picture import live_picture

CONFIG = """\
name: watched
root: {architecture: [{family: flatten}, {family: linear, dim: 6}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [0, 2]]}
training: {steps: 2, batch: 8}
strategy:
  munet: {generations: 2, children: 3}
"""


def test_it_shows_what_has_ended_and_what_goes_on(tmp_path):
    file = tmp_path / "watched.yaml"
    file.write_text(CONFIG)
    picture = live_picture(file, tmp_path / "run")
    words = " ".join(" ".join(ElementTree.fromstring(picture).itertext()).split())
    assert "pathways run watched.yaml" in words
    assert re.search(r"✓ digits/0-1 munet \d+ tried", words)
    assert re.search(r"1 of 6 searches", words)
    assert re.search(r"digits/2-3 +munet \d+ tried best 0\.\d{3}", words)
    assert "digits/4-5" not in words
    loaded = re.findall(r"(?:url\(|href=)[\"']?(?!#)[^\s\"')]+", picture)
    assert loaded == []


def test_a_configuration_that_is_wrong_is_refused_and_nothing_is_written(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(CONFIG.replace("children", "childs"))
    with pytest.raises(ConfigError, match="childs"):
        live_picture(file, tmp_path / "run")
    assert not (tmp_path / "run").exists()

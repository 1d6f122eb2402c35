"""`pathways trace`, and the switch."""

import json

import pytest
from helpers_trace import answer, candidates, checked

from pathways.experiments.cli import main
from pathways.trace_file import Trace

CONFIG = """
name: tiny
root: {architecture: [{family: flatten}, {family: linear, dim: 8}]}
tasks: [{source: digits}]
training: {steps: 5}
strategy: {munet: {generations: 1, children: 1}}
engine: {trace: %s}
"""


@pytest.fixture
def run(tmp_path):
    trace = Trace(tmp_path / "trace.json")
    found = answer(0, candidates(4), 1000.0)
    trace.add(found, found.results, "munet", ("one",), (1004.5, 0.5))
    trace.close()
    return tmp_path


def test_the_summary_names_the_file_and_how_to_open_it(run, capsys):
    assert main(["trace", str(run)]) == 0
    out = capsys.readouterr().out
    assert "Workers worked" in out
    assert str(run / "trace.json") in out
    assert "https://ui.perfetto.dev" in out


def test_json_and_a_closed_copy(run, capsys, tmp_path):
    copy = tmp_path / "whole.json"
    assert main(["trace", str(run), "--json", "--out", str(copy)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["candidates"] == 4
    assert found["trace"] == str(copy)
    assert len(json.loads(copy.read_text())) == len(checked(copy.read_text()))


def test_without_a_trace_the_status_is_2(tmp_path, capsys):
    assert main(["trace", str(tmp_path)]) == 2
    assert "`engine.trace`" in capsys.readouterr().err


@pytest.mark.parametrize("on", [True, False])
def test_a_configuration_turns_it_off(tmp_path, capsys, on):
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG % str(on).lower())
    assert main(["run", str(config), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert (tmp_path / "run" / "trace.json").exists() == on

"""Where trainers run, as configurations and the command line say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathways.errors import EngineError
from pathways.evolve import Local, Ray
from pathways.experiments.cli import main
from pathways.experiments.engine_config import EngineConfig, changed_engine, made_engine, reach


def test_each_kind_gets_its_settings():
    local = made_engine(EngineConfig(workers=1, retries=5, deadline=9.0), "cpu")
    assert isinstance(local, Local)
    assert (local._scheduler.rules.retries, local._scheduler.rules.deadline) == (5, 9.0)
    needs = {"cpus_per_worker": 0.5, "gpus_per_worker": 0.25}
    far = made_engine(EngineConfig(kind="ray", address="auto", workers=0, autoscaling=True, **needs), "cpu")
    assert isinstance(far, Ray)
    assert far.needs == {"CPU": 0.5, "GPU": 0.25}
    assert (far.cluster.address, far.autoscaling, far._asked) == ("auto", True, None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"address": "auto"}, "`address` is for kind `ray`, found kind 'local'"),
        ({"gpus_per_worker": 1}, "`gpus_per_worker` is for kind `ray`"),
        ({"kind": "ray", "cpus_per_worker": 0}, "`cpus_per_worker` must be above 0"),
        ({"kind": "ray", "patience": -1}, "`patience` must be at least 0"),
        ({"retries": -1}, "`retries` must be a whole number"),
        ({"deadline": 0}, "`deadline` must be seconds above 0"),
    ],
)
def test_bad_settings_are_one_sentence(settings, says):
    with pytest.raises(ValueError, match=says):
        EngineConfig(**settings)


def test_a_run_of_a_cluster_goes_on_without_one():
    there = EngineConfig(kind="ray", address="10.0.0.1:6379", patience=9, workers=64, retries=9)
    assert changed_engine(there, kind="local", workers=2) == EngineConfig(workers=2, retries=9)
    assert changed_engine(there, workers=2).address == "10.0.0.1:6379"


def test_a_cluster_out_of_reach_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def connect(cluster: object) -> None:
        raise EngineError("`address` must be `local`, or a Ray cluster that can be reached, found 'auto'")

    monkeypatch.setattr("pathways.evolve.cluster.Cluster.connect", connect)
    config = tmp_path / "config.yaml"
    config.write_text(
        "name: tiny\ntasks: [{source: omniglot, alphabets: [Greek]}]\nroot: omniglot\ntraining: {steps: 1}\n"
        "strategy: {munet: {generations: 0}}\n"
    )
    out = tmp_path / "run"
    assert main(["run", str(config), "--out", str(out), "--engine", "ray", "--address", "auto"]) == 2
    assert "can be reached" in capsys.readouterr().err
    assert not out.exists()
    reach(EngineConfig(kind="ray"))  # what is started here is no cluster to be joined

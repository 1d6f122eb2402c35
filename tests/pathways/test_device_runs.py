"""Whole runs on a device: recorded when they begin, the same champions, refused where the device is not here."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from helpers_cli import written
from helpers_tiny import TRAINING, task_of
from pretend_cuda import pretended
from test_stacked_runs import STRATEGY, learned

from pathways import evolve, stack_plan
from pathways.engine import device_of
from pathways.errors import ConfigError, LedgerError
from pathways.evolve.local import Local
from pathways.experiments.cli import main
from pathways.in_process import InProcess
from pathways.system import System
from pathways.trainer import calibrate
from pathways.trainer.numerics import numerics

pytestmark = pytest.mark.usefixtures("blank_pictures")

CONFIG = """
name: small
root: {architecture: [{family: conv, channels: 3, pool: 2}, {family: flatten}, {family: linear, dim: 6}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 6, batch: 16}
strategy: {munet: {generations: 1, children: 2, probes: 1}}
engine: {stack: 8}
"""


def on_gpu(folder: Any, names: tuple[str, ...] = ("one", "two")) -> System:
    """A run on a pretended GPU."""
    with pretended():
        system = System.create(folder, training=TRAINING, stack=64, device="auto")
        for name in names:
            system.learn(task_of(name), STRATEGY)
    return system


def test_a_run_on_a_gpu_is_verified_and_used_on_the_processor(tmp_path):
    here, there = learned(tmp_path / "a", 64), on_gpu(tmp_path / "b")
    assert there.fingerprint == here.fingerprint, "the pretended GPU computes as the processor does"
    assert (here.device, there.device) == ("cpu", "cuda")
    assert there.record.numerics["capability"] == "Pretended GPU"
    assert max(row.result.stack for row in there.ledger.rows()) > 3
    opened = System.open(tmp_path / "b")
    assert opened.verify().bitwise
    assert opened.predict("one", task_of("one").splits["test"].inputs["x"]).shape[1] == 3
    assert "device is cpu and was cuda" in opened.numerics_differ("cpu")


def test_a_run_goes_on_on_its_own_kind_of_device_only(tmp_path):
    on_gpu(tmp_path / "b", ("one",)).close()
    with System.open(tmp_path / "b") as system:
        with pytest.raises(LedgerError, match=r"was made with other numerics .*device is cpu and was cuda"):
            system.learn(task_of("two"), STRATEGY, InProcess())
        with pytest.raises(ConfigError, match=r"`device` must be one that is here, found 'cuda', here is `cpu`"):
            system.learn(task_of("two"), STRATEGY)
        assert list(system.records) == ["one"]
    with (
        learned(tmp_path / "a", 64, names=["one"]) as system, pretended(),
        pytest.raises(LedgerError, match="device is cuda and was cpu"),
    ):
        system.learn(task_of("two"), STRATEGY, InProcess(device="cuda"))


def test_the_plan_of_a_dispatch_is_that_of_its_device(tmp_path, monkeypatch):
    """Families say where stacking pays; the search tells the plan where it trains."""
    asked: list[str] = []
    before = stack_plan.plan
    monkeypatch.setattr(stack_plan, "plan", lambda *given: (asked.append(given[3]), before(*given))[1])
    on_gpu(tmp_path / "b", ("one",))
    learned(tmp_path / "a", 64, names=["one"])
    assert asked == ["cuda"] * 4 + ["cpu"] * 4


def test_workers_take_gpus_in_turn(tmp_path, monkeypatch):
    made: list[Any] = []

    class Worker:
        """One that is not started."""

        def __init__(self, *given: Any) -> None:
            made.append(given[3:])

        def stop(self) -> None:
            """Nothing to stop."""

    monkeypatch.setattr("pathways.evolve.local._Worker", Worker)
    with pretended(count=2):
        for device in ("cuda", "cuda:1", "cpu"):
            with Local(workers=3, oversubscribe=True, device=device) as engine:
                assert device_of(engine) == device
                engine.open(tmp_path / "pool")
                engine._replace(1)
        there = numerics("cuda")
    assert [device for device, _ in made] == [
        *("cuda:0", "cuda:1", "cuda:0", "cuda:1"), *["cuda:1"] * 4, *["cpu"] * 4,
    ]  # fmt: skip
    assert [expected for _, expected in made] == [there] * 8 + [numerics()] * 4
    with pytest.raises(ConfigError, match="here is `cpu`"):
        evolve.Local(workers=2, device="cuda")


def test_stacks_on_a_gpu_are_calibrated_there_with_graphs(monkeypatch):
    assert min(calibrate.SIZES["cuda"]) == 64
    assert max(calibrate.SIZES["cuda"]) == 1024
    monkeypatch.setattr(calibrate, "SIZES", {"cpu": (2,), "cuda": (3, 5)})
    calibrate._calibrated.cache_clear()
    with pretended() as gpu:
        assert calibrate.stack_size("auto", "cuda") in (3, 5)
        assert len(gpu.graphs) == 2
        assert calibrate.stack_size("auto", "cuda") in (3, 5)
        assert len(gpu.graphs) == 2, "it is measured once"
    calibrate._calibrated.cache_clear()


# -- the command line -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return written(tmp_path_factory, CONFIG)


def said(capsys, *arguments, status=0):
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_a_device_that_is_not_here_is_refused_before_anything_is_written(config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (("--device", "cuda"), "`--device` must be one that is here, found 'cuda', here is `cpu`: torch"),
        (("--set", "engine.device=cuda:1"), "`engine.device` must be one that is here, found 'cuda:1', here is `cpu`"),
        (("--device", "tpu"), "`--device` must be `cpu`, `cuda`, `cuda:N` or `auto`, found 'tpu'"),
        (("--device", "cuda", "--dry-run"), "`--device` must be one that is here"),
    ):
        err = said(capsys, "run", config, *arguments, status=2)
        assert words in err
        assert err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []


def test_the_command_line_runs_on_a_gpu(config, tmp_path, capsys):
    """`auto` is resolved when the run begins; resuming says so again or says nothing, and no other kind."""
    here = json.loads(said(capsys, "run", config, "--out", tmp_path / "a", "--device", "auto", "--quiet", "--json"))
    assert yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())["engine"]["device"] == "cpu"
    out = tmp_path / "b"
    with pretended():
        there = json.loads(said(capsys, "run", config, "--out", out, "--device", "auto", "--quiet", "--json"))
        assert yaml.safe_load((out / "config.yaml").read_text())["engine"]["device"] == "cuda"
        for again in (("--device", "auto"), ("--device", "cuda:0"), ("--device", "cuda")):
            said(capsys, "run", config, "--out", out, "--quiet", "--json", *again)
        said(capsys, "resume", out, "--quiet", "--json")
        err = said(capsys, "run", config, "--out", out, "--quiet", status=2)
        assert "`engine.device` was 'cuda' and is 'cpu'" in err
    assert here["tasks"][0]["candidates"] == there["tasks"][0]["candidates"]
    err = said(capsys, "resume", out, "--quiet", status=2)
    assert "`engine.device` must be one that is here, found 'cuda', here is `cpu`" in err
    assert "bit for bit" in said(capsys, "verify", out)

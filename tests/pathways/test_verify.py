"""Nothing is forgotten: whatever changes in a run directory is found and named, and later work changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import TRAINING, files_of, task_of, tiny_root
from torch import Tensor

from pathways import manifest
from pathways.errors import ForgettingError, PathwaysError
from pathways.evolve.controls import Independent
from pathways.evolve.munet import MuNet
from pathways.experiments.cli import main
from pathways.freeze import read_probe, replay, task_inputs
from pathways.modules import content_hash
from pathways.system import System

STRATEGY = MuNet(generations=1, children=3, rates={"clone": 0.5, "adapter": 0.2})
NAMES = ("first/α", "second", "third")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A run that has learned three tasks; not to be changed."""
    directory = tmp_path_factory.mktemp("verify") / "whole"
    with System.create(directory, root=tiny_root(), training=TRAINING) as system:
        for name in NAMES:
            system.learn(task_of(name), STRATEGY)
        assert system.verify().ok
        paths = [set(champion.path.frozen()) for champion in system.champions.values()]
        assert paths[0] & paths[1] | paths[0] & paths[2]  # modules are shared, so there is something to forget
    return directory


@pytest.fixture
def run(whole: FilePath, tmp_path: FilePath) -> FilePath:
    """A copy of it, to be damaged."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def found(directory: FilePath) -> list[dict[str, str]]:
    """What `verify` finds, in a system that is opened anew."""
    with System.open(directory) as system, pytest.raises(ForgettingError) as caught:
        system.verify()
    differs = caught.value.differs
    assert differs[0]["task"] in str(caught.value)
    assert differs[0]["what"] in str(caught.value)
    return differs


def named(directory: FilePath) -> set[str]:
    return {d["task"] for d in found(directory)}


def users(directory: FilePath, blob: str) -> set[str]:
    with System.open(directory) as system:
        return set(system.needing(blob))


# -- damage -----------------------------------------------------------------------------------------------------


def test_a_run_without_damage_says_what_it_checked(run: FilePath) -> None:
    before = files_of(run)
    with System.open(run) as system:
        report = system.verify()
        blobs = set().union(*(champion.path.frozen() for champion in system.champions.values()))
        assert report.to_json() == {
            "ok": True, "tasks": 3, "modules": len(blobs), "bitwise": True, "differs": [],
            "bytes": sum(file.stat().st_size for file in (run / "pool").rglob("*.safetensors")),
        }
    assert files_of(run) == before


def test_one_flipped_bit_of_any_pool_file_is_found_and_names_every_task_that_uses_it(run: FilePath) -> None:
    rng = np.random.default_rng(0)
    files = sorted((run / "pool").rglob("*.safetensors"))
    assert len(files) >= 6
    for file in files:
        data = file.read_bytes()
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        differs = found(run)
        assert {d["task"] for d in differs} == users(run, file.stem) != set()
        assert all(d["module"] in ("", file.stem) for d in differs)
        file.write_bytes(data)
    with System.open(run) as system:
        assert system.verify().ok


def test_one_flipped_bit_of_a_probe_or_a_manifest_is_found_and_names_its_task(run: FilePath) -> None:
    rng = np.random.default_rng(1)
    for name in NAMES:
        for file in (manifest.probe_file(run, name), manifest.task_file(run, name)):
            data = file.read_bytes()
            for _ in range(4):
                flipped = bytearray(data)
                flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
                file.write_bytes(flipped)
                assert named(run) == {name}, (file, flipped)
            file.write_bytes(data)


def test_a_truncated_or_deleted_file_is_found_and_names_its_tasks(run: FilePath) -> None:
    files = {file: users(run, file.stem) for file in sorted((run / "pool").rglob("*.safetensors"))}
    files |= {manifest.probe_file(run, name): {name} for name in NAMES}
    files |= {manifest.task_file(run, name): {name} for name in NAMES}
    for file, tasks in files.items():
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        assert named(run) == tasks, file
        file.unlink()
        assert named(run) == tasks, file
        file.write_bytes(data)
    with System.open(run) as system:
        assert system.verify().ok


def test_a_damaged_root_is_found(tmp_path: FilePath, run: FilePath) -> None:
    with System.open(run) as system:
        system.export("second", "root", tmp_path / "root")
    with System.create(tmp_path / "built", root=str(tmp_path / "root"), training=TRAINING) as system:
        assert system.verify().modules == len(system.root.frozen())  # type: ignore[union-attr]
    for file in sorted((tmp_path / "built" / "pool").rglob("*.safetensors")):
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert named(tmp_path / "built") == {"root"}
        file.write_bytes(data)


def steps_of(data: dict[str, Any]) -> dict[str, Any]:
    return data["path"]["steps"]


def head_of(data: dict[str, Any]) -> dict[str, Any]:
    return steps_of(data)["head"]["modules"][0]


def edit_reads(data: dict[str, Any]) -> None:
    steps_of(data)["head"]["reads"] = ["step0"]


def edit_combine(data: dict[str, Any]) -> None:
    steps_of(data)["step1"]["combine"] = "concat"


def edit_modules(data: dict[str, Any]) -> None:
    steps_of(data)["step1"]["modules"] *= 2


def edit_config(data: dict[str, Any]) -> None:
    steps_of(data)["step1"]["modules"][0]["spec"]["config"]["activation"] = "gelu"


def edit_width(data: dict[str, Any]) -> None:
    steps_of(data)["step1"]["modules"][0]["spec"]["config"]["dim"] = 16


def edit_id(data: dict[str, Any]) -> None:
    head_of(data)["frozen"] = "0" * 64


def edit_transform(data: dict[str, Any]) -> None:
    data["transform"]["x"]["scale"] = 0.25


def edit_classes(data: dict[str, Any]) -> None:
    data["target"]["names"] = ["a", "c", "b"]


def edit_test(data: dict[str, Any]) -> None:
    data["test"] = 0.123


def edit_parents(data: dict[str, Any]) -> None:
    data["parents"] = ["nobody"]


def edit_probe(data: dict[str, Any]) -> None:
    data["probe"] = "0" * 64


EDITS = (edit_reads, edit_combine, edit_modules, edit_config, edit_width, edit_id, edit_transform, edit_classes,
         edit_test, edit_parents, edit_probe)  # fmt: skip
SILENT = (edit_combine, edit_classes, edit_test, edit_parents)  # they leave the outputs as they are


def edited(directory: FilePath, task: str, edit: Callable[[dict[str, Any]], None], sign: bool) -> None:
    """Edit a manifest; `sign` makes its digest right again, as a careful forger would."""
    file = manifest.task_file(directory, task)
    data = json.loads(file.read_text())
    edit(data)
    if sign:
        data["digest"] = content_hash({key: value for key, value in data.items() if key != "digest"})
    file.write_text(json.dumps(data))


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_any_edit_of_a_manifest_is_found_and_names_its_task(run: FilePath, edit: Any) -> None:
    edited(run, "first/α", edit, sign=False)
    (differs,) = found(run)
    assert differs["task"] == "first/α"
    assert "digest" in differs["what"] or edit in (edit_width, edit_reads)  # these do not even read well


@pytest.mark.parametrize("edit", [edit for edit in EDITS if edit not in SILENT], ids=lambda edit: edit.__name__)
def test_an_edit_of_a_path_is_found_by_replay_even_where_the_digest_was_made_right(run: FilePath, edit: Any) -> None:
    edited(run, "first/α", edit, sign=True)
    assert named(run) == {"first/α"}


def test_swapped_manifests_and_swapped_probes_are_found(run: FilePath) -> None:
    for make in (manifest.task_file, manifest.probe_file):
        one, two = make(run, "second"), make(run, "third")
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        assert named(run) == {"second", "third"}
        one.write_bytes(first)
        two.write_bytes(second)


def test_several_damages_are_all_listed(run: FilePath) -> None:
    manifest.task_file(run, "second").unlink()
    manifest.probe_file(run, "third").unlink()
    edited(run, "first/α", edit_test, sign=False)
    assert named(run) == set(NAMES)


@pytest.mark.parametrize("damage", ["manifest", "probe", "blob"])
def test_the_command_exits_with_1_and_names_the_task(
    run: FilePath, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    if damage == "manifest":
        manifest.task_file(run, "second").write_text("{")
    elif damage == "probe":
        manifest.probe_file(run, "second").write_bytes(b"")
    else:
        with System.open(run) as system:
            head = system.champions["second"].path.steps["head"].modules[0]
            system.pool.path(head.id).unlink()  # type: ignore[union-attr]
    assert main(["verify", str(run), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert {d["task"] for d in report["differs"]} == {"second"}
    assert main(["verify", str(run)]) == 1
    assert "second" in capsys.readouterr().out


# -- a damaged run is not made worse ----------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["edited", "deleted"])
def test_nothing_is_learned_or_deleted_while_a_manifest_is_damaged(run: FilePath, damage: str) -> None:
    file = manifest.task_file(run, "second")
    data = file.read_bytes()
    file.unlink() if damage == "deleted" else edited(run, "second", edit_test, sign=False)
    before = files_of(run)
    with System.open(run) as system:
        for use in (
            lambda: system.learn(task_of("fourth"), STRATEGY),
            lambda: system.compare([task_of("first/α")], Independent()),
            lambda: system.forget("third"),
            lambda: system.fingerprint,
            lambda: system.module("second"),
            system.collect,
        ):
            with pytest.raises(PathwaysError, match="task 'second' is damaged"):
                use()
        assert system.predict("third", torch.zeros(1, 6)).shape == (1, 3)  # others can be used
        assert files_of(run) == before
        file.write_bytes(data)
        assert system.verify().ok


@pytest.mark.parametrize("damage", ["edited", "deleted"])
def test_a_damaged_task_can_be_forgotten(run: FilePath, damage: str) -> None:
    file = manifest.task_file(run, "second")
    file.unlink() if damage == "deleted" else file.write_text("{}")
    with System.open(run) as system:
        system.forget("second")
        assert list(system.records) == ["first/α", "third"]
        assert system.verify().tasks == 2
        assert set(system.pool) == system.reachable()


# -- later work -------------------------------------------------------------------------------------------------


def outputs(system: System) -> dict[str, Tensor]:
    """Every champion's outputs on its stored probe batch, reloaded from disk."""
    made = {}
    for name, record in system.records.items():
        inputs, stored = read_probe(manifest.probe_file(system.directory, name).read_bytes())
        made[name] = replay(record.path, task_inputs(record, inputs), system)
        assert torch.equal(made[name], stored)
    return made


def test_later_tasks_controls_collection_and_forgetting_change_no_bit_of_the_others(run: FilePath) -> None:
    with System.open(run) as system:
        before = outputs(system)
        kept = {name: data for name, data in files_of(run).items() if name.startswith(("pool", "tasks", "probes"))}
        system.learn(task_of("fourth"), STRATEGY)
        system.compare([task_of("fourth")], Independent())
        system.collect()
        after = outputs(system)
        assert all(torch.equal(after[name], before[name]) for name in NAMES)
        assert kept.items() <= files_of(run).items()
        system.forget("second")
        after = outputs(system)
        assert set(after) == {"first/α", "third", "fourth"}
        assert all(torch.equal(after[name], before[name]) for name in ("first/α", "third"))
        assert system.verify().ok
        system.learn(task_of("fifth"), STRATEGY)  # its place in the order must be its own
    with System.open(run) as system:
        assert list(system.records) == ["first/α", "third", "fourth", "fifth"]
        assert all(torch.equal(outputs(system)[name], before[name]) for name in ("first/α", "third"))
        assert system.verify().ok


def test_training_mode_and_gradient_steps_on_a_champion_change_nothing(run: FilePath) -> None:
    with System.open(run) as system:
        before = outputs(system)
        module = system.module("second").train()
        out = module(torch.randn(8, 6, generator=torch.Generator().manual_seed(0)))
        assert not out.requires_grad  # type: ignore[union-attr]
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(1.0)  # a user may do what they like to their copy
        assert torch.equal(outputs(system)["second"], before["second"])
        assert torch.equal(
            system.module("second")(torch.zeros(2, 6)), System.open(run).module("second")(torch.zeros(2, 6))  # type: ignore[arg-type]
        )
        assert system.verify().ok


def test_other_numerics_are_told_and_small_differences_tolerated(
    run: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nudged(by: float) -> Callable[..., Tensor]:
        return lambda path, inputs, system: replay(path, inputs, system) + by

    with System.open(run) as system:
        monkeypatch.setattr("pathways.verify.replay", nudged(1e-6))
        with pytest.raises(ForgettingError, match="outputs on the probe differ by up to"):
            system.verify()
        monkeypatch.setattr("pathways.open_run.numerics", lambda **plan: {**system.record.numerics, "torch": "9.9"})
        report = system.verify()
        assert (report.ok, report.bitwise) == (True, False)
        monkeypatch.setattr("pathways.verify.replay", nudged(1e-2))
        with pytest.raises(ForgettingError):
            system.verify()

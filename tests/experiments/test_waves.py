"""A stream whose tasks are learned at once, as many as a number says, or those that affinity lets go."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from helpers_cli import finished, written

from pathways import System
from pathways.affinity import Affinity
from pathways.errors import ConfigError
from pathways.evolve import AtOnce
from pathways.evolve import at_once as measuring
from pathways.evolve.at_once import NAME, NotMeasured, waves_by_affinity
from pathways.experiments.cli import main
from pathways.experiments.config import config_from, read_config, resolved
from pathways.experiments.runner import in_order, load_groups, waves

CONFIG = """
name: waves
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5], [6, 7]]}
training: {steps: 6, batch: 16}
strategy: {munet: {generations: 1, children: 2, probes: all, probe_training: {steps: 0}}}
at_once: 2
"""
NAMES = ["digits/0-1", "digits/2-3", "digits/4-5", "digits/6-7"]
BY_AFFINITY = "{affinity: first_order, every: 2, seeds: 2, most: 3}"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def run(config: FilePath, tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return finished(tmp_path_factory, config)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[FilePath, FilePath]:
    """The configuration and the run of a stream whose waves affinity decides."""
    file = written(tmp_path_factory, CONFIG.replace("at_once: 2", f"at_once: {BY_AFFINITY}"))
    return file, finished(tmp_path_factory, file)


def said(capsys: Any, *arguments: Any) -> Any:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def lineage(directory: FilePath) -> dict[str, set[str]]:
    with System.open(directory) as system:
        rows = {name: system.ledger.rows(name, "munet") for name in system.records}
        return {name: {parent for row in tried for parent in row.parents} for name, tried in rows.items()}


def test_a_task_sees_those_of_earlier_waves_only(run: FilePath) -> None:
    seen = lineage(run)
    assert list(seen) == NAMES
    assert seen["digits/0-1"] == seen["digits/2-3"] == {"root"}
    assert {"digits/0-1", "digits/2-3"} & seen["digits/4-5"]
    assert "digits/4-5" not in seen["digits/6-7"]


def test_a_finished_run_resumes_to_the_same_and_a_begun_one_keeps_its_waves(
    run: FilePath, config: FilePath, tmp_path: FilePath, capsys: Any, monkeypatch: Any
) -> None:
    fingerprint = said(capsys, "show", run)["fingerprint"]
    assert said(capsys, "resume", run, "--quiet")["fingerprint"] == fingerprint
    from pathways import at_once

    real, calls = at_once.freeze, []

    def freeze(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 4:  # in the second wave, between two freezes
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(at_once, "freeze", freeze)
    assert main(["run", str(config), "--out", str(tmp_path / "run"), "--quiet"]) != 0
    monkeypatch.undo()
    assert said(capsys, "resume", tmp_path / "run", "--quiet")["fingerprint"] == fingerprint


def test_waves_are_part_of_the_run(run: FilePath, config: FilePath, capsys: Any) -> None:
    assert main(["run", str(config), "--out", str(run), "--set", "at_once=3"]) == 2
    assert "`at_once` was 2 and is 3" in capsys.readouterr().err


def test_a_forgotten_task_does_not_move_the_others() -> None:
    config = config_from({
        "name": "w", "strategy": "munet", "at_once": 2,
        "tasks": [{"source": "digits_tasks", "groups": [[0, 1], [2, 3], [4, 5], [6, 7]]}],
    }, "a test")  # fmt: skip
    groups = load_groups(config, "a test")
    system: Any = None  # a number needs none
    found = waves(system, config, groups, forgotten={"digits/0-1"})
    assert [[task.name for task in in_order(wave)] for wave in (found[0], found[1])] == [NAMES[1:2], NAMES[2:]]


def test_a_dry_run_tells_the_waves(config: FilePath, capsys: Any) -> None:
    assert said(capsys, "run", config, "--dry-run")["waves"] == [NAMES[:2], NAMES[2:]]
    assert main(["run", str(config), "--dry-run"]) == 0
    assert "4 tasks in 2 waves: digits/0-1, digits/2-3; digits/4-5, digits/6-7" in capsys.readouterr().out
    assert main(["run", str(config), "--dry-run", "--set", "at_once=1"]) == 0
    assert "waves" not in capsys.readouterr().out


def test_a_dry_run_counts_what_is_tried_at_most(config: FilePath, run: FilePath, capsys: Any) -> None:
    expected = said(capsys, "run", config, "--dry-run")["sides"]["munet"]["candidates"]
    with System.open(run) as system:
        tried = len(system.ledger.rows(strategy="munet"))
    assert tried <= expected
    assert expected < said(capsys, "run", config, "--dry-run", "--set", "at_once=1")["sides"]["munet"]["candidates"]


# -- by affinity ------------------------------------------------------------------------------------------------


def test_affinity_decides_and_a_run_that_goes_on_asks_the_ledger(
    measured: tuple[FilePath, FilePath], capsys: Any, monkeypatch: Any
) -> None:
    file, out = measured
    config = read_config(file)
    tasks = in_order(load_groups(config, str(file)))
    with System.open(out) as system:
        assert len(system.ledger.rows(strategy=NAME)) == 2
        named, affinity = waves_by_affinity(system, tasks, config.at_once, measure=False)
        assert affinity.tasks == tuple(NAMES)
        assert affinity.repeats == 2
        assert [name for wave in named for name in wave] == list(system.records)
    monkeypatch.setattr(measuring, "train_networks", None)  # nothing is measured again
    fingerprint = said(capsys, "show", out)["fingerprint"]
    assert said(capsys, "resume", out, "--quiet")["fingerprint"] == fingerprint
    assert said(capsys, "run", file, "--dry-run", "--out", out)["waves"] == [list(wave) for wave in named]
    assert "at-once" not in said(capsys, "run", file, "--dry-run", "--out", out)["sides"]
    fresh = said(capsys, "run", file, "--dry-run", "--out", out / "none")
    assert fresh["waves"] is None
    assert fresh["sides"]["at-once"]["candidates"] == 2


def test_forgetting_a_task_measures_nothing_again(measured: tuple[FilePath, FilePath], tmp_path: FilePath) -> None:
    import shutil

    file, out = measured
    shutil.copytree(out, tmp_path / "run")
    config = read_config(file)
    groups = load_groups(config, str(file))
    with System.open(tmp_path / "run") as system:
        before = waves(system, config, groups)
        system.forget("digits/2-3")
        after = waves(system, config, groups, forgotten={"digits/2-3"})
        assert [len(wave) for wave in after] == [len(wave) for wave in before]
        assert "digits/2-3" not in {task.name for wave in after for task in in_order(wave)}


@pytest.mark.parametrize("blocks", [(0, 0, 1, 1), (0, 1, 0, 1)])
def test_planted_affinities_give_the_waves_of_their_blocks(
    tmp_path: FilePath, config: FilePath, monkeypatch: Any, blocks: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    inside = np.equal.outer(blocks, blocks) + rng.normal(0, 0.01, (3, 1, 4, 4))
    planted = Affinity(NAMES, NAMES, "co-training", "planted", "", inside)
    monkeypatch.setattr(measuring, "co_training", lambda *_: planted)
    tasks = in_order(load_groups(read_config(config), "a test"))
    found, _ = waves_by_affinity(None, tasks, AtOnce())  # type: ignore[arg-type]
    first = [NAMES[blocks.index(0)], NAMES[blocks.index(1)]]
    assert found == (tuple(first), tuple(name for name in NAMES if name not in first))


def test_transferability_is_measured_of_every_network_for_every_other_task(
    tmp_path: FilePath, config: FilePath
) -> None:
    read = read_config(config)
    tasks = in_order(load_groups(read, "a test"))[:3]
    from pathways.experiments.runner import make_system

    rule = AtOnce("logme", seeds=2)
    with make_system(tmp_path / "run", read, tasks, ()) as system:
        with pytest.raises(NotMeasured):
            waves_by_affinity(system, tasks, rule, measure=False)
        found, affinity = waves_by_affinity(system, tasks, rule)
        assert affinity.kind == "transfer"
        assert np.isfinite(affinity.by_repeat).sum() == 2 * 3 * 2  # all but the diagonal
        assert len(system.ledger.rows(strategy=NAME)) == 2 * (3 + 3 * 2)
        assert sorted(name for wave in found for name in wave) == NAMES[:3]
        system.collect()  # blobs of what was measured are gone, what it said is not
        again, same = waves_by_affinity(system, tasks, rule, measure=False)
        assert again == found
        assert np.array_equal(same.readings, affinity.readings, equal_nan=True)
        assert waves_by_affinity(system, tasks[:1], rule) == (((NAMES[0],),), None)


@pytest.mark.parametrize(
    ("at_once", "message"),
    [
        ("0", "`at_once` must be a whole number of at least 1, or a mapping with `affinity`, found 0"),
        ("many", "`at_once` must be a whole number of at least 1, or a mapping with `affinity`, found 'many'"),
        ("{affinity: leep}", "`estimator` must be one that trainers can measure"),
        ("{affinity: dependence}", "`estimator` must be one that trainers can measure"),
        ("{affinity: logme, seeds: 1}", "`seeds` must be at least 2 where 'logme' decides"),
        ("{most: 0}", "`most` must be a whole number of at least 1"),
        ("{level: 1}", "`level` must be above 0 and below 1"),
        ("{neds: 1}", "`at_once.neds` is not a setting"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: FilePath, at_once: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.replace("at_once: 2", f"at_once: {at_once}"))
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("jointly", "at_once", "message"),
    [
        ("true", "{most: 2}", "`at_once` must be a number where `tasks` are learned jointly"),
        ("{budget: 2}", "2", "`at_once` must be 1 where `jointly` divides tasks into groups"),
    ],
)
def test_tasks_that_are_learned_jointly(tmp_path: FilePath, jointly: str, at_once: str, message: str) -> None:
    text = CONFIG.replace("[6, 7]]}", f"[6, 7]], jointly: {jointly}}}").replace("at_once: 2", f"at_once: {at_once}")
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("at_once", ["3", "{affinity: logme, most: 2, training: {steps: 5}}", "{needs: 2}"])
def test_it_survives_a_round_trip(tmp_path: FilePath, at_once: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.replace("at_once: 2", f"at_once: {at_once}"))
    config = read_config(file)
    data = resolved(config)
    again = config_from(data, "a test")
    assert again.at_once == config.at_once
    assert resolved(again) == data


def test_noise_that_could_not_be_told_is_refused_before_anything_is_trained(
    tmp_path: FilePath, config: FilePath
) -> None:
    from pathways.experiments.runner import make_system

    read = read_config(config)
    tasks = in_order(load_groups(read, "a test"))
    with make_system(tmp_path / "run", read, tasks, ()) as system:
        with pytest.raises(ConfigError, match="found one repeat with 1: measure with more `seeds`, or more often"):
            waves_by_affinity(system, tasks, AtOnce(seeds=1))
        assert system.ledger.rows() == []
    with System.create(tmp_path / "bare") as system, pytest.raises(ConfigError, match="root"):
        waves_by_affinity(system, tasks, AtOnce(every=1))

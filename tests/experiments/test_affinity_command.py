"""`pathways affinity`: a study from a configuration to its report, again, and its errors."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from helpers_cli import written

from pathways import affinity
from pathways.errors import ConfigError
from pathways.evolve.study import Study
from pathways.experiments.affinity_config import AffinityConfig
from pathways.experiments.cli import main
from pathways.experiments.yaml_file import read_yaml
from pathways.recording import Record
from pathways.system import System

CONFIG = """
name: small
root: {architecture: [{family: flatten}, {family: linear, dim: 12, activation: relu}]}
tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5]]}]
training: {steps: 12, batch: 16}
affinity: {estimators: [lookahead, {first_order: {every: 4}}, pairs], budget: 2, seeds: 2, random: 1, samples: 10}
"""
TASKS = ["digits/0-1", "digits/2-3", "digits/4-5"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def study(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "study"
    assert main(["affinity", str(config), "--out", str(out), "--quiet"]) == 0
    return out


def told(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_the_directory_holds_numbers_and_report(study):
    page = (study / "report.html").read_text()
    assert "small" in page
    findings = affinity.read_findings(study / "findings.json")
    assert findings.name == "small"
    assert list(findings.tasks) == TASKS
    found = affinity.read_csv(study / "tables" / "affinity.csv")
    assert np.array_equal(found.readings, findings.affinity.readings)
    for figure in (study / "figures").glob("*.svg"):
        ElementTree.parse(figure)


def test_doing_it_again_trains_nothing_and_says_the_same(config, study, capsys):
    with System.open(study) as system:
        before = len(system.ledger.rows())
    again = told(capsys, "affinity", config, "--out", study, "--quiet", "--json")
    resumed = told(capsys, "resume", study, "--quiet", "--json")
    assert again == resumed
    with System.open(study) as system:
        assert len(system.ledger.rows()) == before
    assert again["kind"] == "co-training"
    assert again["estimator"] == "lookahead"
    assert again["tasks"] == TASKS
    assert np.array(again["matrix"]).shape == np.array(again["standard_error"]).shape == (3, 3)
    assert sorted({task for group in again["groups"] for task in group}) == TASKS
    assert again["verified_gain"] is not None
    assert again["cost_in_joint_runs"] > 1
    assert again["run"] == str(study)


def test_text_says_what_was_chosen_and_what_came_of_it(config, study, capsys):
    assert main(["affinity", str(config), "--out", str(study), "--quiet"]) == 0
    out = capsys.readouterr().out
    for word in ("chosen", "all-in-one", "separate", "random 1", str(study / "report.html")):
        assert word in out


def test_another_configuration_is_refused_there(config, study, capsys):
    error = refused(capsys, "affinity", config, "--out", study, "--set", "affinity.budget=1")
    assert "holds a run of another configuration: `affinity.budget` was 2 and is 1" in error


def test_the_configuration_reads_back(config):
    read = AffinityConfig.read(read_yaml(config), str(config))
    assert read.affinity == Study(
        (Record("lookahead"), Record("first_order", every=4), "pairs"), budget=2, seeds=2, random=1, samples=10
    )
    assert AffinityConfig.read(read.resolved(), "a test") == read


@pytest.mark.parametrize(("change", "message"), [
    ("affinity.rule=best", r"`rule` must be one of"),
    ("affinity.seeds=0", r"`seeds` must be"),
    ("affinity.estimators=[lookahea]", r"`affinity.estimators.0` must be an estimator .* did you mean 'lookahead'"),
    ("affinity.estimators=[{lookahead: {every: 0}}]", r"`every` must be a whole number of at least 1"),
    ("affinity.estimators=[{pairs: {every: 3}}]", r"`affinity.estimators.0`: `pairs` takes no settings"),
    ("affinity.estimators=[]", r"`affinity.estimators` must be a list of names"),
    ("affinity.estimators=[[lookahead]]", r"must be a name or one name with its settings"),
    ("affinity.speed=1", r"`affinity.speed` is not a setting"),
    ("affinity=3", r"`affinity` must be a mapping of settings"),
    ("tasks=[]", r"`tasks` must be a list of at least one source"),
    ("name=a/b", r"must be usable as the name of a directory"),
    ("tasks=[{source: digits_tasks, groups: [[0, 1]]}]", r"`tasks` must be at least two for a study"),
    ("affinity.estimators=[{lookahead: {speed: 3}}]", r"speed"),
    ("affinity.estimators=[pairs, lookahead, {lookahead: {every: 2}}]", r"each once, found 'lookahead' twice"),
    ("root=null", r"must have `root`"),
    ("training.steps=0", r"`training.steps` must be at least 1 for a study, found 0"),
    ("strategy={name: munet}", r"found a run with a `strategy`: use `pathways run`"),
    ("tasks=[{source: wine}, {source: breast_cancer}]", r"same inputs .*dim=13\) for 'wine' and .*dim=30\)"),
])
def test_what_is_wrong_is_said_and_nothing_is_written(config, change, message, tmp_path, capsys):
    error = refused(capsys, "affinity", config, "--out", tmp_path / "out", "--set", change)
    import re

    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_workers_below_zero_are_refused(config, tmp_path, capsys):
    assert "`--workers` must be at least 0, found -1" in refused(capsys, "affinity", config, "--workers", "-1")


def test_classes_and_values_are_not_averaged(tmp_path, capsys):
    rows = "".join(f"{i % 7},{i % 5}.5,{i}.25,{'hi' if i % 3 else 'lo'}\n" for i in range(60))
    (tmp_path / "table.csv").write_text(f"a,b,y,c\n{rows}")
    source = f"source: csv, file: {tmp_path / 'table.csv'}, allow_duplicates: true"
    text = CONFIG.replace("{family: flatten}, ", "").replace(
        "{source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5]]}",
        f"{{{source}, target: y, name: values, drop: [c]}}, {{{source}, target: c, name: classes, drop: [y]}}",
    )
    (tmp_path / "mixed.yaml").write_text(text)
    out = tmp_path / "out"
    error = refused(capsys, "affinity", tmp_path / "mixed.yaml", "--out", out)
    assert "`tasks` must be measured alike" in error
    assert "r2 for 'values' and accuracy for 'classes'" in error
    assert not out.exists()
    changes = ["--set", "affinity.verify=false", "--set", "affinity.estimators=[lookahead]"]
    assert main(["affinity", str(tmp_path / "mixed.yaml"), "--out", str(out), "--quiet", *changes]) == 0


def test_runs_and_studies_are_told_apart(config, study, tmp_path, capsys):
    error = refused(capsys, "run", config, "--out", tmp_path / "x")
    assert "found a study of `affinity`: use `pathways affinity`" in error
    assert not (tmp_path / "x").exists()
    run = written_run(tmp_path)
    assert "use `pathways affinity`" in refused(capsys, "run", run, "--out", study)
    assert main(["show", str(study)]) == 0
    assert "a study of affinity, which learns no task" in capsys.readouterr().out
    (study / "findings.json").rename(tmp_path / "findings.json")
    assert main(["show", str(study)]) == 0
    assert "pathways resume" in capsys.readouterr().out
    (tmp_path / "findings.json").rename(study / "findings.json")


def written_run(folder):
    """The configuration of a run of the same tasks."""
    text = CONFIG[: CONFIG.index("affinity:")] + "strategy: {munet: {generations: 1, children: 1}}\n"
    (folder / "run.yaml").write_text(text)
    return folder / "run.yaml"


def test_no_configuration_at_all(tmp_path):
    with pytest.raises(ConfigError, match="must hold a mapping"):
        AffinityConfig.read([], "a test")
    with pytest.raises(ConfigError, match="must have `tasks`"):
        AffinityConfig.read({"name": "a"}, "a test")


EVERY = """
name: every
root: {architecture: [{family: flatten}, {family: linear, dim: 8, activation: relu}]}
tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5]]}]
training: {steps: 6, batch: 16}
affinity:
  estimators:
    - {transfer: {orders: [2], readout: {steps: 10}}}
    - {linearised: {dims: 10}}
    - {h_score: {shrinkage: ledoit-wolf}}
    - logme
    - leep
    - task2vec: {samples: 8, readout: {steps: 5}}
    - {dependence: {repeats: 2, steps: 2}}
    - {lookahead: {every: 3}}
  budget: 2
  seeds: 2
  random: 1
  samples: 5
"""


def test_estimators_of_all_kinds_by_name_and_settings(tmp_path, capsys):
    config = tmp_path / "every.yaml"
    config.write_text(EVERY)
    read = AffinityConfig.read(read_yaml(config), str(config))
    assert read.affinity.rule == "taskonomy"
    assert AffinityConfig.read(read.resolved(), "a test") == read
    assert read.resolved()["affinity"]["estimators"][:4] == [
        {"transfer": {"orders": [2], "readout": {"steps": 10}}}, {"linearised": {"dims": 10}},
        {"h_score": {"shrinkage": "ledoit-wolf"}}, "logme",
    ]  # fmt: skip
    found = told(capsys, "affinity", config, "--out", tmp_path / "study", "--quiet", "--json")
    assert (found["kind"], found["estimator"], found["rule"]) == ("transfer", "transfer", "taskonomy")
    assert found["verified_gain"] is not None
    assert found == told(capsys, "resume", tmp_path / "study", "--quiet", "--json")
    assert main(["resume", str(tmp_path / "study"), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "\nsource digits/" in out
    assert "by logme" in out
    error = refused(capsys, "affinity", config, "--out", tmp_path / "other", "--set", "affinity.rule=tag")
    assert "`rule` must be one of ('taskonomy',) where the first estimator, 'transfer', is of kind transfer" in error
    assert not (tmp_path / "other").exists()

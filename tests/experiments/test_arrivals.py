"""Tasks that arrive together, divided by affinity: each group evolves one shared path with a head for each task."""

import json

import pytest
from helpers_cli import finished, written

from pathways import System
from pathways.errors import ConfigError
from pathways.evolve.grouping import Grouping, divide
from pathways.experiments.cli import main
from pathways.experiments.config import config_from, read_config, resolved
from pathways.experiments.runner import load_tasks

CONFIG = """
name: arrivals
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3], [4, 5], [6, 7]], jointly: {budget: 2, every: 2, seeds: 2}}
  - {source: digits_tasks, groups: [[8, 9]]}
training: {steps: 6, batch: 16}
strategy: {munet: {generations: 1, children: 2, probes: all, probe_training: {steps: 0}, guard: false}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return finished(tmp_path_factory, config)


def groups_of(system):
    """Tasks by the candidate they came from: those learned in one search have one."""
    found = {}
    for name, champion in system.champions.items():
        found.setdefault(champion.candidate, []).append(name)
    return list(found.values())


def test_each_group_becomes_one_lineage(run):
    with System.open(run) as system:
        assert len(system.champions) == 5
        *groups, last = groups_of(system)
        assert last == ["digits/8-9"]
        assert len(groups) == 2
        assert max(map(len, groups)) > 1
        for group in groups:
            heads = {system.champions[name].path.steps["head"].modules[0].id for name in group}
            trunks = {frozenset(system.champions[name].path.frozen()) - heads for name in group}
            assert len(heads) == len(group)
            assert len(trunks) == 1  # one shared path, to the blob


def test_groups_are_guarded_unless_told_otherwise(config, tmp_path):
    """A task for which the group's shared path is worse than a network of its own is learned alone."""
    out = tmp_path / "run"
    arguments = ["run", str(config), "--out", str(out), "--quiet", "--set", "strategy.munet.guard=null"]
    assert main(arguments) == 0
    with System.open(out) as system:
        said = {name: champion.extra.get("guard", {}).get(name) for name, champion in system.champions.items()}
        first = [said[name] for name in list(system.champions)[:4]]
        assert all(first), said
        for name, champion in list(system.champions.items())[:4]:
            mates = [other for other in system.champions.values() if other.candidate == champion.candidate]
            assert (said[name]["kept"] == "scratch") <= (len(mates) == 1)
        assert said["digits/8-9"] is None  # it did not arrive with others


def test_the_division_is_what_was_measured_and_is_not_measured_again(config, run):
    read = read_config(config)
    tasks = load_tasks(read, "a test")[:4]
    with System.open(run) as system:
        before = len(system.ledger.rows(strategy="grouping"))
        divided, affinity = divide(system, tasks, read.tasks[0].jointly)
        assert before == len(system.ledger.rows(strategy="grouping")) == 2
        assert affinity.repeats == 2
        assert affinity.steps == (0, 2, 4)
        assert [[task.name for task in group] for group in divided] == groups_of(system)[:2]


def test_a_finished_run_goes_on_to_the_same(run, capsys):
    assert main(["show", str(run), "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["fingerprint"]
    assert main(["resume", str(run), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == before


def test_the_lease_is_renewed_while_tasks_are_measured(config, run, monkeypatch):
    read = read_config(config)
    tasks = load_tasks(read, "a test")[:4]
    with System.open(run) as system:
        renewed = []
        monkeypatch.setattr(system.ledger, "renew", lambda name, *_: renewed.append(name))
        divide(system, tasks, read.tasks[0].jointly)
    [lease] = set(renewed)
    assert lease.startswith("grouping of digits/0-1 and 3 more (")


def test_a_dry_run_counts_what_is_measured_and_what_was_tried(config, run, capsys):
    assert main(["run", str(config), "--dry-run", "--json"]) == 0
    sides = json.loads(capsys.readouterr().out)["sides"]
    with System.open(run) as system:
        measured = system.ledger.rows(strategy="grouping")
        tried = system.ledger.rows(strategy="munet")
    assert sides["grouping"]["candidates"] == len(measured)
    assert sides["grouping"]["steps"] == 6 * len(measured)
    assert sides["grouping"]["seconds"] > 0
    assert sides["munet"]["candidates"] >= len(tried)


def test_one_group_is_all_and_as_many_as_tasks_are_each(config, tmp_path):
    tasks = load_tasks(read_config(config), "a test")[:3]
    with System.create(tmp_path / "run") as system:
        assert divide(system, tasks, Grouping(budget=1)) == ([tasks], None)
        assert divide(system, tasks, Grouping(budget=3)) == ([[task] for task in tasks], None)
        with pytest.raises(ConfigError, match="`root`"):
            divide(system, tasks, Grouping(budget=2))


def test_settings_are_read_and_written(config):
    read = read_config(config)
    assert read.tasks[0].jointly == Grouping(budget=2, every=2, seeds=2)
    assert config_from(resolved(read), "a test") == read


@pytest.mark.parametrize(("change", "message"), [
    ("tasks.0.jointly={budget: 0}", r"`tasks.0.jointly`.*`budget` must be"),
    ("tasks.0.jointly={groups: 2}", r"`tasks.0.jointly.groups` is not a setting"),
    ("tasks.0.jointly={estimator: h_score}", r"`estimator` must be measured while tasks train"),
    ("tasks.0.jointly='yes'", r"must be true, false, or the settings of a grouping"),
])
def test_what_is_wrong_is_said(config, change, message):
    with pytest.raises(ConfigError, match=message):
        read_config(config, [change])

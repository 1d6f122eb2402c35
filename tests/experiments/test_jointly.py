"""Tasks that are learned jointly, from a configuration to a run, through an interruption, to later tasks that reuse."""

import json

import pytest
import yaml
from helpers_cli import finished, written

from pathways import System
from pathways.errors import ConfigError
from pathways.experiments.cli import main
from pathways.experiments.config import config_from, read_config, resolved
from pathways.experiments.runner import carry_out, load_groups, load_tasks, make_system

CONFIG = """
name: pool
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3, 4]], jointly: true}
  - {source: digits_tasks, groups: [[5, 6], [7, 8]]}
training: {steps: 6, batch: 16}
strategy:
  munet:
    {generations: 1, scratch_generations: 2, children: 2, probes: all, sampler: proportional,
     scratch_training: {steps: 9}, probe_training: {steps: 0}, rates: {clone: 0.5}}
controls: [independent]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return finished(tmp_path_factory, config)


def test_a_source_says_whether_its_tasks_are_learned_jointly(config):
    read = read_config(config)
    assert [source.jointly for source in read.tasks] == [True, False]
    assert [len(group) for group in load_groups(read, "a test")] == [2, 1, 1]
    assert len(load_tasks(read, "a test")) == 4
    assert config_from(resolved(read), "a test") == read
    assert "jointly" not in resolved(read)["tasks"][1]
    expected = r"`tasks.0.jointly`.* must be true, false, or the settings of a grouping, found 'yes'"
    with pytest.raises(ConfigError, match=expected):
        read_config(config, ["tasks.0.jointly='yes'"])
    with pytest.raises(ConfigError, match=r"`strategy` must be one that learns tasks jointly .* found 'pathnet'"):
        read_config(config, ["strategy=pathnet"])


def test_the_first_tasks_share_a_trunk_and_later_ones_build_on_it(run):
    with System.open(run) as system:
        first, second, *later = (champion.path for champion in system.champions.values())
        trunks = [set(path.frozen()) - {path.steps["head"].modules[0].id} for path in (first, second)]
        assert trunks[0] == trunks[1]
        assert [c.parents for c in system.champions.values()][:2] == [("root",), ("root",)]
        assert all("root" not in system.champions[task].parents for task in list(system.champions)[2:])
        assert later
        rows = system.ledger.rows(strategy="munet")
        assert {len(row.tasks) for row in rows} == {1, 2}
        joint = [system.ledger.candidate(row.hash) for row in rows if len(row.tasks) == 2]
        assert {(c.sampler, c.training.steps) for c in joint} == {("proportional", 9), ("proportional", 6)}
        assert system.verify().ok


def test_a_run_that_stopped_between_two_tasks_of_a_group_goes_on_to_the_same_end(config, run, tmp_path, monkeypatch):
    from pathways import manifest

    read = read_config(config)
    groups = load_groups(read, "a test")
    tasks = [task for group in groups for task in group]
    whole = manifest.write_task

    def only_the_first(directory, record, **how):
        if record.index:
            raise KeyboardInterrupt
        whole(directory, record, **how)

    monkeypatch.setattr(manifest, "write_task", only_the_first)
    system = make_system(tmp_path / "run", read, tasks, ())
    with pytest.raises(KeyboardInterrupt):
        carry_out(system, read, groups, lambda event: None)
    assert len(System.open(tmp_path / "run").records) == 1
    monkeypatch.undo()
    assert main(["resume", str(tmp_path / "run"), "--quiet"]) == 0
    with System.open(tmp_path / "run") as resumed, System.open(run) as uninterrupted:
        assert resumed.fingerprint == uninterrupted.fingerprint


def test_a_dry_run_counts_a_group_once(config, run, capsys):
    assert main(["run", str(config), "--dry-run", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    # The group: the root and two rounds. Then at most three and four trunks to probe, and a round each.
    assert expected["sides"]["munet"]["candidates"] == (1 + 4) + (3 + 2) + (4 + 2)
    assert expected["sides"]["munet"]["steps"] == (9 + 4 * 6) + 2 * (2 * 6)
    assert expected["sides"]["independent"]["candidates"] == 4
    assert main(["show", str(run), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["sides"]["champions"]["candidates"] <= expected["sides"]["munet"]["candidates"]
    stored = yaml.safe_load((run / "config.yaml").read_text())
    assert [task["name"] for task in done["tasks"]] == list(stored["fingerprints"])

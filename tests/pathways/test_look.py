"""Looking at a run: the same as opening it, without working out again what its modules are like."""

import json
import os

import pytest
from helpers_tiny import TRAINING, FixedPath, chain, head, linear, task_of

import pathways
from pathways.errors import PathwaysError
from pathways.look import facts_file, looked_at
from pathways.modules import Module
from pathways.modules.memo import code


class Foreign(Module):
    family = "foreign_to_look"


def build(view):
    return {view.task.name: chain(view.task.inputs, linear("a"), head())}


@pytest.fixture
def run(tmp_path):
    """A run directory with one task."""
    with pathways.System.create(tmp_path / "run", training=TRAINING) as system:
        system.learn(task_of("one"), FixedPath(build))
    return tmp_path / "run"


def worked_out(run, families=()):
    """Whether looking at a run had to work facts out; the summary must be that of the opened system.

    The index of manifests, from which no facts are needed, is gone.
    """
    (run / "index.jsonl").unlink(missing_ok=True)
    with pathways.System.open(run, families=families) as system:
        expected = system.summary()
    with looked_at(run, families) as system:
        assert system.summary() == expected
        memo = system.families.memo
    return None if memo is None else memo.new


def test_the_second_look_works_nothing_out(run):
    assert worked_out(run) is True
    assert worked_out(run) is False
    assert facts_file(run).is_relative_to(run / "cache")


def test_a_task_learned_since_is_worked_out_once(run):
    worked_out(run)
    with pathways.System.open(run) as system:
        system.learn(task_of("two"), FixedPath(lambda view: {"two": chain(view.task.inputs, linear("b", 5), head())}))
    assert worked_out(run) is True
    assert worked_out(run) is False


@pytest.mark.parametrize("spoil", [
    lambda data: {**data, "code": "0" * 64},
    lambda data: {**data, "digest": "0" * 64},
    lambda data: {**data, "facts": {key: [None, 1, 0, 1] for key in data["facts"]}},
    lambda data: {**data, "facts": []},
    lambda data: [],
])
def test_a_file_of_other_code_or_that_was_edited_is_not_believed(run, spoil):
    worked_out(run)
    before = facts_file(run).read_bytes()
    facts_file(run).write_text(json.dumps(spoil(json.loads(before))))
    assert worked_out(run) is True
    assert facts_file(run).read_bytes() == before
    assert json.loads(before)["code"] == code()


def test_a_file_that_is_no_json_is_replaced(run):
    facts_file(run).parent.mkdir(exist_ok=True)
    facts_file(run).write_bytes(b"\xff{")
    assert worked_out(run) is True
    assert worked_out(run) is False


def test_a_directory_that_cannot_be_written_is_looked_at_all_the_same(run):
    (run / "cache").write_text("no folder")
    assert worked_out(run) is True
    assert worked_out(run) is True


def test_families_of_your_own_leave_no_file(run):
    assert worked_out(run, [Foreign]) is None
    assert not facts_file(run).exists()


def test_where_there_is_no_system_nothing_is_written(tmp_path):
    with pytest.raises(PathwaysError, match=r"system\.json"), looked_at(tmp_path):
        pass
    assert os.listdir(tmp_path) == []

"""muNet with several tasks in one search: one trunk, a head each, the mean of their scores."""

from dataclasses import replace
from fractions import Fraction

import pytest
from helpers_munet import NEVER, ROOT, quality, told

from pathways.candidate import Measures
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.munet_search import MuNetSearch
from pathways.evolve.paths import without_head
from pathways.evolve.score import Score
from pathways.modules import Init, Vector, Warm
from pathways.strategy import TaskInfo
from pathways.task import Classes
from pathways.testing.fake import drive, example_root, example_view, fake_result, later_view, sha

THREE = example_view(3)
CLONES = {**NEVER, "clone": 0.7}


def test_all_tasks_are_in_each_candidate_with_one_trunk_and_their_own_heads() -> None:
    run = drive(MuNet(generations=2, children=4, rates=CLONES, sampler="proportional"), THREE)
    for candidate in run.candidates:
        assert list(candidate.paths) == ["task0", "task1", "task2"]
        assert len({without_head(path).hash for path in candidate.paths.values()}) == 1
        assert [path.ports()["head"] for path in candidate.paths.values()] == [Vector(3), Vector(4), Vector(5)]
        heads = {name for name in candidate.drafts() if name.startswith("head")}
        assert heads == {"head/task0", "head/task1", "head/task2"}
        assert candidate.sampler == "proportional"
        assert set(candidate.data) == set(candidate.paths)


def test_networks_of_several_tasks_train_data_parallel_and_those_of_one_do_not() -> None:
    settings = MuNet(generations=1, children=2, rates=CLONES, workers=3, guard=True)
    found = drive(settings, THREE).candidates
    assert {(len(candidate.paths), candidate.workers) for candidate in found} == {(3, 3), (1, 1)}
    assert {candidate.workers for candidate in drive(settings, example_view(1)).candidates} == {1}
    measured = drive(replace(settings, probe_training={"steps": 0}), THREE).candidates
    assert {(c.training.steps > 0, c.workers) for c in measured if len(c.paths) == 3} == {(False, 1), (True, 3)}
    assert MuNet(**settings.to_json()).workers == 3


def test_a_childs_heads_start_from_its_parents() -> None:
    search = MuNet(generations=2, children=3, rates=CLONES).begin(THREE)
    (probe,) = told(search)
    blobs = fake_result(probe).blobs
    children = [c for c in told(search) if c.labels["parent"] == probe.hash]
    assert children
    for child in children:
        for name, draft in child.drafts().items():
            if name.startswith("head"):
                assert draft.start == Warm(blobs[name])
    assert all(draft.start == Init() for draft in probe.drafts().values())


def test_the_winner_has_a_path_for_each_task_and_later_tasks_build_on_them() -> None:
    settings = MuNet(generations=1, children=3, rates=CLONES)
    first = drive(settings, example_view(3, root=example_root(frozen=False)))
    assert first.winner is not None
    assert set(first.winner.paths) == {"task0", "task1", "task2"}
    probes = settings.begin(later_view(THREE, first.winner)).ask()
    assert [probe.labels["parent"] for probe in probes] == ["root", "task2"], "the three have one trunk"


def test_the_score_is_the_mean_of_the_tasks_and_shared_modules_are_charged_in_parts() -> None:
    settings = MuNet(generations=1, children=1, rates=CLONES, size=0.5)
    search = MuNetSearch(settings, THREE)
    values = {"task0": 0.9, "task1": 0.6, "task2": 0.3}
    (probe,) = search.ask()
    measured = {task: Measures(q, q, 1 - q, q, 100) for task, q in values.items()}
    search.tell([(probe, replace(fake_result(probe), measures=measured))])
    trunk = ROOT.costs().parameters
    one = Score(0.5, 1.0, trunk)
    expected = [one(q, Fraction(trunk, 3) + 9 * THREE.tasks[i].target.n, 0) for i, q in enumerate(values.values())]
    assert search.population[0].score == pytest.approx(sum(expected) / 3)


def test_what_was_trained_for_the_tasks_is_trained_on_in_children() -> None:
    view = example_view(2, root=example_root(frozen=False))
    search = MuNetSearch(MuNet(generations=1, children=2, rates=NEVER), view)
    (probe,) = told(search, quality(lambda c: 0.5))
    (member,) = search.population
    assert member.own == {blob for name, blob in fake_result(probe).blobs.items() if name in ("a", "b")}
    assert set(member.heads) == {"task0", "task1"}
    for child in search.ask():
        assert {draft.start for name, draft in child.drafts().items() if name in ("a", "b")} == {
            Warm(blob) for blob in member.own
        }


def test_a_seed_must_read_the_inputs_of_every_task() -> None:
    other = TaskInfo("other", {"x": Vector(4)}, Classes(2), sha("other"), 10)
    with pytest.raises(ConfigError, match=r"what it learns \(task 'task0': image: .*; task 'other': x: .*found none"):
        MuNet().begin(replace(THREE, tasks=(THREE.tasks[0], other)))


def test_a_sampler_must_be_one_there_is() -> None:
    with pytest.raises(ConfigError, match=r"`sampler` must be one of .*, found 'often'"):
        MuNet(sampler="often")

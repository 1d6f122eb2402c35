"""Studies: from tasks to findings, with planted structure, interruptions, and settings that are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import TRAINING, chain, linear, task_of

from pathways.affinity.findings import Findings
from pathways.affinity.matrix import Affinity
from pathways.errors import ConfigError, DataError
from pathways.evolve.arms import random_groupings
from pathways.evolve.choose import grouped, predictions, value_against_budget
from pathways.evolve.run_study import run_study
from pathways.evolve.study import Session, Study
from pathways.modules import Vector
from pathways.progress import Event
from pathways.recording import Record
from pathways.seeds import torch_generator
from pathways.system import System
from pathways.task import Classes, Split, Task

DIM = 8
NAMES = ("up 1", "up 2", "down 1", "down 2")


def planted(name: str) -> Task:
    """Sign of a direction that tasks of one kind (nearly) share; the other kind wants its opposite feature pairs."""
    kind = name.split()[0]
    generator = torch_generator("planted", kind)
    mixed = torch.randn(DIM, 3, generator=generator)
    own = torch.randn(DIM, generator=torch_generator("own", name)) * 0.2
    splits = {}
    for split, n in {"train": 60, "validation": 40, "test": 40}.items():
        x = torch.randn(n, DIM, generator=torch_generator("x", name, split))
        y = ((x @ mixed).tanh().prod(1) + 0.05 * (x @ own) > 0).long()
        y[:2] = torch.tensor([0, 1])
        splits[split] = Split({"x": x}, y)
    return Task(name, {"x": Vector(DIM)}, Classes(2), splits)


STUDY = Study(
    estimators=(Record("lookahead"), Record("first_order", every=4), "pairs"), budget=2, seeds=2, random=2, samples=20,
)  # fmt: skip


def system_in(directory: FilePath, **changes: Any) -> System:
    root = chain({"x": Vector(DIM)}, linear("a", 12), linear("b", 12))
    training = replace(TRAINING, steps=20, **changes)
    return System.create(directory, root=root, training=training, stack=1, seed=3)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    with system_in(tmp_path_factory.mktemp("study") / "run") as system:
        return run_study(system, [planted(name) for name in NAMES], STUDY)


def test_a_study_says_all_that_a_report_draws(findings: Findings) -> None:
    assert findings.tasks == tuple(sorted(NAMES))
    assert [a.estimator for a in findings.affinities] == ["lookahead", "first_order", "pairs"]
    assert findings.affinity.readings.shape == (2, 2, 4, 4)
    assert findings.affinities[1].steps == (0, 4, 8, 12, 16)
    assert findings.seeds == (3, 4)
    assert [arm.name for arm in findings.arms] == [
        "chosen", "all-in-one", "separate", "by first_order", "by pairs", "random 1", "random 2"
    ]  # fmt: skip
    for arm in findings.arms:
        assert arm.test.shape == (2, 4)
        assert np.isfinite(arm.test).all()
    assert [arm.cost for arm in findings.arms] == [2.0, 1.0, 4.0, 2.0, 2.0, 2.0, 2.0]
    assert set(findings.selection.serves) == set(NAMES)
    assert findings.stability.shape == (4, 4)
    assert {cost.what for cost in findings.costs} == {"lookahead", "first_order", "pairs", "verification"}
    assert findings.shared_parameters == DIM * 12 + 12 + 12 * 12 + 12
    assert findings.own_parameters == 12 * 2 + 2
    assert set(findings.curve.predicted) >= {"exact", "greedy", "hoa", "random", "all-in-one", "separate"}
    exact = findings.curve.predicted["exact"]
    for values in findings.curve.predicted.values():
        assert not (values > exact + 1e-12).any()


def test_arms_say_what_their_networks_gave(findings: Findings) -> None:
    for arm in findings.arms:
        for j, task in enumerate(findings.tasks):
            network = findings.trained[arm.networks[arm.serves[task]]]
            assert task in network.tasks
            assert np.array_equal(arm.test[:, j], network.test[:, network.tasks.index(task)])


def test_gains_of_pairs_are_what_was_trained(findings: Findings) -> None:
    pairs = findings.affinities[2]
    assert (np.diag(pairs.values) == 0).all()
    alone = {network.tasks[0]: network for network in findings.trained if len(network.tasks) == 1}
    [two, *_] = [network for network in findings.trained if len(network.tasks) == 2]
    task, partner = two.tasks
    gain = two.validation[:, 0] - alone[task].validation[:, 0]
    assert pairs.by_repeat[:, pairs.affected.index(task), pairs.sources.index(partner)] == pytest.approx(gain)


def test_the_network_of_all_tasks_is_trained_once(tmp_path: FilePath) -> None:
    study = replace(STUDY, estimators=(Record("lookahead"),), seeds=1, random=0)
    with system_in(tmp_path / "run") as system:
        run_study(system, [planted(name) for name in NAMES], study)
        assert sorted(row.tasks for row in system.ledger.rows()).count(tuple(sorted(NAMES))) == 1


def test_an_interrupted_study_goes_on_where_it_stopped(findings: Findings, tmp_path: FilePath) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop_after(n: int) -> Callable[[Event], None]:
        left = iter(range(n))

        def see(event: Event) -> None:
            if next(left, None) is None:
                raise Stop

        return see

    tasks = [planted(name) for name in NAMES]
    with system_in(tmp_path / "run") as system:
        with pytest.raises(Stop):
            run_study(system, tasks, STUDY, progress=stop_after(9))
        begun = len(system.ledger.rows())
        assert begun >= 9
        again = run_study(system, tasks, STUDY)
        rows = system.ledger.rows()
        assert sum(not row.reused for row in rows) == len(rows)
    for one, two in zip(findings.arms, again.arms, strict=True):
        assert np.array_equal(one.test, two.test)
    assert np.array_equal(findings.affinity.readings, again.affinity.readings)
    assert findings.selection.groups == again.selection.groups


def test_failed_networks_are_gaps_not_ends(tmp_path: FilePath) -> None:
    study = replace(STUDY, estimators=("pairs",), seeds=1, random=0, samples=0)
    bad = planted("up 1")
    bad.splits["train"].inputs["x"][:] = torch.full((60, DIM), 1e20)  # type: ignore[index]
    with system_in(tmp_path / "run", lr=100.0, optimizer="sgd", warmup=0.0) as system:
        found = Session(system, [bad, planted("down 1")], study)
        with system.leased(["affinity"]):
            results = found.train([found.network(("up 1",), 3), found.network(("down 1",), 3)])
        assert results[0].failure
        assert not results[1].failure


def test_random_groupings_are_partitions_drawn_evenly() -> None:
    names = list("abcd")
    found = random_groupings(names, 2, 7, seed=1)
    assert len(set(found)) == 7  # all there are: S(4, 2)
    for groups in found:
        assert sorted(task for group in groups for task in group) == names
        assert all(groups)
    assert found == random_groupings(names, 2, 7, seed=1)
    assert len(random_groupings(names, 2, 99, seed=2)) == 7
    first = [random_groupings(names, 2, 1, seed=s)[0] for s in range(700)]
    counts = [first.count(groups) for groups in set(first)]
    assert max(counts) < 150  # 100 expected each, standard deviation 9
    assert min(counts) > 60


def test_predictions_are_means_over_partners() -> None:
    values = np.arange(9.0).reshape(3, 3)
    values[0, 2] = np.nan
    found = Affinity(("a", "b", "c"), ("a", "b", "c"), "co-training", "lookahead", "", values)
    told = predictions(found, ("a", "b", "c"))
    assert np.isnan(told["a"])  # one of its pairs was not measured
    assert (told["b"], told["c"]) == (4.0, 6.5)
    assert predictions(found, ("a", "b")) == {"a": 1.0, "b": 3.0}
    assert np.isnan(predictions(found, ("a",))["a"])
    assert predictions(replace(found, estimator="pairs"), ("b",)) == {"b": 4.0}


def test_a_task_of_negative_gains_stands_alone_only_where_gains_were_measured() -> None:
    values = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, -1.0], [-1.0, -1.0, 0.0]])
    pairs = Affinity(("a", "b", "c"), ("a", "b", "c"), "co-training", "pairs", "", values)
    assert ("c",) in grouped(pairs, "tag", 2).groups
    assert ("c",) not in grouped(replace(pairs, estimator="lookahead"), "tag", 2).groups
    curve = value_against_budget(pairs, [], "tag", seed=0)
    assert curve.predicted["exact"].tolist() == pytest.approx([0.0 - 1 / 3, 2 / 3, 2 / 3])
    assert curve.predicted["separate"][2] == 0.0
    other = value_against_budget(replace(pairs, estimator="lookahead"), [pairs], "tag", seed=0)
    assert np.isnan(other.predicted["separate"]).all()


@pytest.mark.parametrize(("changes", "message"), [
    ({"estimators": ()}, "`estimators` must name at least one"),
    ({"estimators": ("nothing",)}, "`estimators` must be records"),
    ({"estimators": (Record("h_score"),)}, "`estimators` must be records of co-training estimators"),
    ({"rule": "taskonomy"}, "`rule` must be one of"),
    ({"budget": 0}, "`budget` must be"),
    ({"seeds": 0}, "`seeds` must be"),
    ({"random": -1}, "`random` must be"),
    ({"sampler": "both"}, "`sampler` must be one of"),
])
def test_what_is_wrong_with_a_study_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(STUDY, **changes)


def test_one_task_is_no_study(tmp_path: FilePath) -> None:
    with system_in(tmp_path / "run") as system, pytest.raises(ConfigError, match="must be at least two"):
        run_study(system, [task_of("one")], STUDY)


def test_a_study_whose_joint_network_fails_says_why(tmp_path: FilePath) -> None:
    with system_in(tmp_path / "run", lr=100.0, optimizer="sgd", warmup=0.0) as system:
        tasks = [planted(name) for name in NAMES]
        for task in tasks:
            task.splits["train"].inputs["x"].mul_(1e18)  # type: ignore[union-attr]
        with pytest.raises(DataError, match=r"recorded affinity, found none: .*at step"):
            run_study(system, tasks, replace(STUDY, estimators=(Record("lookahead"),)))

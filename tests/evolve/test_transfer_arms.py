"""Transfers for real: trunks copied and fine-tuned, sources chosen, and what they are compared with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
from helpers_tiny import chain, linear

from pathways.affinity.findings import Findings
from pathways.affinity.findings_files import findings_from_json, findings_to_json
from pathways.affinity.matrix import Affinity
from pathways.affinity.report import answer, write_report
from pathways.affinity.report.verified import points
from pathways.candidate import Training
from pathways.data import digits_tasks
from pathways.evolve.choose import value_against_budget
from pathways.evolve.measured.measured import Measured
from pathways.evolve.run_study import run_study
from pathways.evolve.study import Session, Study
from pathways.evolve.transfer_arms import OWN, random_sources, sources_of
from pathways.evolve.transfers import own_paths, side_by_side, transferred
from pathways.modules import Draft, Init, ModuleSpec, Vector, Warm
from pathways.system import System
from pathways.task import Task

TASKS: list[Task] = list(digits_tasks([[0, 1], [2, 3], [4, 5], [6, 7]]))
NAMES = tuple(task.name for task in TASKS)
STUDY = Study(
    (Measured("transfer", {"orders": [2], "readout": {"steps": 30}}), "logme", "pairs"), budget=2, seeds=2, random=2,
    samples=5,
)  # fmt: skip


def system_in(directory: FilePath) -> System:
    conv = Draft("conv", ModuleSpec("conv", {"channels": 2, "stride": 2}))
    return System.create(
        directory, root=chain(TASKS[0].inputs, conv), training=Training(steps=15, batch=16, lr=0.02), stack=1, seed=3
    )


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system_in(tmp_path_factory.mktemp("transfers") / "run") as made:
        yield made


@pytest.fixture(scope="module")
def findings(system: System) -> Findings:
    return run_study(system, TASKS, STUDY)


@pytest.fixture
def session(findings: Findings, system: System) -> Iterator[Session]:
    with system.leased(["affinity"]):
        yield Session(system, TASKS, STUDY)


def test_arms_are_sources_and_what_they_are_compared_with(findings: Findings) -> None:
    assert findings.selection.rule == "taskonomy"
    names = [arm.name for arm in findings.arms]
    assert names == ["chosen", "all-in-one", "separate", "by logme", "random 1", "random 2"]
    costs = {arm.name: arm.cost for arm in findings.arms}
    assert costs.pop("by logme") <= 2.0  # sources that no target uses are left out
    assert list(costs.values()) == [2.0, 1.0, 4.0, 2.0, 2.0]
    for arm in findings.arms:
        assert np.isfinite(arm.test).all()
        assert np.isfinite(arm.validation).all()


def test_a_source_serves_itself_and_others_are_served_by_a_transfer(findings: Findings) -> None:
    opened = [network.name for network in findings.selection.networks]
    chosen, separate = findings.arm("chosen"), findings.arm("separate")
    for j, task in enumerate(NAMES):
        network = findings.trained[chosen.networks[chosen.serves[task]]]
        assert network.tasks == (task,)
        assert network.source == (OWN if task in opened else findings.selection.about["transfers"][task])
        assert network.cost == float(task in opened)
        assert (task in opened) == np.array_equal(chosen.test[:, j], separate.test[:, j])
        if network.source:
            assert set(network.source.split("|")) <= set(opened)
            assert network.predicted == {task: findings.affinity[task, network.source]}


def test_predictions_stand_beside_gains_of_transfers(findings: Findings) -> None:
    found = points(findings)
    transfers = [n for n, network in enumerate(findings.trained) if network.source and "|" not in network.source]
    assert {point.network for point in found} >= set(transfers)
    for point in found:
        assert findings.trained[point.network].source


def test_findings_and_report_know_sources(findings: Findings, tmp_path: FilePath) -> None:
    again = findings_from_json(findings_to_json(findings))
    assert [network.source for network in again.trained] == [network.source for network in findings.trained]
    assert "chose 2 source tasks: " in answer(findings)
    page = write_report(findings, tmp_path).read_text()
    assert "taskonomy" in page


def test_nothing_is_trained_twice(findings: Findings, system: System) -> None:
    before = len(system.ledger.rows())
    again = run_study(system, TASKS, STUDY)
    assert len(system.ledger.rows()) == before
    for one, two in zip(findings.arms, again.arms, strict=True):
        assert np.array_equal(one.test, two.test)
    assert findings.costs == again.costs


def test_a_transfer_starts_from_the_source_with_the_targets_own_head(session: Session) -> None:
    paths = own_paths(session, 3)
    made = transferred(session, NAMES[0], NAMES[1], 3, paths)
    assert made is not None
    own = session.network((NAMES[1],), 3)
    drafts = {draft.spec.family: draft for draft in made.drafts().values()}
    assert drafts["classifier"].start == next(d for d in own.drafts().values() if d.spec.family == "classifier").start
    assert drafts["conv"].start == Warm(next(iter(paths[NAMES[0]].frozen())))
    assert list(made.paths) == [NAMES[1]]
    assert transferred(session, NAMES[0], NAMES[1], 3, {}) is None


def test_several_trunks_stand_side_by_side(session: Session) -> None:
    paths = own_paths(session, 3)
    made = transferred(session, f"{NAMES[0]}|{NAMES[2]}", NAMES[1], 3, paths)
    assert made is not None
    path = made.paths[NAMES[1]]
    convs = [draft for draft in path.drafts().values() if draft.spec.family == "conv"]
    assert len({draft.start for draft in convs}) == 2
    assert path.ports()[path.steps[path.output].reads[0]] == Vector(2 * 2 * 4 * 4)
    [result] = session.train([made])
    assert result.ok
    vectors = chain({"x": Vector(4)}, linear("a", 3))
    both = side_by_side([vectors, vectors], session)
    assert both.ports()[both.output] == Vector(6)
    assert all(draft.start == Init() for draft in both.drafts().values() if draft.spec.family == "linear")


def test_sources_that_serve_not_every_task_are_none() -> None:
    values = np.array([[np.nan, 0.2, 0.3], [0.4, np.nan, np.nan], [0.1, 0.2, np.nan]])
    found = Affinity(("a", "b", "c"), ("a", "b", "c"), "transfer", "relevance", "", values)
    assert sources_of(found, ["c"]) is None
    both = sources_of(found, ["a", "b"])
    assert both is not None
    assert dict(both.transfers) == {"a": OWN, "b": OWN, "c": "b"}
    curve = value_against_budget(found, [], "taskonomy", seed=0)
    assert np.isnan(curve.predicted["exact"][0])
    assert curve.predicted["exact"][1:].tolist() == pytest.approx([0.2 + 0.4 + 0.2, 0.3 + 0.4 + 0.2])
    assert (curve.predicted["random high"][1:] <= curve.predicted["exact"][1:] + 1e-12).all()


def test_random_sources_are_drawn_evenly_and_differ() -> None:
    names = list("abcd")
    found = random_sources(names, 2, 99, seed=1)
    assert len(set(found)) == len(found) == 6
    first = [random_sources(names, 2, 1, seed=s)[0] for s in range(600)]
    counts = [first.count(group) for group in set(first)]
    assert max(counts) < 140  # 100 expected each, standard deviation 9
    assert min(counts) > 60
    many = [f"t{i}" for i in range(20)]
    drawn = random_sources(many, 3, 8, seed=1)
    assert len(set(drawn)) == 8
    assert all(len(set(group)) == 3 for group in drawn)


def test_a_choice_without_verification_trains_no_transfer(tmp_path: FilePath) -> None:
    with system_in(tmp_path / "run") as system:
        found = run_study(system, TASKS, replace(STUDY, estimators=("leep",), verify=False, seeds=1))
        assert found.selection.rule == "taskonomy"
        assert not found.arms
        assert sorted(row.tasks for row in system.ledger.rows()) == sorted([*((name,) for name in NAMES), NAMES])

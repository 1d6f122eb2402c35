"""Every estimator by its name, in one tiny study: kinds, shapes, sense, repetition, resumption, and what is refused."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import chain, linear

from pathways.affinity.findings import Findings
from pathways.affinity.findings_files import findings_from_json, findings_to_json
from pathways.affinity.logme import logme
from pathways.affinity.short_runs import short_runs
from pathways.affinity.transfer import transfer
from pathways.assemble import PathModule
from pathways.candidate import Training
from pathways.data import diabetes, digits_tasks
from pathways.errors import ConfigError, DataError
from pathways.evolve.local import Local
from pathways.evolve.measured import transfer as transfer_file
from pathways.evolve.measured import transferability as transferability_file
from pathways.evolve.measured.dependence import MORE
from pathways.evolve.measured.kept import kept_or_measured
from pathways.evolve.measured.measured import Measured
from pathways.evolve.measured.networks import alone, joint, trainable
from pathways.evolve.measured.options import settings
from pathways.evolve.measured.relevance import relevance
from pathways.evolve.measured.table import KINDS, MEASURED, OF_CLASSES, OF_ONE_INPUT
from pathways.evolve.run_study import run_study
from pathways.evolve.study import Session, Study, check_tasks
from pathways.modules import Draft, ModuleSpec, Warm
from pathways.recording import Record
from pathways.system import System
from pathways.task import Affine, Task

TASKS: list[Task] = list(digits_tasks([[0, 1], [2, 3], [4, 5, 6]]))
NAMES = tuple(task.name for task in TASKS)
READOUT = {"steps": 20}
OPTIONS: dict[str, dict[str, Any]] = {
    "linearised": {"dims": 20}, "transfer": {"orders": [2], "readout": READOUT},
    "h_score": {"shrinkage": "ledoit-wolf"},
    "task2vec": {"samples": 16, "readout": READOUT}, "dependence": {"repeats": 3, "steps": 4},
}  # fmt: skip
STUDY = Study(
    tuple(Measured(name, OPTIONS.get(name, {})) for name in MEASURED), budget=2, seeds=2, random=1, samples=5,
    verify=False,
)  # fmt: skip


def system_in(directory: FilePath, **changes: Any) -> System:
    flat = Draft("flat", ModuleSpec("flatten"))
    training = replace(Training(steps=20, batch=16, lr=0.01), **changes)
    return System.create(
        directory, root=chain(TASKS[0].inputs, flat, linear("a", 12)), training=training, stack=1, seed=3
    )


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system_in(tmp_path_factory.mktemp("measured") / "run") as made:
        yield made


@pytest.fixture(scope="module")
def findings(system: System) -> Findings:
    return run_study(system, TASKS, STUDY)


@pytest.fixture
def session(findings: Findings, system: System) -> Iterator[Session]:
    """A session of the study that was carried out: all it asks for is known."""
    with system.leased(["affinity"]):
        yield Session(system, TASKS, STUDY)


# -- all of them --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(MEASURED))
def test_each_estimator_measures_all_tasks(name: str, findings: Findings) -> None:
    found = findings.affinities[list(MEASURED).index(name)]
    assert found.estimator == name
    assert found.kind == KINDS.get(name, "transfer") == Measured(name).kind
    assert found.affected == NAMES
    assert found.repeats == (3 if name == "dependence" else 2)
    assert set(NAMES) <= set(found.sources)
    others = ~np.eye(3, dtype=bool)
    assert np.isfinite(found.of(NAMES).by_repeat[:, others]).all()
    assert found.unit
    repeats = found.of(NAMES).by_repeat[:, others]
    assert not np.array_equal(repeats[0], repeats[1])  # another seed, or other batches


def test_a_study_measured_again_trains_and_computes_nothing(
    findings: Findings, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(system.ledger.rows())
    monkeypatch.setattr(Measured, "measure", None)
    again = run_study(system, TASKS, STUDY)
    assert len(system.ledger.rows()) == before
    assert findings_to_json(replace(again, selection=findings.selection)) == findings_to_json(findings)


def test_what_was_kept_may_be_lost_and_is_found_again(findings: Findings, session: Session, system: System) -> None:
    name = "transfer"
    [file] = (system.directory / "measured").glob(f"{name}-*.json")
    file.write_text("{")
    before = len(system.ledger.rows())
    kept = kept_or_measured(session, Measured(name, OPTIONS[name]))
    assert np.array_equal(
        kept.affinity.readings, findings.affinities[list(MEASURED).index(name)].readings, equal_nan=True
    )
    assert len(system.ledger.rows()) == before
    assert kept.seconds > 0


def test_other_settings_are_measured_anew(findings: Findings, session: Session) -> None:
    kept = kept_or_measured(session, Measured("logme", {"standardised": True}))
    assert not np.array_equal(kept.affinity.readings, findings.affinities[list(MEASURED).index("logme")].readings)
    before = len(session.system.ledger.rows())
    again = kept_or_measured(session, Measured("logme", {"standardised": True}))
    assert np.array_equal(again.affinity.readings, kept.affinity.readings)
    assert again.seconds == kept.seconds
    assert len(session.system.ledger.rows()) == before


def test_workers_and_another_directory_find_the_same(findings: Findings, tmp_path: FilePath) -> None:
    names = ("linearised", "transfer", "logme", "dependence")
    study = replace(STUDY, estimators=tuple(Measured(name, OPTIONS.get(name, {})) for name in names))
    with system_in(tmp_path / "run") as other, Local(workers=0) as engine:
        again = run_study(other, TASKS, study, engine)
    for name, found in zip(names, again.affinities, strict=True):
        first = findings.affinities[list(MEASURED).index(name)]
        assert np.array_equal(first.readings, found.readings, equal_nan=True), name


# -- each against what it adapts ----------------------------------------------------------------------------

def test_networks_are_those_that_were_trained(findings: Findings, session: Session, system: System) -> None:
    own = alone(session)
    assert {seed: set(models) for seed, models in own.items()} == {3: set(NAMES), 4: set(NAMES)}
    [(candidate, result), _] = joint(session).values()
    models = trainable(session, candidate, result)
    first, second, _ = models.values()
    shared = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    assert len(shared) == 2  # weight and bias of the trunk
    assert all(parameter.requires_grad for parameter in first.parameters())
    task = TASKS[0]
    from pathways.freeze import assembled

    frozen: PathModule = assembled(candidate.trained_paths(result)[task.name], system)
    x = task.transform["image"](task.splits["test"].inputs["image"])  # type: ignore[arg-type]
    assert torch.equal(first(x), frozen(x))  # type: ignore[arg-type]


def test_transfers_are_those_of_the_networks(findings: Findings, session: Session) -> None:
    found = findings.affinities[list(MEASURED).index("transfer")]
    assert {"random", "self", f"{NAMES[0]}|{NAMES[1]}"} <= set(found.sources)
    assert np.nansum(found.by_repeat, axis=2) == pytest.approx(1.0)
    models = alone(session)[3]
    from pathways.affinity.readout import Readout

    direct = transfer(TASKS, models, own=models, orders=(2,), readout=Readout(steps=20), seeds=(3,))
    assert np.array_equal(found.of(NAMES, direct.sources).by_repeat[0], direct.values, equal_nan=True)


def test_transferability_is_of_the_networks_features(findings: Findings, session: Session) -> None:
    from pathways.affinity.encoders import features

    found = findings.affinities[list(MEASURED).index("logme")]
    models = alone(session)[4]
    expected = logme(features(models[NAMES[1]], TASKS[2]), TASKS[2].splits["train"].targets)
    assert found.by_repeat[1, 2, 1] == pytest.approx(expected)


def test_similarity_of_needs_is_symmetric(findings: Findings, session: Session) -> None:
    found = findings.affinities[list(MEASURED).index("task2vec")]
    assert np.array_equal(found.values, found.values.T)
    assert (found.values.diagonal() == 1).all()
    untrained = kept_or_measured(session, Measured("task2vec", {**OPTIONS["task2vec"], "probe": "untrained"}))
    assert not np.array_equal(untrained.affinity.readings, found.readings)


def test_shares_of_relevance_sum_to_one(findings: Findings, session: Session) -> None:
    found = findings.affinities[list(MEASURED).index("relevance")]
    assert np.nansum(found.by_repeat, axis=2) == pytest.approx(1.0)
    assert np.isnan(found.values.diagonal()).all()
    with pytest.raises(ConfigError, match="`dims` of `relevance` must be at most 5"):  # two columns and three
        relevance(session, dims=6)


def test_dependence_is_of_short_runs_from_one_checkpoint(findings: Findings, session: Session, system: System) -> None:
    found = findings.affinities[list(MEASURED).index("dependence")]
    assert found.about["checkpoint"] == 3
    assert found.about["p"][0][0] is None
    assert 0 <= found.about["p"][0][1] <= 1
    assert not found.higher_is_better
    [(_, result), _] = joint(session).values()
    runs = [system.ledger.candidate(row.hash) for row in system.ledger.rows()]
    short = [run for run in runs if run.training.steps == 4]
    assert len(short) == 3 * (3 + 1)
    for run in short:
        assert set(run.paths) - set(NAMES) <= {MORE.format(name) for name in NAMES}
        starts = {draft.start.blob for draft in run.drafts().values() if isinstance(draft.start, Warm)}
        assert starts == set(result.blobs.values())
    for repeat in range(3):
        assert len([run for run in short if run.repeat == repeat]) == 4
    changed = [run for run in short if run.repeat == 0]
    results = system.ledger.known([run.hash for run in changed])
    by = {tuple(set(run.paths) - set(NAMES)): results[run.hash] for run in changed}
    first = by[(MORE.format(NAMES[1]),)].measures[NAMES[0]].loss - by[()].measures[NAMES[0]].loss
    assert found.by_repeat[0, 0, 1] == pytest.approx(first)


def test_a_short_run_weighs_tasks_as_one_written_out_does(tmp_path: FilePath) -> None:
    """With plain gradient descent, against `short_runs`, which adds the source's loss to the sum of the background."""
    training = {"optimizer": "sgd", "lr": 0.5, "warmup": 0.0, "schedule": "constant"}
    whole = len(TASKS[0].splits["train"])
    tasks = TASKS[:2]
    study = replace(STUDY, estimators=("pairs",), seeds=1)
    with system_in(tmp_path / "run", **training, steps=5, batch=whole) as system:
        session = Session(system, tasks, study)
        with system.leased(["affinity"]):
            measured = Measured("dependence", {"repeats": 2, "steps": 1, "rate": 0.2}).measure(session)
            [(candidate, result)] = joint(session).values()
        models = trainable(session, candidate, result)
    inputs = {t.name: t.transform["image"](t.splits["train"].inputs["image"]) for t in tasks}  # type: ignore[arg-type]
    held = {t.name: t.transform["image"](t.splits["validation"].inputs["image"]) for t in tasks}  # type: ignore[arg-type]
    targets = {t.name: {s: t.splits[s].targets for s in ("train", "validation")} for t in tasks}
    net = torch.nn.ModuleDict({f"n{i}": models[t.name] for i, t in enumerate(tasks)})

    def loss(model: Any, name: str, x: Any, split: str) -> Any:
        key = f"n{[t.name for t in tasks].index(name)}"
        return torch.nn.functional.cross_entropy(model[key](x[name]), targets[name][split])

    run = short_runs(
        net,
        {**{t.name: lambda m, x, n=t.name: loss(m, n, x, "train") / 2 for t in tasks},
         "all": lambda m, x: sum(loss(m, t.name, x, "train") for t in tasks) / 2},
        {name: lambda g: [inputs] for name in [*inputs, "all"]},
        {t.name: lambda m, n=t.name: float(loss(m, n, held, "validation")) for t in tasks},
        steps=1, rate=0.5 * 0.2, background="all",
    )  # fmt: skip
    without = run(None, 0)
    for j, source in enumerate(inputs):
        after = run(source, 0)
        for i, name in enumerate(inputs):
            # Batches hold as many samples as the first task has, so of the second they leave one out or see one twice.
            assert measured.by_repeat[0, i, j] == pytest.approx(after[name] - without[name], rel=0.1, abs=2e-4)


def test_a_network_that_failed_is_a_gap(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = alone(session)
    partly = {3: {name: model for name, model in whole[3].items() if name != NAMES[0]}, 4: whole[4]}
    for file in (transferability_file, transfer_file):
        monkeypatch.setattr(file, "alone", lambda session: partly)
    found = Measured("logme").measure(session)
    assert np.isnan(found.by_repeat[0, :, 0]).all()
    assert np.isfinite(found.by_repeat[1]).all()
    assert np.isfinite(found.by_repeat[0, :, 1:]).all()
    moved = Measured("transfer", OPTIONS["transfer"]).measure(session)
    assert np.isnan(moved.of(NAMES).by_repeat[0, :, 0]).all()
    assert np.isfinite(moved.of(NAMES).by_repeat[1]).all()
    assert not any(NAMES[0] in source.split("|") for source in moved.sources if "|" in source)
    nothing = {3: {}, 4: whole[4]}
    monkeypatch.setattr(transferability_file, "alone", lambda session: nothing)
    found = Measured("logme").measure(session)
    assert np.isnan(found.by_repeat[0]).all()
    assert np.isfinite(found.by_repeat[1]).all()


def test_a_study_without_any_network_says_why(tmp_path: FilePath) -> None:
    with system_in(tmp_path / "run", optimizer="sgd", lr=100.0, warmup=0.0, schedule="constant") as system:
        broken = [replace(task, transform={"image": Affine(1e18)}) for task in TASKS]
        with pytest.raises(DataError, match=r"at least one task's own network must be trained, found none: .*at step"):
            run_study(system, broken, replace(STUDY, estimators=("leep",), rule=""))
        with pytest.raises(DataError, match="the network of all tasks must be trained, found that it failed"):
            run_study(system, broken, replace(STUDY, estimators=("task2vec",), rule=""))


# -- the table ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(MEASURED))
def test_every_estimator_of_a_study_is_documented_and_cited(name: str) -> None:
    function = Measured(name)._function()
    assert function.__name__ == name
    assert re.search(r"Reference: .*(\d{4}\.\d{4,5}|\d{4})", function.__doc__, re.S)
    assert f"`{name}`" in (FilePath(__file__).parents[2] / "docs" / "affinity.md").read_text()
    assert set(OF_CLASSES) | set(OF_ONE_INPUT) | set(KINDS) <= set(MEASURED)


# -- what is refused ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "options", "message"), [
    ("nothing", {}, "`estimator` must be one of"),
    ("pairs", {"every": 3}, "`pairs` takes no settings, found \\['every'\\]"),
    ("linearised", {"dim": 3}, "settings of `linearised` must be among .* found 'dim'"),
    ("linearised", {"dims": 0}, "`dims` of `linearised` must be a whole number of at least 1, found 0"),
    ("linearised", {"dims": 2.5}, "`dims` of `linearised` must be a whole number of at least 1, found 2.5"),
    ("linearised", {"penalty": 0}, "`penalty` of `linearised` must be a number above 0, found 0"),
    ("linearised", {"size": 1}, "`size` of `linearised` must be a whole number of at least 2, or null, found 1"),
    ("transfer", {"orders": [1]}, "`orders` of `transfer` must be a whole number of at least 2, found 1"),
    ("transfer", {"orders": 2}, "`orders` of `transfer` must be a list, found 2"),
    ("transfer", {"readout": {"step": 2}}, "settings in `readout` of `transfer` must be among .* found 'step'"),
    ("transfer", {"readout": {"steps": 0}}, "`steps` of a readout must be at least 1"),
    ("h_score", {"shrinkage": 1.0}, "`shrinkage` of `h_score` must be a number of at least 0 and below 1, or one of"),
    ("logme", {"standardised": 1}, "`standardised` of `logme` must be true or false, found 1"),
    ("task2vec", {"probe": "best"}, "`probe` of `task2vec` must be one of"),
    ("relevance", {"penalty": 1.0}, "`penalty` of `relevance` must be a number above 0 and below 1, or null, found 1"),
    ("dependence", {"repeats": 1}, "`repeats` of `dependence` must be a whole number of at least 2, found 1"),
    ("dependence", {"alpha": float("nan")}, "`options` must be plain data"),
    ("dependence", 3, "`options` of `dependence` must be a mapping"),
])
def test_settings_are_checked_before_anything_is_trained(name: str, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Measured(name, options)


def test_settings_become_what_functions_take() -> None:
    from pathways.affinity.readout import Readout
    from pathways.evolve.measured.transfer import transfer as adapter

    found = settings(adapter, {"orders": [2, 3], "readout": {"steps": 7, "lr": 1}}, "transfer")
    assert found == {"orders": (2, 3), "readout": Readout(steps=7, lr=1.0)}


@pytest.mark.parametrize(("changes", "message"), [
    ({"estimators": ("dependence", "pairs")}, "the first of `estimators` must be of kind co-training or transfer"),
    ({"estimators": ("transfer",), "rule": "tag"}, r"`rule` must be one of \('taskonomy',\) where the first estimator"),
    ({"estimators": ("linearised",), "rule": "taskonomy"}, r"`rule` must be one of \('tag', 'disjoint'\)"),
    ({"estimators": ("relevance",), "rule": "", "budget": 1}, "`budget` must be at least 2 where 'relevance' chooses"),
])
def test_a_rule_must_fit_the_first_kind(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(STUDY, **changes)


def test_the_rule_is_that_of_the_first_kind() -> None:
    assert Study(("logme", "pairs")).rule == "taskonomy"
    assert Study(("linearised", "dependence")).rule == "tag"
    assert Study((Record("lookahead"), "transfer"), rule="disjoint").rule == "disjoint"


def test_tasks_must_suit_the_estimators() -> None:
    [values] = diabetes()
    for name in ("leep", "nce", "trans_rate"):
        with pytest.raises(ConfigError, match=f"`{name}` is defined for classes, found values in task 'diabetes'"):
            check_tasks(Study((name,)), [values])
    for name in ("logme", "h_score", "linearised"):
        check_tasks(Study((name,)), [values])
    odd = replace(TASKS[0], name="a|b")
    with pytest.raises(ConfigError, match="`transfer` needs task names without"):
        check_tasks(Study(("transfer",)), [odd])


def test_findings_with_a_source_survive_a_file(findings: Findings) -> None:
    assert findings_to_json(findings_from_json(findings_to_json(findings))) == findings_to_json(findings)

"""The system from end to end: create, learn, use, compare, export, forget; and one clear sentence for bad input."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import (
    CLASSES,
    DIM,
    SIZES,
    TRAINING,
    Counting,
    FixedPath,
    chain,
    files_of,
    head,
    interrupt_after,
    linear,
    task_of,
    tiny_root,
)
from safetensors import safe_open

from pathways import manifest
from pathways.errors import ConfigError, DataError, LedgerError, PathwaysError
from pathways.evolve.controls import FineTune, Independent, Joint
from pathways.evolve.local import Local
from pathways.evolve.munet import MuNet
from pathways.freeze import task_inputs
from pathways.modules import Vector
from pathways.path import Path
from pathways.strategy import View
from pathways.system import System
from pathways.task import Split, Task

STRATEGY = MuNet(generations=1, children=3)
NAMES = ("one", "two", "three")


def learned(directory: FilePath, engine: Any = None, names: tuple[str, ...] = NAMES, **settings: Any) -> System:
    system = System.create(directory, root=tiny_root(), training=TRAINING, **settings)
    for name in names:
        system.learn(task_of(name), STRATEGY, engine)
    return system


def one_path(view: View) -> dict[str, Path]:
    return {view.task.name: chain(view.task.inputs, linear("a"), head())}


@pytest.fixture
def system(tmp_path: FilePath) -> Any:
    """A system that has learned two tasks."""
    with learned(tmp_path / "run", names=("one", "two")) as made:
        yield made


def inputs_of(name: str, split: str = "test") -> torch.Tensor:
    value = task_of(name).splits[split].inputs["x"]
    assert isinstance(value, torch.Tensor)
    return value


def moved(task: Task, split: str, by: float) -> dict[str, Split]:
    """The splits of a task, the points of one of them moved."""
    points = task.splits[split].inputs["x"]
    assert isinstance(points, torch.Tensor)
    return {**task.splits, split: Split({"x": points + by}, task.splits[split].targets)}


# -- what a user does -------------------------------------------------------------------------------------------


def test_learning_gives_a_champion_that_is_there_when_opened_again(system: System) -> None:
    champion = system.champions["two"]
    assert champion.measures.samples == SIZES["validation"]
    with System.open(system.directory) as again:
        assert list(again.champions) == ["one", "two"]
        assert again.champions["two"] == champion
        assert again.fingerprint == system.fingerprint
        assert again.training == TRAINING
        assert again.root == tiny_root()
        record = again.records["two"]
        assert (record.index, record.strategy, record.settings["children"]) == (1, "munet", 3)
        assert record.target.names == ("a", "b", "c")


def test_predictions_are_probabilities_of_transformed_inputs(system: System) -> None:
    x = inputs_of("two")
    probabilities = system.predict("two", x)
    assert probabilities.shape == (SIZES["test"], CLASSES)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(x)))
    scores = system.module("two")(task_inputs(system.records["two"], {"x": x}))
    torch.testing.assert_close(scores.softmax(1), probabilities)  # type: ignore[union-attr]
    assert torch.equal(system.predict("two", {"x": x}), probabilities)
    assert torch.equal(system.predict("two", np.asarray(x)), probabilities)  # type: ignore[arg-type]
    right = (probabilities.argmax(1) == task_of("two").splits["test"].targets).double().mean()
    assert float(right) == system.records["two"].test


def test_the_exported_program_takes_stored_inputs_of_any_batch(system: System, tmp_path: FilePath) -> None:
    out = system.export("two", "pt2", tmp_path / "made" / "program.pt2")
    program = torch.export.load(out).module()
    for n in (1, 5, SIZES["test"]):
        x = inputs_of("two")[:n]
        torch.testing.assert_close(program(x).softmax(1), system.predict("two", x))
    assert [f.name for f in out.parent.iterdir()] == ["program.pt2"]


def test_exported_weights_carry_path_transform_and_class_names(system: System, tmp_path: FilePath) -> None:
    out = system.export("two", "safetensors", tmp_path / "two.safetensors")
    with safe_open(out, "pt") as file:
        header = file.metadata()
        assert Path.from_json(json.loads(header["path"])) == system.champions["two"].path
        described = json.loads(header["task"])
        assert described["target"]["names"] == ["a", "b", "c"]
        assert described["transform"]["x"] == {"scale": 0.5, "shift": 0.1}
        state = system.module("two").state_dict()
        assert set(file.keys()) == set(state)
        assert all(torch.equal(file.get_tensor(name), state[name]) for name in state)


def test_an_exported_root_is_what_a_new_system_builds_on(system: System, tmp_path: FilePath) -> None:
    folder = system.export("two", "root", tmp_path / "root")
    with System.create(tmp_path / "built", root=str(folder), training=TRAINING) as built:
        trunk = built.root
        assert trunk is not None
        assert not trunk.drafts()
        built.learn(task_of("new"), MuNet(generations=0))
        path = built.champions["new"].path
        assert set(trunk.frozen()) < set(path.frozen())
        assert set(trunk.frozen()) < set(system.champions["two"].path.frozen())
        assert built.champions["new"].parents == ("root",)
        assert built.records["new"].new_parameters == (8 + 1) * CLASSES
        assert built.verify().ok


def test_onnx_without_its_packages_says_how_to_get_them(
    system: System, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathways.export.find_spec", lambda name: None)
    with pytest.raises(PathwaysError, match=r"format 'onnx' needs the packages onnx and onnxscript: pip install"):
        system.export("two", "onnx", tmp_path / "two.onnx")
    assert not (tmp_path / "two.onnx").exists()


def test_forgetting_removes_a_task_and_what_only_it_uses(system: System) -> None:
    system.compare([task_of("one"), task_of("two")], Independent())
    own = {blob for blob in system.champions["two"].path.frozen() if system.needing(blob) == ["two"]}
    assert own
    one = system.champions["one"]
    system.forget("two")
    assert not manifest.task_file(system.directory, "two").exists()
    assert not manifest.probe_file(system.directory, "two").exists()
    assert not own & set(system.pool)
    assert system.ledger.rows(task="two") == []
    assert list(system.ledger.controls()) == [("independent", "one")]
    assert system.ledger.learned() == ["one"]
    assert system.champions == {"one": one}
    assert system.verify().tasks == 1
    system.learn(task_of("two"), STRATEGY)
    assert list(system.records) == ["one", "two"]


def test_forgetting_that_is_cut_short_leaves_the_task_whole_or_gone(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cut in ("remove_task", "probe_file"):
        system.refresh()
        name = list(system.records)[-1]
        with monkeypatch.context() as patch:
            patch.setattr(f"pathways.forget.manifest.{cut}", _cut)
            with pytest.raises(KeyboardInterrupt):
                system.forget(name)
        with System.open(system.directory) as again:
            assert again.verify().ok
            if name in again.records:
                again.forget(name)
            again.collect()
            assert name not in again.records
            assert set(again.pool) == again.reachable()
            assert len(list((again.directory / "probes").iterdir())) == len(again.records)


def _cut(*arguments: Any) -> None:
    raise KeyboardInterrupt


# -- controls and measurements ----------------------------------------------------------------------------------


def test_every_entry_of_the_accuracy_matrix_is_measured(tmp_path: FilePath) -> None:
    with learned(tmp_path / "run") as system:
        found = {(e.after, e.task): e for e in system.ledger.evaluations("system")}
        expected = {(after, task) for i, after in enumerate(NAMES) for task in NAMES[: i + 1]}
        assert set(found) == expected
        for (_, task), e in found.items():
            assert (e.value, e.n, e.split) == (system.records[task].test, SIZES["test"], "test")
        assert system.summary()["forgetting"] == 0.0
        assert system.summary()["BWT"] == 0.0


def test_a_row_that_a_killed_run_did_not_measure_is_measured_when_its_data_is_attached(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with learned(tmp_path / "run", names=("one",)) as system:
        monkeypatch.setattr("pathways.freeze._record_late", interrupt_after(1))
        with pytest.raises(KeyboardInterrupt):
            system.learn(task_of("two"), STRATEGY)
    monkeypatch.undo()
    with System.open(tmp_path / "run") as system:
        assert list(system.records) == ["one", "two"]
        assert system.ledger.learned() == ["one"]
        system.attach([task_of("one"), task_of("two")])
        rows = [(e.after, e.task) for e in system.ledger.evaluations("system")]
        assert sorted(rows) == [("one", "one"), ("two", "one"), ("two", "two")]


def test_a_control_is_recorded_once_and_not_frozen(system: System) -> None:
    tasks = [task_of("one"), task_of("two")]
    engine = Counting()
    before = {name: data for name, data in files_of(system.directory).items() if name.startswith(("tasks", "pool"))}
    for _ in range(2):
        system.compare(tasks, Independent(), engine)
        assert len(engine.trained) == 2
    after = {name: data for name, data in files_of(system.directory).items() if name.startswith(("tasks", "pool"))}
    assert after == before
    controls = system.ledger.controls()
    assert list(controls) == [("independent", "one"), ("independent", "two")]
    assert 0 <= controls["independent", "one"]["test"] <= 1
    assert system.summary()["tasks"][0]["independent_test"] == controls["independent", "one"]["test"]


def test_fine_tuning_is_measured_on_every_earlier_task_and_goes_on_after_an_interruption(system: System) -> None:
    tasks = [task_of("one"), task_of("two")]
    engine = Counting()
    with pytest.raises(KeyboardInterrupt):
        system.compare(tasks, FineTune(), engine, progress=interrupt_after(2))
    with System.open(system.directory) as again:
        again.compare(tasks, FineTune(), engine)
        assert len(engine.trained) == len(set(engine.trained)) == 2
        rows = {(e.after, e.task): e.value for e in again.ledger.evaluations("fine-tune")}
        assert set(rows) == {("one", "one"), ("two", "one"), ("two", "two")}
        kept = again.ledger.control("fine-tune", "two")
        assert kept is not None
        assert {b for p in kept["keeps"] for b in Path.from_json(p).frozen()} <= set(again.pool)


def test_a_joint_control_learns_all_tasks_in_one_search(system: System) -> None:
    engine = Counting()
    system.compare([task_of("one"), task_of("two")], Joint(), engine)
    assert len(engine.trained) == 1
    assert list(system.ledger.controls()) == [("joint", "one"), ("joint", "two")]


def test_test_data_never_reaches_an_engine(tmp_path: FilePath) -> None:
    engine = Counting()
    with learned(tmp_path / "run", engine, names=("one",)) as system:
        system.compare([task_of("one")], Independent(), engine)
        assert len(engine.provided) >= 2
        assert all(set(task.splits) == {"train", "validation"} for task in engine.provided)
        other = task_of("one")
        other = Task("one", other.inputs, other.target, moved(other, "test", 9.0), transform=other.transform)
    with System.create(tmp_path / "other", root=tiny_root(), training=TRAINING) as system:
        system.learn(other, STRATEGY)
        with System.open(tmp_path / "run") as first:
            assert system.fingerprint == first.fingerprint


# -- one fingerprint --------------------------------------------------------------------------------------------


def test_equal_runs_have_equal_fingerprints_with_any_number_of_workers(tmp_path: FilePath) -> None:
    found = {}
    with learned(tmp_path / "plain") as system:
        found["in process"] = system.fingerprint
        files = files_of(system.directory)
    for workers in (0, 1, 2):
        with Local(workers=workers, oversubscribe=True) as engine, learned(tmp_path / str(workers), engine) as system:
            found[str(workers)] = system.fingerprint
            assert files_of(system.directory) == files
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"strategy": MuNet(generations=0)}, {"names": ("one", "other", "three")}]
)
def test_other_seeds_strategies_and_data_have_other_fingerprints(tmp_path: FilePath, change: dict[str, Any]) -> None:
    def fingerprint(directory: FilePath, seed: int = 0, strategy: Any = STRATEGY, names: Any = NAMES) -> str:
        with System.create(directory, root=tiny_root(), training=TRAINING, seed=seed) as system:
            for name in names[:2]:
                system.learn(task_of(name), strategy)
            return system.fingerprint

    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b", **change)


def test_a_dispatch_of_several_candidates_gives_the_same_champions(tmp_path: FilePath) -> None:
    engine = Counting()
    with learned(tmp_path / "one") as one, learned(tmp_path / "three", engine, dispatch=3) as three:
        assert one.fingerprint == three.fingerprint
        assert three.dispatch == 3
        assert len(engine.trained) == len(one.ledger.rows())


# -- bad input --------------------------------------------------------------------------------------------------


def test_a_directory_holds_one_system(system: System) -> None:
    with pytest.raises(PathwaysError, match=r"must not hold a system, .* does"):
        System.create(system.directory)


def test_opening_what_is_no_run_says_so(tmp_path: FilePath) -> None:
    with pytest.raises(PathwaysError, match=r"system.json must be there, found no such file: is this a run directory"):
        System.open(tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seed": -1}, "`seed` must be a whole number of at least 0, found -1"),
        ({"seed": True}, "`seed` must be a whole number"),
        ({"dispatch": 0}, "`dispatch` must be a whole number of at least 1, found 0"),
        ({"root": "nowhere/at all"}, "`root` must be one of .* or a folder with a `path.json`"),
    ],
)
def test_bad_settings_leave_nothing_behind(tmp_path: FilePath, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        System.create(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_the_same_name_and_the_same_data_twice_are_refused(system: System) -> None:
    before = files_of(system.directory)
    with pytest.raises(DataError, match="task 'one' is learned already: give the new task another name, or `forget`"):
        system.learn(task_of("one"), STRATEGY)
    copy = task_of("two")
    copy = Task("copy", copy.inputs, copy.target, copy.splits, transform=copy.transform)
    with pytest.raises(DataError, match="task 'copy' holds the same data as 'two', which is learned already"):
        system.learn(copy, STRATEGY)
    three = task_of("three")
    twin = Task("twin", three.inputs, three.target, three.splits, transform=three.transform)
    with pytest.raises(DataError, match="task 'twin' holds the same data as 'three'"):
        system.learn([three, twin], Joint())
    with pytest.raises(DataError, match="task 'one' is learned already"):
        system.learn([task_of("one"), task_of("two")], Joint())
    with pytest.raises(DataError, match="task 'one' was learned by another search"):
        system.learn([task_of("one"), task_of("four")], Joint())
    now = files_of(system.directory)
    assert {k: v for k, v in now.items() if not k.startswith("pool")} == {
        k: v for k, v in before.items() if not k.startswith("pool")
    }


def test_changed_data_is_refused_and_named_when_attached(system: System) -> None:
    system.attach([task_of("one")])
    other = task_of("two")
    for split in ("train", "test"):
        changed = Task("two", other.inputs, other.target, moved(other, split, 1.0), transform=other.transform)
        with pytest.raises(DataError, match="the data of task 'two' changed"):
            system.attach([changed])


def test_a_task_without_a_test_split_is_refused(system: System) -> None:
    with pytest.raises(DataError, match=r"task 'three' must have a test split for its report, found \['train', 'valid"):
        system.learn(task_of("three").without_test(), STRATEGY)


def test_an_unknown_task_lists_those_there_are(system: System) -> None:
    for use in (
        lambda: system.predict("three", torch.zeros(1, DIM)),
        lambda: system.module("three"),
        lambda: system.forget("three"),
        lambda: system.export("three", "pt2", "x"),
    ):
        with pytest.raises(PathwaysError, match=r"`task` must be one .* learned, \['one', 'two'\], found 'three'"):
            use()


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (torch.zeros(DIM), r"must have the shape \(batch, 6\), found \(6,\): add a batch axis"),
        (torch.zeros(2, DIM + 1), r"must have the shape \(batch, 6\), found \(2, 7\)"),
        ({"y": torch.zeros(2, DIM)}, r"task 'two' reads \['x'\], found \['y'\]"),
        ({"x": torch.zeros(2, DIM), "y": torch.zeros(2, DIM)}, r"task 'two' reads \['x'\], found \['x', 'y'\]"),
        (torch.zeros(0, DIM), "must hold at least one sample, found none"),
        (np.array([["a"] * DIM]), r"input 'x' of task 'two' must be numbers"),
        ([[0.0] * DIM, [0.0]], r"input 'x' of task 'two' must be numbers"),
    ],
)
def test_inputs_that_do_not_fit_are_told_both_shapes(system: System, inputs: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        system.predict("two", inputs)


def test_an_unknown_format_lists_those_there_are(system: System, tmp_path: FilePath) -> None:
    with pytest.raises(ConfigError, match=r"`format` must be one of .*'pt2'.*, found 'pickle'"):
        system.export("two", "pickle", tmp_path / "x")


def test_other_numerics_refuse_to_go_on(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathways.open_run.numerics", lambda **plan: {**system.record.numerics, "torch": "9.9"})
    with pytest.raises(LedgerError, match=r"was made with other numerics \(torch is 9.9 and was"):
        system.learn(task_of("three"), STRATEGY)


def test_two_processes_cannot_learn_one_task(system: System) -> None:
    refused = pytest.raises(LedgerError, match="task 'three' is being learned by another process")
    with System.open(system.directory) as other, other.leased(["three"]), refused:
        system.learn(task_of("three"), STRATEGY)
    system.learn(task_of("three"), STRATEGY)


def test_what_another_process_learns_meanwhile_is_seen_and_kept(system: System) -> None:
    with System.open(system.directory) as other:
        other.learn(task_of("three"), STRATEGY)
        with other.leased(["five"]):  # it goes on with another task, whose blobs are its own business
            orphan = other.pool.put(linear("a").spec, {"w": torch.ones(1)})
            system.learn(task_of("four"), STRATEGY)
            assert orphan in system.pool
    assert list(system.records) == ["one", "two", "three", "four"]
    system.collect()
    assert orphan not in system.pool
    assert system.verify().tasks == 4


def test_a_search_without_a_trained_candidate_says_why(tmp_path: FilePath) -> None:
    def wrong(view: View) -> dict[str, Path]:
        return {view.task.name: chain({"x": Vector(DIM)}, linear("a"), head(classes=CLASSES - 1))}

    with System.create(tmp_path / "run", training=TRAINING) as system:
        with pytest.raises(PathwaysError, match=r"`fixed` found no path for 'one' in 4 candidates: .*must give Vector"):
            system.learn(task_of("one"), FixedPath(wrong))
        assert system.records == {}
        assert len(system.ledger.rows()) == 4  # with their reasons
        system.learn(task_of("one"), FixedPath(one_path))
        assert system.verify().ok

"""Shape probes: every shape of path goes through hash, training, freezing, verifying, resuming and export."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_shapes import SHAPES, Shape, names, reuse, trunk_and_head
from helpers_tiny import TRAINING, Counting, FixedPath, interrupt_after, tiny_root
from torch import Tensor

from pathways.candidate import Candidate
from pathways.errors import DataError, ForgettingError, PathwaysError
from pathways.evolve.controls import Joint
from pathways.freeze import flat, replay, task_inputs
from pathways.modules import Context, Delta, Draft, Frozen, Init, Masked, ModuleRef, ModuleSpec, Value, Warm
from pathways.path import Path
from pathways.pool import same
from pathways.system import System
from pathways.trainer import Trainer


class Learned(dict[str, FilePath]):
    """A run directory for each shape, in which it is learned when it is first asked for."""

    def __init__(self, folder: FilePath) -> None:
        self.folder = folder

    def __missing__(self, name: str) -> FilePath:
        self[name] = self.folder / name
        with made(shape_named(name), self[name]) as system:
            learn(shape_named(name), system)
        return self[name]


def shape_named(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name == name)


def made(shape: Shape, directory: FilePath) -> System:
    """A new system that has learned what the shape builds on."""
    system = System.create(directory, training=TRAINING, families=shape.families)
    for name in shape.builds_on:
        system.learn(shape.task(name), FixedPath(trunk_and_head, rounds=1, repeats=1))
    return system


def learn(shape: Shape, system: System, engine: Any = None, progress: Any = None) -> None:
    tasks = shape.tasks()
    system.learn(tasks if len(tasks) > 1 else tasks[0], shape.strategy, engine, progress=progress)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    return Learned(tmp_path_factory.mktemp("shapes"))


def opened(shape: Shape, learned: Learned, tmp_path: FilePath) -> System:
    """A copy of the shape's run, free to be changed."""
    shutil.copytree(learned[shape.name], tmp_path / "copy")
    return System.open(tmp_path / "copy", families=shape.families)


def first_candidate(shape: Shape, system: System) -> Candidate:
    return next(
        system.ledger.candidate(row.hash) for row in system.ledger.rows(strategy="fixed") if shape.names[0] in row.tasks
    )


every_shape = pytest.mark.parametrize("shape", SHAPES, ids=names(SHAPES))


@every_shape
def test_a_path_survives_plain_data_and_its_hash_knows_content_only(
    shape: Shape, learned: Learned, tmp_path: FilePath
) -> None:
    with opened(shape, learned, tmp_path) as system:
        untrained = first_candidate(shape, system).paths[shape.names[0]]
        for path in (untrained, system.champions[shape.names[0]].path):
            again = Path.from_json(json.loads(json.dumps(path.to_json())))
            assert (again, again.hash) == (path, path.hash)
            assert renamed(path).hash == path.hash
            assert renamed(path) != path
            assert other_head(path).hash != path.hash


def renamed(path: Path) -> Path:
    """The path with other names of steps and drafts, steps backwards."""
    steps = {
        f"{name}'": replace(step, reads=tuple(read if read in path.inputs else f"{read}'" for read in step.reads))
        for name, step in reversed(list(path.steps.items()))
    }
    new = Path(path.inputs, steps, f"{path.output}'")
    return new.map_refs(lambda ref: replace(ref, name=f"{ref.name}'") if isinstance(ref, Draft) else ref)


def other_head(path: Path) -> Path:
    (final,) = path.steps[path.output].modules

    def change(ref: ModuleRef) -> ModuleRef:
        return Draft("other", ref.spec, Init(99)) if ref == final else ref

    return path.map_refs(change)


@every_shape
def test_training_moves_every_draft_and_leaves_frozen_modules(
    shape: Shape, learned: Learned, tmp_path: FilePath
) -> None:
    with opened(shape, learned, tmp_path) as system:
        candidate = first_candidate(shape, system)
        trainer = Trainer(system.pool, system.families)
        for task in shape.tasks():
            trainer.provide(task.without_test())
        (start,) = trainer.run([replace(candidate, training=replace(candidate.training, steps=0))])
        (end,) = trainer.run([candidate])
        assert (start.failure, end.failure) == ("", "")
        sizes = {name: size for p in candidate.paths.values() for name, size in p.costs(system.families).sizes.items()}
        for name in candidate.drafts():
            before, after = system.pool.get(start.blobs[name]), system.pool.get(end.blobs[name])
            assert same(before, after) == (sizes[name] == 0), name
        for task, path in candidate.paths.items():
            assert set(path.frozen()) <= set(candidate.trained_paths(end)[task].frozen())
        assert end.trainable == sum(sizes[name] for name in candidate.drafts())


@every_shape
def test_the_champion_is_frozen_and_verifies(shape: Shape, learned: Learned, tmp_path: FilePath) -> None:
    with opened(shape, learned, tmp_path) as system:
        report = system.verify()
        assert (report.ok, report.bitwise, report.tasks) == (True, True, len(shape.names) + len(shape.builds_on))
        for task in shape.names:
            module = system.module(task).train()
            assert not system.champions[task].path.drafts()
            assert [p for p in module.parameters() if p.requires_grad] == []
            assert [m for m in module.held.modules() if m.training and m is not module.held] == []
            test = system.records[task].test
            assert test is not None
            assert test > 0.4  # of three classes


@every_shape
def test_an_interrupted_run_goes_on_and_trains_nothing_twice(
    shape: Shape, learned: Learned, tmp_path: FilePath
) -> None:
    engine = Counting()
    with made(shape, tmp_path / "run") as system, pytest.raises(KeyboardInterrupt):
        learn(shape, system, engine, interrupt_after(3))
    with System.open(tmp_path / "run", families=shape.families) as system:
        assert not set(system.records) & set(shape.names)
        learn(shape, system, engine)
        assert len(engine.trained) == len(set(engine.trained)) == 4
        with System.open(learned[shape.name], families=shape.families) as whole:
            assert system.fingerprint == whole.fingerprint
        assert system.verify().ok


@every_shape
def test_a_later_task_that_builds_on_it_leaves_it_bit_identical(
    shape: Shape, learned: Learned, tmp_path: FilePath
) -> None:
    with opened(shape, learned, tmp_path) as system:
        inputs = {name: task_inputs(system.records[name], probe_inputs(shape, name)) for name in shape.names}
        before = {name: replay(system.champions[name].path, inputs[name], system) for name in shape.names}
        system.learn(shape.task("later"), FixedPath(reuse, repeats=1))
        shared = set(system.champions["later"].path.frozen()) & set(system.champions[shape.names[-1]].path.frozen())
        assert shared
        for name in shape.names:
            assert torch.equal(replay(system.champions[name].path, inputs[name], system), before[name])
        assert system.verify().ok


@every_shape
def test_predictions_are_made_of_what_the_probe_holds(shape: Shape, learned: Learned, tmp_path: FilePath) -> None:
    with opened(shape, learned, tmp_path) as system:
        for name in shape.names:
            inputs = probe_inputs(shape, name)
            expected = replay(system.champions[name].path, task_inputs(system.records[name], inputs), system)
            for _ in range(2):
                assert torch.equal(system.predict(name, inputs), expected.softmax(1))


@every_shape
def test_the_exported_program_computes_what_the_module_does(
    shape: Shape, learned: Learned, tmp_path: FilePath
) -> None:
    with opened(shape, learned, tmp_path) as system:
        name = shape.names[-1]
        program = torch.export.load(system.export(name, "pt2", tmp_path / "program.pt2")).module()
        inputs = probe_inputs(shape, name)
        tensors = flat(inputs)
        arguments: list[Tensor] = []
        for key in system.records[name].inputs:
            arguments += [tensors[f"input/{key}"], *([tensors[f"mask/{key}"]] if f"mask/{key}" in tensors else [])]
        expected = replay(system.champions[name].path, task_inputs(system.records[name], inputs), system)
        for n in (len(expected), 5, 1):
            torch.testing.assert_close(program(*(t[:n] for t in arguments)), expected[:n], rtol=1e-5, atol=1e-6)
        if "mask/text" in tensors:  # the first sample has four real places of six
            shorter = program(*(t[:1, :5] for t in arguments))
            torch.testing.assert_close(shorter, expected[:1], rtol=1e-5, atol=1e-6)


def probe_inputs(shape: Shape, name: str) -> dict[str, Value]:
    """Stored test inputs of a task."""
    return dict(shape.task(name).splits["test"].inputs)


# -- what is particular to one shape --------------------------------------------------------------------------


def test_the_balance_loss_is_collected_in_training_and_not_in_evaluation(learned: Learned, tmp_path: FilePath) -> None:
    shape = shape_named("routed")
    with opened(shape, learned, tmp_path) as system:
        module = system.module("one")
        inputs = task_inputs(system.records["one"], probe_inputs(shape, "one"))
        context = Context()
        module(inputs, context)
        assert context.losses == []
        router = module.module_of(module.path.steps["experts"].combine)  # type: ignore[arg-type]
        router.train()
        module(inputs, context)
        assert [name for name, _ in context.losses] == ["balance"]


def test_a_delta_leaves_its_host_and_the_task_it_came_from(learned: Learned, tmp_path: FilePath) -> None:
    with opened(shape_named("delta"), learned, tmp_path) as system:
        host = system.champions["before"].path.steps["step0"].modules[0]
        step = system.champions["one"].path.steps["trunk"]
        assert step.modules == (host,)
        delta = system.module("one").module_of(step.deltas[0].module)
        assert isinstance(delta, Delta)
        assert delta.up.detach().abs().max() > 0  # it was zero, its neutral condition, at the start
        assert system.records["one"].new_parameters == 2 * (6 + 8) + 3 * (8 + 1)


def test_a_joint_candidate_shares_its_trunk(learned: Learned, tmp_path: FilePath) -> None:
    with opened(shape_named("two heads"), learned, tmp_path) as system:
        one, two = (list(system.champions[name].path.frozen()) for name in ("one", "two"))
        assert one[:2] == two[:2]
        assert one[2] != two[2]
        assert system.champions["one"].candidate == system.champions["two"].candidate
        assert [system.records[name].index for name in ("one", "two")] == [0, 1]


def test_the_joint_control_learns_a_list_of_tasks(tmp_path: FilePath) -> None:
    with System.create(tmp_path / "run", root=tiny_root(), training=TRAINING) as system:
        champions = system.learn(shape_named("two heads").tasks(), Joint())
        assert isinstance(champions, list)
        assert [champion.task for champion in champions] == ["one", "two"]
        assert system.verify().tasks == 2


def test_a_joint_run_that_was_cut_between_two_manifests_freezes_the_rest(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, learned: Learned
) -> None:
    shape = shape_named("two heads")
    engine = Counting()
    monkeypatch.setattr("pathways.freeze._record_late", interrupt_after(1))
    with made(shape, tmp_path / "run") as system, pytest.raises(KeyboardInterrupt):
        learn(shape, system, engine)
    monkeypatch.undo()
    with System.open(tmp_path / "run") as system, System.open(learned[shape.name]) as whole:
        assert list(system.records) == ["one"]
        learn(shape, system, engine)
        assert len(engine.trained) == 4
        assert system.fingerprint == whole.fingerprint
        assert {(e.after, e.task) for e in system.ledger.evaluations("system")} == {
            ("one", "one"), ("two", "one"), ("two", "two"),
        }


def test_optimizer_state_is_a_blob_of_its_own_and_changes_what_training_gives(
    learned: Learned, tmp_path: FilePath
) -> None:
    shape = shape_named("warm with optimizer")
    with made(shape, tmp_path / "run") as system, pytest.raises(KeyboardInterrupt):
        learn(shape, system, progress=interrupt_after(3))
    with System.open(tmp_path / "run") as system:
        hashes = [row.hash for row in system.ledger.rows()]
        results = system.ledger.known(hashes)
        second = system.ledger.candidate(hashes[2])
        starts = {name: draft.start for name, draft in second.drafts().items()}
        first = results[hashes[0]]
        assert starts == {name: Warm(first.blobs[name], first.optimizers[name]) for name in ("trunk", "top", "head")}
        assert {system.pool.kind(blob) for blob in first.optimizers.values()} == {"optimizer"}
        assert any(key.endswith("exp_avg_sq") for key in system.pool.get(first.optimizers["trunk"]))
        cold = {task: without_state(path) for task, path in second.paths.items()}
        trainer = Trainer(system.pool)
        trainer.provide(shape.task("one").without_test())
        (other,) = trainer.run([replace(second, paths=cold)])
        assert other.ok
        assert other.blobs["trunk"] != results[hashes[2]].blobs["trunk"]
        learn(shape, system)
        kept = {system.pool.kind(blob) for blob in system.pool}
        assert kept == {"module"}  # the state of what is frozen is not kept


def without_state(path: Path) -> Path:
    def cold(ref: ModuleRef) -> ModuleRef:
        warm = isinstance(ref, Draft) and isinstance(ref.start, Warm)
        return replace(ref, start=Warm(ref.start.blob)) if warm else ref  # type: ignore[union-attr,return-value,call-arg]

    return path.map_refs(cold)


def test_parts_are_blobs_of_their_own_and_can_be_shared(learned: Learned, tmp_path: FilePath) -> None:
    shape = shape_named("parts")
    with opened(shape, learned, tmp_path) as system:
        mixture = next(ref for ref in system.champions["one"].path.refs() if ref.spec.family == "mixture")
        parts = mixture.spec.parts
        assert set(parts) == {"first", "second"}
        assert all(isinstance(part, Frozen) for part in parts.values())
        assert set(system.pool.get(mixture.id)) == {"share"}  # type: ignore[union-attr]
        assert system.pool.spec(mixture.id)["parts"] == {  # type: ignore[union-attr]
            name: {"frozen": part.id} for name, part in parts.items()  # type: ignore[union-attr]
        }
        system.learn(shape.task("later"), FixedPath(reuse, repeats=1))
        later = next(ref for ref in system.champions["later"].path.refs() if ref.spec.family == "mixture")
        assert later.spec.parts["second"] == parts["second"]
        assert later.spec.parts["first"] != parts["first"]


def test_a_family_that_was_not_passed_is_named_by_verify_and_by_use(learned: Learned) -> None:
    with System.open(learned["parts"]) as system:
        with pytest.raises(PathwaysError, match=r"task 'one' is damaged: .*pass the class that defines it"):
            system.module("one")
        with pytest.raises(ForgettingError) as caught:
            system.verify()
        assert [d["task"] for d in caught.value.differs] == ["one"]


def test_ids_out_of_the_vocabulary_are_refused(learned: Learned, tmp_path: FilePath) -> None:
    with opened(shape_named("masked ids"), learned, tmp_path) as system:
        mask = torch.ones(1, 2, dtype=torch.bool)
        assert system.predict("one", Masked(torch.tensor([[0, 31]]), mask)).shape == (1, 3)
        for wrong in (torch.tensor([[0, 32]]), torch.tensor([[-1, 0]]), torch.zeros(1, 2)):
            with pytest.raises(DataError, match="input 'text' of task 'one' must hold whole ids from 0 to 31, found"):
                system.predict("one", Masked(wrong, mask))


def test_specs_with_parts_survive_plain_data() -> None:
    parts = {"b": Draft("x", ModuleSpec("linear", {"dim": 2})), "a": Frozen("0" * 64, ModuleSpec("linear", {"dim": 2}))}
    spec = ModuleSpec("mixture", {"k": [1, {"z": 2}]}, 3, parts)
    assert ModuleSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec

"""Tasks whose targets stand at places of a sequence: a class at each, or a span's first and last."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from pathways.affinity import transferability
from pathways.candidate import Training
from pathways.data import from_dataset, load
from pathways.data.places import place_targets
from pathways.errors import ConfigError, DataError, PathError
from pathways.evolve.controls import Independent
from pathways.evolve.munet import MuNet
from pathways.evolve.paths import head_spec, with_head
from pathways.evolve.study import check_tasks
from pathways.experiments.answers import answer_text, answers_of
from pathways.experiments.cli import main
from pathways.measure import best_spans, sequence_accuracy, token_accuracy
from pathways.modules import Draft, Ids, Masked, ModuleSpec, Tokens, Value, Vector
from pathways.path import Path, Step
from pathways.program import Program
from pathways.seeds import torch_generator
from pathways.stack_plan import plan
from pathways.system import System
from pathways.task import Classes, Sequences, Spans, Split, Task, fits
from pathways.trainer.evaluate import loss_of, merits_of

LENGTH, VOCABULARY = 7, 9
SIZES = {"train": 96, "validation": 32, "test": 32}
TRAINING = Training(steps=120, batch=16, lr=0.02, optimizer="adamw")


def words(kind: str, split: str, n: int, *, variable: bool) -> tuple[Value, torch.Tensor]:
    """Ids, and at each place whether the one before is larger; or where a part between two brackets begins and ends."""
    generator = torch_generator("words", kind, split)
    ids = torch.randint(2, VOCABULARY, (n, LENGTH), generator=generator)
    lengths = torch.randint(3, LENGTH + 1, (n,), generator=generator) if variable else torch.full((n,), LENGTH)
    real = torch.arange(LENGTH) < lengths[:, None]
    if kind == "sequences":
        targets = (ids > 5).long().masked_fill(~real, -100)
    else:
        first = (torch.rand(n, generator=generator) * (lengths - 1)).long()
        last = first + 1 + (torch.rand(n, generator=generator) * (lengths - 1 - first)).long()
        rows = torch.arange(n)
        ids[rows, first], ids[rows, last] = 0, 1
        targets = torch.stack([first, last], 1)
    return Masked(ids, real) if variable else ids, targets


def task_of(kind: str, *, variable: bool = False, **settings: Any) -> Task:
    target = Sequences(2, ("small", "large")) if kind == "sequences" else Spans(LENGTH)
    splits = {}
    for split, n in SIZES.items():
        value, targets = words(kind, split, n, variable=variable)
        splits[split] = Split({"ids": value}, targets)
    ports = {"ids": Ids(None if variable else LENGTH, VOCABULARY)}
    return Task(f"words/{kind}", ports, target, splits, allow_duplicates=True, **settings)


def root(*, variable: bool = False) -> Path:
    steps = {
        "embed": Step((Draft("embed", ModuleSpec("embed", {"dim": 8, "positions": LENGTH})),), ("ids",)),
        "block": Step((Draft("block", ModuleSpec("transformer", {"heads": 2, "ff": 2})),), ("embed",)),
    }
    return Path({"ids": Ids(None if variable else LENGTH, VOCABULARY)}, steps, "block")


@pytest.mark.parametrize("variable", [False, True])
def test_a_system_learns_a_class_at_each_place(variable: bool, tmp_path, capsys) -> None:
    task = task_of("sequences", variable=variable)
    with System.create(tmp_path / "run", root=root(variable=variable), training=TRAINING) as system:
        champion = system.learn(task, Independent())
        assert champion.measures.validation > 0.95
        inputs, targets = task.splits["test"].inputs["ids"], task.splits["test"].targets
        found = system.predict(task.name, inputs)
        assert found.shape == (32, LENGTH, 2)
        torch.testing.assert_close(found.sum(2), torch.ones(32, LENGTH))
        assert token_accuracy(found, targets) == system.records[task.name].test
        assert sequence_accuracy(found, targets) > 0.7
        assert system.verify().bitwise
        answer = answers_of(task.target, found, {"ids": inputs})[0]
        real = int((targets[0] != -100).sum())
        assert answer["labels"] == [("small", "large")[i] for i in found[0, :real].argmax(1).tolist()]
        program = Program(system.export(task.name, "pt2", tmp_path / "words.pt2"))
        arguments = (inputs.value, inputs.mask) if isinstance(inputs, Masked) else (inputs,)
        torch.testing.assert_close(program(*arguments).softmax(2), found)
    with System.open(tmp_path / "run") as again:
        assert again.records[task.name].target == task.target
        assert torch.equal(again.predict(task.name, inputs), found)
    assert main(["report", str(tmp_path / "run")]) == 0
    assert "test token accuracy" in (tmp_path / "run" / "report.html").read_text()
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "task (token_accuracy)" in capsys.readouterr().out


@pytest.mark.parametrize("variable", [False, True])
def test_a_system_learns_spans(variable: bool, tmp_path) -> None:
    task = task_of("spans", variable=variable)
    with System.create(tmp_path / "run", root=root(variable=variable), training=TRAINING) as system:
        champion = system.learn(task, Independent())
        assert champion.measures.validation > 0.9
        inputs, targets = task.splits["test"].inputs["ids"], task.splits["test"].targets
        found = system.predict(task.name, inputs)
        assert found.shape == (32, LENGTH, 2)
        spans = best_spans(found.log())
        assert bool((spans[:, 0] <= spans[:, 1]).all())
        assert float((spans == targets).all(1).double().mean()) > 0.8
        answer = answers_of(task.target, found, {"ids": inputs})[0]
        assert [answer["first"], answer["last"]] == spans[0].tolist()
        assert 0 < answer["probability"] <= 1
    with System.open(tmp_path / "run") as again:
        assert again.records[task.name].target == Spans(LENGTH)
        assert torch.equal(again.predict(task.name, inputs), found)


def test_munet_grows_paths_for_places(tmp_path) -> None:
    strategy = MuNet(generations=1, children=2, probes=1)
    with System.create(tmp_path / "run", root=root(), training=replace(TRAINING, steps=30)) as system:
        for kind in ("sequences", "spans"):
            champion = system.learn(task_of(kind), strategy)
            assert champion.path.steps[champion.path.output].modules[0].spec.family in ("sequence", "span")
        assert system.verify().bitwise


def test_the_command_line_predicts_places(tmp_path, capsys) -> None:
    task = task_of("sequences")
    with System.create(tmp_path / "run", root=root(), training=replace(TRAINING, steps=4)) as system:
        system.learn(task, Independent())
    np.savez(tmp_path / "new.npz", ids=task.splits["test"].inputs["ids"][:3].numpy())
    assert main(["predict", str(tmp_path / "run"), task.name, "--input", str(tmp_path / "new.npz"), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [len(answer["labels"]) for answer in answers] == [LENGTH] * 3
    assert set(answers[0]["labels"]) <= {"small", "large"}
    assert answer_text(answers[0]) == " ".join(answers[0]["labels"])


def test_losses_and_merits_leave_out_what_has_no_target() -> None:
    task = task_of("sequences", variable=True)
    targets = torch.tensor([[0, 1, -100], [1, -100, -100]])
    outputs = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0))
    other = outputs.clone()
    other[0, 2], other[1, 1:] = 9.0, -9.0
    assert torch.equal(loss_of(task, outputs, targets), loss_of(task, other, targets))
    logs = outputs.log_softmax(2)
    wanted = -((logs[0, 0, 0] + logs[0, 1, 1]) / 2 + logs[1, 0, 1]) / 2
    assert loss_of(task, outputs, targets) == pytest.approx(float(wanted))
    parts = [loss_of(task, outputs[i : i + 1], targets[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(torch.stack(parts).mean(), loss_of(task, outputs, targets))
    right = (outputs.argmax(2) == targets).double()
    assert merits_of(task, outputs, targets).tolist() == [(right[0, 0] + right[0, 1]) / 2, right[1, 0]]
    with pytest.raises(ValueError, match="the path of task 'words/sequences' gives 3 places for 2 targets"):
        loss_of(task, outputs, targets[:, :2])


def test_heads_read_tokens_as_they_are() -> None:
    assert head_spec(Sequences(3)) == ModuleSpec("sequence", {"classes": 3})
    assert head_spec(Spans(9)) == ModuleSpec("span")
    assert list(with_head(root(), Spans(LENGTH)).steps) == ["embed", "block", "head"]
    assert list(with_head(root(), Classes(2)).steps) == ["embed", "block", "block.pool", "head"]
    linear = Path({"x": Vector(4)}, {"a": Step((Draft("a", ModuleSpec("linear", {"dim": 3})),), ("x",))}, "a")
    with pytest.raises(PathError, match="a path for spans must end in Tokens before its head, found Vector"):
        with_head(linear, Spans(4))
    assert fits(Spans(4), Tokens(4, 2))
    assert not fits(Spans(4), Tokens(4, 3))


def test_candidates_for_places_train_alone() -> None:
    from pathways.candidate import Candidate
    from pathways.modules import BUILT_IN

    task = task_of("sequences")
    candidate = Candidate({task.name: with_head(root(), task.target)}, TRAINING, {task.name: task.fingerprint}, run=0)
    [(_, reason)] = plan([candidate], 8, BUILT_IN).alone
    assert reason == "it answers for each place of a sequence"


def test_transferability_is_not_defined_for_places(tmp_path) -> None:
    strategy = MuNet(generations=1, children=2, parents={"prior": {"estimator": "logme"}})
    with System.create(tmp_path / "run", root=root(), training=replace(TRAINING, steps=2)) as system:
        system.learn(task_of("sequences"), Independent())
        system.learn(task_of("spans"), strategy)
        errors = [row.result.failure for row in system.ledger.rows("words/spans") if row.result.failure]
    assert errors
    assert all("`logme` is defined for classes and values, found spans in task 'words/spans'" in e for e in errors)


@pytest.mark.parametrize("variable", [False, True])
def test_champions_for_places_give_features_to_other_tasks(variable: bool, tmp_path) -> None:
    task = task_of("sequences", variable=variable)
    splits = {name: Split(part.inputs, (part.targets == 1).sum(1).clamp_max(1)) for name, part in task.splits.items()}
    other = Task("any", task.inputs, Classes(2), splits, allow_duplicates=True)
    with System.create(tmp_path / "run", root=root(variable=variable), training=replace(TRAINING, steps=5)) as system:
        system.learn(task, Independent())
        found = transferability(system, other)
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("name", ["logme", "leep", "linearised", "task2vec"])
def test_estimators_of_one_answer_a_sample_refuse_places(name: str) -> None:
    study = SimpleNamespace(measured=[SimpleNamespace(estimator=name)])
    with pytest.raises(ConfigError, match=f"`{name}` is defined for classes.* found sequences in task 'words/seq"):
        check_tasks(study, [task_of("sequences")])


def test_fingerprints_of_other_tasks_are_what_they_were() -> None:
    splits = {
        split: Split({"x": torch.arange(4.0).reshape(2, 2) + at}, torch.tensor([0, 1]))
        for at, split in ((0, "train"), (10, "validation"))
    }
    assert Task("t", {"x": Vector(2)}, Classes(2), splits).fingerprint == (
        "53825ce42f8c5f2317895df4063844cb51b5a5fb26211d04585a2dce44ed293d"
    )


def broken(kind: str, change: Any) -> dict[str, Split]:
    splits = dict(task_of(kind).splits)
    targets = splits["train"].targets.clone()
    splits["train"] = Split(splits["train"].inputs, change(targets))
    return splits


def put(place: tuple[int, ...], value: Any) -> Any:
    def change(targets: torch.Tensor) -> torch.Tensor:
        targets[place] = torch.as_tensor(value)
        return targets

    return change


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("sequences", put((3, 1), 2), "labels from 0 to 1, or -100 where there is none, found 2 in sample 3"),
        ("sequences", put((3,), -100), "sample 3 of split 'train' of task 't' has no place with a target"),
        ("sequences", lambda t: t[:, 0], r"must be torch.int64 of shape \(96, 'length'\)"),
        ("sequences", lambda t: t.clamp(0, 0), "class 'large' of task 't' has no sample in train"),
        ("spans", put((3,), [4, 2]), r"places from 0 to 6, the last not before the first, found \[4, 2\] in sample 3"),
        ("spans", put((3,), [4, 7]), r"found \[4, 7\] in sample 3: correct it, or raise `Spans\(length\)`"),
        ("spans", lambda t: t.float(), r"must be torch.int64 of shape \(96, 2\)"),
    ],
)
def test_targets_that_do_not_fit_are_named(kind: str, change: Any, message: str) -> None:
    good = task_of(kind)
    with pytest.raises(DataError, match=message):
        Task("t", good.inputs, good.target, broken(kind, change))


@pytest.mark.parametrize("kind", ["sequences", "spans"])
def test_arrays_and_datasets_hold_targets_of_places(kind: str, tmp_path) -> None:
    task = task_of(kind)
    x = torch.cat([split.inputs["ids"] for split in task.splits.values()])  # type: ignore[arg-type]
    y = torch.cat([split.targets for split in task.splits.values()])
    np.savez(tmp_path / "words.npz", x=x.numpy(), y=y.numpy())
    port = {"port": "ids", "length": LENGTH, "vocabulary": VOCABULARY}
    [read] = load("npz", file=str(tmp_path / "words.npz"), name="words", port=port, places=kind)
    made = from_dataset(TensorDataset(x, y), name="words", port=Ids(LENGTH, VOCABULARY), places=kind)
    for found in (read, made):
        assert found.target == (Sequences(2) if kind == "sequences" else Spans(LENGTH))
        assert found.splits["train"].targets.shape[1] == (LENGTH if kind == "sequences" else 2)
        assert read.fingerprint == found.fingerprint


@pytest.mark.parametrize(
    ("places", "y", "message"),
    [
        ("words", [[0]], r"`places` of task 't' must be one of \('sequences', 'spans'\), found 'words'"),
        ("sequences", [[0], [0.5]], r"sample 1, field 'target': must be a row of whole numbers, found \[0.5\]"),
        ("spans", [[0, 1], [1]], r"sample 1, field 'target': must be the first and the last place, found \[1\]"),
    ],
)
def test_targets_that_cannot_be_encoded_are_named(places: str, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        place_targets("t", places, {"train": y})
    with pytest.raises(DataError, match="`values` of task 't' must be false where targets stand at `places`"):
        place_targets("t", "spans", {"train": [[0, 1]]}, values=True)


def test_metrics_are_those_of_the_target() -> None:
    assert task_of("sequences").measured_by.name == "token_accuracy"
    assert task_of("spans").measured_by.name == "exact_match"
    assert task_of("spans", metric="span_overlap").measured_by.name == "span_overlap"
    with pytest.raises(DataError, match=r"must measure spans, found 'accuracy': use one of \['exact_match', 'span_o"):
        task_of("spans", metric="accuracy")
    with pytest.raises(ConfigError, match="`metric` must be one of"):
        task_of("spans", metric="span")

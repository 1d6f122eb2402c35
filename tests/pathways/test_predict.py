"""Predicting: only the task's own path is read, once, and nothing stale is ever served."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_tiny import CLASSES, TRAINING, FixedPath, chain, head, linear, task_of

from pathways.errors import BlobError, DataError, PathwaysError
from pathways.freeze import task_inputs
from pathways.modules import Masked, Vector
from pathways.path import Path
from pathways.pool import Pool
from pathways.ready import Fixed, ready
from pathways.strategy import View
from pathways.system import System
from pathways.task import Affine, Task
from pathways.trainer.samples import EVALUATION_BATCH, Recent


def build(view: View) -> dict[str, Path]:
    """A path of its own for each task: their blobs differ."""
    return {view.task.name: chain(view.task.inputs, linear("a"), head())}


def learn(system: System, task: Task, **settings: Any) -> None:
    if settings:
        system.training = replace(system.training, **settings)
    system.learn(task, FixedPath(build, rounds=1, repeats=1))


@pytest.fixture
def system(tmp_path: FilePath) -> Iterator[System]:
    """A system of two tasks, opened anew: nothing of them is in memory."""
    with System.create(tmp_path / "run", training=TRAINING) as made:
        learn(made, task_of("one"))
        learn(made, task_of("two"))
    with System.open(tmp_path / "run") as opened:
        yield opened


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blobs that are read from disk, in order."""
    seen: list[str] = []
    read = Pool._read

    def counted(pool: Pool, blob: str) -> bytes:
        seen.append(blob)
        return read(pool, blob)

    monkeypatch.setattr(Pool, "_read", counted)
    return seen


def points(name: str = "one", n: int | None = None) -> torch.Tensor:
    value = task_of(name).splits["test"].inputs["x"]
    assert isinstance(value, torch.Tensor)
    return value[:n]


def expected(system: System, name: str, inputs: Any) -> torch.Tensor:
    """What the plain module makes of transformed inputs."""
    record = system.records[name]
    with torch.no_grad():
        scores = system.module(name)(task_inputs(record, inputs))
    assert isinstance(scores, torch.Tensor)
    return scores


# -- what is read -------------------------------------------------------------------------------------------------


def test_only_the_blobs_of_the_task_are_read_and_each_once(system: System, reads: list[str]) -> None:
    first = system.predict("one", points())
    assert sorted(reads) == sorted(system.champions["one"].path.frozen())
    assert not set(reads) & set(system.champions["two"].path.frozen())
    reads.clear()
    assert torch.equal(system.predict("one", points()), first)
    assert reads == []


def test_a_warm_prediction_opens_no_file(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    plain = io.open

    def counted(file: Any, *arguments: Any, **more: Any) -> Any:
        opened.append(str(file))
        return plain(file, *arguments, **more)

    for place in (io, builtins):
        monkeypatch.setattr(place, "open", counted)
    system.predict("one", points())
    blobs = {str(system.pool.path(blob)) for blob in system.champions["one"].path.frozen()}
    assert set(opened) == {*blobs, str(system.directory / "tasks" / "one.json")}
    opened.clear()
    assert system.predict("one", points(n=1)).shape == (1, CLASSES)
    assert opened == []


def test_the_champion_is_assembled_once(system: System) -> None:
    first = ready(system, system.records["one"])
    system.predict("one", points())
    assert ready(system, system.records["one"]) is first
    assert system.module("one") is not system.module("one")  # a plain module is the caller's own
    assert not any(p.requires_grad for p in first.model.parameters())
    assert not any(m.training for m in first.model.modules())


def test_a_damaged_blob_is_noticed_when_it_is_first_read(system: System) -> None:
    (blob, *_) = system.champions["one"].path.frozen()
    system.pool.path(blob).write_bytes(b"other")
    with pytest.raises(BlobError, match="'one'"):
        system.predict("one", points())
    system.predict("two", points("two"))


def test_what_is_kept_is_bounded(system: System) -> None:
    system.used = Recent(1)
    for name in ("one", "two", "one"):
        system.predict(name, points(name))
    assert system.records["one"].use in system.used
    assert system.records["two"].use not in system.used


# -- nothing stale ------------------------------------------------------------------------------------------------


def test_a_task_learned_anew_is_answered_by_its_new_path(system: System) -> None:
    before = system.predict("one", points())
    system.forget("one")
    with pytest.raises(PathwaysError, match="`task` must be one that was learned"):
        system.predict("one", points())
    learn(system, task_of("one"), lr=0.2, steps=5)
    after = system.predict("one", points())
    assert not torch.equal(before, after)
    assert torch.equal(after, expected(system, "one", {"x": points()}).softmax(1))


def test_forgetting_leaves_nothing_assembled_in_memory(system: System) -> None:
    use = system.records["one"].use
    system.predict("one", points())
    assert use in system.used
    system.forget("one")
    assert use not in system.used


def test_what_another_process_learned_anew_is_served_after_a_refresh(system: System) -> None:
    before = system.predict("one", points())
    with System.open(system.directory) as other:
        other.forget("one")
        learn(other, task_of("one"), lr=0.2, steps=5)
        after = other.predict("one", points())
    system.refresh()
    assert torch.equal(system.predict("one", points()), after)
    assert not torch.equal(before, after)


@pytest.mark.parametrize("change", [
    lambda record: replace(record, transform={"x": Affine(0.5, 0.2)}),
    lambda record: replace(record, transform={"x": Affine((0.5,) * 6, (0.1,) * 6)}),
])
def test_another_transform_is_another_champion(system: System, change: Any) -> None:
    system.predict("one", points())
    system.records = {**system.records, "one": change(system.records["one"])}
    found = system.predict("one", points())
    assert torch.equal(found, expected(system, "one", {"x": points()}).softmax(1))


# -- what it gives ------------------------------------------------------------------------------------------------


def test_predictions_are_those_of_the_plain_module_to_the_bit(system: System) -> None:
    for n in (1, 7, None):
        x = points(n=n)
        assert torch.equal(system.predict("one", x), expected(system, "one", {"x": x}).softmax(1))


def test_many_samples_are_computed_in_batches_as_trainers_do(system: System) -> None:
    x = points().repeat(2 * EVALUATION_BATCH // len(points()) + 1, 1)
    parts = [expected(system, "one", {"x": part}).softmax(1) for part in x.split(EVALUATION_BATCH)]
    assert len(parts) == 3
    assert torch.equal(system.predict("one", x), torch.cat(parts))


@pytest.mark.parametrize("affine", [
    Affine(), Affine(2.0), Affine(0.0625, 0.0), Affine((1.0, 2.0, 3.0), 0.5), Affine(0.1, (1.0, 2.0, 3.0)),
    Affine((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)),
])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 3, 4, 5)])
def test_a_fixed_transform_gives_the_bits_of_the_affine_one(affine: Affine, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for value in (x, (100 * x).to(torch.uint8), x.double()):
        assert torch.equal(Fixed(affine, len(shape))(value), affine(value))


@pytest.mark.parametrize(("inputs", "says"), [
    (torch.zeros(6), r"shape \(batch, 6\), found \(6,\)"),
    (torch.tensor(1.0), r"shape \(batch, 6\), found \(\)"),
    (torch.zeros(2, 5), r"shape \(batch, 6\), found \(2, 5\)"),
    (torch.zeros(0, 6), "at least one sample, found none"),
    (Masked(torch.zeros(2, 6), torch.ones(2, 6, dtype=torch.bool)), r"shape \(batch, 6\), found \(2, 6\)"),
    ({"y": torch.zeros(2, 6)}, r"reads \['x'\], found \['y'\]"),
    ([[1, 2], [3]], "must be numbers, all rows alike"),
])
def test_inputs_that_do_not_fit_are_refused_also_when_warm(system: System, inputs: Any, says: str) -> None:
    assert system.records["one"].inputs == {"x": Vector(6)}
    system.predict("one", points())
    with pytest.raises(DataError, match=says):
        system.predict("one", inputs)

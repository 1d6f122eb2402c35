from __future__ import annotations

from pathlib import Path

import pytest
import torch
from data_sets import external, write_clinc

import pathways.data
from pathways.data.clinc_set import hashed
from pathways.errors import DataError
from pathways.modules import Ids, Masked, Vector
from pathways.task import Task
from pathways.testing import TaskSourceSuite


class TestClinc150(TaskSourceSuite):
    splits_by_seed = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = write_clinc(tmp_path)

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.clinc150(data=self.folder, seed=seed, features=256)


def test_a_task_for_each_domain(tmp_path: Path) -> None:
    tasks = pathways.data.load("clinc150", data=write_clinc(tmp_path), train=6, features=64)
    assert [task.name for task in tasks] == ["clinc150/bank", "clinc150/trip"]
    assert tasks[0].target.names == ("balance", "pay")
    for task in tasks:
        assert task.inputs == {"text": Vector(64)}
        assert {s: split.targets.bincount().tolist() for s, split in task.splits.items()} == {
            "train": [3, 3], "validation": [3, 3], "test": [4, 4],
        }
        x = task.transform["text"](task.splits["train"].inputs["text"])  # type: ignore[arg-type]
        torch.testing.assert_close(x.square().mean(1), torch.ones(6))


def test_the_seed_draws_the_limit_only(tmp_path: Path) -> None:
    write_clinc(tmp_path)
    one, other = (pathways.data.clinc150(["trip"], data=tmp_path, train=6, seed=seed)[0] for seed in (0, 1))
    assert one.fingerprint != other.fingerprint
    assert one.test_fingerprint == other.test_fingerprint


def test_texts_are_hashed_without_a_vocabulary() -> None:
    x = hashed(["pay my bill", "PAY my, bill!", "i pay", "a b c"], 512, 2)
    assert torch.equal(x[0], x[1])
    assert torch.equal(hashed(["i pay"], 512, 2), x[2:3])
    assert (x[0] != 0).sum() == 5  # three words and two pairs
    assert (x[2] != 0).sum() == 3
    torch.testing.assert_close(x.norm(dim=1), torch.ones(4))


def test_words_of_two_splits_are_left_to_test(tmp_path: Path) -> None:
    header = "split\tdomain\tintent\ttext"
    train = ["train\td\ta\tone two", "train\td\ta\tthree", "train\td\tb\tfour"]
    folder = write_clinc(tmp_path, [header, *train, "val\td\ta\tfive", "test\td\ta\tOne two!"])
    [task] = pathways.data.clinc150(data=folder)
    assert len(task.splits["train"]) == 2
    assert "1 sample left out" in task.source


@pytest.mark.parametrize(("lines", "said"), [
    ([], "must begin with the tab-separated header"),
    (["split\tdomain\ttext"], "must begin with the tab-separated header"),
    (["split\tdomain\tintent\ttext", "train\ta\tb"], "line 2 of .* must be a split of .*found 'train"),
    (["split\tdomain\tintent\ttext", "dev\ta\tb\tc"], "line 2 of .* must be a split of .*found 'dev"),
    (["split\tdomain\tintent\ttext", "train\ta\tb\tc"], "domain 'a' must have rows of split 'val'"),
])
def test_a_broken_file_is_named_by_its_line(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        pathways.data.clinc150(data=write_clinc(tmp_path, lines))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`file` must exist.*clinc150.tsv.gz"):
        pathways.data.clinc150(data=tmp_path)
    write_clinc(tmp_path)
    with pytest.raises(DataError, match=r"`domains` must name some of \['bank', 'trip'\], found 'home'"):
        pathways.data.clinc150(["home"], data=tmp_path)
    (tmp_path / "text" / "clinc150.tsv.gz").write_bytes(b"plain")
    with pytest.raises(DataError, match="must be a gzip file of UTF-8 text"):
        pathways.data.clinc150(data=tmp_path)


def test_the_real_domains() -> None:
    tasks = pathways.data.clinc150(data=external("text/clinc150.tsv.gz"))
    assert len(tasks) == 10
    for task in tasks:
        assert task.target.n == 15
        assert len(task.splits["test"]) == 450
        assert len(task.splits["train"]) >= 1450
        assert len(task.splits["validation"]) >= 290


def test_words_in_their_order(tmp_path: Path) -> None:
    tasks = pathways.data.load("clinc150", data=write_clinc(tmp_path), features=64, form="words")
    for task in tasks:
        assert task.inputs == {"text": Ids(None, 64)}
        value = task.splits["train"].inputs["text"]
        assert isinstance(value, Masked)
        assert set(value.mask.sum(1).tolist()) == {4}  # intent, split, "number" and a number
        assert int(value.value.max()) < 64
        assert bool((value.value[value.mask] > 0).all())
    with pytest.raises(DataError, match="`form` must be one of"):
        pathways.data.clinc150(data=tmp_path, form="bytes")

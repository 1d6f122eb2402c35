from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import external, write_fsdd

import pathways.data
from pathways.data.log_mel import log_mel, mel_filters
from pathways.errors import DataError
from pathways.modules import Image
from pathways.task import Task
from pathways.testing import TaskSourceSuite


class TestFsdd(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = write_fsdd(tmp_path)

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.fsdd(["ann", "bob"], data=self.folder, seed=seed, validation=0.25)


def test_one_task_of_all_or_one_for_each_speaker(tmp_path: Path) -> None:
    write_fsdd(tmp_path)
    [whole] = pathways.data.load("fsdd", data=tmp_path, validation=0.25, train=20, bands=20, frames=12)
    assert (whole.name, whole.inputs) == ("fsdd", {"image": Image(1, 20, 12)})
    assert {s: len(split) for s, split in whole.splits.items()} == {"train": 20, "validation": 20, "test": 100}
    names = [task.name for task in pathways.data.fsdd(["bob", "ann"], data=tmp_path)]
    assert names == ["fsdd/bob", "fsdd/ann"]


def test_the_first_five_takes_are_test(tmp_path: Path) -> None:
    [task] = pathways.data.fsdd(["bob"], data=write_fsdd(tmp_path))
    with np.load(tmp_path / "fsdd.npz") as arrays:
        first = log_mel(arrays["audio"][12000 : 12000 + 1200], 8000)  # take 0, speaker 1, digit 0
    assert task.splits["test"].targets.tolist() == list(range(10)) * 5
    assert torch.equal(task.splits["test"].inputs["image"][0, 0], torch.from_numpy(first))  # type: ignore[index]


def test_loudness_does_not_matter() -> None:
    sound = np.random.default_rng(0).normal(size=3000)
    assert np.array_equal(log_mel(sound, 8000), log_mel(212 / 2779 * sound, 8000))


def test_levels_are_decibels_below_the_loudest_cell() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    tone[4000:] /= 10  # 20 decibels, a quarter of the range
    image = log_mel(tone, 8000).astype(int)
    row = image.max(1).argmax()
    assert image.max() == 255
    assert image[row, 20] == pytest.approx(255 * 0.75, abs=2)


def test_pitch_rises_upwards_on_the_mel_scale() -> None:
    pitches = np.array([300, 700, 1500, 3000])
    tones = np.sin(2 * np.pi * pitches[:, None] * np.arange(4000) / 8000)
    rows = [log_mel(tone, 8000)[:, 14].argmax() for tone in tones]
    mels = 2595 * np.log10(1 + pitches / 700)
    spacing = 2595 * np.log10(1 + 4000 / 700) / 29
    assert rows == [28 - round(mel / spacing) for mel in mels]


def test_filters_are_triangles_of_height_one_that_add_to_one() -> None:
    filters = mel_filters(10, 4096, 8000)
    assert filters.max(1).min() > 0.97
    peaks = filters.argmax(1)
    np.testing.assert_allclose(filters[:, peaks[0] : peaks[-1]].sum(0), 1, atol=1e-9)
    with pytest.raises(DataError, match="`bands` must leave a frequency to each band, found 200 at 8000 Hz"):
        mel_filters(200, 256, 8000)


def test_silence_is_refused() -> None:
    with pytest.raises(DataError, match="found silence"):
        log_mel(np.zeros(1000, np.int16), 8000)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`file` must exist.*fsdd.npz"):
        pathways.data.fsdd(data=tmp_path)
    write_fsdd(tmp_path)
    with pytest.raises(DataError, match=r"`speakers` must name some of \['ann', 'bob'\], found 'eve'"):
        pathways.data.fsdd(["eve"], data=tmp_path)
    np.savez(tmp_path / "fsdd.npz", audio=np.zeros(3))
    with pytest.raises(DataError, match=r"must hold the array 'offsets', found \['audio'\]"):
        pathways.data.fsdd(data=tmp_path)


def test_real_digits_can_be_told_apart() -> None:
    [task] = pathways.data.fsdd(["theo"], data=external("fsdd.npz"))
    x = {s: split.inputs["image"].flatten(1).float() for s, split in task.splits.items()}  # type: ignore[union-attr]
    assert {s: len(images) for s, images in x.items()} == {"train": 410, "validation": 40, "test": 50}
    nearest = torch.cdist(x["test"], x["train"]).argmin(1)
    right = task.splits["train"].targets[nearest] == task.splits["test"].targets
    assert right.float().mean() > 0.9

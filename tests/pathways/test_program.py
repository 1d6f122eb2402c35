"""Exported programs run as functions of tensors: the bits of the plain module, with checks that cost little."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest
import torch
from helpers_tiny import TRAINING, FixedPath, chain, head, linear, task_of

from pathways.errors import DataError, PathwaysError
from pathways.freeze import task_inputs
from pathways.modules import Draft, Image, ModuleSpec
from pathways.path import Path
from pathways.program import Program
from pathways.strategy import View
from pathways.system import System
from pathways.task import Affine, Classes, Split, Task


def build(view: View) -> dict[str, Path]:
    """Convolutions with a norm where the input is an image, else a linear module; then a head."""
    name, port = next(iter(view.task.inputs.items()))
    body = [linear("a")]
    if isinstance(port, Image):
        spec = ModuleSpec("conv", {"channels": 4, "norm": "batch", "pool": 2})
        body = [Draft("c", spec), Draft("flat", ModuleSpec("flatten"))]
    return {view.task.name: chain({name: port}, *body, head(classes=view.task.target.n))}


def pictures() -> Task:
    """A task of uint8 images of two channels, each with a transform of its own."""
    generator = torch.Generator().manual_seed(0)

    def split(n: int) -> Split:
        images = torch.randint(0, 256, (n, 2, 6, 6), generator=generator, dtype=torch.uint8)
        return Split({"picture.one": images}, (images.float().mean((1, 2, 3)) > 127).long())

    splits = {"train": split(24), "validation": split(12), "test": split(8)}
    transform = {"picture.one": Affine((1 / 255, 1 / 128), (0.0, -0.5))}
    return Task("pictures", {"picture.one": Image(2, 6, 6)}, Classes(2), splits, transform=transform)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of a task of images and one of vectors."""
    with System.create(tmp_path_factory.mktemp("program") / "run", training=TRAINING) as made:
        for task in (pictures(), task_of("one")):
            made.learn(task, FixedPath(build, rounds=1, repeats=1))
        yield made


@pytest.fixture(scope="module")
def files(system: System, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FilePath]:
    """The exported program of each task."""
    folder = tmp_path_factory.mktemp("programs")
    return {name: system.export(name, "pt2", folder / f"{name}.pt2") for name in system.records}


def stored(name: str, n: int) -> torch.Tensor:
    task = pictures() if name == "pictures" else task_of(name)
    (value,) = task.splits["test"].inputs.values()
    assert isinstance(value, torch.Tensor)
    return value[:n]


@pytest.mark.parametrize("name", ["pictures", "one"])
@pytest.mark.parametrize("n", [1, 8])
def test_the_bits_are_those_of_the_plain_module(
    system: System, files: dict[str, FilePath], name: str, n: int
) -> None:
    x = stored(name, n)
    (key,) = system.records[name].inputs
    with torch.no_grad():
        expected = system.module(name)(task_inputs(system.records[name], {key: x}))
        assert isinstance(expected, torch.Tensor)
        assert torch.equal(Program(files[name])(x), expected)
        assert torch.equal(torch.export.load(files[name]).module()(x), expected)
        assert torch.equal(system.predict(name, x), expected.softmax(1))


def test_weights_stand_at_the_top_level_under_names_that_say_what_they_are(files: dict[str, FilePath]) -> None:
    program = torch.export.load(files["pictures"])
    names = set(program.state_dict)
    assert {"module_0_conv_weight", "module_0_norm_weight", "module_0_norm_running_mean"} <= names
    assert not any("." in name or "num_batches" in name for name in names)


def test_a_program_gives_no_gradients_and_a_plain_tensor(files: dict[str, FilePath]) -> None:
    output = Program(files["one"])(stored("one", 2))
    assert not output.requires_grad
    assert not output.is_inference()


@pytest.mark.parametrize(("tensors", "says"), [
    ((), "reads 1 tensors, found 0"),
    ((torch.zeros(1, 6), torch.zeros(1, 6)), "reads 1 tensors, found 2"),
    ((torch.zeros(1, 5),), r"shape \(any, 6\), found torch.float32 of shape \(1, 5\)"),
    ((torch.zeros(6),), r"shape \(any, 6\), found torch.float32 of shape \(6,\)"),
    ((torch.zeros(1, 6, dtype=torch.float64),), r"must be torch.float32 of .*, found torch.float64"),
])
def test_tensors_that_do_not_fit_are_refused(
    files: dict[str, FilePath], tensors: tuple[torch.Tensor, ...], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        Program(files["one"])(*tensors)


def test_a_file_that_is_no_program_is_refused(tmp_path: FilePath) -> None:
    (tmp_path / "weights.pt2").write_bytes(b"weights")
    with zipfile.ZipFile(tmp_path / "zipped.pt2", "w") as archive:
        archive.writestr("weights", b"")
    for name in ("weights.pt2", "nothing.pt2", "zipped.pt2"):
        with pytest.raises(PathwaysError, match=rf"{name} must be a program that `export --format pt2` wrote"):
            Program(tmp_path / name)


def test_a_program_of_two_outputs_is_refused(tmp_path: FilePath) -> None:
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x + 1

    torch.export.save(torch.export.export(Two(), (torch.zeros(2),)), tmp_path / "two.pt2")
    with pytest.raises(PathwaysError, match="must give one tensor and change nothing"):
        Program(tmp_path / "two.pt2")

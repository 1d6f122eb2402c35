"""Exported files describe themselves, are checked, and run without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors import safe_open

from pathways import System, data
from pathways.errors import PathwaysError
from pathways.evolve import Independent
from pathways.export import METADATA, export
from pathways.exported import checked, description, input_names
from pathways.modules import Draft, ModuleSpec
from pathways.path import Path, Step

EXAMPLES = FilePath(__file__).parents[2] / "docs" / "examples"
WITHOUT = "import sys, runpy; sys.modules['pathways'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    made = tmp_path_factory.mktemp("exported")
    rng = np.random.default_rng(0)
    for i in range(40):
        (made / "tones" / ("dark", "light")[i % 2]).mkdir(parents=True, exist_ok=True)
        low = 120 * (i % 2)
        pixels = rng.integers(low, low + 130, (6, 8), dtype=np.uint8)
        Picture.fromarray(pixels).save(made / "tones" / ("dark", "light")[i % 2] / f"{i:02}.png")
    return made


@pytest.fixture(scope="module")
def system(folder: FilePath) -> System:
    task = data.from_image_folder(folder / "tones", size=[6, 8], channels=1)
    steps = {
        "conv": Step((Draft("conv", ModuleSpec("conv", {"channels": 3, "pool": 2})),), ("image",)),
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("conv",)),
    }
    made = System.create(folder / "run", root=Path(task.inputs, steps, "flat"))
    made.learn(task, Independent(training={"steps": 100, "lr": 0.02}))
    return made


def shown(example: str, *arguments: FilePath) -> str:
    """What an example prints, in a process that cannot import this package."""
    command = [sys.executable, "-c", WITHOUT, str(EXAMPLES / example), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_pt2_file_runs_with_torch_alone(system: System, folder: FilePath) -> None:
    found = export(system, "tones", "pt2", folder / "tones.pt2")
    assert found.samples > 1
    assert found.largest < 1e-5
    assert "checked on" in found.said
    said = {METADATA: ""}
    torch.export.load(found.file, extra_files=said)
    assert json.loads(said[METADATA]) == json.loads(json.dumps(description(system.records["tones"])))
    picture = next((folder / "tones" / "light").iterdir())
    [expected] = system.predict("tones", data.read_images([picture], system.records["tones"].pictures["image"]))
    assert shown("run_pt2.py", found.file, picture).split() == ["light", f"{float(expected[1]):.3f}"]


def test_an_onnx_file_runs_with_onnxruntime_alone(system: System, folder: FilePath) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the packages of the `dev` extra")
    pytest.importorskip("onnxscript", reason="needs the packages of the `dev` extra")
    found = export(system, "tones", "onnx", folder / "tones.onnx")
    assert found.samples > 1
    assert found.largest < 1e-4
    session = onnxruntime.InferenceSession(str(found.file), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == input_names(system.records["tones"]) == ["image"]
    assert [each.name for each in session.get_outputs()] == ["scores"]
    assert session.get_inputs()[0].shape[1:] == [1, 6, 8]
    assert isinstance(session.get_inputs()[0].shape[0], str), "any number of samples"
    said = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    assert said["target"]["names"] == ["dark", "light"]
    assert said["pictures"]["image"]["fit"] == "pad"
    picture = next((folder / "tones" / "dark").iterdir())
    [expected] = system.predict("tones", data.read_images([picture], system.records["tones"].pictures["image"]))
    assert shown("run_onnx.py", found.file, picture).split() == ["dark", f"{float(expected[0]):.3f}"]


def test_a_safetensors_file_says_what_it_holds(system: System, folder: FilePath) -> None:
    found = export(system, "tones", "safetensors", folder / "tones.safetensors")
    assert found.said == "not checked: weights alone do not run"
    lines = shown("read_safetensors.py", found.file).splitlines()
    assert lines[0] == "task tones, classes dark light"
    with safe_open(found.file, "pt") as file:  # type: ignore[no-untyped-call]
        assert len(lines) == 1 + len(list(file.keys()))


def test_a_program_that_answers_otherwise_is_refused(system: System, folder: FilePath) -> None:
    found = export(system, "tones", "pt2", folder / "again.pt2")
    images = torch.zeros(3, 1, 6, 8, dtype=torch.uint8)
    with pytest.raises(PathwaysError, match="the pt2 program must answer as the champion does, found a difference"):
        checked(found.file, "pt2", [images], lambda batch: torch.full((len(batch[0]), 2), 9.0))


def test_a_program_that_is_refused_leaves_no_file(
    system: System, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathways.exported.ABSOLUTE", -1.0)
    with pytest.raises(PathwaysError, match="must answer as the champion does"):
        export(system, "tones", "pt2", tmp_path / "none.pt2")
    assert not list(tmp_path.iterdir())


def test_without_onnxruntime_it_says_so(
    system: System, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathways.exported.find_spec", lambda name: None)
    assert "needs onnxruntime" in checked(tmp_path / "a.onnx", "onnx", [], lambda batch: batch[0]).said


def test_the_command_says_how_it_was_checked(
    system: System, folder: FilePath, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    from pathways.experiments.cli import main

    out = tmp_path / "deep" / "a.pt2"
    assert main(["export", str(folder / "run"), "tones", "--format", "pt2", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(out)
    assert "pathways: checked on" in said.err

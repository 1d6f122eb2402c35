"""Every notebook runs, and shows what its text says. The one on Ray runs in `tests/evolve/test_ray_cluster.py`."""

from pathlib import Path
from typing import Any

import pytest
from notebook_cells import cells, pictures, shown

import pathways

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
DRAWS = {
    "01-learn-a-stream": 1,
    "02-look-inside-a-path-network": 6,
    "03-which-tasks-help-each-other": 1,
    "04-bring-your-own-task-and-module": 2,
    "06-several-modalities": 2,
    "07-reproduce-pathnets-figure": 3,
}


def test_there_are_seven_of_them() -> None:
    assert sorted(file.stem for file in NOTEBOOKS.glob("*.ipynb")) == sorted([*DRAWS, "05-on-a-ray-cluster"])


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DRAWS))
def test_a_notebook_runs_and_draws(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    names: dict[str, Any] = {"__name__": "notebook"}
    values = [shown(code, names) for code in cells(NOTEBOOKS / f"{name}.ipynb")]
    drawn = [picture for value in values for picture in pictures(value)]
    assert len([picture for picture in drawn if "<svg" in picture]) == DRAWS[name]
    for value in names.values():
        if isinstance(value, pathways.System):
            assert value.verify().ok
            value.close()

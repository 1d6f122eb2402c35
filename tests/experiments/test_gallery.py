"""The gallery shows every figure with a command that there is."""

from pathlib import Path

import pytest
import yaml

from pathways.experiments import gallery
from pathways.experiments.affinity_config import AffinityConfig, is_study
from pathways.experiments.cli import parser
from pathways.experiments.config import config_from

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_that_of_the_table() -> None:
    assert (DOCS / "gallery.md").read_text() == gallery.page(), "write it: python -m pathways.experiments.gallery docs"
    assert {file.name for file in (DOCS / gallery.FOLDER).iterdir()} == {figure.name for figure in gallery.FIGURES}


def test_figures_are_small_and_say_what_they_are() -> None:
    files = list((DOCS / gallery.FOLDER).iterdir())
    assert sum(file.stat().st_size for file in files) <= gallery.MOST
    for figure in gallery.FIGURES:
        assert figure.title in gallery.page()
        assert figure.says.endswith(".")
        assert figure.name.endswith((".svg", ".png", ".gif", ".html"))
    assert len({figure.name for figure in gallery.FIGURES}) == len(gallery.FIGURES)


@pytest.mark.parametrize("command", dict.fromkeys([*gallery.MADE, *(figure.command for figure in gallery.FIGURES)]))
def test_commands_can_be_read(command: str) -> None:
    options = parser().parse_args(gallery.arguments(command))
    assert options.command_function
    directory = getattr(options, "directory", None)
    assert directory is None or str(directory) in {"runs/gallery", "runs/study", "runs/grid"}


@pytest.mark.parametrize("name", list(gallery.CONFIGS))
def test_configurations_can_be_read(name: str) -> None:
    data = yaml.safe_load(gallery.CONFIGS[name])
    assert (AffinityConfig.read if is_study(data) else config_from)(data, name)
    assert f"pathways {'affinity' if is_study(data) else 'run'} {name}" in gallery.MADE


def test_another_program_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with pathways"):
        gallery.arguments("rm -r runs")

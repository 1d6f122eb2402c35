"""`pathways graph --view grid|evolution|lineage|module`: each in each of its formats, on a run of PathNet."""

import json
import os

import pytest
from helpers_cli import finished, written

from pathways.experiments.cli import main
from pathways.experiments.graph_views import VIEWS
from pathways.system import System

CONFIG = """
name: grid
tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3]]}]
strategy: {pathnet: {layers: 2, modules: 4, active: 2, population: 4, generations: 2, steps: 3, threshold: null}}
engine: {workers: 0, stack: 4}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory, written(tmp_path_factory, CONFIG))


@pytest.fixture(scope="module")
def shared(run):
    """A module that both tasks' paths hold, and one that the second does alone."""
    with System.open(run) as system:
        first, second = (set(brief.sizes) for brief in system.briefs.values())
    return next(iter(sorted(first & second))), next(iter(sorted(second - first)))


def drawn(capsys, run, out, view, *options):
    """The file that the command wrote."""
    code = main(["graph", str(run), "--view", view, "--out", str(out), "--format", out.suffix[1:], *options])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert said.out.strip() == str(out)
    return out


def test_each_view_is_drawn_in_each_of_its_formats(run, shared, capsys, tmp_path):
    needed = {"--task": ["--task", "2-3"], "--module": ["--module", shared[1][:16]], "a run of PathNet": []}
    for name, view in VIEWS.items():
        for format in view.formats if view.needs else ():
            out = drawn(capsys, run, tmp_path / f"{name}.{format}", name, *needed[view.needs])
            assert os.path.getsize(out) > 500


def test_what_leaving_a_module_out_costs_is_measured_on_data_that_is_loaded_again(run, shared, capsys, tmp_path):
    card = json.loads(drawn(
        capsys, run, tmp_path / "card.json", "module", "--module", shared[0], "--leave-out"
    ).read_text())  # fmt: skip
    assert {each["task"] for each in card["left_out"]} == {"digits/0-1", "digits/2-3"}
    assert {each["how"] for each in card["left_out"]} >= {"mean"}
    assert main(["verify", str(run)]) == 0


@pytest.mark.parametrize(("options", "said"), [
    (["--view", "lineage"], "`--task` must name one task"),
    (["--view", "lineage", "--task", "*"], "`--task` must name one task"),
    (["--view", "module"], "`--module` must begin"), (["--view", "module", "--module", "zz"], "found none for 'zz'"),
    (["--view", "grid", "--format", "json"], "`--format` must be one of"),
    (["--view", "grid", "--shared", "0"], "`--shared` must be with one of the views ['paths', 'growth'], found 'grid'"),
    (["--leave-out"], "`--leave-out` must be with one of the views ['module'], found 'paths'"),
    (["--view", "growth", "--highlight", "2-3"], "`--highlight` must be with one of the views ['paths']"),
    (["--view", "growth", "--out", "a.html"], "one of ['svg', 'png', 'gif'] with `--view growth`, found 'html'"),
])  # fmt: skip
def test_what_is_missing_is_said_in_one_sentence(run, capsys, options, said):
    assert main(["graph", str(run), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.gif", b"GIF8"), ("a", b"<?xml")])
def test_the_format_is_that_of_the_files_ending(run, capsys, tmp_path, name, begins):
    assert main(["graph", str(run), "--view", "growth", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes().startswith(begins)

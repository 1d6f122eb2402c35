"""The report of a study: whole, self-contained, deterministic, and every number in its files."""

import csv
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from findings_for_tests import LONG, findings
from helpers_page import well_formed
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from pathways.affinity import Affinity, read_csv
from pathways.affinity.findings import Findings
from pathways.affinity.report import write_report
from pathways.affinity.report.files import table_csv
from pathways.affinity.report.page import FIGURES
from pathways.affinity.report.tables import Table, tables
from pathways.affinity.selection import Network
from pathways.canvas import render


def odd() -> Findings:
    """Names that HTML and matplotlib could take for something else."""
    some = findings(tasks=3, holes=True)
    text = {task: f"<b>{i}</b> & $x_{i}$" for i, task in enumerate(some.tasks)}
    names = tuple(text.values())
    affinities = tuple(replace(a, affected=names, sources=names) for a in some.affinities)
    networks = tuple(Network(tuple(text[t] for t in n.tasks)) for n in some.selection.networks)
    chosen = replace(
        some.selection, networks=networks, serves={text[t]: n for t, n in some.selection.serves.items()}
    )
    trained = tuple(
        replace(t, tasks=tuple(text[x] for x in t.tasks), predicted={text[x]: v for x, v in t.predicted.items()})
        for t in some.trained
    )
    return replace(some, name="<i>", tasks=names, affinities=affinities, selection=chosen, trained=trained)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(odd(), tmp_path_factory.mktemp("report"), png=True)


def test_the_page_is_whole_and_needs_nothing_from_outside(report: Path) -> None:
    text = report.read_text()
    page = well_formed(text)
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert [values.get("role") for values in page.of("svg")] == ["img"] * len(FIGURES)
    assert page.tags.count("details") >= 6  # the numbers of figures that have none beside them


def test_names_are_escaped(report: Path) -> None:
    text = report.read_text()
    assert "<i>" not in text
    assert "<b>0</b>" not in text
    assert "&lt;b&gt;0&lt;/b&gt; &amp; $x_0$" in text


def test_each_figure_is_a_file_in_both_formats(report: Path) -> None:
    names = {file.name for file in (report.parent / "figures").iterdir()}
    assert names == {f"{name}.{ending}" for name in FIGURES for ending in ("svg", "png")}


def test_equal_findings_give_equal_bytes(report: Path, tmp_path: Path) -> None:
    write_report(odd(), tmp_path)
    for file in sorted(tmp_path.rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (report.parent / file.relative_to(tmp_path)).read_bytes(), file.name


def test_every_number_comes_back_from_csv_and_json(report: Path) -> None:
    some, folder = odd(), report.parent
    data = json.loads((folder / "affinity.json").read_text(), parse_constant=pytest.fail)
    made = tables(some)
    assert data["tables"].keys() == made.keys()
    for name, table in made.items():
        with (folder / "tables" / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == table.columns
        assert len(set(header)) == len(header)
        assert len(rows) == len(table.rows) == len(data["tables"][name])
        for row, cells, record in zip(rows, table.rows, data["tables"][name], strict=True):
            for text, cell, other in zip(row, cells, record.values(), strict=True):
                known = cell is not None and cell == cell
                assert (text == "") == (not known) or cell == ""
                if known and not isinstance(cell, str):
                    assert float(text) == float(other) == float(cell)
                elif known:
                    assert text == other == cell
    again = read_csv(folder / "tables" / "affinity.csv")
    assert np.array_equal(again.readings, some.affinity.readings, equal_nan=True)
    assert (folder / "tables" / "affinity-cosine-2.csv").exists()


def test_the_json_has_the_fields_that_others_read(report: Path) -> None:
    data = json.loads((report.parent / "affinity.json").read_text())
    some = odd()
    assert np.allclose(np.array(data["matrix"], dtype=float), some.affinity.values, equal_nan=True)
    assert data["groups"] == [list(group) for group in some.selection.groups]
    assert data["cost_in_joint_runs"] == 0.62
    gains = some.gain(some.arm("chosen"))
    assert np.isclose(data["verified_gain"], np.nanmean(np.nanmean(gains, axis=1)))
    assert set(data) >= {"kind", "estimator", "tasks", "standard_error", "predicted_gain"}


def test_tables_say_what_gains_are_relative_to(report: Path) -> None:
    words = well_formed(report.read_text()).text
    assert words.count("the baseline separate is a network for each task") == 3
    for said in ("test accuracy", "paired by seed over 3 seeds", "trunk.0.weight", "Crosses were not measured",
                 "184k", "co-training", "Should I split my tasks, and how?"):  # fmt: skip
        assert said in words


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    some = replace(findings(tasks=3, verified=False, moments=1, estimators=1), stability=np.full((3, 3), np.nan))
    page = well_formed(write_report(some, tmp_path).read_text())
    assert page.tags.count("svg") == len(FIGURES) - 4
    words = page.text
    for said in ("Not known yet", "fewer than two moments", "none were verified", "nothing was drawn again"):
        assert said in words
    assert "Do the estimators agree?" not in words


def test_one_task_has_a_page_too(tmp_path: Path) -> None:
    page = well_formed(write_report(findings(tasks=1, groups=1, randoms=0), tmp_path).read_text())
    assert "svg" not in page.tags
    assert "there is one task" in page.text


@pytest.mark.parametrize(("some", "missing"), [
    (findings(tasks=2, seeds=1, groups=1), {"predicted"}),  # a row of one source has no place to compare with
    (findings(tasks=26, groups=4, seeds=2, randoms=2, holes=True), set()),
    (findings(tasks=4, higher_is_better=False, peak=False), set()),
], ids=["two tasks, one seed", "26 tasks, holes", "losses"])  # fmt: skip
def test_every_figure_is_drawn(some: Findings, missing: set[str]) -> None:
    for name, draw in FIGURES.items():
        figure = draw(some)
        assert (figure is None) == (name in missing)
        if figure is None:
            continue
        svg = render(figure, "svg", name)
        assert svg.count(b"<text") > 1
        assert not re.search(rb"[> ]nan\b", svg), name  # neither a text nor a coordinate
        _inside(figure, name)


def _inside(figure: Figure, name: str) -> None:
    """No text leaves the figure, and no two labels of rows overlap."""
    renderer = figure._get_renderer()  # type: ignore[attr-defined]
    frame = figure.bbox.padded(3)
    for axes in figure.axes:
        if not axes.axison:
            continue
        rows, columns = _labels(axes.yaxis, axes.get_ylim()), _labels(axes.xaxis, axes.get_xlim())
        for label in [*rows, *columns, axes.xaxis.label, axes.yaxis.label, *axes.texts]:
            if label.get_text() and label.get_visible():
                box = label.get_window_extent(renderer)
                assert frame.contains(box.x0, box.y0), (name, label.get_text())
                assert frame.contains(box.x1, box.y1), (name, label.get_text())
        heights = sorted(box.bounds[1::2] for box in (r.get_window_extent(renderer) for r in rows if r.get_text()))
        assert all(one[0] + one[1] <= two[0] + 1 for one, two in pairwise(heights)), name


def _labels(axis: Axis, limits: tuple[float, float]) -> list[Text]:
    """Those that are drawn."""
    low, high = sorted(limits)
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]  # type: ignore[attr-defined]
    return [tick.label1 for tick in ticks if tick.label1.get_visible()]


def test_sources_that_are_no_tasks_are_drawn_too() -> None:
    some = findings(tasks=4, estimators=1)
    sources = (*some.tasks, "self", "random", f"{LONG}|omniglot/Alphabet_1")
    readings = np.random.default_rng(0).dirichlet(np.ones(7), size=4)
    matrix = Affinity(some.tasks, sources, "transfer", "ahp", "share of votes", readings)
    figure = FIGURES["heatmap"](replace(some, affinities=(matrix,)))
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert names == [
        "Atemayar_Qelisayer", "Alphabet_1", "Alphabet_2", "Alphabet_3", "self", "random", "Atemayar_Qelisayer + Alph…"
    ]  # fmt: skip


def test_serving_edges_are_solid_and_helpers_grey() -> None:
    some = findings(tasks=3)
    a, b, c = some.tasks
    chosen = replace(some.selection, networks=(Network((a, b)), Network((b, c))), serves={a: 0, b: 0, c: 1})
    figure = FIGURES["networks"](replace(some, selection=chosen))
    assert figure is not None
    edges = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 1]
    assert sorted(line.get_color() for line in edges) == sorted(["#332288", "#332288", "#c3c9d0", "#E69F00"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "serves 1, 1 helper · cost 1" in texts


def test_a_table_is_written_with_whole_numbers() -> None:
    text = table_csv(Table("t", ("a", "b"), ((0.1 + 0.2, None), (True, 'x,"y'))))
    assert text == 'a,b\n0.30000000000000004,\nTrue,"x,""y"\n'

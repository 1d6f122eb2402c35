"""The report: one page that needs nothing from outside and shows what was measured, all of it in files too."""

import csv
import re

import pytest
from fake_system import fake_system
from helpers_page import well_formed

from pathways.canvas import inline
from pathways.report import graph_notes, write_report
from pathways.report.found import figures, read, tables
from pathways.report.page import page as page_of
from pathways.summary import CHAMPIONS, summarise

FIGURES = (
    "graph", "tasks", "against", "matrix", "reuse", "sources", "search", "hyperparameters", "front", "costs", "sides",
)
SECTIONS = (
    "What was learned", "Task by task", "Is anything forgotten?", "Paths", "Who uses what", "How the searches went",
    "Which hyperparameters won", "Quality against cost", "What it cost", "Do it again", "All numbers",
)


def sketched(system):
    """The page of a system without the time that drawing takes: its pictures are empty."""
    found = read(system)
    drawn = dict.fromkeys(figures(found), "<svg></svg>")
    return well_formed(page_of(found, tables(found), drawn)), drawn


def hostile(name):
    return name.replace("s/", "s/</script><i>&$\"'")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    (directory / "config.yaml").write_text("name: <i>my run</i>\nseed: 7\nengine: {kind: local, workers: 2}\n")
    return directory, write_report(fake_system(directory, rename=hostile))


def test_the_page_is_whole_and_needs_nothing_from_outside(run):
    directory, report = run
    assert report == directory / "report.html"
    text = report.read_text()
    page = well_formed(text)
    assert not re.search(r"@import|url\((?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    labelled = [values for values in page.of("svg") if values.get("role") == "img"]
    assert len(labelled) == len(FIGURES)
    assert text.count("<script>") == text.count("</script>") - 1 == 2  # the graph's data is no program


def test_the_contents_list_every_section(run):
    page = well_formed(run[1].read_text())
    for title in SECTIONS:
        assert page.words.count(title) >= 2, title  # in the contents and above the section


def test_every_picture_has_its_numbers_as_a_table(run):
    page = well_formed(run[1].read_text())
    tables_folded = [values for values in page.of("details") if values.get("class", "").startswith("data")]
    assert len(tables_folded) >= len(FIGURES) - 1  # the graph's are those of who uses what


def test_names_are_escaped(run):
    text = run[1].read_text()
    assert "<i>" not in text
    assert "<m>" not in text
    assert "&lt;i&gt;my run&lt;/i&gt;" in text
    assert "&lt;/script&gt;&lt;i&gt;&amp;$&quot;&#x27;one" in text
    for name in FIGURES:
        assert "<i>" not in (run[0] / "figures" / f"{name}.svg").read_text()


def test_it_shows_the_measures(run):
    words = well_formed(run[1].read_text()).text
    for shown in ("90.0", "80.0", "70.0", "+13.3", "local × 2", "seed 7", "pathways run", "f" * 64, "loss became NaN"):
        assert shown in words


def test_figures_are_files_too(run):
    for name in FIGURES:
        assert (run[0] / "figures" / f"{name}.svg").read_text().startswith("<?xml")
        assert (run[0] / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_every_table_is_a_file_that_holds_its_numbers(run):
    found = read(fake_system(run[0], rename=hostile))
    made = tables(found)
    page = well_formed(run[1].read_text()).text
    for name, table in made.items():
        with (run[0] / "figures" / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == table.columns
        assert f"{name}.csv" in page
        for row, cells in zip(rows, table.rows, strict=True):
            for text, cell in zip(row, cells, strict=True):
                known = cell is not None and cell == cell
                if not known:
                    assert text == ""
                elif not isinstance(cell, str | bool):
                    assert float(text) == cell
                else:
                    assert text == str(cell)


def test_the_tables_say_what_the_summary_says(run):
    system = fake_system(run[0], rename=hostile)
    summary, made = summarise(system), tables(read(system))
    by_task = {row["task"]: row for row in made["tasks"].records()}
    assert list(by_task) == [task["name"] for task in summary["tasks"]]
    for task in summary["tasks"]:
        row = by_task[task["name"]]
        assert (row["champion"], row["validation"]) == (task["test"], task["validation"])
        assert (row["new"], row["shared"]) == (task["new_parameters"], task["shared_parameters"])
        assert {side: row[side] for side in task["controls"]} == task["controls"]
    matrix = [list(row[1:]) for row in made["matrix"].rows]
    assert matrix == summary["matrices"][CHAMPIONS]
    by_side = {row["side"]: row for row in made["stream"].records()}
    for side, data in summary["sides"].items():
        for column in ("ACC", "BWT", "forgetting", "parameters", "candidates"):
            assert by_side[side][column] == data[column]
    ledger = made["ledger"].records()
    assert sum(row["CPU-seconds"] for row in ledger if row["side"] == "munet") == summary["cpu_seconds"]


def test_the_same_run_gives_the_same_page(run):
    before = {file: file.read_bytes() for file in sorted(run[0].rglob("*")) if file.is_file()}
    write_report(fake_system(run[0], rename=hostile))
    assert {file: file.read_bytes() for file in sorted(run[0].rglob("*")) if file.is_file()} == before


def test_an_empty_run_has_a_page(tmp_path):
    system = fake_system(tmp_path)
    system.records.clear()
    system.champions.clear()
    system.ledger.names = []
    system.ledger.controls = dict
    page, drawn = sketched(system)
    assert drawn == {}
    assert "No task is learned yet." in page.text
    assert "Task by task" not in page.text


def only(system, *names):
    """The system with these tasks alone."""
    for name in [name for name in system.records if name not in names]:
        del system.records[name], system.champions[name]
    return system


def test_one_task_without_controls_and_without_a_record_has_a_page(tmp_path):
    system = only(fake_system(tmp_path), "s/one")
    system.ledger.controls = dict
    system.ledger.rows = lambda task=None, strategy=None: []
    system.ledger.costs_by_task = dict
    page, _ = sketched(system)
    assert "1 task learned; how well is not known" in page.text
    for title in ("Is anything forgotten?", "How the searches went", "Quality against cost", "What it cost"):
        assert title not in page.text


def test_one_task_has_no_interval(tmp_path):
    page, _ = sketched(only(fake_system(tmp_path), "s/one"))
    assert "which may be noise" in page.text
    assert "no interval" in page.text


def test_errors_where_less_is_better(tmp_path):
    system = fake_system(tmp_path)
    for record in system.records.values():
        record.metric, record.higher_is_better = "mean_squared_error", False
    page, _ = sketched(system)
    assert "less is better" in page.text
    gains = tables(read(system))["against"].records()[0]
    assert gains["champions' gain"] < 0
    assert gains["worse on"] == 2


def test_tasks_of_several_metrics_have_no_mean(tmp_path):
    system = fake_system(tmp_path)
    system.records["s/two"].metric, system.records["s/two"].higher_is_better = "r2", True
    page, drawn = sketched(system)
    assert "there is no mean over them" in page.text
    assert "tasks better : worse than independent" in page.text
    assert "tasks" not in drawn


def test_notes_say_measure_and_new_parameters(tmp_path):
    assert graph_notes(summarise(fake_system(tmp_path)))["s/two"] == "80.0 · 65 new"


def test_inlined_ids_get_the_figures_name():
    svg = b'<?xml version="1.0"?><svg><g id="a" clip-path="url(#c)"/><use xlink:href="#a"/></svg>'
    assert inline(svg, "f") == '<svg><g id="f-a" clip-path="url(#f-c)"/><use xlink:href="#f-a"/></svg>'

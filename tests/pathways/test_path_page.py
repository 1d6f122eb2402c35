"""What the page of a path graph holds, as text: picture, tables and data say what the graph says."""

import json
import re
import shutil
import subprocess
import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path as FilePath

import pytest
from helpers_graph import FIRST, HEAD, HOSTILE, SECOND, rich_path, stream
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import lack

from pathways.graph import graph_of
from pathways.graph.filters import only_tasks, used_by
from pathways.graph.layout import lay_out
from pathways.graph.page import graph_page, graph_widget
from pathways.graph.page_facts import node_facts, task_facts, whole_words

NAMES = ("s/one", "s/two", "s/three", "s/four")
VOID = {"meta", "input", "br", "img"}


class Read(HTMLParser):
    """The elements of a page as (tag, attributes, text directly in it), all of them closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        element = [tag, dict(attributes), ""]
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        if self.open:
            self.open[-1][2] += text

    def of(self, tag, look=None):
        found = [(attributes, text) for name, attributes, text in self.elements if name == tag]
        return [each for each in found if look is None or look in each[0].get("class", "").split()]

    @property
    def data(self):
        [(_, text)] = [each for each in self.of("script") if each[0].get("type") == "application/json"]
        return json.loads(text)


@pytest.fixture
def graph():
    return stream(NAMES)


def test_each_node_is_drawn_once_and_each_task_has_its_lines(graph):
    page = Read(graph_page(graph))
    assert sorted(int(a["data-node"]) for a, _ in page.of("g", "pg-node")) == list(range(len(graph)))
    assert [int(a["data-task"]) for a, _ in page.of("g", "pg-task")] == list(range(len(NAMES)))
    lines = lay_out(graph).lines
    hits = [a["d"].count("M") for a, _ in page.of("path", "pg-hit")]
    assert hits == [sum(line.task == task for line in lines) for task in NAMES]
    drawn = [a["d"] for a, _ in page.of("path", "pg-line")]
    assert sum(d.count("M") for d in drawn) == len(lines)


def test_lines_that_change_or_weigh_are_apart():
    page = Read(graph_page(graph_of({"t": rich_path()})))
    assert [a["d"].count("M") for a, _ in page.of("path", "pg-line")] == [7, 3]
    assert [a["d"].count("M") for a, _ in page.of("path", "pg-side")] == [3]
    assert "changes, weighs" in page.of("ul", "pg-legend")[0][1] + "".join(text for _, text in page.of("li"))


def test_a_part_of_a_graph_keeps_colours_and_says_where_modules_are_missing(graph):
    page = Read(graph_page(used_by(only_tasks(graph, NAMES[1:]), 3)))
    assert [task["hue"] for task in page.data["tasks"]] == [1, 2, 3]
    assert len(page.of("path", "pg-past")) == 3
    assert len(page.of("i", "pg-past")) == 1


def test_low_rows_have_notes_beside_names():
    names = [f"task{i}" for i in range(20)]
    page = Read(graph_page(stream(names), dict.fromkeys(names, "91.2")))
    assert page.data["low"]
    rows = [[(float(a["x"]), float(a["y"])) for a, _ in page.of("text", look)] for look in ("pg-label", "pg-note")]
    for (x, y), (note_x, note_y) in zip(*rows, strict=True):
        assert note_y == y
        assert note_x > x
    assert "×20" in {text for _, text in page.of("text", "pg-uses")}


def test_the_data_agrees_with_the_graph(graph):
    data = Read(graph_page(graph, {"s/two": "91.2"})).data
    assert [task["name"] for task in data["tasks"]] == list(NAMES)
    assert [task["note"] for task in data["tasks"]] == ["", "91.2", "", ""]
    for node, (_, had) in zip(data["nodes"], graph.nodes(data=True), strict=True):
        assert [NAMES[i] for i in node["tasks"]] == list(had["tasks"])
        assert all(node[key] == had[key] for key in ("kind", "family", "parameters", "port", "id"))
    for i, task in enumerate(data["tasks"]):
        own = [j for j, node in enumerate(data["nodes"]) if i in node["tasks"] and node["weighs"]]
        assert task["nodes"] == own


def test_what_was_added_is_said_in_words(graph):
    facts = task_facts(graph)
    assert [(task.added, task.parameters) for task in facts] == [(1, HEAD), (2, SECOND + HEAD), (1, HEAD), (1, HEAD)]
    assert facts[0].words == "After one: only a new head, 27 parameters; builds on 2 modules of the root."
    assert facts[1].words == "After two: 2 new modules, 65 parameters; builds on 1 module of the root."
    assert facts[2].words == (
        "After three: only a new head, 27 parameters; builds on 1 module of the root and two’s conv."
    )
    assert sum(task.parameters for task in facts) + FIRST + SECOND == sum(
        node.parameters for node in node_facts(graph)
    )
    assert whole_words(graph) == "4 tasks, 7 modules, 3 of them shared, 204 parameters."


def test_a_node_comes_with_the_task_that_trained_it(graph):
    since = {(node.kind, node.frozen_by): node.since for node in node_facts(graph)}
    assert since[("module", "root")] == 0
    assert since[("module", "s/two")] == 2
    assert since[("head", "s/four")] == 4
    assert since[("input", "s/one")] == 1


def test_a_task_that_builds_on_many_names_only_some():
    words = task_facts(graph_of({f"t{i}": rich_path() for i in range(3)}))[2].words
    assert words == "After t2: nothing new; builds on 5 modules of t0." or "t0’s" in words


def test_tasks_left_out_are_said(graph):
    graph.graph["left_out"] = 1200
    assert "The newest 4 of 1,204 tasks" in graph_page(graph)


def test_without_its_script_the_page_has_the_picture_and_the_tables(graph):
    page = Read(graph_page(graph, {"s/one": "91.2 · 27 new"}))
    assert {"one", "two", "91.2 · 27 new"} <= {text for _, text in page.of("text")}
    assert len(page.of("tr")) == 1 + len(NAMES) + 1 + sum(node.weighs for node in node_facts(graph))
    [(bar, _)] = page.of("div", "pg-bar")
    assert "hidden" in bar
    [(picture, _)] = page.of("svg")
    assert (picture["role"], picture["aria-label"][:21]) == ("img", "Path graph: 4 tasks, ")
    assert all(text for _, text in page.of("title"))


@settings(max_examples=10)
@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=40)), unique=True, max_size=7))
def test_names_are_shown_as_they_are_and_nothing_else(names):
    names = [name for name in names if not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)]
    text = graph_page(stream(names), {name: name for name in names}, title=HOSTILE[0])
    page, plain = Read(text), Read(graph_page(stream([f"t{i}" for i in range(len(names))]), title="t"))
    assert [task["name"] for task in page.data["tasks"]] == names
    assert len(page.of("script")) == 2
    tags = [tag for tag, _, _ in page.elements if tag != "text"]  # notes are more texts
    assert tags == [tag for tag, _, _ in plain.elements if tag != "text"]
    assert not any(key.startswith("on") for _, attributes, _ in page.elements for key in attributes)
    assert {name for name in names if name.strip()} <= {text for _, text in page.of("bdi")}


def test_widgets_stand_together_on_one_page(graph):
    page = Read(f"<main>{graph_widget(graph, name='a b')}{graph_widget(graph, name='other')}</main>")
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 4
    assert {each.split("-")[0] for each in ids} == {"a", "other"}
    for _, attributes, _ in page.elements:
        for key in ("for", "aria-controls"):
            assert attributes.get(key, ids[0]) in ids
    assert not [tag for tag, _, _ in page.elements if re.fullmatch("h[1-6]|html|body|main", tag)] > ["main"]


def test_equal_graphs_give_equal_pages_and_nothing_is_asked_for(graph):
    text = graph_page(graph)
    assert text == graph_page(stream(NAMES))
    assert not re.search(r"(src|href)=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.mark.parametrize("names", [(), ("one",), tuple(f"task {i}" for i in range(40))], ids=len)
def test_any_number_of_tasks_has_a_page(names):
    page = Read(graph_page(stream(names)))
    assert len(page.of("g", "pg-task")) == len(names)
    hues = {re.search(r"--hue:var\(--(task\d+)\)", a["style"]).group(1) for a, _ in page.of("g", "pg-task")}
    assert len(hues) == min(len(names), 12)


def test_scripts_are_javascript_and_ship_with_the_package(tmp_path, graph):
    sources = [file for file in files("pathways.graph").iterdir() if file.name.endswith((".js", ".css"))]
    assert len(sources) > 1
    page = graph_page(graph)
    for source in sources:
        text = source.read_text("utf-8")
        assert text.strip() in page
        assert "</" not in text
        assert max(map(len, text.splitlines())) <= 120
    project = tomllib.loads((FilePath(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert project["tool"]["setuptools"]["package-data"]["pathways.graph"] == ["*.css", "*.js"]
    script = tmp_path / "page.js"
    script.write_text(Read(page).of("script")[1][1], "utf-8")
    node = shutil.which("node") or lack("node", "node is not installed")
    checked = subprocess.run([node, "--check", str(script)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

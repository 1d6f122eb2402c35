"""The report: one page that needs nothing from outside and shows what was measured."""

import re
from html.parser import HTMLParser

import pytest
from fake_system import fake_system

from pathways.canvas import inline
from pathways.report import graph_notes, write_report
from pathways.summary import summarise

FIGURES = ("graph", "tasks", "matrix", "costs", "search")


class Page(HTMLParser):
    VOID = ("meta", "link", "br", "img", "use")

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.outside, self.open, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and not value.startswith(("#", "data:image/png;base64,")):
                self.outside.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    (directory / "config.yaml").write_text("name: <i>my run</i>\nseed: 7\nengine: {kind: local, workers: 2}\n")
    return directory, write_report(fake_system(directory, rename=lambda name: name.replace("s/", "s/<&$>")))


def test_the_page_is_whole_and_needs_nothing_from_outside(run):
    directory, report = run
    assert report == directory / "report.html"
    text = report.read_text()
    page = Page(text)
    assert page.open == []
    assert page.outside == []
    assert "script" not in page.tags
    assert not re.search(r"@import|url\((?!#)", text)
    assert page.tags.count("svg") == len(FIGURES)


def test_ids_do_not_clash(run):
    ids = Page(run[1].read_text()).ids
    assert len(ids) == len(set(ids))


def test_names_are_escaped(run):
    text = run[1].read_text()
    assert "<i>" not in text
    assert "&lt;i&gt;my run&lt;/i&gt;" in text
    assert "&lt;&amp;$&gt;one" in text


def test_it_shows_the_measures(run):
    words = " ".join(Page(run[1].read_text()).words)
    for shown in ("90.0", "80.0", "70.0", "+13.3", "local × 2", "seed 7", "pathways run", "f" * 64):
        assert shown in words


def test_figures_are_files_too(run):
    for name in FIGURES:
        assert (run[0] / "figures" / f"{name}.svg").read_text().startswith("<?xml")
        assert (run[0] / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_run_gives_the_same_page(run):
    before = run[1].read_bytes()
    again = write_report(fake_system(run[0], rename=lambda name: name.replace("s/", "s/<&$>")))
    assert again.read_bytes() == before


def test_an_empty_run_has_a_page(tmp_path):
    system = fake_system(tmp_path)
    system.records.clear()
    system.champions.clear()
    system.ledger.names = []
    system.ledger.controls = dict
    page = Page(write_report(system).read_text())
    assert page.open == []
    assert "svg" not in page.tags


def test_notes_say_measure_and_new_parameters(tmp_path):
    assert graph_notes(summarise(fake_system(tmp_path)))["s/two"] == "80.0 · 65 new"


def test_inlined_ids_get_the_figures_name():
    svg = b'<?xml version="1.0"?><svg><g id="a" clip-path="url(#c)"/><use xlink:href="#a"/></svg>'
    assert inline(svg, "f") == '<svg><g id="f-a" clip-path="url(#f-c)"/><use xlink:href="#f-a"/></svg>'

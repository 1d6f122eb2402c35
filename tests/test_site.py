"""The documentation site builds without a warning, and what it builds works on disk and asks for nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path as FilePath
from urllib.parse import unquote, urlsplit

import pytest
from needs import lack

from pathways.experiments.site import concepts_drawing, hooks, notebook, reference, run_notebooks

REPOSITORY = FilePath(__file__).parent.parent
DOCS = REPOSITORY / "docs"
LOADS = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src", "use": "href"}


class Page(HTMLParser):
    """What a page holds: its anchors, where it links, what it loads, its headings, pictures without words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.headings: list[int] = []
        self.silent: list[str] = []
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attributes}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "html":
            self.lang = given.get("lang", "")
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADS and given.get(LOADS[tag]) and given.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(given[LOADS[tag]])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and not given.get("alt"):
            self.silent.append(given.get("src", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    if importlib.util.find_spec("mkdocs") is None:
        lack("docs", "the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pages(site: FilePath) -> dict[FilePath, Page]:
    return {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))
            if file.name != "404.html" and "figures" not in file.parts}  # reports have tests of their own


@pytest.mark.slow
def test_every_document_is_a_page(site: FilePath, pages: dict[FilePath, Page]) -> None:
    for document in DOCS.rglob("*.md"):
        assert site / document.relative_to(DOCS).with_suffix(".html") in pages, document
    for document in ("reference/command-line", "reference/configuration", "contributing", "changes"):
        assert site / f"{document}.html" in pages


@pytest.mark.slow
def test_links_and_anchors_of_the_built_site_hold(pages: dict[FilePath, Page]) -> None:
    wrong = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or (not parts.path and not parts.fragment):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            known = pages.get(target)
            if not target.is_file() or (parts.fragment and known and unquote(parts.fragment) not in known.anchors):
                wrong.append(f"{file.name}: {link}")
    assert not wrong


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site: FilePath, pages: dict[FilePath, Page]) -> None:
    for file, page in pages.items():
        assert not [load for load in page.loads if re.match("(https?:)?//", load)], file.name
        for load in page.loads:
            assert load.startswith("data:") or (file.parent / unquote(urlsplit(load).path)).exists(), (file.name, load)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"""(@import|url\()\s*["']?(https?:)?//""", sheet.read_text()), sheet.name
    assert (site / "search" / "search_index.js").exists()  # search without a server


@pytest.mark.slow
def test_pages_can_be_read_by_everyone(pages: dict[FilePath, Page]) -> None:
    for file, page in pages.items():
        assert page.lang == "en"
        assert not page.silent, (file.name, page.silent)
        assert page.headings.count(1) == 1, file.name
        jumps = [(a, b) for a, b in zip(page.headings, page.headings[1:], strict=False) if b > a + 1]
        assert not jumps, (file.name, jumps)


@pytest.mark.slow
def test_figures_stand_in_pages_with_their_colours(site: FilePath) -> None:
    text = (site / "concepts.html").read_text()
    assert text.count('<svg role="img"') >= len(concepts_drawing.PICTURES)
    assert "var(--ink" in text
    for scheme in ("default", "slate"):
        assert f"[data-md-color-scheme={scheme}]{{--ink:" in (site / "assets" / "theme.css").read_text()


# -- what pages are made of ---------------------------------------------------------------------------------


def test_pictures_of_concepts_are_not_stale(tmp_path: FilePath) -> None:
    drawn = {file.stem: file.read_text() for file in (DOCS / concepts_drawing.FOLDER).glob("*.svg")}
    assert drawn == {name: draw() for name, draw in concepts_drawing.PICTURES.items()}, (
        "draw them again: python -m pathways.experiments.site.concepts_drawing docs"
    )
    assert concepts_drawing.main([str(tmp_path)]) == 0
    assert {file.stem for file in (tmp_path / concepts_drawing.FOLDER).iterdir()} == set(drawn)


def test_the_page_of_concepts_has_every_picture_and_its_numbers() -> None:
    text = (DOCS / "concepts.md").read_text()
    shown = {FilePath(name).stem for name in re.findall(r"\((figures/concepts/[^)]+)\)", text)}
    assert shown == set(concepts_drawing.PICTURES)
    for row in concepts_drawing.GAINS:
        assert str(list(row)) in text
    assert concepts_drawing.groups() == [[0, 1], [2, 3]]


def test_the_reference_has_every_command_and_every_key() -> None:
    from pathways.evolve import MuNet
    from pathways.experiments.cli import parser
    from pathways.experiments.config import Config

    names = ("reference/command-line.md", "reference/configuration.md")
    made = {name: reference.filled((DOCS / name).read_text()) for name in names}
    commands = reference.subparsers(parser())
    for name, sub in commands.items():
        section = made["reference/command-line.md"].split(f"\n## {name}\n")[1].split("\n## ")[0]
        for action in sub._actions:
            assert all(option in section for option in action.option_strings if option not in ("-h", "--help"))
    for cls in (Config, MuNet):
        for key in (field.name for field in fields(cls)):
            row = re.search(rf"^\| `{key}` \|.*\|$", made["reference/configuration.md"], re.M)
            assert row, f"{cls.__name__}.{key} is in no table"
            assert row.group().rsplit("|", 2)[1].strip(), f"{cls.__name__}.{key} is not explained"


def test_links_that_leave_the_docs_lead_to_files() -> None:
    assert all(target.exists() for target in hooks.sources(DOCS).values())
    moved = hooks.redirected("[a](../Makefile) [b](cluster.md)", "faq.md")
    assert moved == "[a](files/Makefile) [b](cluster.md)"


def test_notebooks_are_listed_and_shown_with_what_they_gave() -> None:
    found = list(hooks.notebooks())
    assert {file.name for file in found} == {file.name for file in (REPOSITORY / "notebooks").glob("*.ipynb")}
    assert all(hooks.title_of(file) for file in found)
    outputs = [{"data": {"image/svg+xml": '<svg><path id="a" style="fill: #1f2933"/></svg>', "text/plain": "x"}},
               {"name": "stdout", "text": ["a < b"]}, {"data": {"text/html": ["<b>", "bold</b>"]}}]  # fmt: skip
    cells = [{"cell_type": "markdown", "source": ["# One"]}, {"cell_type": "code", "source": ["x"], "outputs": outputs}]
    text, pieces = notebook.page_of({"cells": cells}, "one.ipynb")
    assert text.startswith("# One\n\n[Download this notebook](one.ipynb)")
    assert ["var(--ink" in pieces[0], "a &lt; b" in pieces[1], "<b>bold</b>" in pieces[2]] == [True] * 3
    html = "".join(f"<p>@@{i}@@</p>" for i in range(3))
    assert notebook.filled(html, pieces) == "".join(pieces)


def test_a_notebook_is_run_in_a_folder_of_its_own(tmp_path: FilePath) -> None:
    source = ["from pathlib import Path\n", "print(len(list(Path('.').glob('*.ipynb'))))\n", "'a' + 'b'"]
    file, out = tmp_path / "one.ipynb", tmp_path / "made" / "one.ipynb"
    file.write_text(json.dumps({"cells": [{"cell_type": "code", "source": source, "outputs": []}], "nbformat": 4}))
    run_notebooks.run(file, out)
    [cell] = json.loads(out.read_text())["cells"]
    assert [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]] == ["0\n", "'ab'"]
    assert not json.loads(file.read_text())["cells"][0]["outputs"]


def test_the_get_started_page_shows_the_quickstart_as_the_readme_does() -> None:
    [block] = re.findall(r"```\n(task \(accuracy\).*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    assert block in (DOCS / "get-started.md").read_text()

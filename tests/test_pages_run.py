"""What the pages for users say runs as they say it."""

import shutil
from pathlib import Path as FilePath

import pytest
from pages_run import DOCS, PAGES, blocks_of, check, run_page

from pathways.experiments.cli import main

DRAWN = {"report"}
"""The page whose reports are drawn."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A folder with the run of the page for beginners, which other pages begin with."""
    folder = tmp_path_factory.mktemp("first")
    [config] = [block for block in blocks_of((DOCS / "get-started.md").read_text()) if block.file]
    (folder / config.file).write_text(config.body)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("pathways.report.write_report", lambda system: system.directory / "report.html")
        assert main(["run", config.file, "--quiet"]) == 0
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda file: file.stem)
def test_a_page_runs(
    page: FilePath, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    text = page.read_text()
    if "<!-- begins with: runs/first -->" in text:
        shutil.copytree(request.getfixturevalue("first"), tmp_path, dirs_exist_ok=True)
    if page.stem not in DRAWN:  # reports have tests of their own, and take longer than what these pages learn
        monkeypatch.setattr("pathways.report.write_report", lambda system: system.directory / "report.html")
        monkeypatch.setattr("pathways.affinity.report.write_report", lambda findings, out: out / "report.html")
    monkeypatch.chdir(tmp_path)
    assert run_page(text, tmp_path) or all(block.language not in ("python", "console") for block in blocks_of(text))


def test_the_check_sees_what_is_wrong(tmp_path: FilePath) -> None:
    check("a 1\n...\nz   2", "a 7\nb\nc\nz  9\n", "here")
    for wrong in ("b 1", "a 1 more", "a 1\n\nb"):
        with pytest.raises(AssertionError, match="the page shows"):
            check(wrong, "a 7\n", "here")
    page = "```python\n# mine.py\nvalue = 3\n```\n\n```python\nimport mine\nprint(mine.value)\n```\n"
    page += "\n```text\n3 apples\n```\n"
    with pytest.raises(AssertionError, match="3 apples"):
        run_page(page, tmp_path)
    assert run_page(page.replace("3 apples", "3"), tmp_path) == 1
    with pytest.raises(AssertionError, match="nearest"):
        run_page("```console\n$ pathways show nothing-here\nnearest\n```\n", tmp_path)


def test_blocks_that_are_not_run_say_why() -> None:
    [block] = blocks_of("<!-- not run: it needs a GPU -->\n```python\nimport nothing\n```\n")
    assert block.why == "it needs a GPU"

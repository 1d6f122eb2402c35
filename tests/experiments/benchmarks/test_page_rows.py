"""The rows of the report: what is written and opened is measured, each against its budget."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers_tiny import TRAINING, FixedPath, chain, head, linear, task_of
from needs import lack

from pathways import System
from pathways.experiments.benchmarks import page_rows
from pathways.experiments.benchmarks.chromium import chromium


def test_writing_is_measured_against_its_budget(tmp_path):
    with System.create(tmp_path / "run", training=TRAINING) as system:
        system.learn(
            task_of("one"), FixedPath(lambda view: {"one": chain(view.task.inputs, linear("a"), head())}, rounds=1)
        )
    row = page_rows._written(tmp_path / "run", 1)
    assert (row.name, row.theirs, row.goal) == ("report-write", 0.1, None)
    assert row.ours == pytest.approx(row.ratio * row.theirs)
    assert (tmp_path / "run" / "report.html").exists()


def test_opening_is_measured_against_its_budget_and_an_empty_page(tmp_path):
    if chromium() is None:
        lack("browser", "no Chromium is installed")
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>words</title>" + "<p>Words.</p>" * 100)
    with ThreadPoolExecutor(1) as apart:  # a thread in which no other test has left a loop running
        row = apart.submit(page_rows._opened, page, 1).result()
    if row.ratio is None:
        lack("browser", row.note)
    assert (row.name, row.theirs, row.goal) == ("report-open", 0.5, 1.0)
    assert row.ours == pytest.approx(row.ratio * row.theirs)
    assert row.share_of_floor == pytest.approx(row.ratio / row.floor)
    assert "0.00 MB, 104 elements" in row.note
    assert "an empty page takes" in row.note


def test_without_a_browser_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(page_rows, "chromium", lambda: None)
    row = page_rows._opened(tmp_path / "page.html", 1)
    assert row.ratio is None
    assert row.note == "none of chromium, chromium-browser, google-chrome is installed"

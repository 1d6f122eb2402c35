"""Tests of pages in a browser: they are skipped, with the reason, where there is no Chromium, Playwright or axe-core.

`make browser` installs axe-core; `PATHWAYS_TESTS_NEED=browser` makes a lack a failure.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, open_page, running_browser
from runs import QUICKSTART, STUDY, once

from pathways.experiments.benchmarks.page_run import FIFTY, made


# Not for the whole session: as long as Playwright runs, its event loop keeps others of this thread from starting.
@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A headless Chromium for the tests of this folder."""
    with running_browser() as running:
        yield running


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens pages, as `opened(file, dark=True)` (see `browsing.open_page`), and closes them after the test."""
    pages: list[Opened] = []

    def opening(file: Path, **options: Any) -> Opened:
        pages.append(open_page(browser, file, **options))
        return pages[-1]

    yield opening
    for each in pages:
        each.page.context.close()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of all processes of this session of tests."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def quickstart_run(shared_folder: Path) -> Path:
    """A small run directory like the quickstart's, its report in it; only to be read."""
    return once(lambda folder: made(QUICKSTART, folder), shared_folder / "quickstart-run")


@pytest.fixture(scope="session")
def fifty_run(shared_folder: Path) -> Path:
    """A run directory of 50 tasks, its report in it; only to be read."""
    return once(lambda folder: made(FIFTY, folder), shared_folder / "fifty-run")


@pytest.fixture(scope="session")
def study_run(shared_folder: Path) -> Path:
    """A directory of a small study of affinity, its report in it; only to be read."""
    return once(lambda folder: made(STUDY, folder), shared_folder / "study-run")

"""How soon the report of fifty tasks can be read, in headless Chromium, and what writing it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .chromium import ARGUMENTS, PROGRAMS, chromium
from .page_run import FIFTY, made
from .row import Row, compare, not_run

OPEN_SECONDS = 2.0
WRITE_SECONDS = 10.0
EMPTY = '<!doctype html><html lang="en"><title>empty</title><body><p>Nothing.</p></body></html>'

# Laid out, with its fonts, and two frames drawn: what is on the screen then is what a reader sees.
_DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return document.querySelectorAll("*").length;
}"""


def report(pairs: int) -> Iterator[Row]:
    """Writing the report of fifty tasks, and opening it until it is drawn, each against its budget."""
    with TemporaryDirectory() as folder:
        run = made(FIFTY, Path(folder))
        yield _written(run, pairs)
        yield _opened(run / "report.html", pairs)


def _written(run: Path, pairs: int) -> Row:
    from pathways import System
    from pathways.report import write_report

    with System.open(run) as system:

        def rate() -> float:
            begun = time.perf_counter()
            write_report(system)
            return 1 / (time.perf_counter() - begun)

        return compare(
            "report-write", rate, lambda: 1 / WRITE_SECONDS, unit="reports/s", goal=None, pairs=pairs,
            note=f"50 tasks; theirs is a budget of {WRITE_SECONDS:g} s, figures as files among it",
        )


def _opened(page: Path, pairs: int) -> Row:
    name, unit, program = "report-open", "pages/s", chromium()
    if program is None:
        return not_run(name, unit, 1.0, f"none of {', '.join(PROGRAMS)} is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return not_run(name, unit, 1.0, "playwright is not installed: pip install playwright")
    empty = page.with_name("empty.html")
    empty.write_text(EMPTY)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            elements: list[int] = []
            floors: list[float] = []

            def seconds(file: Path) -> float:
                """From asking for the page, in a window that has shown nothing yet, until it is drawn."""
                context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
                window = context.new_page()
                begun = time.perf_counter()
                window.goto(file.resolve().as_uri(), wait_until="load")
                elements.append(window.evaluate(_DRAWN))
                taken = time.perf_counter() - begun
                context.close()
                return taken

            def ours() -> float:
                floors.append(seconds(empty))
                return 1 / seconds(page)

            row = compare(name, ours, lambda: 1 / OPEN_SECONDS, unit=unit, goal=1.0, pairs=pairs)
        finally:
            browser.close()
    bare = median(floors[1:])  # the first is not counted in `compare` either
    floor = OPEN_SECONDS / bare
    return replace(
        row, floor=floor, share_of_floor=None if row.ratio is None else row.ratio / floor,
        note=f"50 tasks, {page.stat().st_size / 1e6:.2f} MB, {max(elements):,} elements; theirs is a budget of "
        f"{OPEN_SECONDS:g} s; an empty page takes {bare:.3f} s",
    )


__all__ = ["report"]

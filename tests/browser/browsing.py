"""A page as a reader has it, in headless Chromium: what it says, asks for, and how it does by the rules of axe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from needs import lack

from pathways.experiments.benchmarks.chromium import ARGUMENTS, PROGRAMS, chromium

AXE = Path(__file__).parents[2] / "build" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_LOCAL = ("file:", "data:", "blob:", "about:")


def installed() -> str:
    """The path of the installed Chromium; where there is none, the test is skipped, or fails where it must run."""
    return chromium() or lack("browser", f"none of {', '.join(PROGRAMS)} is installed")


@cache
def _axe() -> str:
    return AXE.read_text()


@contextmanager
def running_browser() -> Iterator[Any]:
    """A headless Chromium, which is gone afterwards."""
    program = installed()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        lack("browser", f"playwright cannot be imported ({error}): pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page from disk.

    Attributes:
        page: Playwright's page, for what a reader does there.
        console: warnings and errors that the page wrote to the console, as "type: text".
        errors: exceptions that no script caught.
        requests: addresses that were asked for and are no files, data or blobs.
    """

    page: Any
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """All of it: empty for a page that works by itself."""
        asked = [f"request: {address}" for address in self.requests]
        return [*self.console, *(f"exception: {error}" for error in self.errors), *asked]

    def axe(self, *rules: str) -> list[str]:
        """Where the page breaks rules of accessibility, a line for each place; all rules of `RULES` unless named.

        Args:
            rules: ids of axe's rules, such as "color-contrast", where only those are asked for.
        """
        if not AXE.exists():
            lack("browser", "axe-core is not there: make browser")
        self.page.evaluate(_axe())
        found = self.page.evaluate(
            """async ([tags, rules]) => {
                const only = rules.length ? {type: "rule", values: rules} : {type: "tag", values: tags};
                const options = {runOnly: only, resultTypes: ["violations"]};
                // Off is what axe calls experimental; target-size is off there for pages older than WCAG 2.2.
                if (!rules.length) options.rules = {
                    "target-size": {enabled: true}, "label-content-name-mismatch": {enabled: false}};
                return (await axe.run(document, options)).violations.flatMap(v => v.nodes.map(
                    n => `${v.id} (${v.impact}): ${n.target.join(" ")}: ${n.failureSummary}`.replace(/\\s+/g, " ")));
            }""",
            [list(RULES), list(rules)],
        )
        return list(found)


def open_page(
    browser: Any,
    file: Path,
    dark: bool = False,
    reduced_motion: bool = False,
    javascript: bool = True,
    printed: bool = False,
    width: int = 1280,
    height: int = 900,
) -> Opened:
    """Open a file as `file://...`, without a network, in a window of `width` x `height` pixels.

    Close `.page.context` afterwards; the fixture `opened` does.
    """
    context = browser.new_context(
        offline=True,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if reduced_motion else "no-preference",
        java_script_enabled=javascript,
        viewport={"width": width, "height": height},
    )
    context.set_default_timeout(120_000)  # machines that are shared can be slow
    page = context.new_page()
    opened = Opened(page)

    def ask(address: str) -> None:
        if not address.startswith(_LOCAL):
            opened.requests.append(address)

    def say(message: Any) -> None:
        if message.type in ("error", "warning"):
            opened.console.append(f"{message.type}: {message.text}")

    context.on("request", lambda request: ask(request.url))
    page.on("websocket", lambda socket: ask(socket.url))
    page.on("console", say)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    if printed:
        page.emulate_media(media="print")
    page.goto(Path(file).resolve().as_uri(), wait_until="load")
    return opened

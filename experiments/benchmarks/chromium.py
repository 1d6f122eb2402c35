"""The Chromium that pages are opened in."""

from __future__ import annotations

import shutil

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
"""Of a Chromium that also runs as root, in a container, and that asks no network for anything."""


def chromium() -> str | None:
    """The path of the Chromium that is installed, `None` where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


__all__ = ["ARGUMENTS", "PROGRAMS", "chromium"]

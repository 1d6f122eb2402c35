"""A picture of the live view, as a terminal shows it in the middle of a run."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from pathways.live import LiveView
from pathways.progress import Event

WIDTH = 100
"""Columns of the terminal."""

_TRIED = 5  # candidates of the search that goes on

# The fonts that rich names would be loaded from another host; a reader's own monospaced one does.
_FONTS = re.compile(r"@font-face\s*{[^}]*}\s*")


class _Seen:
    """A view that nobody looks at until it is asked for a picture."""

    def __init__(self, name: str, searches: int) -> None:
        terminal = {"force_terminal": True, "color_system": "truecolor", "legacy_windows": False}
        self.console = Console(record=True, file=io.StringIO(), width=WIDTH, **terminal)  # type: ignore[arg-type]
        self._view = LiveView(self.console, name, searches)
        self._left = searches // 6
        self.done = False

    def __call__(self, event: Event) -> None:
        """Take an event; in the search that follows a sixth of them the picture is complete."""
        if self.done:
            return
        self._view(event)
        self._left -= event.end is not None
        if self._left <= 0 and event.end is None and event.tried >= _TRIED:
            self.console.print(self._view.render())
            self.done = True


def live_picture(file: str | Path, out: str | Path) -> str:
    """Learn what a configuration says, and give what its terminal showed in the middle, as SVG.

    Args:
        file: the configuration of a run.
        out: the run directory.

    Raises:
        ConfigError: the configuration is not in order.
    """
    import yaml

    from .config import config_from
    from .runner import carry_out, in_order, load_groups, searches_left, with_fingerprints
    from .sharing import opened_or_made

    config = config_from(yaml.safe_load(Path(file).read_text(encoding="utf-8")), str(file))
    groups = load_groups(config, str(file))
    tasks = in_order(groups)
    config = with_fingerprints(config, tasks, str(file))
    with opened_or_made(out, config, tasks, (), None, False) as system, system.driving():
        seen = _Seen(config.name, searches_left(system, config, tasks))
        carry_out(system, config, groups, seen)
    return _FONTS.sub("", seen.console.export_svg(title=f"pathways run {Path(file).name}"))


__all__ = ["WIDTH", "live_picture"]

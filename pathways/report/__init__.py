"""The report of a run: `write_report(system)` makes one self-contained HTML page."""

from .page import graph_notes, write_report

__all__ = ["graph_notes", "write_report"]

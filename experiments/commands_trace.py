"""`pathways trace`: where the time of a run went."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import as_json, command, place, print_json


def add(commands: Any) -> None:
    """Add the command."""
    trace = command(commands, "trace", _trace, "say where the time of a run went, by kind of work and by worker")
    trace.add_argument("directory", type=place, metavar="DIR", help="the run directory, or its URL on storage")
    trace.add_argument(
        "--out", type=Path, metavar="FILE",
        help="also write the trace as one whole JSON array, for readers that want its closing bracket",
    )
    as_json(trace)


def _trace(options: argparse.Namespace) -> int:
    from pathways.mirror import opened
    from pathways.trace_read import closed_copy, read_trace, trace_file
    from pathways.trace_summary import trace_text, where_time_went

    directory, _ = opened(options.directory)
    summary = where_time_went(read_trace(directory))
    opens = closed_copy(directory, options.out) if options.out else trace_file(directory)
    if options.json:
        print_json({**summary, "trace": str(opens)})
    else:
        print(f"{trace_text(summary)}\n\n{opens}\nopen it at https://ui.perfetto.dev or in chrome://tracing")
    return 0

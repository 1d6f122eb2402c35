"""The command line: `pathways COMMAND ...`. Results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from pathways import __version__
from pathways.cores import THREAD_VARIABLES

from . import (
    commands_affinity,
    commands_cite,
    commands_compare,
    commands_look,
    commands_run,
    commands_setup,
    commands_study,
    commands_trace,
    commands_use,
)
from .failures import INTERRUPTED, Failure, failure
from .parsers import Parser, TopParser

COMMANDS = (
    commands_run, commands_look, commands_trace, commands_compare, commands_cite, commands_use, commands_study,
    commands_affinity, commands_setup,
)  # fmt: skip


def parser() -> TopParser:
    """The parser of all commands; each adds itself."""
    top = TopParser(
        prog="pathways",
        description="One growing network learns many tasks as they arrive, reuses what it knows and never forgets.",
    )
    top.add_argument("--version", action="version", version=f"pathways {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error, wherever it stands")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for group in COMMANDS:
        group.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: those of the command line when not given.

    Returns:
        Its exit status: 0; 1 where the answer is no, such as something that was forgotten; 2 for bad input; 70 for a
        fault of this program; 130 where it was interrupted.
    """
    # Trainers run with one thread; libraries read these when they are first imported, which is later.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    _say_everything()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = None
    try:
        options = parser().parse_args(given)
        status: int = options.command_function(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        directory = getattr(options, "running", None)
        go_on = f": go on with `pathways resume {directory}`" if directory else ""
        if "--debug" in given:
            traceback.print_exc()
        print(f"\npathways: interrupted{go_on}", file=sys.stderr)
        # `python -m` would end by the signal in place of this status, where it was interrupted while it defined a
        # dataclass: code from text, as these use, notes an interrupt that left it, until other such code is run.
        eval("0")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        _forget_output()
        return 0
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        return _tell(failure(error), "--json" in given)


def _tell(found: Failure, as_json: bool) -> int:
    """Say what went wrong: a sentence for people, and where a script asked for JSON, an object in place of a result."""
    print(f"pathways: error: {found.message}", file=sys.stderr)
    try:
        if as_json:
            json.dump(found.to_json(), sys.stdout, indent=1, ensure_ascii=False)
            print()
        sys.stdout.flush()
    except OSError:  # it is standard output that cannot be written, such as to a full disk
        _forget_output()
    return found.exit


def _forget_output() -> None:
    """Let what is left of the output go nowhere, so that the interpreter does not fail again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_everything() -> None:
    """Have characters that a terminal cannot show replaced, rather than end by them."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and (stream.encoding or "").lower().replace("-", "") != "utf8":
            reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())

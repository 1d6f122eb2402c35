"""The command line: `pathways COMMAND ...`. Results go to standard output, progress and errors to standard error."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from pathways import __version__
from pathways.cores import THREAD_VARIABLES
from pathways.errors import PathwaysError

from . import commands_affinity, commands_look, commands_run, commands_study, commands_trace, commands_use

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, like all others."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # argparse takes -5 for a value and -1e6, the score of a lone task by TAG's code, for an option.
        self._negative_number_matcher = re.compile(r"^-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", re.IGNORECASE)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and where to read more; exit with status 2."""
        print(f"pathways: error: {message}: see `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; each adds itself."""
    top = _Parser(
        prog="pathways",
        description="One growing network learns many tasks as they arrive, reuses what it knows and never forgets.",
    )
    top.add_argument("--version", action="version", version=f"pathways {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (commands_run, commands_look, commands_use, commands_study, commands_affinity, commands_trace):
        group.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0, 1 where something was forgotten, 2 for bad input, 130 interrupted.

    Args:
        arguments: those of the command line when not given.
    """
    # Trainers run with one thread; libraries read these when they are first imported, which is later.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    options = parser().parse_args(arguments)
    try:
        status: int = options.command_function(options)
        sys.stdout.flush()
        return status
    except PathwaysError as error:
        print(f"pathways: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        directory = getattr(options, "running", None)
        go_on = f": go on with `pathways resume {directory}`" if directory else ""
        print(f"\npathways: interrupted{go_on}", file=sys.stderr)
        # `python -m` would end by the signal in place of this status, where it was interrupted while it defined a
        # dataclass: code from text, as these use, notes an interrupt that left it, until other such code is run.
        eval("0")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())

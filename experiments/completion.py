"""Completion of commands, options and files in shells."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import place


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """What a shell reads to complete the commands of a parser, their options, choices and files.

    Args:
        parser: with commands.
        shell: `bash`, `zsh`, `fish` or `tcsh`.

    Raises:
        ImportError: the package shtab is not installed.

    Reference: https://docs.iterative.ai/shtab/
    """
    import shtab

    _mark_files(parser, {Path: shtab.FILE, place: shtab.DIRECTORY})
    return str(shtab.complete(parser, shell=shell))


def _mark_files(parser: argparse.ArgumentParser, kinds: dict[object, object]) -> None:
    """Have what is read as a file or as a run directory completed as such."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _mark_files(sub, kinds)
        elif action.type in kinds and action.choices is None:
            kind = kinds[action.type]
            folder = action.metavar == "DIR"
            action.complete = kinds[place] if folder else kind  # type: ignore[attr-defined]

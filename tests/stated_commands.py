"""The shell commands that texts state: of the README's and the guides' blocks, and of files for clusters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

PROGRAMS = ("pathways", "ray")
_ENDS = set(";&|()")


def commands_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """The programs that shell lines call, of `PROGRAMS`, each with its arguments; also within quotes and behind `--`.

    >>> list(commands_of("A=1 ray exec x.yaml '~/bin/pathways show run'  # why"))
    [('ray', ['exec', 'x.yaml', '~/bin/pathways show run']), ('pathways', ['show', 'run'])]
    """
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= _ENDS and word:
                yield from _called(words)
                words = []
            else:
                words.append(word)


def _called(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    while words and (re.fullmatch(r"\w+=.*", words[0]) or words[0] in ("export", "nohup")):
        words = words[1:]
    if not words or (program := words[0].rpartition("/")[2]) not in PROGRAMS:
        return
    yield program, words[1:]
    if "--" in words:
        yield from _called(words[words.index("--") + 1 :])
    if program == "ray":
        yield from (call for word in words[1:] if " " in word for call in commands_of(word))


def indented_in_comments(text: str) -> str:
    """The lines of a file's comments that are indented by three spaces, which are commands."""
    return "\n".join(re.findall(r"^#   (.*)", text, re.M))


def parse_ray(arguments: list[str]) -> Any:
    """Let Ray's own command line read arguments, and do nothing else; a `click.ClickException` where they are wrong."""
    import click
    from ray.scripts.scripts import cli

    command: Any = cli
    name, rest = "ray", list(arguments)
    while isinstance(command, click.Group):
        name, *rest = rest
        if name not in command.commands:
            raise click.UsageError(f"`ray` has no command {name!r}")
        command = command.commands[name]
    return command.make_context(name, rest)

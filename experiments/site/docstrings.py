"""Docstrings of this house as plain data: the text, what `Args` say of each name, and the other sections."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Examples?|References?): *(.*)$")
_ITEM = re.compile(r"^    (\*{0,2}\w+(?:, \w+)*): (.*)$")


def sections(thing: Any) -> dict[str, str]:
    """The sections of a docstring by their names, `""` for the text: what is before them and in no section.

    >>> sorted(sections(arguments))
    ['', 'Args']
    """
    found: dict[str, list[str]] = {"": []}
    at = ""
    for line in (inspect.getdoc(thing) or "").splitlines():
        begins = _SECTION.match(line)
        if begins:
            at = begins.group(1)
            found.setdefault(at, []).extend([begins.group(2)] if begins.group(2) else [])
            continue
        if at and line and not line.startswith(" ") and found[at][-1:] == [""]:
            at = ""  # a paragraph behind a section belongs to the text
        found[at].append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in found.items()}


def said(thing: Any) -> str:
    """The text of a docstring before its sections and examples.

    >>> said(said)
    'The text of a docstring before its sections and examples.'
    """
    return re.split(r"^>>> ", sections(thing)[""], flags=re.M)[0].strip()


def arguments(thing: Any, section: str = "Args") -> Mapping[str, str]:
    """By name, what a section says, each in one line; names that share a line share its words.

    >>> arguments(arguments)["thing"]
    'a class or a function.'

    Args:
        thing: a class or
            a function.
        section: which.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    for line in textwrap.indent(sections(thing).get(section, ""), "    ").splitlines():
        if item := _ITEM.match(line):
            names = [name.strip().lstrip("*") for name in item.group(1).split(",")]
            found.update(dict.fromkeys(names, item.group(2)))
        elif line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


__all__ = ["arguments", "said", "sections"]

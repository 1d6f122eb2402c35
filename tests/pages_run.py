"""Runs what a page of the documentation says: writes its files, runs its code and commands, compares what they print.

How a page is read, from top to bottom, in a folder of its own:

- a block of ```yaml or ```python whose first line is a comment with a file's name alone (`# first.yaml`) is that file;
- other ```python runs, all blocks of a page in one namespace; a ```text right behind it is what it prints;
- in ```console each line `$ pathways ...` is run, and the lines below it are what a user sees;
- a block behind `<!-- not run: why -->` is shown only, as are ```sh and all others;
- a page that says `<!-- begins with: runs/first -->` finds the run of `docs/get-started.md` in its folder.

What is printed is compared without its numbers, which differ from machine to machine, and of tables only the first
column. A line `...` stands for any lines.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pathways.experiments.cli import main

DOCS = FilePath(__file__).parent.parent / "docs"
PAGES = [DOCS / "get-started.md", DOCS / "concepts.md", *sorted((DOCS / "how-to").glob("*.md"))]
"""The pages that are run."""

_BLOCK = re.compile(r"^(?:<!-- not run: (?P<why>.+?) -->\n+)?```(?P<language>\w*)\n(?P<body>.*?)^```\n?", re.M | re.S)
_FILE = re.compile(r"# ([\w-]+\.(?:yaml|py))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        language: as it says.
        body: its lines.
        file: the file that it is, or empty.
        why: why it is not run, or empty.
        follows: whether it stands right behind the block before.
    """

    language: str
    body: str
    file: str = ""
    why: str = ""
    follows: bool = False


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page."""
    found, end = [], -1
    for match in _BLOCK.finditer(text):
        body, language = match["body"], match["language"]
        file = named.group(1) if language in ("yaml", "python") and (named := _FILE.match(body)) else ""
        follows = end >= 0 and not text[end : match.start()].strip()
        found.append(Block(language, body, file, match["why"] or "", follows))
        end = match.end()
    return found


def run_page(text: str, folder: FilePath) -> int:
    """Run a page in a folder, which is the working directory; returns how many blocks were run.

    Raises:
        AssertionError: what was printed is not what the page says.
    """
    names: dict[str, Any] = {"__name__": "page"}
    printed, ran = "", 0
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        for i, block in enumerate(blocks_of(text)):
            if block.why:
                continue
            if block.file:
                (folder / block.file).write_text(block.body)
            elif block.language == "python":
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    exec(compile(block.body, f"block {i + 1}", "exec"), names)
                printed, ran = out.getvalue(), ran + 1
            elif block.language == "text" and block.follows and ran:
                check(block.body, printed, f"block {i + 1}")
            elif block.language == "console":
                for command, said in transcript(block.body):
                    check(said, called(command), command)
                    ran += 1
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:  # a page's own files: another page may have a file of the same name
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                del sys.modules[name]
        for value in names.values():
            if hasattr(value, "close") and type(value).__name__ == "System":
                value.close()
    return ran


def transcript(text: str) -> list[tuple[str, str]]:
    """The commands of a console, each with what follows it."""
    found: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(lines)) for command, lines in found]


def called(command: str) -> str:
    """What a user sees of a command: its results, or where it fails what it says."""
    program, *arguments = shlex.split(command, comments=True)
    assert program == "pathways", f"a page runs `pathways` only, found {command!r}"
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
    return errors.getvalue() if status == 2 else out.getvalue()


def check(expected: str, printed: str, where: str) -> None:
    """Compare what a page shows with what was printed; pages that show nothing are content with anything."""
    wanted = [skeleton(line) for line in expected.splitlines() if line.strip()]
    found = [skeleton(line) for line in printed.splitlines() if line.strip()]
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in wanted)
    same = re.fullmatch(pattern, "".join(f"{line}\n" for line in found))
    assert not wanted or same, f"{where}: the page shows\n{expected}\nand what is printed is\n{printed}"


def skeleton(line: str) -> str:
    """A line without its numbers; of a table's row the first cell.

    >>> skeleton("took 1 min 3.2 s"), skeleton("Angelic   92.0   root")
    ('took #', 'Angelic')
    """
    line = line.rstrip()
    if re.search(r"\S {2,}\S", line) and line != "...":
        line = re.split(r"(?<=\S) {2,}", line)[0]
    line = re.sub(r"[─-]{4,}", "----", line)
    line = re.sub(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: ?(?:min|ms|s|KB|MB|GB|k|M|%))?(?![\w])", "#", line)
    return re.sub(r"#(?: #)+", "#", " ".join(line.split()))

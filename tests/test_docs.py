"""What the documents say is so: links and paths exist, code and commands are real, notebooks run."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

import pytest
from notebook_cells import cells
from pages_run import PAGES

from pathways.experiments.cli import parser
from pathways.system import System

REPOSITORY = FilePath(__file__).parent.parent
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
# Where a document may begin when it names a file: most name what stands on the floor they are about.
BASES = [REPOSITORY / folder for folder in ("", "modules", "pathways", "evolve", "experiments")]
ENDINGS = (".py", ".md", ".yaml", ".ipynb", ".toml", ".txt", ".svg", ".png")
OF_USERS = {"class"}  # `class/name.png`: what a user's folder looks like
OF_RUNS = {"config.yaml", "runs", "tasks", "probes", "pool", "figures"}  # what only a run directory holds
CONFIG = """
name: tiny
root: {architecture: [{family: flatten}, {family: linear, dim: 8}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 4, batch: 16}
strategy: {munet: {generations: 1, children: 1, probes: 1}}
controls: [{independent: {steps: 4}}]
"""

_OF_INSTANCES = System.__init__.__code__.co_names  # attributes that the class does not show

parametrize_documents = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(REPOSITORY))
)
parametrize_notebooks = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.name)


# -- reading documents --------------------------------------------------------------------------------------

def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language; `""` for those that name none."""
    return [body for name, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if name == language]


def spans(text: str) -> list[str]:
    """What stands in backticks within the lines."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def links(text: str) -> list[str]:
    """The targets of relative links and images, without their anchors."""
    found = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [target for target in found if target and "://" not in target]


def paths(text: str) -> list[str]:
    """The files and folders that are named in spans and in shell blocks."""
    shell = blocks(text, "") + blocks(text, "sh")
    words = [*spans(text), *(word for block in shell for word in _read_by(block))]
    own = set(re.findall(r"^```(?:python|yaml)\n# (\S+)$", text, re.M))  # files that the page has its reader write
    return [word for word in words if _names_a_file(word) and word not in own]


def _read_by(shell: str) -> list[str]:
    """The words of shell lines, without the files that they write."""
    return re.sub(r"--out +\S+", "", shell).split()


def _names_a_file(word: str) -> bool:
    parts = word.split("/")
    if parts[0] in OF_RUNS | OF_USERS or parts[0].startswith(".venv"):
        return False
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word):
        return False
    placeholder = any(re.fullmatch(r"[A-Z]+(\.\w+)?", part) and part != "LICENSE" for part in parts if part)
    return not placeholder and word.endswith((*ENDINGS, "/"))


def commands(text: str) -> list[str]:
    """The first arguments of `pathways`, in spans and shell blocks."""
    shell = blocks(text, "") + blocks(text, "sh") + blocks(text, "console")
    lines = [*spans(text), *(line.removeprefix("$ ") for block in shell for line in block.splitlines())]
    starts = [re.match(r"(?:\S+/)?pathways ([\w|-]+)", line.strip()) for line in lines]
    return [start.group(1) for start in starts if start]


def known_commands() -> set[str]:
    """The subcommands there are."""
    return {name for action in parser()._actions if isinstance(action.choices, dict) for name in action.choices}


# -- documents ----------------------------------------------------------------------------------------------

@parametrize_documents
def test_links_lead_somewhere(document: FilePath) -> None:
    missing = [target for target in links(document.read_text()) if not (document.parent / target).exists()]
    assert not missing


@parametrize_documents
def test_named_files_exist(document: FilePath) -> None:
    missing = [word for word in paths(document.read_text()) if not any((base / word).exists() for base in BASES)]
    assert not missing


@parametrize_documents
def test_named_commands_exist(document: FilePath) -> None:
    named = {name for found in commands(document.read_text()) for name in found.split("|")}
    assert named <= known_commands()


def test_the_readme_names_every_command() -> None:
    assert set(commands((REPOSITORY / "README.md").read_text())) >= known_commands() - {"resume"}


@parametrize_documents
def test_dotted_names_exist(document: FilePath) -> None:
    for name in spans(document.read_text()):
        if re.fullmatch(r"pathways(\.\w+)+", name):
            resolved(name.split("."))


@pytest.mark.parametrize(
    "document", [document for document in DOCUMENTS if document not in PAGES], ids=lambda file: file.name
)  # the others are run by `test_pages_run.py`
def test_python_blocks_use_what_there_is(document: FilePath) -> None:
    for block in blocks(document.read_text(), "python"):
        check_names(block)


def resolved(names: list[str], start: Any = None) -> Any:
    """What dotted names stand for; an `AttributeError` or `ImportError` where there is no such thing."""
    value = importlib.import_module(names[0]) if start is None else start
    for name in names[1:] if start is None else names:
        if isinstance(value, (property, cached_property)):  # what it gives is not known without an instance
            return value
        try:
            value = getattr(value, name)
        except AttributeError:
            if not isinstance(value, ModuleType):
                raise
            value = importlib.import_module(f"{value.__name__}.{name}")
    return value


def check_names(code: str) -> None:
    """Compile a block and look up what it takes from `pathways`, and from a system where it has one."""
    known: dict[str, Any] = {"system": System, "pathways": importlib.import_module("pathways")}
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pathways"):
            for alias in node.names:
                known[alias.asname or alias.name] = resolved([*str(node.module).split("."), alias.name])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (names := list(_dotted(node)))[0] in known:
            if names[0] == "system" and names[1] in _OF_INSTANCES:
                continue
            resolved(names[1:], known[names[0]])
        if isinstance(node, ast.Call) and (names := list(_dotted(node.func))) and names[0] in known:
            function = resolved(names[1:], known[names[0]])
            if isinstance(function, type) and issubclass(function, BaseException):
                continue  # which have no signature
            parameters = inspect.signature(function).parameters
            assert {keyword.arg for keyword in node.keywords} <= set(parameters), f"{'.'.join(names)} takes no such"


def _dotted(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield from _dotted(node.value)
        yield node.attr
    else:
        yield node.id if isinstance(node, ast.Name) else ""


# -- notebooks ----------------------------------------------------------------------------------------------

@parametrize_notebooks
def test_notebooks_compile_and_hold_no_outputs(notebook: FilePath) -> None:
    for i, code in enumerate(cells(notebook)):
        compile(code, f"{notebook.name}, cell {i + 1}", "exec")
        check_names(code)
    assert not any(cell.get("outputs") for cell in json.loads(notebook.read_text())["cells"])


# -- the checks themselves ----------------------------------------------------------------------------------

def test_the_checks_see_what_is_wrong() -> None:
    text = "[a](gone.md#part) [b](https://x.org/y.md) `modules/gone.py` `modules/NAME.py` `runs/a/` `pathways fly DIR`"
    assert links(text) == ["gone.md"]
    assert paths(text) == ["modules/gone.py"]
    assert commands(text + "\n```\n.venv/bin/pathways walk x.yaml\n```\n") == ["fly", "walk"]
    for code in ("import pathways\npathways.Nothing", "system.nothing()", "from pathways import nothing"):
        with pytest.raises((AttributeError, ImportError)):
            check_names(code)
    with pytest.raises(AssertionError, match="takes no such"):
        check_names("from pathways import evolve\nevolve.MuNet(colour=3)")

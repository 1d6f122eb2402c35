"""The code of notebooks, run as notebooks run it, in this process."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def cells(notebook: Path) -> list[str]:
    """The code of a notebook's cells."""
    data = json.loads(notebook.read_text())
    assert data["nbformat"] == 4
    return ["".join(cell["source"]) for cell in data["cells"] if cell["cell_type"] == "code"]


def shown(code: str, names: dict[str, Any]) -> Any:
    """Run a cell; what it shows is the value of its last line."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def pictures(value: Any) -> Iterator[str]:
    """What a notebook draws where a cell gives this value."""
    for method in ("_repr_html_", "_repr_svg_"):
        if hasattr(value, method) and (made := getattr(value, method)()):
            yield made

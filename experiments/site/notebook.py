"""Notebooks as pages: their text as it is, code as blocks, and what cells gave where the notebook was run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def page_of(notebook: Mapping[str, Any], file: str) -> tuple[str, list[str]]:
    """A notebook as Markdown, and the pieces of HTML that stand in it as `@@0@@`, `@@1@@`, ….

    Pieces are put in after Markdown has been read, since what cells give is no Markdown.

    Args:
        notebook: as JSON has it, format 4.
        file: the link to the notebook itself.

    >>> cell = {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"]}}]}
    >>> text, pieces = page_of({"cells": [{"cell_type": "markdown", "source": ["# Sums"]}, cell]}, "sums.ipynb")
    >>> print(text)
    # Sums
    <BLANKLINE>
    [Download this notebook](sums.ipynb)
    <BLANKLINE>
    ```python
    1 + 1
    ```
    <BLANKLINE>
    @@0@@
    <BLANKLINE>
    >>> pieces
    ['<div class="output"><pre>2</pre></div>']
    """
    lines: list[str] = []
    pieces: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [source, ""]
        elif cell["cell_type"] == "code" and source.strip():
            lines += ["```python", source, "```", ""]
            for piece in shown(cell.get("outputs", ()), len(pieces)):
                lines += [f"@@{len(pieces)}@@", ""]
                pieces.append(piece)
        if len(lines) == 2:
            lines += [f"[Download this notebook]({file})", ""]
    return "\n".join(lines), pieces


def shown(outputs: Any, first: int = 0) -> Iterator[str]:
    """What a cell gave, each as HTML: the richest form that a page without network can show."""
    for i, output in enumerate(outputs):
        data = output.get("data", {})
        if "image/svg+xml" in data:
            from pathways.canvas import inline

            svg = "".join(data["image/svg+xml"]).encode()
            yield f'<div class="output figure" data-search-exclude>{inline(svg, f"cell{first + i}")}</div>'
        elif "text/html" in data:
            yield f'<div class="output" data-search-exclude>{"".join(data["text/html"])}</div>'
        elif "image/png" in data:
            picture = "".join(data["image/png"]).strip()
            yield f'<div class="output"><img alt="What the cell shows" src="data:image/png;base64,{picture}"></div>'
        else:
            text = "".join(data.get("text/plain", output.get("text", output.get("traceback", ""))))
            if text.strip():
                yield f'<div class="output"><pre>{escape(_ANSI.sub("", text).rstrip())}</pre></div>'


def filled(html: str, pieces: list[str]) -> str:
    """The page's HTML with the pieces in their places.

    >>> filled("<p>@@0@@</p>", ["<pre>2</pre>"])
    '<pre>2</pre>'
    """
    return re.sub(r"<p>@@(\d+)@@</p>", lambda match: pieces[int(match.group(1))], html)


__all__ = ["filled", "page_of", "shown"]

"""Matplotlib figures without global state: made from plain objects, rendered to SVG or PNG bytes."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .palette import INK, MUTED, PAPER
from .theme import themed

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.facecolor": PAPER,
    "axes.axisbelow": True,
}


def styled() -> Any:
    """A context in which figures are to be made, so that all look alike whatever the user has configured."""
    return matplotlib.rc_context(_STYLE, fname=None)


def literal(text: str) -> str:
    """`text` as matplotlib draws it unchanged: dollar signs would start formulas."""
    return text.replace("$", r"\$")


def render(figure: Figure, format: str, name: str, dpi: int = 160) -> bytes:
    """A figure as `svg` or `png`; equal figures give equal bytes, and `name` keeps ids apart on one page."""
    out = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        # A name in a script that the font lacks is drawn by the browser's fonts; PNG shows a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if format == "svg":
            FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
        else:
            FigureCanvasAgg(figure)
            figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    figure.set_layout_engine("none")  # what is laid out stays so; doing it again for the next format is slow
    return out.getvalue()


@dataclass(frozen=True)
class Drawing:
    """A figure that notebooks show, without pyplot: they ask what a cell gives for `_repr_svg_`.

    >>> Drawing(Figure((1, 1)), "empty")._repr_svg_().startswith("<?xml")
    True
    """

    figure: Figure
    name: str = "figure"

    def _repr_svg_(self) -> str:
        return render(self.figure, "svg", self.name).decode()


def inline(svg: bytes, name: str) -> str:
    """An SVG file as an element of an HTML page: no prolog, no metadata, ids that cannot clash, the page's colours."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'((?:xlink:)?href)="#', rf'\1="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return themed(text.strip())

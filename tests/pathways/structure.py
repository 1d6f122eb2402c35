"""What a figure is made of, without its pixels: a small summary of an SVG, kept in `baselines/` and compared.

A test calls `same_structure(svg, "name")`. Where the figure was changed on purpose, write the baselines anew with
`PATHWAYS_BASELINES=1 pytest FILE`, look at the figure, and at the difference in git.
"""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

BASELINES = Path(__file__).parent / "baselines"
_SHAPES = ("path", "rect", "circle", "ellipse", "line", "polygon", "polyline", "use", "image")


def structure(svg: bytes | str) -> dict[str, Any]:
    """A picture's size in points to the nearest ten, its texts in order, and its shapes by kind and colours.

    Where exactly anything stands, ids, fonts and styles are left out, so that another font or version of matplotlib
    gives the same.
    """
    root = ElementTree.fromstring(svg.decode() if isinstance(svg, bytes) else svg)
    size = [float(part) for part in root.attrib["viewBox"].split()[2:]]
    shapes: Counter[str] = Counter()
    texts: list[str] = []
    hidden = {id(inside) for parent in root.iter() if _tag(parent) in ("defs", "clipPath") for inside in parent.iter()}
    for element in root.iter():
        tag = _tag(element)
        if tag == "text":
            texts.append(" ".join("".join(element.itertext()).split()))
        elif tag in _SHAPES and id(element) not in hidden:
            shapes[f"{tag} fill {_colour(element, 'fill')} stroke {_colour(element, 'stroke')}"] += 1
    return {"size": [round(x, -1) for x in size], "texts": texts, "shapes": dict(sorted(shapes.items()))}


def same_structure(svg: bytes | str, name: str) -> None:
    """Fail where the structure of a picture is not the stored one of that name, and say what differs."""
    found = structure(svg)
    file = BASELINES / f"{name}.json"
    if os.environ.get("PATHWAYS_BASELINES"):
        BASELINES.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    differs = {key: (stored.get(key), found[key]) for key in found if stored.get(key) != found[key]}
    lines = [f"{key}\n  stored {before}\n  found  {now}" for key, (before, now) in differs.items()]
    assert not differs, f"{file.name}: what changed; PATHWAYS_BASELINES=1 stores it anew\n" + "\n".join(lines)


def texts_inside(figure: Figure) -> None:
    """Fail where a text of a figure reaches over its edge."""
    for text, box in _texts(figure):
        inside = box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= figure.bbox.x1 + 0.5 and box.y1 <= figure.bbox.y1 + 0.5
        assert inside, (text, box, figure.bbox)


def texts_apart(figure: Figure, may_touch: float = 1.0) -> None:
    """Fail where two texts of a figure overlap by more than so many pixels both ways."""
    for (one, a), (other, b) in combinations(_texts(figure), 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= may_touch or down <= may_touch, (one, other, a, b)


def _texts(figure: Figure) -> list[tuple[str, Any]]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    unseen = {text for axes in figure.axes for text in _not_drawn(axes)}
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    shown = [text for text in shown if text not in unseen]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def _not_drawn(axes: Axes) -> list[Text]:
    """Texts of an axis that is switched off, and of ticks beyond its limits."""
    texts: list[Text] = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        drawn = axes.axison and axis.get_visible() and axes.get_visible()
        texts += [] if drawn else axis.findobj(Text)
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        texts += [text for tick in ticks if not low <= tick.get_loc() <= high for text in tick.findobj(Text)]
    return texts


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _colour(element: ElementTree.Element, what: str) -> str:
    """A colour as an attribute or a style says it; `-` where neither does, the fallback of a variable of the page."""
    style = dict(part.split(":", 1) for part in re.findall(r"[\w-]+\s*:[^;]+", element.attrib.get("style", "")))
    colour = {key.strip(): value.strip() for key, value in style.items()}.get(what, element.attrib.get(what, "-"))
    return re.sub(r"var\(--[\w-]+,\s*(.*)\)", r"\1", colour)

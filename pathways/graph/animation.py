"""How a network grew, as an animation: a picture after each task, each larger by what the task added."""

from __future__ import annotations

import io
from collections.abc import Mapping

import networkx as nx
from matplotlib.figure import Figure
from PIL import Image

from pathways.canvas import render
from pathways.text import short_names

from .draw import picture
from .filters import until
from .growth import stages
from .layout import Order, lay_out
from .marks import Look, colours_of

FRAMES = 24
"""How many pictures an animation holds at most: of more tasks some are chosen."""

_PIXELS = 1200  # across at most: as wide as a page shows it
_COLOURS = 128
_SHOWN, _HELD = 900, 3000  # milliseconds: each picture, and the last


def growth_frames(
    graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None, order: Order | None = None, most: int = FRAMES
) -> list[Figure]:
    """The graph after each task in its colours, what was there before grey; then all of it in colour.

    Args:
        graph: made by `pathways.graph.path_graph`.
        notes: by task, a few words to show beside its name.
        order: of the tasks from top to bottom, see `pathways.graph.layout.lay_out`.
        most: at most so many figures before the last.
    """
    layout, colours = lay_out(graph, order), colours_of(graph)
    tasks = graph.graph["tasks"]
    names = short_names(tasks, longest=24)
    figures: list[Figure] = []
    before = 0
    for count in stages(len(tasks), most):
        new = tasks[before:count]
        look = Look(colours, new=frozenset(new), grey=frozenset(tasks[:before]))
        which = names[new[0]] if len(new) == 1 else f"{names[new[0]]} to {names[new[-1]]}"
        title = f"{count} of {len(tasks)}   {which}"
        figures.append(picture(until(graph, count), layout, look, notes, title))
        before = count
    figures.append(picture(graph, layout, Look(colours), notes, f"all {len(tasks)}"))
    return figures


def animation(
    graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None, order: Order | None = None, most: int = FRAMES
) -> bytes:
    """The frames as a GIF that begins again; at most 1,200 pixels wide, and equal graphs give equal bytes."""
    figures = growth_frames(graph, notes, order, most)
    dpi = min(100, int(_PIXELS / figures[0].get_figwidth()))
    images = [Image.open(io.BytesIO(render(figure, "png", "frame", dpi))).convert("RGB") for figure in figures]
    colours = _palette(images[-1])
    frames = [image.quantize(palette=colours, dither=Image.Dither.NONE) for image in images]
    out = io.BytesIO()
    shown = [_SHOWN] * (len(frames) - 1) + [_HELD]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=False)
    return out.getvalue()


def _palette(last: Image.Image) -> Image.Image:
    """The colours of the last frame for all, so that nothing flickers; its background stays white."""
    found = last.quantize(_COLOURS)
    corner, values = found.getpixel((0, 0)), found.getpalette()
    if isinstance(corner, int) and values:
        values[3 * corner : 3 * corner + 3] = [255, 255, 255]
        found.putpalette(values)
    return found

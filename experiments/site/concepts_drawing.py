"""The pictures of `docs/concepts.md`: `python -m pathways.experiments.site.concepts_drawing docs` draws them again.

They are schemes: what is a number in them is computed from the table that is printed on the page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from pathways.palette import CHAMPION, CONTROLS, INK, MUTED, PAPER, SHARED, on, task_colour, tint

from .shapes import HIGH, SMALL, box, down, draft, frozen, head, line, note, picture, title, words

FOLDER = "figures/concepts"
WIDTH = 760

TASKS = ("Greek", "Hebrew", "digits", "fashion")
GAINS = ((0.0, 2.1, -0.6, -1.2), (1.7, 0.0, -0.3, -0.9), (-0.4, 0.2, 0.0, 1.4), (-1.1, -0.5, 1.9, 0.0))
"""An example of an affinity: how much the column's task helps the row's. The page says that it is made up."""


def pool_and_paths() -> str:
    """Three tasks, their paths through one pool."""
    xs, y0 = (150, 290, 430), 84
    rows = {"root": y0, "greek": y0 + 66, "digits": y0 + 132}
    parts = [
        box(130, 44, 464, 214, fill=PAPER), title(142, 36, "pool"), note(196, 36, "every module once", "start"),
        title(24, 36, "tasks"), title(640, 36, "heads"),
    ]  # fmt: skip
    lanes = {
        0: [(86, rows["root"] + 10), (150, rows["root"] + 10), (430, rows["root"] + 10), (650, rows["root"] + 10)],
        1: [(86, rows["greek"] + 18), (150, rows["root"] + 18), (386, rows["root"] + 18), (430, rows["greek"] + 18),
            (650, rows["greek"] + 18)],
        2: [(86, rows["digits"] + 18), (150, rows["root"] + 26), (246, rows["root"] + 26), (290, rows["digits"] + 18),
            (430, rows["digits"] + 18), (650, rows["digits"] + 18)],
    }  # fmt: skip
    parts += [line(points, task_colour(task), width=3.2) for task, points in lanes.items()]
    names = ("Greek", "Hebrew", "digits")
    ys = (rows["root"] + 10, rows["greek"] + 18, rows["digits"] + 18)
    parts += [words(82, y + 5, name, anchor="end") for name, y in zip(names, ys, strict=True)]
    boxes = [
        *((x, rows["root"], f"block {i + 1}", None) for i, x in enumerate(xs)),
        (xs[2], rows["greek"], "block 3", 1), (xs[1], rows["digits"], "block 2", 2),
        (xs[2], rows["digits"], "block 3", 2),
    ]  # fmt: skip
    parts += [_see_through(frozen(x, y, 96, text, task)) for x, y, text, task in boxes]
    parts += [
        head(650, rows["root"] - 5, 0), head(650, rows["greek"] + 3, 1), head(650, rows["digits"] + 3, 2),
        note(24, 290, "Grey: the root, shared by all. Coloured: trained for the task of that colour, then frozen.",
             "start"),
    ]  # fmt: skip
    return picture(WIDTH, 306, "Three tasks with a path each through one pool of modules. Block 1 of the root is on "
                   "all three paths, Hebrew has a block 3 of its own, digits has its own blocks 2 and 3.",
                   *parts)  # fmt: skip


def _see_through(shape: str) -> str:
    """A box through which lines can be seen."""
    return shape.replace('rx="7"', 'rx="7" fill-opacity="0.82"')


def frozen_and_draft() -> str:
    """A parent, its child in training, and what the pool holds afterwards."""
    xs = (170, 310, 450, 590)
    names = ("block 1", "block 2", "block 3")
    parts = [title(24, 58, "parent"), note(24, 78, "a champion", "start")]
    parts += [frozen(x, 40, 96, name) for x, name in zip(xs, names, strict=False)]
    parts += [head(xs[3], 43, 0), title(24, 158, "child"), note(24, 178, "in training", "start")]
    parts += [frozen(x, 140, 96, name) for x, name in zip(xs[:2], names, strict=False)]
    parts += [draft(xs[2], 140, 96, "block 3", 1), draft(xs[3], 143, 62, "head", 1, HIGH - 6)]
    parts += [title(24, 258, "frozen"), note(24, 278, "the new champion", "start")]
    parts += [frozen(x, 240, 96, name) for x, name in zip(xs[:2], names, strict=False)]
    parts += [frozen(xs[2], 240, 96, "block 3", 1), head(xs[3], 243, 1)]
    for y in (58, 158, 258):
        parts += [line([(a + 96, y), (b, y)]) for a, b in pairwise(xs)]
    parts += [down(xs[2] + 48, 80, 138, task_colour(1)), note(xs[2] + 58, 112, "starts as a copy", "start")]
    parts += [down(xs[2] + 48, 180, 238, task_colour(1)), note(xs[2] + 58, 212, "trained, hashed, kept", "start")]
    parts += [down(x + 48, 80, 138) for x in xs[:2]] + [down(x + 48, 180, 238) for x in xs[:2]]
    parts += [note(xs[0] + 38, 112, "the same", "end"), note(xs[0] + 38, 212, "the same", "end")]
    return picture(WIDTH, 300, "A child shares blocks 1 and 2 with its parent, frozen. Its block 3 starts as a copy, "
                   "is trained and becomes a new frozen module. The parent stays as it was.", *parts)  # fmt: skip


def step() -> str:
    """What one step of a path is made of."""
    parts = [
        box(214, 34, 376, 176, fill=PAPER), title(226, 60, "step"),
        words(24, 126, "Image(8, 7, 7)", size=SMALL, anchor="start"), note(24, 146, "port it reads", "start"),
        line([(132, 122), (214, 122)]), line([(214, 122), (250, 98)], arrow=True), line([(214, 122), (250, 164)]),
        frozen(250, 80, 150, ""), words(264, 103, "conv", anchor="start"), draft(250, 146, 150, "adapter", 1),
        box(326, 87, 64, 22, "delta", fill=PAPER, edge=task_colour(1), size=SMALL, dashed=True),
        line([(400, 98), (470, 122)]), line([(400, 164), (470, 122)]),
        box(470, 104, 88, HIGH, "sum"), line([(558, 122), (646, 122)]),
        words(656, 126, "Image(8, 7, 7)", size=SMALL, anchor="start"), note(656, 146, "port it gives", "start"),
        note(24, 240, "Modules side by side, a delta inside a frozen one; combined by sum, mean, concat or a router.",
             "start"),
    ]  # fmt: skip
    return picture(WIDTH, 256, "A step reads a port, runs its modules side by side, of which one holds a delta, and "
                   "combines them by a sum.", *parts)  # fmt: skip


def candidate() -> str:
    """What a candidate is, and how it is looked up before it is trained."""
    parts = [
        box(24, 24, 250, 190, fill=PAPER), title(38, 50, "candidate"),
        *(words(38, 80 + 26 * i, text, size=SMALL, anchor="start") for i, text in enumerate((
            "path: frozen modules, drafts", "hyperparameters", "budget in steps",
            "fingerprint of the data", "what to record"))),
        line([(274, 118), (330, 118)]), box(330, 96, 92, 44, "SHA-256", size=SMALL),
        line([(422, 118), (474, 118)]), box(474, 84, 110, 68, "in the\nledger?"),
        line([(584, 106), (640, 58)]), line([(584, 130), (640, 178)]),
        box(640, 36, 100, 44, "result", fill=SHARED), box(640, 156, 100, 44, "trainer", fill=PAPER, edge=CHAMPION),
        down(690, 154, 82, CHAMPION),
        note(606, 62, "yes", "end"), note(606, 186, "no", "end"), note(698, 124, "once", "start"),
    ]  # fmt: skip
    return picture(WIDTH, 234, "A candidate is hashed. Where the ledger has its hash the result is known, else it is "
                   "trained once.", *parts)  # fmt: skip


def search() -> str:
    """A strategy asks, trainers answer, the best is frozen."""
    parts = [
        box(40, 84, 150, 60, "strategy", fill=PAPER, edge=CHAMPION), box(306, 84, 150, 60, "ledger"),
        box(572, 36, 150, 44, "trainer"), box(572, 92, 150, 44, "trainer"), box(572, 148, 150, 44, "trainer"),
        line([(190, 100), (306, 100)]), note(248, 92, "ask"),
        *(line([(456, 100), (572, y)]) for y in (58, 114)), line([(456, 100), (572, 170)]),
        note(516, 56, "candidates"),
        _back(572, 190, 380, 146), _back(380, 214, 115, 146), note(248, 236, "tell: results"), note(500, 236, "commit"),
        down(115, 84, 46, CHAMPION), words(115, 34, "best → champion, frozen", size=SMALL),
    ]  # fmt: skip
    return picture(WIDTH, 252, "A strategy asks for candidates, trainers train those that the ledger does not know, "
                   "results are committed and told, and the best becomes the champion.", *parts)  # fmt: skip


def _back(x: float, y: float, to_x: float, to_y: float) -> str:
    """A line that goes back below, and ends upwards."""
    bend = f"M{x:g} {y:g} L{x:g} 214 L{to_x:g} 214 L{to_x:g} {to_y + 6:g}"
    drawn = f'<path d="{bend}" fill="none" stroke-linejoin="round" style="stroke: {MUTED}; stroke-width: 1.8"/>'
    corners = f"M{to_x - 4.5:g} {to_y + 8:g} L{to_x:g} {to_y:g} L{to_x + 4.5:g} {to_y + 8:g} Z"
    return drawn + f'<path d="{corners}" style="fill: {MUTED}"/>'


def champions() -> str:
    """The network after one task, two and three: old boxes stay, new ones come."""
    parts = []
    new = {0: [(0, 0), (1, 0), (2, 0)], 1: [(2, 1)], 2: [(1, 2), (2, 2)]}
    for task in range(3):
        left = 24 + task * 248
        parts += [title(left, 30, f"after task {task + 1}"), box(left, 44, 216, 178, fill=PAPER)]
        for owner in range(task + 1):
            for column, row in new[owner]:
                x, y = left + 16 + 66 * column, 60 + 52 * row
                parts.append(frozen(x, y, 52, "", owner, 34))
                if owner == task:
                    parts.append(words(x + 26, y + 23, "new", size=SMALL))
        for owner in range(task + 1):
            cells = {column: row for column, row in [*new[0], *new[owner]]}
            ys = [72 + 5 * owner + 52 * cells[column] for column in range(3)]
            ends = [(left + 16 + 66 * i + 52, left + 16 + 66 * (i + 1)) for i in range(2)]
            parts += [
                line([(a, ys[i]), (b, ys[i + 1])], task_colour(owner), width=2.4, arrow=False)
                for i, (a, b) in enumerate(ends)
            ]
    parts.append(note(24, 248, "What was there has not changed: the same bytes, hashes and outputs.", "start"))
    return picture(WIDTH, 264, "The network after one, two and three tasks. Each task adds modules, none changes.",
                   *parts)  # fmt: skip


def ledger() -> str:
    """A run that is killed, and what goes on of it."""
    xs = [190 + 56 * i for i in range(9)]
    parts = [title(24, 66, "run"), title(24, 156, "resume")]
    for i, x in enumerate(xs):
        done = i < 5
        if done:
            parts.append(box(x, 42, 44, HIGH, f"c{i + 1}", size=SMALL))
        parts.append(box(x, 132, 44, HIGH, f"c{i + 1}", size=SMALL, fill=SHARED if done else PAPER,
                         edge=MUTED if done else CHAMPION))  # fmt: skip
        if done:
            parts.append(down(x + 22, 80, 130))
    x = xs[5] - 6
    parts += [
        f'<path d="M{x + 6} 46 l28 28 m0 -28 l-28 28" fill="none" style="stroke: {INK}; stroke-width: 3"/>',
        words(x + 52, 66, "kill -9", anchor="start"),
        note((xs[0] + xs[4] + 44) / 2, 192, "the same questions, answered from the ledger"),
        note((xs[5] + xs[8] + 44) / 2, 192, "trained"),
    ]
    return picture(WIDTH, 210, "A run is killed after five candidates. Resumed, it asks the same questions, takes five "
                   "answers from the ledger, and trains what is left.", *parts)  # fmt: skip


def affinity() -> str:
    """A matrix of gains, and the groups that are best by it."""
    size, left, top = 62, 130, 62
    parts = [title(24, 28, "affinity"), note(108, 28, "gain of the row's task from the column's", "start")]
    most = max(abs(value) for row in GAINS for value in row)
    for i, row in enumerate(GAINS):
        parts += [words(left - 10, top + size * i + 36, TASKS[i], size=SMALL, anchor="end"),
                  words(left + size * i + size / 2, top - 8, TASKS[i], size=SMALL)]  # fmt: skip
        for j, value in enumerate(row):
            colour = tint(CHAMPION if value > 0 else CONTROLS[0], abs(value) / most * 0.85) if i != j else SHARED
            text = f"{value:+.1f}" if i != j else "–"
            parts.append(
                f'<rect x="{left + size * j}" y="{top + size * i}" width="{size - 2}" height="{size - 2}" '
                f'style="fill: {colour}"/>'
                + words(left + size * j + size / 2 - 1, top + size * i + 36, text, size=SMALL, colour=on(colour))
            )
    parts += [line([(400, 186), (452, 186)]), note(426, 174, "choose"), title(470, 28, "grouping"),
              note(558, 28, "budget: 2 networks", "start")]  # fmt: skip
    for i, network in enumerate(groups()):
        y = 76 + 124 * i
        parts += [box(470, y, 260, 100, fill=PAPER), note(484, y + 24, f"network {i + 1}", "start")]
        parts += [frozen(484 + 120 * k, y + 44, 110, TASKS[task], task) for k, task in enumerate(network)]
    return picture(WIDTH, 330, "An affinity matrix of four tasks, and the best two networks by it: Greek with Hebrew, "
                   "digits with fashion.", *parts)  # fmt: skip


def groups() -> list[list[int]]:
    """The best networks for a budget of two, by the library's own rule on `GAINS`."""
    from pathways.affinity import Affinity, choose

    matrix = Affinity(TASKS, TASKS, "co-training", "example", "points", np.array(GAINS))
    found = choose(matrix, 2, "disjoint")
    return [[TASKS.index(task) for task in network.tasks] for network in found.networks]


PICTURES: Mapping[str, Callable[[], str]] = {
    "pool-and-paths": pool_and_paths, "frozen-and-draft": frozen_and_draft, "step": step, "candidate": candidate,
    "search": search, "champions": champions, "ledger": ledger, "affinity": affinity,
}  # fmt: skip
"""By file, what draws it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all pictures into the folder of documents that is named."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("docs", type=Path)
    folder = parser.parse_args(arguments).docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        if old.stem not in PICTURES:
            old.unlink()
    for name, draw in PICTURES.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["FOLDER", "PICTURES", "main"]

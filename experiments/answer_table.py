"""Predictions as a table: one row a sample, for spreadsheets and other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def answers_csv(names: Sequence[str], answers: Sequence[Mapping[str, Any]], of: str = "sample") -> str:
    """A CSV table with a header, from what `answers_of` gives.

    Classes have `label` and `probability`, and `label_2`, `probability_2` and on where more were asked for; values a
    column each by name; sequences their labels and probabilities, separated by spaces; spans `first`, `last` and
    `probability`.

    Args:
        names: of the samples, in order.
        answers: one for each sample.
        of: what the first column is called.

    >>> print(answers_csv(["a.png"], [{"label": "bee", "probability": 0.5}], "file"), end="")
    file,label,probability
    a.png,bee,0.5
    """
    rows = [{of: name, **_cells(answer)} for name, answer in zip(names, answers, strict=True)]
    header = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cells(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "values" in answer:
        return dict(answer["values"])
    if "labels" in answer:
        return {key: " ".join(map(str, answer[key])) for key in ("labels", "probabilities")}
    if "first" in answer:
        return {key: answer[key] for key in ("first", "last", "probability")}
    cells: dict[str, Any] = {}
    for place, each in enumerate(answer.get("top", [answer]), 1):
        end = f"_{place}" if place > 1 else ""
        cells |= {f"label{end}": each["label"], f"probability{end}": each["probability"]}
    return cells


__all__ = ["answers_csv"]

"""What `pathways predict` says of each sample: labels and probabilities, values, labels of places, spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pathways.modules import Masked, Value

if TYPE_CHECKING:
    from torch import Tensor

    from pathways.task import Target


def answers_of(target: Target, outputs: Tensor, inputs: Mapping[str, Value], top: int = 1) -> list[dict[str, Any]]:
    """One answer for each sample, plain data.

    Args:
        target: of the task.
        outputs: what `System.predict` gives.
        inputs: what was predicted from; of a sequence only the places that an input has are answered for.
        top: how many classes to name, best first.
    """
    from pathways.task import Classes, Sequences, Spans

    if isinstance(target, Classes):
        return [_classes(row, target.labels, top) for row in outputs.tolist()]
    if isinstance(target, Sequences):
        best = outputs.max(2)
        rows = zip(best.indices.tolist(), best.values.tolist(), _real(inputs, outputs), strict=True)
        return [
            {"labels": [target.labels[i] for i, r in zip(places, real, strict=True) if r],
             "probabilities": [p for p, r in zip(shares, real, strict=True) if r]}
            for places, shares, real in rows
        ]  # fmt: skip
    if isinstance(target, Spans):
        return _spans(outputs)
    names = target.names or [f"value{i + 1}" for i in range(target.n)]
    return [{"values": dict(zip(names, row, strict=True))} for row in outputs.tolist()]


def answer_text(answer: Mapping[str, Any]) -> str:
    """An answer in one line.

    >>> answer_text({"first": 2, "last": 4, "probability": 0.5})
    '2-4 0.500'
    """
    if "values" in answer:
        return "  ".join(f"{name} {value:.6g}" for name, value in answer["values"].items())
    if "labels" in answer:
        return " ".join(answer["labels"])
    if "first" in answer:
        return f"{answer['first']}-{answer['last']} {answer['probability']:.3f}"
    return "  ".join(f"{a['label']} {a['probability']:.3f}" for a in answer.get("top", [answer]))


def _classes(probabilities: list[float], labels: Any, top: int) -> dict[str, Any]:
    order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
    best = [{"label": labels[i], "probability": probabilities[i]} for i in order[: max(1, top)]]
    return {**best[0], **({"top": best} if top > 1 else {})}


def _spans(outputs: Tensor) -> list[dict[str, Any]]:
    from pathways.measure import best_spans

    spans = best_spans(outputs.clamp_min(1e-30).log())
    shares = outputs.gather(1, spans[:, :, None].expand(-1, -1, 2))  # of both ends, at the first place and at the last
    return [
        {"first": first, "last": last, "probability": float(share[0, 0] * share[1, 1])}
        for (first, last), share in zip(spans.tolist(), shares, strict=True)
    ]


def _real(inputs: Mapping[str, Value], outputs: Tensor) -> list[list[bool]]:
    """Which places of each sample are real: those of an input of variable length, where the answers have its length."""
    for value in inputs.values():
        if isinstance(value, Masked) and value.mask.shape[1] == outputs.shape[1]:
            return list(value.mask.tolist())
    return [[True] * outputs.shape[1]] * len(outputs)


__all__ = ["answer_text", "answers_of"]

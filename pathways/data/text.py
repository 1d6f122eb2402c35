"""Text as ids of bytes: no vocabulary is needed, and every string comes back as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from pathways.errors import DataError
from pathways.modules import Masked

BYTES = 256
"""The vocabulary of bytes."""


def encode(text: str) -> list[int]:
    """The bytes of a text in UTF-8, each an id below 256.

    Reference: Xue et al. 2022, ByT5 (2105.13626), section 3.1

    >>> encode("né")
    [110, 195, 169]
    """
    return list(text.encode("utf-8", "surrogatepass"))  # half of a pair, too, is a string in Python


def decode(ids: Iterable[int]) -> str:
    """The text of `ids`; where they are not of a text, as a model may write them, with replacement characters.

    >>> decode(encode("né")), decode([110, 195])
    ('né', 'n\ufffd')
    """
    data = bytes(ids)
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def text_ids(
    texts: Sequence[str], *, field: str = "text", longest: int | None = None,
    by: Callable[[str], list[int]] = encode,
) -> Masked:
    """Texts as the value of an input `Ids(None, vocabulary)`, padded with 0.

    Args:
        texts: one for each sample.
        field: what errors call them.
        longest: the most ids of a text; as many as the longest has when not given.
        by: from a text to its ids, bytes when not given; such as `BytePairs(...).encode`.

    Raises:
        DataError: something is no text, or empty, or too long; sample and field are named.

    >>> value = text_ids(["hi", "you"])
    >>> value.value.tolist(), value.mask.sum(1).tolist()
    ([[104, 105, 0], [121, 111, 117]], [2, 3])
    """
    rows = []
    for sample, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise refused(sample, field, f"must be a text that is not empty, found {text!r:.40}")
        rows.append(by(text))
        if longest is not None and len(rows[-1]) > longest:
            raise refused(sample, field, f"must have at most {longest} ids, found {len(rows[-1])}: cut it")
    return padded(rows)


def padded(rows: Sequence[Sequence[int]]) -> Masked:
    """Ids of different lengths as one value, padded with 0."""
    lengths = torch.tensor([len(row) for row in rows])
    most = max((len(row) for row in rows), default=0)
    value = torch.tensor([[*row, *[0] * (most - len(row))] for row in rows], dtype=torch.int64)
    return Masked(value, torch.arange(most) < lengths[:, None])


def texts_of(value: Masked, by: Callable[[Sequence[int]], str] = decode) -> list[str]:
    """The texts that `text_ids` encoded.

    >>> texts_of(text_ids(["hi", "you"]))
    ['hi', 'you']
    """
    def real(row: Tensor, mask: Tensor) -> list[int]:
        return [int(i) for i in row[mask]]

    return [by(real(row, mask)) for row, mask in zip(value.value, value.mask, strict=True)]


def refused(sample: int, field: str, what: str) -> DataError:
    """The error that says what of a sample cannot be encoded."""
    return DataError(f"sample {sample}, field {field!r}: {what}.")


__all__ = ["BYTES", "decode", "encode", "padded", "refused", "text_ids", "texts_of"]

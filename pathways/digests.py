"""What a sample holds, as a short digest: samples with equal digests have equal inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from pathways.modules import Masked, Port, Value


def sample_digests(inputs: Mapping[str, Value], ports: Mapping[str, Port]) -> list[bytes]:
    """One digest of 16 bytes for each sample, over the bytes of all its inputs.

    Of a `Masked` value only the real elements count: samples padded to different lengths can be equal.

    Args:
        inputs: by input name, values with a batch axis of N.
        ports: the port of each input.

    Returns:
        N digests.

    >>> from pathways.modules import Vector
    >>> same, other, again = sample_digests({"x": torch.tensor([[1.0], [2.0], [1.0]])}, {"x": Vector(1)})
    >>> (same == again, same == other)
    (True, False)
    """
    columns = [_rows(inputs[name], ports[name]) for name in sorted(inputs)]
    return [_digest(parts) for parts in zip(*columns, strict=True)]


def length_axis(port: Port) -> int:
    """The axis, in a batch of values, that a variable length runs along."""
    return 1 + port.shape.index(None)


def _digest(parts: Iterable[Any]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))  # so that two inputs never run into each other
        digest.update(part)
    return digest.digest()


def _rows(value: Value, port: Port) -> Iterable[Any]:
    if not isinstance(value, Masked):
        return _bytes(value)
    elements = value.value.movedim(length_axis(port), 1)
    return (_bytes(row[mask][None])[0] for row, mask in zip(elements, value.mask, strict=True))


def _bytes(tensor: Tensor) -> Any:
    return tensor.reshape(tensor.shape[0], -1).contiguous().view(torch.uint8).numpy()

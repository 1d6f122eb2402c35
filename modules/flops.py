"""How floating-point operations are counted.

Matrix products, convolutions and attention count, two for each multiply-add; biases, norms, activations
and pooling do not. This is the convention of `torch.utils.flop_counter`, which the conformance suite
compares with.
"""

from __future__ import annotations

from .ports import Port, Tokens

NOMINAL_LENGTH = 32
"""What a variable length counts as; FLOPs compare paths, and need one number for all of them."""


def nominal(length: int | None) -> int:
    """`length`, or `NOMINAL_LENGTH` where it is variable."""
    return NOMINAL_LENGTH if length is None else length


def rows(port: Port) -> int:
    """How many vectors a sample of `port` holds: the length of tokens, one otherwise.

    >>> from pathways.modules import Tokens, Vector
    >>> rows(Tokens(7, 16)), rows(Vector(16))
    (7, 1)
    """
    return nominal(port.length) if isinstance(port, Tokens) else 1


def product(rows: int, inputs: int, outputs: int) -> int:
    """FLOPs of multiplying (rows, inputs) with (inputs, outputs)."""
    return 2 * rows * inputs * outputs

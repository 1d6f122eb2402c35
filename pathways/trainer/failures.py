"""What is wrong with a candidate, not with the machine or the run: it is recorded as the candidate's failure."""

from __future__ import annotations

import torch

from .loans import Written

FAILURES = (FloatingPointError, RuntimeError, ValueError, MemoryError, Written)

OUT_OF_MEMORY = "out of memory"
"""How the failure of a candidate begins for which there was not enough memory."""


def words_of(error: Exception) -> str:
    """A failure as results keep it; a lack of memory is named as such, since engines try that elsewhere.

    >>> words_of(ValueError("no such port")), words_of(MemoryError("3 GB"))
    ('ValueError: no such port', 'out of memory: 3 GB')
    """
    if isinstance(error, Written):
        return str(error)[:500]
    lack = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
    return f"{OUT_OF_MEMORY if lack else type(error).__name__}: {error}"[:500]


__all__ = ["FAILURES", "OUT_OF_MEMORY", "words_of"]

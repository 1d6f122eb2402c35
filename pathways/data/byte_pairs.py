"""Byte pairs: frequent neighbours become one id, so that texts are shorter than their bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from pathways.errors import ConfigError

from . import text as as_bytes


@dataclass(frozen=True)
class BytePairs:
    """Ids of bytes and of pairs of ids, in the order in which they were joined.

    Args:
        merges: the pair that each id from 256 on stands for.

    Example:
        >>> pairs = BytePairs.learn(["the thin thing"], 258)
        >>> pairs.encode("the"), pairs.decode(pairs.encode("a thing"))
        ([256, 101], 'a thing')

    Reference: Sennrich et al. 2016 (1508.07909), section 3.2; of bytes: Radford et al. 2019 (GPT-2), section 2.2
    """

    merges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def learn(cls, texts: Iterable[str], vocabulary: int) -> BytePairs:
        """Join the most frequent pair, again and again; of equally frequent ones the one of lower ids.

        Args:
            texts: to count in.
            vocabulary: how many ids there shall be at most, 256 of them bytes. Pairs that occur once are not joined.
        """
        if vocabulary < as_bytes.BYTES:
            raise ConfigError(f"`vocabulary` must be at least {as_bytes.BYTES}, the bytes, found {vocabulary}.")
        rows = [as_bytes.encode(text) for text in texts]
        merges: list[tuple[int, int]] = []
        while as_bytes.BYTES + len(merges) < vocabulary:
            counts = Counter(pair for row in rows for pair in pairwise(row))
            best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
            if best is None or counts[best] < 2:
                break
            rows = [_joined(row, best, as_bytes.BYTES + len(merges)) for row in rows]
            merges.append(best)
        return cls(tuple(merges))

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return as_bytes.BYTES + len(self.merges)

    @cached_property
    def _bytes(self) -> list[bytes]:
        known = [bytes([i]) for i in range(as_bytes.BYTES)]
        for first, second in self.merges:
            known.append(known[first] + known[second])
        return known

    def encode(self, text: str) -> list[int]:
        """The ids of a text: its bytes, joined in the order in which pairs were learned."""
        row = as_bytes.encode(text)
        for i, pair in enumerate(self.merges):
            row = _joined(row, pair, as_bytes.BYTES + i)
        return row

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return as_bytes.decode(b"".join(self._bytes[i] for i in ids))


def _joined(row: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """The row with each occurrence of the pair, from the left, as one id."""
    found: list[int] = []
    i = 0
    while i < len(row):
        if i + 1 < len(row) and (row[i], row[i + 1]) == pair:
            found.append(new)
            i += 2
        else:
            found.append(row[i])
            i += 1
    return found


__all__ = ["BytePairs"]

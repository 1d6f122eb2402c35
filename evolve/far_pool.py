"""What a worker without a disk in common with the driver trains on: blobs and activations from an object store."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pathways.errors import BlobError
from pathways.modules import ModuleSpec
from pathways.packing import Packed, pack, unpack
from pathways.pool import Data, decode, encode
from pathways.trainer.samples import Recent

Fetch = Callable[[Sequence[Any]], list[Any]]
"""From references to what they refer to, read in place where it is on this machine."""

_ROW = 1024


@dataclass(frozen=True)
class Lent:
    """A blob in the object store.

    Args:
        ref: where it is.
        sum: its `checksum`.
        bytes: its size.
    """

    ref: Any
    sum: int
    bytes: int


def lendable(tensors: Mapping[str, Tensor]) -> tuple[Packed, int]:
    """A blob as it is put into the object store, and its checksum."""
    packed = pack(dict(tensors))
    return packed, checksum(packed.arrays)


def checksum(arrays: Iterable[np.ndarray]) -> int:
    """A number that changes when an array does: 52 MB take 4 ms, a CRC of all of it 30.

    It is the CRC-32 of sums of 64-bit words down columns of 1,024, and of what is left.

    >>> a = np.arange(5000.0)
    >>> b = a.copy(); b[17] += 1e-12
    >>> checksum([a]) == checksum([a.copy()]), checksum([a]) == checksum([b])
    (True, False)
    """
    total = 0
    for array in arrays:
        flat = array.reshape(-1).view(np.uint8)
        even = len(flat) // (8 * _ROW) * (8 * _ROW)
        sums = flat[:even].view(np.uint64).reshape(-1, _ROW).sum(axis=0, dtype=np.uint64)
        total = zlib.crc32(flat[even:].data, zlib.crc32(sums.data, total))
    return total


class FarPool:
    """A pool whose blobs are lent by the driver, and which keeps what is made until it is taken.

    Frozen blobs are read where they lie in the object store; what a draft starts from comes as bytes.

    Args:
        fetch: reads references.
        cache_bytes: how much of it to keep at hand.
    """

    def __init__(self, fetch: Fetch, cache_bytes: int = 1 << 30) -> None:
        self._fetch = fetch
        self._lent: dict[str, Lent] = {}
        self._starts: dict[str, dict[str, Tensor]] = {}
        self._own = Recent(cache_bytes)
        self._held = Recent(cache_bytes)
        self._made: dict[str, Data] = {}
        self._used: dict[str, Packed] = {}
        self.copies = False
        self.fetched = 0

    # -- what the trainer asks ------------------------------------------------------------------------------------

    def get(self, blob: str) -> dict[str, Tensor]:
        """The tensors of a blob; a `BlobError` where nobody lent or gave it."""
        own: dict[str, Tensor] | None = self._starts.get(blob) or self._own.get(blob)
        if own is not None:
            return own
        found: tuple[Packed, dict[str, Tensor]] | None = self._held.get(blob)
        if found is None:
            if blob not in self._lent:
                raise BlobError(f"module {blob[:12]} must be sent before it is used, found that it was not.")
            self._read([blob])
            found = self._held.get(blob)
            assert found is not None
        self._used[blob] = found[0]
        return found[1]

    def put(self, spec: ModuleSpec, tensors: Mapping[str, Tensor], *, kind: str = "module") -> str:
        """Keep a blob until it is taken; returns its id, which is what `Pool.put` gives."""
        plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
        blob, data = encode(spec, plain, kind)
        self._made[blob] = data
        if blob not in self._own:
            self._own.put(blob, {name: t.clone() for name, t in plain.items()}, len(data))
        return blob

    def forget(self, blobs: Iterable[str]) -> None:
        """Read these anew when they are needed next."""
        for blob in blobs:
            self._own.drop(blob)
            self._held.drop(blob)

    # -- what the worker does -------------------------------------------------------------------------------------

    def begin(
        self, lent: Mapping[str, Lent], starts: Mapping[str, Data], forget: Iterable[str] = (), copies: bool = False
    ) -> None:
        """Begin a dispatch.

        Args:
            lent: where more blobs are.
            starts: the bytes of blobs that its drafts start from.
            forget: blobs that are no longer lent.
            copies: whether to copy what is lent.
        """
        if copies or self.copies:
            self._held.clear()
        for blob in (*forget, *lent):
            self._lent.pop(blob, None)
            self._held.drop(blob)
        self._lent.update(lent)
        self._starts = {blob: decode(data) for blob, data in starts.items()}
        self.copies, self.fetched = copies, 0
        self._used.clear()
        self._made.clear()

    def reset(self) -> None:
        """Forget all that was lent."""
        self._lent.clear()
        self._held.clear()

    def read(self, blobs: Iterable[str]) -> None:
        """Have these blobs at hand, those that are not yet by one call."""
        self._read([blob for blob in blobs if blob in self._lent and blob not in self._held])

    def changed(self) -> list[str]:
        """The blobs that were read since `begin` and are not what they were."""
        return [blob for blob, packed in self._used.items() if checksum(packed.arrays) != self._lent[blob].sum]

    def taken(self, wanted: Iterable[str]) -> dict[str, np.ndarray]:
        """Of these blobs those that were made since `begin`, as arrays of bytes, which travel without a copy."""
        return {blob: np.frombuffer(self._made[blob], np.uint8) for blob in wanted if blob in self._made}

    def _read(self, blobs: Sequence[str]) -> None:
        for blob, packed in zip(blobs, self._fetch([self._lent[b].ref for b in blobs]) if blobs else (), strict=True):
            own = copied(packed) if self.copies else packed
            self.fetched += packed.nbytes
            self._held.put(blob, (own, unpack(own)), packed.nbytes)


class FarPrefixes:
    """Activations of frozen prefixes that the workers of a run share through the object store.

    Args:
        fetch: reads references.
        share: puts a value into the object store; gives its reference.
        limit: the most bytes of a run; a single value may have half of them.
    """

    def __init__(self, fetch: Fetch, share: Callable[[Any], Any], limit: int) -> None:
        self._fetch, self._share = fetch, share
        self.limit = limit
        self.copies = False
        self.fetched = 0
        self.read: list[Tensor] = []
        self._claimed: frozenset[str] = frozenset()
        self._known: dict[str, Any] = {}
        self._made: dict[str, tuple[Any, int]] = {}

    def get(self, key: str) -> Any:
        """The activations under `key`; `None` where nobody has them, or whoever had them is gone."""
        if key not in self._known or self.copies:
            return None
        try:
            [packed] = self._fetch([self._known[key]])
        except Exception:  # lost with the worker that made them: they are computed again
            del self._known[key]
            return None
        self.fetched += packed.nbytes
        return unpack(packed, self.read)

    def put(self, key: str, held: Any) -> None:
        """Share activations, unless they are too large, known already, or somebody else's to share."""
        if key in self._known or key in self._claimed or self.copies:
            return
        packed = pack(held)
        if packed.nbytes <= self.limit // 2:
            self._known[key] = ref = self._share(packed)
            self._made[key] = (ref, packed.nbytes)

    def begin(
        self, prefixes: Mapping[str, Any], forget: Iterable[str] = (), copies: bool = False, claimed: Iterable[str] = ()
    ) -> None:
        """Begin a dispatch: know what others made or are about to, and forget some; on copies nothing is shared."""
        for key in forget:
            self._known.pop(key, None)
        for key, ref in prefixes.items():
            self._known.setdefault(key, ref)
        self.copies, self.fetched = copies, 0
        self._claimed = frozenset(claimed)
        self.read = []

    def reset(self) -> None:
        """Forget all of them."""
        self._known.clear()
        self._made.clear()

    def taken(self) -> dict[str, tuple[Any, int]]:
        """What was made since the last call, with its bytes."""
        made, self._made = self._made, {}
        return made

    def discard(self) -> None:
        """Forget what was made since `taken`: it may have been computed with weights that were written to."""
        for key in self.taken():
            self._known.pop(key, None)


def copied(packed: Packed) -> Packed:
    """The same value on arrays of its own."""
    return Packed(packed.skeleton, tuple(array.copy() for array in packed.arrays))


__all__ = ["FarPool", "FarPrefixes", "Fetch", "Lent", "checksum", "copied", "lendable"]

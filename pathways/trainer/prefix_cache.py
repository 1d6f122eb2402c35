"""Activations of frozen prefixes on disk: memory-mapped, bounded, shared by the workers of a run, safe to delete."""

from __future__ import annotations

import logging
import os
import zlib
from contextlib import suppress
from pathlib import Path as FilePath
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pathways.engine import CACHE_BYTES
from pathways.modules import Masked

from .stored import Held, Stored

_log = logging.getLogger("pathways.trainer")
_CHANNELS_LAST = "NHWC"


class PrefixCache:
    """A folder of values by key, the least recently used of which go when there are too many.

    A key is a content hash of what the value was computed from: the step's hash, which covers weights, and the data
    with its transform and views. A value that is missing, cut short or damaged is computed again; so any file may be
    deleted at any time, also while others read it.

    Args:
        directory: where the files are; made when the first is written.
        limit: how many bytes to keep; 0 keeps nothing and reads nothing.

    Example:
        >>> import tempfile
        >>> cache = PrefixCache(FilePath(tempfile.mkdtemp()))
        >>> cache.put("ab12", torch.ones(2, 3))
        >>> cache.get("ab12").sum().item(), cache.get("cd34")
        (6.0, None)
    """

    def __init__(self, directory: FilePath, limit: int = CACHE_BYTES) -> None:
        self.directory = directory
        self.limit = limit

    def get(self, key: str) -> Held | None:
        """The value under `key`, mapped from its file; `None` where there is none that is whole."""
        file = self._file(key)
        if not self.limit or not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
                said = opened.metadata() or {}
                checked = said.get("sum") == _checksum(tensors)
        except (OSError, SafetensorError):
            checked = False
        if not checked:
            _log.warning("cached activations in %s are damaged and are computed again", file.name)
            file.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(file)  # used now
        value = tensors["value"]
        if said.get("axes") == _CHANNELS_LAST:
            return Stored(value, channels_last=True)
        return Masked(value, tensors["mask"]) if "mask" in tensors else value

    def put(self, key: str, held: Held) -> None:
        """Keep activations, unless they are too large or the disk is full; older ones make room."""
        tensors, axes = _taken_apart(held)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if size > self.limit // 2:
            return
        part = self.directory / f".tmp-{uuid4().hex}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            save_file(tensors, part, metadata={"sum": _checksum(tensors)} | axes)
            os.replace(part, self._file(key))
            self._make_room()
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            _log.warning("activations are not kept on disk: %s", error)

    def _make_room(self) -> None:
        """Delete what was used least recently, down to the limit."""
        found = []
        for entry in os.scandir(self.directory):
            with suppress(OSError):  # another worker deleted it
                status = entry.stat()
                found.append((status.st_mtime, status.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                break
            with suppress(OSError):
                os.unlink(path)
            total -= size

    def _file(self, key: str) -> FilePath:
        return self.directory / f"{key}.safetensors"


def prefixes_of(pool: FilePath, limit: int = CACHE_BYTES) -> PrefixCache:
    """The cache of the run whose pool is in that directory."""
    return PrefixCache(pool.parent / "cache" / "prefixes", limit)


def _taken_apart(held: Held) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors to be written, and what is said of their axes."""
    if isinstance(held, Stored):
        return {"value": held.tensor}, {"axes": _CHANNELS_LAST} if held.channels_last else {}
    return {"value": held.value, "mask": held.mask} if isinstance(held, Masked) else {"value": held}, {}


def _checksum(tensors: dict[str, Tensor]) -> str:
    """The CRC-32 of the tensors' bytes, one after another by name."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


__all__ = ["PrefixCache", "prefixes_of"]

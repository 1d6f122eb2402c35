"""The pool: immutable blobs of weights, addressed by the SHA-256 of spec and tensors."""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from pathways.modules import ModuleSpec
from pathways.modules.spec import canonical_json

from .errors import BlobError
from .files import write_atomically

Tensors = dict[str, Tensor]
class Source(Protocol):
    """Where a pool gets the blobs that are not in its directory; a `pathways.mirror.Mirror` is one."""

    def fetch(self, blobs: Iterable[str]) -> dict[str, str]:
        """Bring blobs into the pool's directory; what is wrong with those that could not be brought, by blob."""
        ...


Data = bytes  # a name that the method `Pool.bytes` does not hide


class Pool:
    """A directory of blobs, one safetensors file each, that holds only what is hashed.

    A blob's id is the SHA-256 of its file: a header with the module's spec, then its weights and buffers.
    Files are written atomically and never changed; equal content is stored once. Reading verifies the hash.

    Args:
        directory: where the files are; made when the first blob is written.
        cache_bytes: how much to keep in memory of what was read or written last.
        needed_by: names the tasks that need a blob, for error messages.
        source: where blobs come from that are not here when they are read, or are damaged here.

    Example:
        >>> import tempfile, torch
        >>> from pathways import Pool
        >>> from pathways.modules import ModuleSpec
        >>> pool = Pool(tempfile.mkdtemp())
        >>> blob = pool.put(ModuleSpec("linear", {"dim": 1}), {"w": torch.ones(1, 1)})
        >>> pool.get(blob)["w"].item(), len(blob)
        (1.0, 64)
    """

    def __init__(
        self,
        directory: str | FilePath,
        cache_bytes: int = 256 << 20,
        needed_by: Callable[[str], list[str]] | None = None,
        source: Source | None = None,
    ) -> None:
        self.directory = FilePath(directory)
        self.cache_bytes = cache_bytes
        self.needed_by = needed_by or (lambda blob: [])
        self.source = source
        self._cache: OrderedDict[str, Tensors] = OrderedDict()
        self._cached = 0

    # -- writing ------------------------------------------------------------------------------------------

    def put(self, spec: ModuleSpec, tensors: Mapping[str, Tensor], *, kind: str = "module") -> str:
        """Store weights and buffers; returns the blob's id.

        Args:
            spec: what the module is; its parts must be frozen.
            tensors: by name, any device; copied to contiguous CPU tensors.
            kind: `module`, or `optimizer` for the state of the optimizer that trained it.

        The write is atomic but not forced to disk: `sync` does that for the blobs that must survive a power cut.
        A damaged file of the same id is replaced.
        """
        plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
        blob, data = encode(spec, plain, kind)
        if not self._holds(blob, data):
            write_atomically(self.path(blob), data, durable=False)
        if blob not in self._cache:
            self._remember(blob, {name: tensor.clone() for name, tensor in plain.items()})
        return blob

    def write(self, blob: str, data: Data | memoryview) -> None:
        """Store the bytes of a blob that another process made, as `encode` gave them.

        Raises:
            BlobError: they are not what the id says.
        """
        if (found := hashlib.sha256(data).hexdigest()) != blob:
            raise BlobError(
                f"a worker must send what it says: module {blob[:12]} came as {len(data)} bytes with SHA-256 {found}."
            )
        if not self._holds(blob, data):
            write_atomically(self.path(blob), data, durable=False)

    def sync(self, blobs: Iterable[str]) -> None:
        """Force blobs and their directory entries to disk."""
        folders = set()
        for blob in blobs:
            for target in (self.path(blob), self.path(blob).parent):
                if target not in folders:
                    handle = os.open(target, os.O_RDONLY)
                    try:
                        os.fsync(handle)
                    finally:
                        os.close(handle)
                folders.add(target)

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, blob: str, *, fresh: bool = False) -> Tensors:
        """The tensors of a blob, verified. They are shared with other readers: never write to them.

        Args:
            blob: its id.
            fresh: read the file even where the blob is in memory.

        Raises:
            BlobError: the file is missing, truncated or not what its name says; the message names the module,
                the file and the tasks that need it.
        """
        if not fresh and blob in self._cache:
            self._cache.move_to_end(blob)
            return self._cache[blob]
        data = self._read(blob)
        try:
            tensors = decode(data)
        except SafetensorError as error:
            raise self._error(blob, f"is no safetensors file ({error})") from None
        self._remember(blob, tensors)
        return tensors

    def forget(self, blobs: Iterable[str]) -> None:
        """Drop what is in memory of these blobs, so that they are read anew."""
        for blob in blobs:
            self._cached -= _size(self._cache.pop(blob, {}))

    def raw(self, blob: str) -> Data:
        """The bytes of a blob's file, verified; a `BlobError` where they are not what the id says."""
        return self._read(blob)

    def spec(self, blob: str) -> dict[str, object]:
        """The identity of the spec that a blob's header holds."""
        return self._header(blob)["spec"]

    def kind(self, blob: str) -> str:
        """`module` or `optimizer`."""
        return self._header(blob)["kind"]

    def path(self, blob: str) -> FilePath:
        """The file of a blob; a `BlobError` where the id is not 64 hexadecimal digits."""
        if not _is_id(blob):
            raise BlobError(f"a blob's id must be 64 hexadecimal digits, found {blob!r}.")
        return self.directory / blob[:2] / f"{blob}.safetensors"

    def __contains__(self, blob: str) -> bool:
        return self.path(blob).exists()

    def ensure(self, blobs: Iterable[str]) -> None:
        """Bring the files of blobs here that are not, from where the pool gets them: trainers read files only.

        One that cannot be brought is missing still, as reading it will say.
        """
        if self.source is not None and (missing := [blob for blob in dict.fromkeys(blobs) if blob not in self]):
            self.source.fetch(missing)

    def intact(self, blob: str) -> bool:
        """Whether the blob's file is there and hashes to its id."""
        try:
            self._checked(blob)
        except BlobError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The ids of all blobs on disk."""
        if self.directory.exists():
            for folder in sorted(self.directory.iterdir()):
                if folder.is_dir() and len(folder.name) == 2:
                    yield from (f.stem for f in sorted(folder.glob("*.safetensors")) if _is_id(f.stem, folder.name))

    def bytes(self, blob: str) -> int:
        """The size of a blob's file."""
        return self.path(blob).stat().st_size

    # -- collecting ---------------------------------------------------------------------------------------

    def collect(self, reachable: Iterable[str]) -> list[str]:
        """Delete every blob that is not in `reachable`; returns the ids of those deleted."""
        keep = set(reachable)
        gone = [blob for blob in self if blob not in keep]
        self.discard(gone)
        if self.directory.exists():
            for leftover in self.directory.glob("*/.tmp-*"):
                leftover.unlink(missing_ok=True)
        return gone

    def discard(self, blobs: Iterable[str]) -> None:
        """Delete these blobs; nothing happens for those that are not there."""
        for blob in blobs:
            self.path(blob).unlink(missing_ok=True)
            self.forget([blob])

    # -- inside -------------------------------------------------------------------------------------------

    def _remember(self, blob: str, tensors: Tensors) -> None:
        self._cached -= _size(self._cache.pop(blob, {}))
        self._cache[blob] = tensors
        self._cached += _size(tensors)
        while self._cached > self.cache_bytes and len(self._cache) > 1:
            self._cached -= _size(self._cache.popitem(last=False)[1])

    def _read(self, blob: str) -> Data:
        try:
            return self._checked(blob)
        except BlobError:
            if self.source is None:
                raise
            if problem := self.source.fetch([blob]).get(blob):
                raise self._error(blob, problem) from None
            return self._checked(blob)

    def _checked(self, blob: str) -> Data:
        try:
            data = self.path(blob).read_bytes()
        except OSError as error:
            raise self._error(blob, f"cannot be read ({error.strerror})") from None
        found = hashlib.sha256(data).hexdigest()
        if found != blob:
            raise self._error(blob, f"holds other bytes than its name says: its SHA-256 is {found}, {len(data)} bytes")
        return data

    def _holds(self, blob: str, data: Data | memoryview) -> bool:
        file = self.path(blob)
        try:
            return os.path.exists(file) and file.read_bytes() == data
        except OSError:
            return False

    def _header(self, blob: str) -> dict[str, Any]:
        data = self._read(blob)
        length = int.from_bytes(data[:8], "little")
        try:
            header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["pathways"])
            return {"kind": str(header["kind"]), "spec": dict(header["spec"])}
        except (ValueError, KeyError, TypeError):
            raise self._error(blob, "has no header that says which module it is") from None

    def _error(self, blob: str, what: str) -> BlobError:
        tasks = self.needed_by(blob)
        needed = f"it is needed by {', '.join(map(repr, tasks))}" if tasks else "no task's champion needs it"
        return BlobError(
            f"module {blob[:12]} in {self.path(blob)} {what}; {needed}: restore the file from a copy of the run."
        )


def encode(spec: ModuleSpec, tensors: Mapping[str, Tensor], kind: str = "module") -> tuple[str, Data]:
    """A blob's id and the bytes of its file, from contiguous tensors on the processor."""
    header = canonical_json({"kind": kind, "spec": spec.identity()})
    data = to_bytes(dict(tensors), metadata={"pathways": header})
    return hashlib.sha256(data).hexdigest(), data


def decode(data: Data) -> Tensors:
    """The tensors in a blob's bytes, each in memory of its own: products may sum in another order where it begins."""
    return {name: tensor.clone() for name, tensor in from_bytes(data).items()}


def _is_id(text: str, folder: str = "") -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef") and text.startswith(folder)


def _size(tensors: Mapping[str, Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors.values())


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names, types and bits."""
    return a.keys() == b.keys() and all(
        a[n].dtype == b[n].dtype and a[n].shape == b[n].shape and torch.equal(_bits(a[n]), _bits(b[n])) for n in a
    )


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)

"""Storage: a folder on any filesystem that fsspec knows, named by a URL, whose files are read and replaced whole."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .errors import StorageError
from .files import write_atomically

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PUT_IS_ATOMIC = {"memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "hf"}
"""Protocols of object stores: a file is there whole when its upload ends, so that no other name is needed."""

BATCH = 16
"""Files that are read at the same time, where the filesystem can: all of their bytes are in memory."""

_STAMPS = (
    "ETag", "etag", "md5Hash", "generation", "checksum", "mtime", "LastModified", "updated", "last_modified", "created",
    "ino",
)  # fmt: skip

T = TypeVar("T")


def is_url(place: object) -> bool:
    """Whether a place is a URL, and not a directory of this machine.

    Example:
        >>> is_url("s3://bucket/run"), is_url("runs/letters"), is_url(FilePath("runs"))
        (True, False, False)
    """
    return isinstance(place, str) and re.match(r"[a-zA-Z][\w+.-]*://", place) is not None


def without_password(url: str) -> str:
    """The URL as messages may show it.

    Example:
        >>> without_password("sftp://ada:secret@host:22/runs/letters/")
        'sftp://ada:***@host:22/runs/letters'
    """
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    if ":" in login:
        url = url.replace(f"{login}@{host}", f"{login.partition(':')[0]}:***@{host}", 1)
    return url.rstrip("/") if urlsplit(url).path.strip("/") or parts.netloc else url


class Storage:
    """The files below a URL. Each is read whole and written whole: readers see the old bytes or the new, never a part.

    On this machine's own filesystem a file is written, forced to disk and renamed. An object store replaces a file when
    its upload ends. On all others it is written under another name and moved.

    Args:
        url: of the folder, such as `s3://bucket/run` or `file:///runs/letters`; credentials come from where the
            filesystem's package looks for them.

    Raises:
        StorageError: the protocol is not known, or the package that it needs is not installed.

    Example:
        >>> storage = Storage("memory://example")
        >>> storage.write("tasks/one.json", b"{}")
        >>> storage.read("tasks/one.json"), sorted(storage.stamps("tasks"))
        (b'{}', ['one.json'])
        >>> storage.delete(["tasks/one.json"])
        >>> storage.read("tasks/one.json") is None
        True
    """

    def __init__(self, url: str) -> None:
        self.url = without_password(url)
        self.protocol = urlsplit(url).scheme
        self._full = url.rstrip("/") or url
        self._fs, self._root  # noqa: B018 - what is wrong with the URL is said now

    @cached_property
    def _found(self) -> tuple[AbstractFileSystem, str]:
        try:
            from fsspec.core import url_to_fs

            filesystem, root = url_to_fs(self._full)
        except ImportError as error:
            package = getattr(error.__cause__, "name", None) or error.name or "fsspec"
            raise StorageError(
                f"{self.url} needs the package `{package}` for `{self.protocol}://`: install it with "
                f"`pip install {package}`."
            ) from None
        except Exception as error:
            raise StorageError(f"{self.url} must be a URL that fsspec can open, found: {error}.") from None
        return filesystem, root.rstrip("/")

    @property
    def _fs(self) -> AbstractFileSystem:
        return self._found[0]

    @property
    def _root(self) -> str:
        return self._found[1]

    @cached_property
    def local(self) -> bool:
        """Whether the files are on a filesystem that this machine has mounted."""
        from fsspec.implementations.local import LocalFileSystem

        return type(self._fs) is LocalFileSystem

    # -- reading ------------------------------------------------------------------------------------------

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """The bytes of a file, or those from `start` to before `end`; `None` where there is no such file."""
        def get() -> bytes | None:
            try:
                return bytes(self._fs.cat_file(self._at(name), start=start, end=end))
            except FileNotFoundError:
                return None

        return self._asked("read", name, get)

    def read_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Each name with the bytes of its file, or `None`; several at a time where the filesystem can do so."""
        every = list(names)
        if not getattr(self._fs, "async_impl", False):
            yield from ((name, self.read(name)) for name in every)
            return
        for first in range(0, len(every), BATCH):
            some = {self._at(name): name for name in every[first : first + BATCH]}
            found = self._asked("read", "", partial(self._fs.cat, list(some), on_error="return"))
            for path, name in some.items():
                data = found[path]
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise self._error("read", name, data)
                yield name, None if isinstance(data, Exception) else bytes(data)

    def stamps(self, folder: str = "") -> dict[str, str]:
        """The files of a folder by name, with what changes when they do, empty where nothing tells; no folders."""
        def look() -> dict[str, str]:
            self._fs.invalidate_cache()
            try:
                listed = self._fs.ls(self._at(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            files = [info for info in listed if info["type"] == "file"]
            return {str(info["name"]).rstrip("/").rpartition("/")[2]: _stamp(info) for info in files}

        return self._asked("list", folder, look)

    def files(self, folder: str) -> list[str]:
        """The names of all files below a folder, from this storage's own folder on."""
        def look() -> list[str]:
            self._fs.invalidate_cache()
            found = [str(name) for name in self._fs.find(self._at(folder))]
            return [name[len(self._root) :].lstrip("/") for name in found]

        return self._asked("list", folder, look)

    # -- writing ------------------------------------------------------------------------------------------

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file, at once."""
        path = self._at(name)

        def put() -> None:
            if self.local:
                write_atomically(FilePath(path), data)
            elif self.protocol in PUT_IS_ATOMIC:
                self._fs.pipe_file(path, data)
            else:
                aside = f"{self._folder_of(path)}/.tmp-{os.getpid()}-{secrets.token_hex(8)}"
                self._fs.pipe_file(aside, data)
                self._fs.mv(aside, path)

        self._asked("write", name, put)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of this name; whether it was written.

        Exactly one of several that try is told so on this machine's own filesystem and wherever the filesystem's
        package passes fsspec's `mode="create"` on to the store. Elsewhere two that try at once may both be told so.
        """
        path = self._at(name)

        def put() -> bool:
            try:
                if self.local:
                    FilePath(path).parent.mkdir(parents=True, exist_ok=True)
                    with open(path, "xb") as file:
                        file.write(data)
                else:
                    self._folder_of(path)
                    self._fs.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            return True

        try:
            return self._asked("write", name, put)
        except StorageError:
            if self.read(name) not in (None, data):  # S3 says a condition was not met, not that the file exists
                return False
            raise

    def add(self, name: str, data: bytes) -> bool:
        """Write a file at once, as `write` does, unless there is one of this name; whether it was written.

        Of several that try exactly one is told so where `create` says the same. On other filesystems it is looked
        first whether there is one.
        """
        if self.read(name) is not None:
            return False
        if self.local:
            def link() -> bool:
                try:
                    write_atomically(FilePath(self._at(name)), data, new=True)
                except FileExistsError:
                    return False
                return True

            return self._asked("write", name, link)
        if self.protocol in PUT_IS_ATOMIC:
            with suppress(StorageError):  # not every store knows the condition
                return self.create(name, data)
        self.write(name, data)
        return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; nothing happens for those that are not there."""
        for name in names:
            def remove(path: str = self._at(name)) -> None:
                try:
                    self._fs.rm_file(path)
                except FileNotFoundError:
                    return

            self._asked("delete", name, remove)

    # -- inside -------------------------------------------------------------------------------------------

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _folder_of(self, path: str) -> str:
        """The folder of a file, made where there is none; object stores have none, and may not let us look."""
        folder = path.rpartition("/")[0]
        if self.protocol not in PUT_IS_ATOMIC:
            self._fs.makedirs(folder, exist_ok=True)
        return folder

    def _asked(self, what: str, name: str, do: Callable[[], T]) -> T:
        try:
            return do()
        except StorageError:
            raise
        except Exception as error:  # drivers raise what they like: errors of HTTP, of signatures, of sockets
            raise self._error(what, name, error) from error

    def _error(self, what: str, name: str, error: Any) -> StorageError:
        where = f"{self.url}/{name}" if name else self.url
        said = " ".join(str(error).split()) or "no reason"
        return StorageError(
            f"storage must be able to {what} {where}, found {type(error).__name__}: {said:.300}: check the address, "
            f"the credentials and the network, then go on with `pathways resume {self.url}`."
        )

    def __str__(self) -> str:
        return self.url


def _stamp(info: Mapping[str, Any]) -> str:
    found = [info.get(key) for key in _STAMPS]
    return repr([*found, info.get("size")]) if any(value is not None for value in found) else ""


__all__ = ["Storage", "is_url", "without_password"]

"""Storage of the tests' own: a store in memory, of which a chosen change fails, tears, or is done and not confirmed."""

from __future__ import annotations

from typing import Any, ClassVar

from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem

BEFORE, TORN, AFTER = "before", "torn", "after"


class Store(MemoryFileSystem):
    """A filesystem at `store://`, of no protocol that is known to be atomic: written aside, then moved.

    Attributes:
        changes: what was changed so far, in order: `write NAME`, `move NAME`, `delete NAME`.
        fails: at which change from now on it fails, once; 0 never.
        how: whether nothing of that change was done, half of it, or all.
        down: whether all changes fail from then on, as where the process has died.
    """

    protocol = "store"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    changes: ClassVar[list[str]] = []
    fails = 0
    how = BEFORE
    down = False

    @classmethod
    def reset(cls, fails: int = 0, how: str = BEFORE, *, keep: bool = False) -> None:
        """Begin anew, empty unless `keep`."""
        if not keep:
            cls.store.clear()
            cls.pseudo_dirs[:] = [""]
        cls.changes.clear()
        cls.fails, cls.how, cls.down = fails, how, False

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("store://"))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        """Write a file."""
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        put = super().pipe_file
        self._change(f"write {path}", lambda: put(path, value), lambda: put(path, value[: len(value) // 2]))

    def mv(self, path1: str, path2: str, **more: Any) -> None:
        """Rename a file."""
        def move() -> None:
            self.store[self._strip_protocol(path2)] = self.store.pop(self._strip_protocol(path1))

        self._change(f"move {path2}", move)

    def rm_file(self, path: str) -> None:
        """Delete a file."""
        remove = super().rm_file
        if not self.exists(path):
            raise FileNotFoundError(path)
        self._change(f"delete {path}", lambda: remove(path))

    @classmethod
    def _change(cls, what: str, do: Any, half: Any = None) -> None:
        if cls.down:
            raise ConnectionError("the store is down")
        cls.changes.append(what)
        if len(cls.changes) != cls.fails:
            do()
            return
        cls.down = True
        if cls.how == AFTER:
            do()
        elif cls.how == TORN and half is not None:
            half()
        raise ConnectionError(f"the store failed at change {cls.fails}, {what}")


register_implementation("store", Store, clobber=True)

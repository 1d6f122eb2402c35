"""Files below a URL: whole or not there, on every filesystem; errors are one sentence."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest
from fake_storage import AFTER, BEFORE, TORN, Store
from fsspec.implementations.memory import MemoryFileSystem

from pathways.errors import StorageError
from pathways.storage import Storage, is_url, without_password


@pytest.fixture(params=["memory", "file", "store"])
def storage(request: pytest.FixtureRequest, tmp_path: FilePath) -> Storage:
    """An empty folder on each kind of filesystem."""
    MemoryFileSystem.store.clear()
    Store.reset()
    return Storage({"file": f"file://{tmp_path}/there"}.get(request.param, f"{request.param}://some/folder"))


def test_files_are_written_read_listed_and_deleted(storage: Storage) -> None:
    assert storage.read("tasks/a.json") is None
    assert storage.stamps("tasks") == {}
    assert storage.files("tasks") == []
    storage.write("tasks/a.json", b"one")
    storage.write("tasks/sub/b.json", b"two")
    assert storage.read("tasks/a.json") == b"one"
    assert storage.read("tasks/a.json", 1, 2) == b"n"
    assert list(storage.stamps("tasks")) == ["a.json"]
    assert sorted(storage.files("tasks")) == ["tasks/a.json", "tasks/sub/b.json"]
    assert dict(storage.read_many(["tasks/a.json", "gone"])) == {"tasks/a.json": b"one", "gone": None}
    storage.delete(["tasks/a.json", "gone"])
    assert sorted(storage.files("")) == ["tasks/sub/b.json"]


def test_a_stamp_changes_with_the_file(storage: Storage) -> None:
    storage.write("a", b"one")
    before = storage.stamps()
    assert storage.stamps() == before
    storage.write("a", b"two")
    assert storage.stamps()["a"] != before["a"]


def test_a_file_is_created_once(storage: Storage) -> None:
    assert storage.create("driver/1", b"mine")
    assert not storage.create("driver/1", b"yours")
    assert storage.read("driver/1") == b"mine"


def test_a_file_is_added_once(storage: Storage) -> None:
    assert storage.add("tasks/a.json", b"mine")
    assert not storage.add("tasks/a.json", b"yours")
    assert storage.read("tasks/a.json") == b"mine"


def test_of_two_that_add_a_file_at_once_one_does(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    MemoryFileSystem.store.clear()
    for storage in (Storage(f"file://{tmp_path}/there"), Storage("memory://some/folder")):
        storage.write("a", b"mine")
        real = storage.read
        looked = [None]  # before the other has written
        monkeypatch.setattr(storage, "read", lambda *a, real=real, looked=looked: looked.pop() if looked else real(*a))
        assert not storage.add("a", b"yours")
        assert storage.read("a") == b"mine"
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_a_store_that_knows_no_condition_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    MemoryFileSystem.store.clear()
    whole = MemoryFileSystem.pipe_file

    def put(self: MemoryFileSystem, path: str, value: bytes, mode: str = "overwrite", **more: object) -> None:
        if mode == "create":
            raise NotImplementedError("If-None-Match")
        whole(self, path, value, **more)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", put)
    storage = Storage("memory://some/folder")
    assert storage.add("a", b"mine")
    assert not storage.add("a", b"yours")


@pytest.mark.parametrize("how", [BEFORE, TORN, AFTER])
@pytest.mark.parametrize("fails", [1, 2])
def test_a_write_that_fails_leaves_the_old_bytes_or_the_new(fails: int, how: str) -> None:
    Store.reset()
    storage = Storage("store://folder")
    storage.write("a", b"old bytes")
    Store.reset(fails, how, keep=True)
    with pytest.raises(StorageError, match="store://folder/a, found ConnectionError: the store failed at change"):
        storage.write("a", b"new bytes")
    assert storage.read("a") == (b"new bytes" if (fails, how) == (2, AFTER) else b"old bytes")


def test_a_missing_package_is_named() -> None:
    with pytest.raises(StorageError, match="s3://bucket/run needs the package `s3fs` for `s3://`: install it with"):
        Storage("s3://bucket/run")


@pytest.mark.parametrize("url", ["nothing://a/b", "s4://bucket/run"])
def test_an_unknown_protocol_is_one_sentence(url: str) -> None:
    with pytest.raises(StorageError, match="must be a URL that fsspec can open, found: Protocol not known"):
        Storage(url)


def test_urls_are_told_from_directories_and_hide_passwords() -> None:
    assert [is_url(place) for place in ("file:///runs", "s3a://b/c", "C:/runs")] == [True, True, False]
    assert without_password("ftp://u:p@h/d/") == "ftp://u:***@h/d"
    assert without_password("s3://bucket/run") == "s3://bucket/run"
    assert without_password("file:///") == "file:///"

"""A run on storage is the run that a directory holds: to the fingerprint, through failures, from any machine."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path as FilePath
from threading import Thread
from typing import Any

import pytest
from fake_storage import AFTER, BEFORE, TORN, Store
from fsspec.implementations.memory import MemoryFileSystem
from helpers_tiny import TRAINING, task_of, tiny_root

from pathways import mirror as mirror_module
from pathways import storage_lease
from pathways.errors import BlobError, ForgettingError, HeldError, LedgerError, PathwaysError, StorageError
from pathways.evolve.controls import FineTune
from pathways.evolve.local import Local
from pathways.evolve.munet import MuNet
from pathways.ledger import Ledger
from pathways.ledger_snapshot import restore, snapshot, token_of
from pathways.manifest import read_task
from pathways.mirror import Mirror, located, mirrors, opened
from pathways.storage import Storage
from pathways.system import System

NAMES = ("one", "two")
SEARCH = MuNet(generations=1, children=2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A run in a directory, finished."""
    directory = tmp_path_factory.mktemp("local") / "run"
    learned(directory).close()
    return directory


@pytest.fixture(scope="module")
def local(directory: FilePath) -> str:
    """Its fingerprint."""
    with System.open(directory) as system:
        return system.fingerprint


@pytest.fixture(autouse=True)
def machine(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Become another machine: `machine("b")` has mirrors of its own."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    Store.reset()
    monkeypatch.setattr(storage_lease, "CERTAIN", {"memory", "file", "store"})  # nobody has to wait
    monkeypatch.setattr(mirror_module, "PATIENCE", 0.1)

    def become(name: str) -> None:
        monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / name))

    become("a")
    return become


@pytest.fixture(params=["memory", "file", "store"])
def url(request: pytest.FixtureRequest, tmp_path: FilePath) -> str:
    """A place on each kind of filesystem."""
    return {"file": f"file://{tmp_path}/there"}.get(request.param, f"{request.param}://runs/tiny")


@pytest.fixture
def there(directory: FilePath) -> str:
    """The finished run on storage, brought there file by file; no machine has a mirror of it."""
    storage = Storage("store://runs/there")
    for file in directory.rglob("*"):
        if file.is_file() and "cache" not in file.parts:
            storage.write(file.relative_to(directory).as_posix(), file.read_bytes())
    return storage.url


def learned(place: Any, names: tuple[str, ...] = NAMES) -> System:
    """Learn the tasks, from the beginning or from wherever the run stands."""
    directory, _ = located(place)
    there = (directory / "system.json").exists()
    system = System.open(place) if there else System.create(place, root=tiny_root(), training=TRAINING)
    try:
        tasks = [task_of(name) for name in names]
        system.attach(task for task in tasks if task.name in system.briefs)
        for task in tasks:
            if task.name not in system.briefs:
                system.learn(task, SEARCH)
    except BaseException:
        system.close()
        raise
    return system


def test_a_run_on_storage_has_the_fingerprint_of_a_local_one(url: str, local: str, machine: Any) -> None:
    with learned(url) as system:
        assert system.fingerprint == local
        assert system.place == system.summary()["run"] == url
        kept = system.reachable()
    machine("b")
    with System.open(url) as system:
        assert system.fingerprint == local
        assert system.verify().ok
        assert [row.hash for row in system.ledger.rows()]
        assert what_is_there(system) == kept


def test_only_records_are_pulled_until_a_path_is_used(there: str) -> None:
    with System.open(there) as system:
        assert list(system.briefs) == list(NAMES)
        assert system.summary()["tasks"]
        assert list(system.pool) == []
        needed = set(system.records["one"].champion.path.frozen())
        system.predict("one", task_of("one").splits["test"].inputs["x"])
        assert set(system.pool) == needed
        assert system.mirror.pulled == len(needed)  # type: ignore[union-attr]
        system.module("one")
        assert system.mirror.pulled == len(needed)  # type: ignore[union-attr]


@pytest.mark.parametrize(("how", "first"), [(BEFORE, 1), (TORN, 3), (AFTER, 5)])
def test_storage_that_fails_at_any_change_is_whole_and_any_machine_goes_on(
    how: str, first: int, local: str, machine: Any
) -> None:
    url = "store://runs/tiny"
    learned(url).close()
    changes = [change for change in Store.changes if "/driver/" not in change]
    assert [change for change in changes if "/tasks/" in change and "move" in change] == [
        f"move /runs/tiny/tasks/{name}.json" for name in NAMES
    ]
    for fails in range(first, len(Store.changes), 13):
        Store.reset(fails, how)
        machine(f"first-{how}-{fails}")
        with suppress(StorageError):
            learned(url).close()
        assert Store.down
        Store.reset(keep=True)
        machine(f"second-{how}-{fails}" if fails % 2 else f"first-{how}-{fails}")
        if "/runs/tiny/system.json" in Store.store:
            with System.open(url) as system:
                assert system.verify().ok
        with learned(url) as system:
            assert system.fingerprint == local
            system.collect()
            assert system.verify().ok
            assert what_is_there(system) == system.reachable()


def what_is_there(system: System) -> set[str]:
    """The blobs on the storage of a system, where nothing half-written is."""
    storage = system.mirror.storage  # type: ignore[union-attr]
    assert not [name for name in storage.files("") if ".tmp-" in name]
    return {name.rpartition("/")[2].split(".")[0] for name in storage.files("pool")}


# -- damage ---------------------------------------------------------------------------------------------------


def test_verify_names_a_blob_that_is_damaged_on_the_storage_only(there: str, machine: Any) -> None:
    with System.open(there) as system:
        system.module("two")  # so that the mirror holds a whole copy
        blob = next(blob for blob in system.records["two"].champion.path.frozen() if system.needing(blob) == ["two"])
        name = f"pool/{blob[:2]}/{blob}.safetensors"
        storage = system.mirror.storage  # type: ignore[union-attr]
        whole = storage.read(name) or b""
        storage.write(name, whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ForgettingError) as told:
            system.verify()
        assert {d["module"] for d in told.value.differs} == {blob}
        assert f"holds other bytes in {there}/{name} than its name says" in told.value.differs[0]["what"]
        assert "a whole copy of it is" in told.value.differs[0]["what"]
    machine("b")
    with System.open(there) as system:
        with pytest.raises(BlobError, match=r"holds other bytes in .* it is needed by 'two'"):
            system.module("two")
        assert blob not in system.pool
        system.mirror.storage.delete([name])  # type: ignore[union-attr]
        with pytest.raises(BlobError, match=f"is not in {there} as {name}; it is needed by 'two'"):
            system.module("two")
        system.mirror.storage.write(name, whole)  # type: ignore[union-attr]
        assert system.verify().ok


def test_what_is_damaged_in_the_mirror_is_pulled_again(there: str) -> None:
    with System.open(there) as system:
        system.module("one")
        blob = next(iter(system.records["one"].champion.path.frozen()))
        system.pool.path(blob).write_bytes(b"damaged")
    with System.open(there) as system:
        system.module("one")
        assert system.pool.intact(blob)
        system.pool.path(blob).write_bytes(b"damaged")
        assert system.verify().ok


@pytest.mark.parametrize("folder", ["tasks", "probes"])
def test_verify_reads_the_records_of_the_storage(folder: str, there: str) -> None:
    with System.open(there) as system:
        storage = system.mirror.storage  # type: ignore[union-attr]
        [name] = [name for name in storage.files(folder) if "/one." in name]
        data = bytearray(storage.read(name) or b"")
        data[-20] ^= 1
        storage.write(name, bytes(data))
        with pytest.raises(ForgettingError, match="first 'one'") as told:
            system.verify()
        assert f"{there}/{name}" in str(told.value)


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\x00" + bytes(500)])
def test_a_damaged_ledger_is_one_sentence(data: bytes, there: str, machine: Any) -> None:
    with learned(there, NAMES[:1]) as system:
        system.mirror.storage.write("ledger.db", data)  # type: ignore[union-attr]
    machine("b")
    with System.open(there) as system, pytest.raises(StorageError, match=f"^{there}/ledger.db must be a .*SQLite file"):
        system.ledger  # noqa: B018


# -- several machines -------------------------------------------------------------------------------------------


def test_what_another_machine_learns_or_forgets_is_seen(url: str, machine: Any) -> None:
    learned(url, NAMES[:1]).close()
    machine("b")
    with System.open(url) as reader:
        assert list(reader.briefs) == ["one"]
        machine("a")
        learned(url).close()
        reader.refresh()
        assert list(reader.briefs) == list(NAMES)
        reader.module("two")
        machine("a")
        with System.open(url) as writer:
            writer.forget("one")
            left = writer.reachable()
            assert writer.verify().ok
            assert what_is_there(writer) == left
            assert not [name for name in writer.mirror.storage.files("") if "one." in name]  # type: ignore[union-attr]
        reader.refresh()
        assert list(reader.briefs) == ["two"]
        assert reader.verify().ok
    machine("c")
    with System.open(url) as system:
        assert system.ledger.forgotten(NAMES) == {"one"}
        assert system.ledger.rows("one") == []


def test_a_ledger_that_others_carried_on_takes_the_place_of_what_was_not_pushed(url: str, machine: Any) -> None:
    with learned(url, NAMES[:1]) as system:
        system.ledger.record_control("kept", "one", {"here": "only"})  # not pushed: this machine ends
    with System.open(url) as system:
        assert system.ledger.control("kept", "one") == {"here": "only"}  # what was pushed last is what this began with
    machine("b")
    with learned(url) as system:
        assert system.ledger.control("kept", "one") is None
        rows = [row.hash for row in system.ledger.rows()]
    machine("a")
    with System.open(url) as system:
        assert system.ledger.control("kept", "one") is None
        assert [row.hash for row in system.ledger.rows()] == rows


def test_a_second_driver_is_refused_and_readers_are_not(url: str, machine: Any) -> None:
    with learned(url, NAMES[:1]) as first:
        with first.driving():
            with System.open(url) as second:
                assert second.verify().ok
                with pytest.raises(StorageError, match="another process of this machine"):
                    second.learn(task_of("two"), SEARCH)
            machine("b")
            with System.open(url) as second:
                assert second.ledger.learned() == ["one"]
                with pytest.raises(StorageError, match=r"is being written to by another driver, .* \(host:pid\)"):
                    second.learn(task_of("two"), SEARCH)
            machine("a")
        with System.open(url) as second:
            second.learn(task_of("two"), SEARCH)
            assert second.verify().ok


def test_a_driver_that_was_replaced_commits_nothing(url: str) -> None:
    with learned(url, NAMES[:1]) as system:
        storage = system.mirror.storage  # type: ignore[union-attr]

        def take_over(event: Any) -> None:
            storage.write("driver/00000099", b'{"owner": "other:1:00", "expires": 9e99}')

        with pytest.raises(StorageError, match="found other:1:00: this driver was silent"):
            system.learn(task_of("two"), SEARCH, progress=take_over)
        assert not [name for name in storage.files("tasks") if "two" in name]
        system.refresh()
        assert list(system.briefs) == ["one"]


def test_a_task_that_another_driver_committed_is_not_committed_again(there: str, directory: FilePath) -> None:
    mirror = opened(there)[1]
    assert mirror is not None
    before = mirror.storage.read("tasks/two.json")
    with pytest.raises(HeldError, match=f"{there}/tasks/two.json must not be there yet, found that another process"):
        mirror.commit(read_task(directory, "two"), [])
    assert mirror.storage.read("tasks/two.json") == before


def test_a_process_that_looked_before_a_commit_does_not_undo_it(
    there: str, directory: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with System.open(there) as writer, System.open(there) as reader:
        writer.mirror.storage.delete(["tasks/two.json"])  # type: ignore[union-attr]
        look = reader.mirror.storage.stamps  # type: ignore[union-attr]
        commit = Thread(target=writer.mirror.commit, args=(read_task(directory, "two"), []))  # type: ignore[union-attr]

        def looked(folder: str = "") -> dict[str, str]:
            found = look(folder)
            commit.start()
            commit.join(0.3)  # it waits until what was found here is done
            return found

        monkeypatch.setattr(reader.mirror.storage, "stamps", looked)  # type: ignore[union-attr]
        reader.refresh()
        commit.join()
        assert (writer.directory / "tasks" / "two.json").exists()
        writer.refresh()
        assert list(writer.briefs) == list(NAMES)


def test_what_was_pushed_is_pushed_again_where_others_may_have_deleted_it(there: str) -> None:
    with System.open(there) as system:
        mirror, blobs = system.mirror, system.records["two"].champion.path.frozen()
        assert mirror is not None
        system.pool.ensure(blobs)
        whole = set(mirror.storage.files("pool"))
        with mirror.holding():
            mirror.storage.delete(whole)
            mirror.push_blobs(blobs)
            Store.reset(keep=True)
            with mirror.holding():
                mirror.push_blobs(blobs)
            assert Store.changes == []
        mirror.storage.delete(whole)
        with mirror.holding():
            mirror.push_blobs(blobs)
        assert len(mirror.storage.files("pool")) == len(blobs)


def test_a_run_that_is_being_made_is_not_undone_by_who_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "store://runs/begun"
    found: list[bool] = []
    looking = Thread(target=lambda: found.append(Mirror(url).pull()))
    whole = Mirror.publish

    def publish(mirror: Mirror, blobs: Any) -> None:
        looking.start()
        looking.join(0.3)
        whole(mirror, blobs)

    monkeypatch.setattr(Mirror, "publish", publish)
    with System.create(url, root=tiny_root(), training=TRAINING) as system:
        looking.join()
        assert found == [True]
        assert system.place == url


def test_searches_at_once_and_without_rounds_find_what_they_read(there: str, directory: FilePath) -> None:
    search = MuNet(generations=1, children=2, steady=True)
    tasks = [task_of("three"), task_of("four")]
    with System.open(there) as system:
        assert list(system.pool) == []
        system.learn_at_once(tasks, search)
        assert system.verify().ok
        fingerprint = system.fingerprint
        kept = system.reachable()
        assert what_is_there(system) == kept
    with System.open(shutil.copytree(directory, directory.with_name("at-once"))) as system:
        system.learn_at_once(tasks, search)
        assert system.fingerprint == fingerprint


def test_a_control_goes_on_elsewhere_from_what_it_carries(
    there: str, directory: FilePath, tmp_path: FilePath, machine: Any
) -> None:
    tasks = [task_of(name) for name in NAMES]
    control = FineTune()
    with System.open(shutil.copytree(directory, tmp_path / "run")) as system:
        system.compare(tasks, control)
        expected = [e.value for e in system.ledger.evaluations(control.name)]
    with System.open(there) as system:
        system.compare(tasks[:1], control)
    machine("b")
    with System.open(there) as system:
        system.compare(tasks, control)
        assert [e.value for e in system.ledger.evaluations(control.name)] == expected
        system.collect()
        assert what_is_there(system) == system.reachable() > set(system.records["one"].champion.path.frozen())


def test_leftovers_are_collected(there: str) -> None:
    with System.open(there) as system:
        storage = system.mirror.storage  # type: ignore[union-attr]
        for name in (f"pool/ab/ab{62 * '0'}.safetensors", "pool/ab/.tmp-1", "probes/gone.safetensors", "tasks/.tmp-2"):
            storage.write(name, b"left by a driver that was killed")
        system.collect()
        assert what_is_there(system) == system.reachable()
        assert sorted(storage.files("probes")) == [f"probes/{name}.safetensors" for name in NAMES]
        assert system.verify().ok


@pytest.mark.parametrize("how", [BEFORE, AFTER])
def test_forgetting_that_is_cut_short_leaves_the_task_whole_or_gone(
    how: str, there: str, directory: FilePath, machine: Any
) -> None:
    whole = dict(Store.store)
    with System.open(there) as system:
        Store.reset(keep=True)
        system.forget("two")
    every = len([change for change in Store.changes if "/driver/" not in change]) + 1  # the claim comes first
    assert every > 3
    for fails in range(2, every + 1):
        Store.reset()
        Store.store.update(whole)
        machine(f"first{fails}")
        with System.open(there) as system:
            Store.reset(fails, how, keep=True)
            with suppress(StorageError):
                system.forget("two")
        assert Store.down
        Store.reset(keep=True)
        machine(f"second{fails}")
        with System.open(there) as system:
            assert system.verify().ok
            assert "one" in system.briefs
            if "two" in system.briefs:
                system.forget("two")
            system.collect()
            assert what_is_there(system) == system.reachable()
            assert system.ledger.rows("two") == []


def test_worker_processes_find_what_they_read_in_the_mirror(there: str, directory: FilePath, machine: Any) -> None:
    three = task_of("three")
    with System.open(there) as system:
        assert list(system.pool) == []
        with Local(workers=1, oversubscribe=True) as engine:
            system.learn(three, SEARCH, engine)
        assert system.verify().ok
        fingerprint = system.fingerprint
    with System.open(shutil.copytree(directory, directory.with_name("three"))) as system:
        system.learn(three, SEARCH)
        assert system.fingerprint == fingerprint


def test_a_shipped_root_is_pushed_before_the_run_is_one() -> None:
    with System.create("store://runs/rooted", root="omniglot") as system:
        assert system.root is not None
        assert what_is_there(system) == set(system.root.frozen())
    written = [change.rpartition("/")[2] for change in Store.changes if "move" in change and "/driver/" not in change]
    assert written[-2:] == ["config.yaml", "system.json"]


def test_a_copy_of_a_ledger_is_consistent_and_holds_no_lease(tmp_path: FilePath) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.lease("one", "host:1:00", 100.0)
        ledger.record_evaluation("munet", "a", "a", "test", "accuracy", 0.5, n=1)
        data, other = snapshot(tmp_path / "ledger.db"), snapshot(tmp_path / "ledger.db")
        assert token_of(data) != token_of(other)
        ledger.record_evaluation("munet", "a", "b", "test", "accuracy", 0.9, n=1)
        with Ledger(tmp_path / "copy.db") as copy:  # it is open while its content is replaced
            restore(data, tmp_path / "copy.db")
            assert [e.value for e in copy.evaluations("munet")] == [0.5]
            assert copy.leased(except_by="me") == []
        assert ledger.leased(except_by="me") == ["one"]
    before = (tmp_path / "copy.db").read_bytes()
    with pytest.raises(LedgerError, match="must be a whole SQLite file"):
        restore(data[:5000] + bytes(len(data) - 5000), tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == before


# -- addresses --------------------------------------------------------------------------------------------------


def test_another_run_at_the_same_address_is_not_mixed_with_the_first(there: str) -> None:
    with System.open(there) as system:
        storage = system.mirror.storage  # type: ignore[union-attr]
        storage.delete(storage.files(""))
    with pytest.raises(StorageError, match=f"{there} must be a run, found no `system.json` in it"):
        opened(there)
    with System.create(there, root=tiny_root(), training=TRAINING, seed=1) as system:
        assert system.seed == 1
        assert list(system.briefs) == []
        assert system.ledger.rows() == []
        assert list(system.pool) == []
    with pytest.raises(PathwaysError, match=f"must not hold a system, {there} does"):
        System.create(there)


def test_mirrors_stand_where_they_are_wanted(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, machine: Any
) -> None:
    assert mirrors() == tmp_path / "a"
    assert Mirror("memory://runs/x").directory == Mirror("memory://runs/x/").directory
    assert Mirror("memory://runs/x").directory != Mirror("memory://runs/y").directory
    monkeypatch.delenv("PATHWAYS_MIRRORS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert mirrors() == tmp_path / "pathways" / "mirrors"

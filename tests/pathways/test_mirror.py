"""A run on storage is the run that a directory holds: to the fingerprint, through failures, from any machine."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path as FilePath
from typing import Any

import pytest
from fake_storage import AFTER, BEFORE, TORN, Store
from fsspec.implementations.memory import MemoryFileSystem
from helpers_tiny import TRAINING, task_of, tiny_root

from pathways import storage_lease
from pathways.errors import StorageError
from pathways.evolve.munet import MuNet
from pathways.mirror import located
from pathways.system import System

NAMES = ("one", "two")
SEARCH = MuNet(generations=1, children=2)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the run in a directory."""
    with learned(tmp_path_factory.mktemp("local") / "run") as system:
        return system.fingerprint


@pytest.fixture(autouse=True)
def machine(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Become another machine: `machine("b")` has mirrors of its own."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    Store.reset()
    monkeypatch.setattr(storage_lease, "CERTAIN", {"memory", "file", "store"})  # nobody has to wait

    def become(name: str) -> None:
        monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / name))

    become("a")
    return become


@pytest.fixture(params=["memory", "file", "store"])
def url(request: pytest.FixtureRequest, tmp_path: FilePath) -> str:
    """A place on each kind of filesystem."""
    return {"file": f"file://{tmp_path}/there"}.get(request.param, f"{request.param}://runs/tiny")


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


def test_only_records_are_pulled_until_a_path_is_used(url: str, machine: Any) -> None:
    learned(url).close()
    machine("b")
    with System.open(url) as system:
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
    for fails in range(first, len(Store.changes), 5):
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

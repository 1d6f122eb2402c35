"""One driver at a time writes to a run on storage: the others are told who it is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path as FilePath

import pytest
from fake_storage import Store

from pathways import storage_lease
from pathways.errors import StorageError
from pathways.leases import new_owner
from pathways.storage import Storage
from pathways.storage_lease import DriverLease


@pytest.fixture
def storage(tmp_path: FilePath) -> Storage:
    """A folder that processes and threads share."""
    return Storage(f"file://{tmp_path}/run")


def written(storage: Storage, number: int, owner: str, seconds: float) -> None:
    """A lease as another driver wrote it."""
    said = {"owner": owner, "expires": time.time() + seconds}
    storage.write(f"driver/{number:08d}", json.dumps(said).encode())


def test_a_second_driver_is_refused_until_the_first_is_done(storage: Storage) -> None:
    first, second = DriverLease(storage), DriverLease(storage)
    first.acquire()
    with pytest.raises(StorageError, match=f"being written to by another driver, {first.owner} .*another (299|300) s"):
        second.acquire()
    first.release()
    second.acquire()
    second.check()
    assert list(storage.stamps("driver")) == ["00000002"]
    second.release()


def test_the_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(storage: Storage) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    written(storage, 7, f"{new_owner().split(':')[0]}:{int(done.stdout)}:00", 1000.0)
    lease = DriverLease(storage)
    lease.acquire()
    assert list(storage.stamps("driver")) == ["00000008"]
    lease.release()


def test_another_host_is_waited_for_until_it_is_late(storage: Storage) -> None:
    written(storage, 1, "another-host:1:00", 1000.0)
    with pytest.raises(StorageError, match="another-host:1:00"):
        DriverLease(storage).acquire()
    written(storage, 1, "another-host:1:00", -1.0)
    lease = DriverLease(storage)
    lease.acquire()
    lease.release()


def test_a_driver_that_was_replaced_may_write_no_more(storage: Storage) -> None:
    lease = DriverLease(storage, seconds=0.3)
    lease.acquire()
    time.sleep(0.5)
    lease.check()  # a thread renews it
    written(storage, 2, "another-host:1:00", 1000.0)
    with pytest.raises(StorageError, match="silent for longer than its lease"):
        lease.check()
    lease.release()
    assert json.loads(storage.read("driver/00000002") or b"")["owner"] == "another-host:1:00"


def test_of_many_that_come_at_once_one_drives(storage: Storage) -> None:
    written(storage, 1, "another-host:1:00", -1.0)
    leases = [DriverLease(storage) for _ in range(16)]
    started = threading.Barrier(len(leases))
    held = []

    def acquire(lease: DriverLease) -> None:
        started.wait()
        try:
            lease.acquire()
        except StorageError:
            return
        held.append(lease)

    threads = [threading.Thread(target=acquire, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [one] = held
    one.check()
    one.release()


def test_where_creating_is_not_exclusive_the_last_to_write_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    Store.reset()
    storage = Storage("store://run")
    first, second = (DriverLease(storage, settle=0.3) for _ in range(2))
    monkeypatch.setattr(Store, "exists", lambda self, path: False)  # both look before either has written
    lost = []

    def acquire() -> None:
        with pytest.raises(StorageError, match=second.owner) as told:
            first.acquire()
        lost.append(told)

    thread = threading.Thread(target=acquire)
    thread.start()
    while not Store.changes:
        time.sleep(0.01)
    monkeypatch.setattr(second, "_numbers", iter([[], [1], [1], [1]]).__next__)
    second.acquire()
    thread.join()
    assert lost
    second.check()
    second.release()


@pytest.mark.parametrize("torn", [b"", b'{"owner": "another-', b"[]"])
def test_a_lease_that_was_never_written_in_full_is_nobodys(storage: Storage, torn: bytes) -> None:
    storage.write("driver/00000003", torn)
    lease = DriverLease(storage)
    lease.acquire()
    assert list(storage.stamps(storage_lease.FOLDER)) == ["00000004"]
    lease.release()

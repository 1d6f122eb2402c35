"""A lock of a machine's processes: one has it, others wait, and it ends with its process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pathways.file_lock import locked


def test_one_at_a_time_has_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lock"
    with locked(file) as ours:
        assert ours
        with locked(file, patience=0.0) as also:
            assert not also
        began = time.monotonic()
        with locked(file, unless=lambda: time.monotonic() > began + 0.1) as also:
            assert not also
    with locked(file, patience=0.0) as ours:
        assert ours


def test_it_ends_with_its_process(tmp_path: Path) -> None:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with locked(tmp_path / "lock"):
            os.write(told, b"1")
            time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    with locked(tmp_path / "lock", patience=0.0) as ours:
        assert not ours
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with locked(tmp_path / "lock", patience=0.0) as ours:
        assert ours
    os.close(ready)
    os.close(told)

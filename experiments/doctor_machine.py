"""Checks of the machine: cores, threads, memory, the clock, Ray."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pathways.cores import THREAD_VARIABLES, load, usable_cores
from pathways.text import bytes_text

from .doctor import FAIL, OK, WARN, Check

MEMORY = 1 << 30
MEMORY_FILE = Path("/proc/meminfo")
SHARED_MEMORY = Path("/dev/shm")


def checks(ray: bool = False) -> list[tuple[str, Callable[[], Check | Iterator[Check]]]]:
    """The checks by name, in order; one of them starts a session of Ray where that is asked for."""
    return [("cores", cores), ("threads", threads), ("memory", memory), ("clock", clock), ("terminal", terminal),
            ("Ray", lambda: ray_works(ray))]  # fmt: skip


def cores() -> Check:
    """How many workers have room."""
    count, busy = usable_cores(), load()
    found = f"{count} that this process may use" + (f", {busy:.1f} busy" if busy is not None else "")
    if busy is not None and busy > count:
        return Check("cores", WARN, found, "other programs want them too: runs will be slow until those are done")
    return Check("cores", OK, f"{found}: up to `--workers {count}`")


def threads() -> Check:
    """Libraries are told to compute with one thread; each trainer has one."""
    more = {name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name, "1") != "1"}
    if more:
        said = ", ".join(f"{name}={value}" for name, value in more.items())
        return Check("threads", WARN, f"{said} in the environment", "unset it: workers with several threads each slow "
                     "each other down; results stay the same, since trainers take one")  # fmt: skip
    return Check("threads", OK, "one for each trainer")


def memory() -> Check:
    """How much memory is free."""
    try:
        lines = dict(line.split(":", 1) for line in MEMORY_FILE.read_text().splitlines() if ":" in line)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return Check("memory", OK, "this system does not say how much is free")
    if free < MEMORY:
        return Check("memory", WARN, f"{bytes_text(free)} free", "close other programs, or take fewer workers: each "
                     "needs a few hundred MB")  # fmt: skip
    return Check("memory", OK, f"{bytes_text(free)} free")


def clock() -> Check:
    """Records of runs and leases between drivers need a clock that is about right."""
    now = time.time()
    said = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < 1735689600:  # 2025 began
        return Check("clock", FAIL, said, "set the clock: times of runs, and of leases between drivers, come from it")
    return Check("clock", OK, said)


def terminal() -> Check:
    """Whether the tables' lines and arrows can be shown."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    try:
        "─→×–".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return Check("terminal", WARN, f"its encoding is {encoding}: lines of tables come as `?`",
                     "set PYTHONIOENCODING=utf-8, or LC_ALL=C.UTF-8")  # fmt: skip
    return Check("terminal", OK, encoding)


def ray_works(start: bool = False) -> Check:
    """Ray can be imported and, where that is asked for, started."""
    try:
        found = version("ray")
    except PackageNotFoundError:
        return Check("Ray", FAIL, "not installed", "install it: `pip install ray`; runs without `--engine ray` work")
    try:
        import ray  # noqa: F401
    except (ImportError, OSError) as error:
        return Check("Ray", FAIL, f"{found} cannot be imported: {' '.join(str(error).split()):.120}",
                     "install it anew with pip; runs without `--engine ray` work all the same")  # fmt: skip
    room = _shared_memory()
    tight = room is not None and room < MEMORY
    if not start:
        said = f"{found} can be imported; `pathways doctor --ray` also starts it"
    else:
        began = time.monotonic()
        started_and_stopped()
        said = f"{found} started, answered and stopped in {time.monotonic() - began:.0f} s"
    if tight:
        return Check("Ray", WARN, f"{said}; {SHARED_MEMORY} has {bytes_text(room or 0)}", "give a container more: "
                     "`docker run --shm-size=2g`, or Ray keeps objects on disk, which is slow")  # fmt: skip
    return Check("Ray", OK, said)


def started_and_stopped() -> None:
    """Start a session of Ray on this machine as a run does, and stop it.

    Raises:
        EngineError: it cannot be started.
    """
    from pathways.evolve.cluster import Cluster

    cluster = Cluster("local", cores=1)
    try:
        cluster.connect()
    finally:
        cluster.disconnect()


def _shared_memory() -> int | None:
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize

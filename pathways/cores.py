"""How many cores this process may really use, and how to keep programs from using more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "GOTO_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
)
"""What the thread pools of numerical libraries read, when they are first imported."""

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def one_thread_each(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose programs compute with one thread.

    >>> one_thread_each({"OMP_NUM_THREADS": "8", "HOME": "/home"})["OMP_NUM_THREADS"]
    '1'
    """
    return {**environment, **dict.fromkeys(THREAD_VARIABLES, "1")}


def usable_cores(
    affinity: int | None = None, present: int | None = None, cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP
) -> int:
    """How many cores this process may use: the least of affinity mask, cores present and CPU quota; at least 1.

    A container's quota of 1.5 cores counts as 1: a second busy thread would be stopped half of the time.

    Args:
        affinity: cores in the process's affinity mask; asked of the system when not given.
        present: cores of the machine; likewise.
        cgroups: where control groups are mounted.
        membership: the file that says in which groups this process is.

    Example:
        >>> usable_cores(affinity=4, present=8, cgroups=Path("none"))
        4
    """
    if affinity is None:
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    limits = [limit for limit in (affinity, present or os.cpu_count(), quota(cgroups, membership)) if limit is not None]
    return max(1, int(min(limits, default=1)))


def quota(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> float | None:
    """The CPU time that control groups, version 1 or 2, grant in a second; `None` where they set no limit."""
    limits = [limit for folder in _folders(cgroups, membership) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _folders(cgroups: Path, membership: Path) -> Iterator[Path]:
    """The groups of this process that may limit its CPU time, each with those that it is part of.

    In a container the names in `membership` may be those of the host, which are not there: its own group is then
    the one that is mounted.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in [cgroups / controllers, cgroups / "cpu"] if controllers else [cgroups, cgroups / "unified"]:
            parts = [part for part in name.split("/") if part not in ("", ".", "..")]
            for depth in range(len(parts), -1, -1):
                yield mount.joinpath(*parts[:depth])


def _limit(folder: Path) -> float | None:
    """What one group grants; `None` where it sets no limit."""
    try:
        granted, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            granted = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        limit = int(granted) / int(period)
    except (ValueError, ZeroDivisionError):  # `max`
        return None
    return limit if limit > 0 else None


def load() -> float | None:
    """How many processes wanted to run, on average over the last minute; `None` where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def crowded(workers: int, cores: int, load: float | None) -> str:
    """Why so many workers will be slow, as one sentence; empty where nothing speaks against them.

    >>> crowded(2, 2, 0.3)
    ''
    >>> crowded(4, 2, 0.3)
    '4 workers share 2 cores: programs that wait for each other can be many times slower than one after another.'
    """
    if workers > cores:
        return (
            f"{workers} workers share {cores} {_noun(cores)}: programs that wait for each other can be many times "
            f"slower than one after another."
        )
    if load is not None and load > cores:
        return (
            f"{load:.1f} processes want to run on {cores} {_noun(cores)} already: {workers} more will be slow until "
            f"those are done."
        )
    return ""


def _noun(cores: int) -> str:
    return "core" if cores == 1 else "cores"


__all__ = ["THREAD_VARIABLES", "crowded", "load", "one_thread_each", "quota", "usable_cores"]

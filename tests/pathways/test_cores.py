"""How many cores may be used: from affinity, cores present, and the quotas of control groups as they are written."""

import os
from pathlib import Path

import pytest

from pathways.cores import THREAD_VARIABLES, crowded, load, one_thread_each, quota, usable_cores


def groups(root: Path, membership: str, **files: str) -> tuple[Path, Path]:
    """A mount of control groups with these files, and a file that says in which of them this process is."""
    for name, text in files.items():
        file = root / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "membership").write_text(membership)
    return root / "mounted", root / "membership"


@pytest.mark.parametrize(("membership", "files", "expected"), [
    ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
    ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    ("0::/\n", {}, None),
    ("0::/user/job\n", {"user/job/cpu.max": "400000 100000\n", "user/cpu.max": "200000 100000\n"}, 2.0),
    ("0::/user/job\n", {"user/job/cpu.max": "max 100000\n", "cpu.max": "300000 100000\n"}, 3.0),
    ("0::/on/the/host\n", {"cpu.max": "50000 100000\n"}, 0.5),
    ("0::/../../other\n", {"other/cpu.max": "50000 100000\n"}, 0.5),
    ("0::/\n", {"cpu.max": "\n"}, None),
    ("0::/\n", {"cpu.max": "100000 0\n"}, None),
    ("0::/\n", {"cpu.max": "many 100000\n"}, None),
    ("4:cpu,cpuacct:/job\n0::/\n",
     {"cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}, 2.5),
    ("4:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "100000\n", "cpu/job/cpu.cfs_period_us": "50000\n"}, 2.0),
    ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000\n"}, None),
    ("2:cpuset:/job\n", {"cpuset/job/cpu.max": "100000 100000\n"}, None),
    ("1:cpu:/\n0::/\n",
     {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n", "unified/cpu.max": "200000 100000\n"},
     2.0),
    ("nonsense\n\n::", {}, None),
])
def test_the_quota_is_the_least_of_all_groups(tmp_path, membership, files, expected):
    assert quota(*groups(tmp_path, membership, **files)) == expected


def test_there_is_no_quota_where_the_system_has_no_groups(tmp_path):
    assert quota(tmp_path, tmp_path / "none") is None
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    assert quota(tmp_path, tmp_path / "odd") is None


@pytest.mark.parametrize(("affinity", "present", "granted", "expected"), [
    (8, 8, "max", 8), (2, 8, "max", 2), (8, 4, "max", 4), (8, 8, "350000", 3), (8, 8, "50000", 1),
    (1, 64, "6400000", 1),
])
def test_usable_cores_are_the_least_of_all_limits_rounded_down(tmp_path, affinity, present, granted, expected):
    where = groups(tmp_path, "0::/\n", **{"cpu.max": f"{granted} 100000\n"})
    assert usable_cores(affinity, present, *where) == expected


def test_the_system_itself_has_at_least_one_core_and_no_more_than_it_says():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    found = load()
    assert found is None or found >= 0


def test_every_pool_of_threads_gets_one():
    environment = one_thread_each({"OMP_NUM_THREADS": "8", "HOME": "here"})
    assert environment.pop("HOME") == "here"
    assert environment == dict.fromkeys(THREAD_VARIABLES, "1")
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"} <= set(environment)


@pytest.mark.parametrize(("workers", "cores", "busy", "says"), [
    (2, 2, 2.0, ""), (1, 2, None, ""), (3, 2, 0.0, "3 workers share 2 cores"), (2, 1, None, "2 workers share 1 core:"),
    (1, 2, 2.5, "2.5 processes want to run on 2 cores already: 1 more will be slow"),
])
def test_what_speaks_against_workers_is_one_sentence(workers, cores, busy, says):
    found = crowded(workers, cores, busy)
    assert found.startswith(says) if says else found == ""
    assert found.count("\n") == 0

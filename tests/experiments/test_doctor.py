"""`pathways doctor`: what works is said to, what is broken is found, with the next step; nothing is left behind."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import pytest

from pathways.errors import EngineError, PathwaysError
from pathways.experiments import doctor, doctor_machine, doctor_place, doctor_software
from pathways.experiments.cli import main
from pathways.experiments.doctor import FAIL, OFF, OK, WARN, Check, examine, findings_text


def test_a_sound_machine_is_said_to_be_sound(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is True
    found = {check["name"]: check for check in data["checks"]}
    assert {"Python", "torch", "numerics", "cores", "threads", "Ray", "disk", "files", "SQLite", "run"} <= set(found)
    assert all(set(check) == {"name", "status", "found", "next"} for check in data["checks"])
    assert {check["status"] for check in data["checks"]} <= {OK, OFF, WARN}
    assert not list(tmp_path.iterdir()), "something was left behind"


def checks(*found: Check) -> Callable[..., list[Check]]:
    return lambda *_, **__: list(found)


def test_the_status_follows_from_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", checks(Check("disk", WARN, "little", "free some")))
    assert main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "examine", checks(Check("torch", FAIL, "gone", "install it")))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "fail  torch  gone" in told
    assert "→ install it" in told
    assert "1 fail" in told


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def failed(found: Check | list[Check], status: str = FAIL) -> Check:
    """The one finding of that status; it says what to do next."""
    every = [found] if isinstance(found, Check) else found
    [one] = [check for check in every if check.status == status]
    assert one.next
    assert one.name in findings_text(every)
    return one




@pytest.mark.parametrize("name", ["torch", "ray"])
def test_what_cannot_be_imported_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    check = doctor_software.torch_works() if name == "torch" else doctor_machine.ray_works()
    assert "cannot be imported" in failed(check).found
    assert "install" in check.next


def test_an_old_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_software, "PYTHON", (99, 0))
    assert "needs 99.0" in failed(doctor_software.python()).found


def test_a_package_that_is_missing_old_or_broken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "gone":
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(doctor_software, "version", version)
    monkeypatch.setattr(doctor_software, "requires", lambda name: [
        "gone>=1", "old>=2.0", "json>=1.0", "no_such_module>=1.0", 'later>=9; extra == "more"', 'x>=1; extra == "dev"'])
    found = {check.name: check for check in doctor_software.packages()}
    assert found["gone"].found == "is not installed"
    assert found["old"].found == "is 1.2.3, needs 2.0"
    assert "cannot be imported" in found["no_such_module"].found
    assert "json" not in found
    assert found["gone"].next == "install it: `pip install 'gone>=1'`"
    [extra] = doctor_software.extras()
    assert (extra.status, extra.name) == (OFF, "extra more")
    assert "evolving-pathways[more]" in extra.next


def test_a_checkout_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_software, "requires", raising(PackageNotFoundError("x")))
    failed(list(doctor_software.packages()), WARN)
    assert list(doctor_software.extras()) == []


def test_products_that_are_wrong_or_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    answers = iter([torch.zeros(2, 2), *(torch.full((64, 96), float(i)) for i in range(99))])
    real = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: real(a, b) * 0 + next(answers))
    assert "multiplies wrong" in failed(doctor_software.torch_works()).found
    assert "differs" in failed(doctor_software.numerics_agree()).found


@pytest.mark.parametrize(("shell", "file", "text", "status"), [
    ("/bin/bash", ".bashrc", 'eval "$(pathways completion bash)"', OK), ("/bin/bash", ".bashrc", "", OFF),
    ("/bin/zsh", "", "", OFF), ("/usr/bin/fish", "", "", OFF), ("/bin/odd", "", "", OFF), ("", "", "", OFF),
])
def test_completion_is_looked_for_where_the_shell_reads(
    shell: str, file: str, text: str, status: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", shell)
    monkeypatch.setenv("HOME", str(tmp_path))
    if file:
        (tmp_path / file).write_text(text)
    assert doctor_software.completion().status == status


def test_a_busy_machine_threads_and_little_memory_are_warned_of(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_machine, "load", lambda: 99.0)
    failed(doctor_machine.cores(), WARN)
    monkeypatch.setattr(doctor_machine, "load", lambda: None)
    assert doctor_machine.cores().status == OK
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert "OMP_NUM_THREADS=8" in failed(doctor_machine.threads(), WARN).found
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2048 kB\n")
    monkeypatch.setattr(doctor_machine, "MEMORY_FILE", tmp_path / "meminfo")
    assert "2.1 MB free" in failed(doctor_machine.memory(), WARN).found
    monkeypatch.setattr(doctor_machine, "MEMORY_FILE", tmp_path / "none")
    assert doctor_machine.memory().status == OK


def test_a_clock_of_the_past_and_a_terminal_of_few_characters_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "time", SimpleNamespace(
        time=lambda: 0.0, strftime=time.strftime, localtime=time.localtime))
    failed(doctor_machine.clock())
    monkeypatch.setattr(doctor_machine.sys, "stdout", SimpleNamespace(encoding="ascii"))
    failed(doctor_machine.terminal(), WARN)


def test_ray_is_started_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "_shared_memory", lambda: None)
    monkeypatch.setattr(doctor_machine, "started_and_stopped", raising(EngineError("no room")))
    assert doctor_machine.ray_works().status == OK
    [found] = doctor.guarded("Ray", lambda: doctor_machine.ray_works(start=True))
    assert (found.status, "no room" in found.found) == (FAIL, True)
    monkeypatch.setattr(doctor_machine, "_shared_memory", lambda: 64 << 20)
    assert "--shm-size" in failed(doctor_machine.ray_works(), WARN).next
    monkeypatch.setattr(doctor_machine, "version", raising(PackageNotFoundError("ray")))
    failed(doctor_machine.ray_works())


def usage(free: int) -> Callable[[Any], Any]:
    return lambda _: SimpleNamespace(free=free)


def test_a_disk_that_is_full_or_nearly_is_found(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_place.shutil, "disk_usage", usage(1 << 20))
    failed(doctor_place.disk(tmp_path))
    failed(doctor_place.temporary(), WARN)
    monkeypatch.setattr(doctor_place.shutil, "disk_usage", usage(500 << 20))
    failed(doctor_place.disk(tmp_path / "not" / "there"), WARN)


def test_a_place_that_cannot_be_written_is_found(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_place.tempfile, "TemporaryDirectory", raising(PermissionError(13, "Permission denied")))
    assert "permission denied" in failed(list(doctor_place.files(tmp_path))).found
    (tmp_path / "system.json").write_text("{}")
    assert "looked at" in failed(list(doctor_place.files(tmp_path)), WARN).next
    monkeypatch.setattr(doctor_place.os, "access", lambda *_: False)
    assert doctor_place.sqlite(tmp_path).status == WARN
    monkeypatch.setattr(doctor_place.tempfile, "NamedTemporaryFile", raising(OSError(28, "No space left on device")))
    assert "TMPDIR" in failed(doctor_place.temporary()).next


def test_a_slow_disk_and_a_clock_apart_are_warned_of(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_place, "SLOW", 1e18)
    monkeypatch.setattr(doctor_place, "SKEW", -1.0)
    found = list(doctor_place.files(tmp_path))
    assert [check.status for check in found] == [WARN, WARN]
    assert all(check.next for check in found)


def test_a_file_system_without_sqlite_is_found(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_place.sqlite3, "connect", raising(sqlite3.OperationalError("locking protocol")))
    assert "locking protocol" in failed(doctor_place.sqlite(tmp_path)).found
    rows = SimpleNamespace(fetchone=lambda: ["delete"])
    fake = SimpleNamespace(execute=lambda *_: rows, commit=lambda: None, close=lambda: None)
    monkeypatch.setattr(doctor_place.sqlite3, "connect", lambda *_: fake)
    assert "network" in failed(doctor_place.sqlite(tmp_path), WARN).next


def looked(damaged: dict[str, str], differ: str) -> Callable[..., Any]:
    @contextmanager
    def at(directory: FilePath) -> Any:
        yield SimpleNamespace(damaged=lambda: damaged, numerics_differ=lambda: differ, briefs=[1, 2])

    return at


@pytest.mark.parametrize(("damaged", "differ", "status"), [
    ({}, "", OK), ({}, "torch 1.0", WARN), ({"omniglot/Greek": "no such file"}, "", FAIL)])
def test_a_run_is_looked_at(
    damaged: dict[str, str], differ: str, status: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.json").write_text("{}")
    monkeypatch.setattr("pathways.look.looked_at", looked(damaged, differ))
    [check] = doctor_place.run(tmp_path)
    assert check.status == status


def test_a_run_that_cannot_be_opened_is_found(tmp_path: FilePath) -> None:
    (tmp_path / "system.json").write_text("{")
    assert "system.json" in failed(list(doctor_place.run(tmp_path))).found


def test_storage_is_reached_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor_place.storage("memory://doctor").status == OK
    failed(doctor_place.storage("no-such-protocol://x/y"))
    assert [name for name, _ in doctor_place.checks("memory://doctor")] == ["storage"]


def test_a_check_that_fails_by_itself_is_a_finding_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_software, "checks", lambda: [("odd", raising(PathwaysError("odd")))])
    monkeypatch.setattr(doctor_machine, "checks", lambda ray: [("even", lambda: Check("even", OK, "fine"))])
    monkeypatch.setattr(doctor_place, "checks", lambda place: [])
    assert [(check.name, check.status) for check in examine()] == [("odd", FAIL), ("even", OK)]

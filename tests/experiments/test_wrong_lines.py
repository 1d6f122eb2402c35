"""Command lines of a hostile user: each is refused in one sentence that helps, without a traceback, with status 2."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

import numpy as np
import pytest
from helpers_cli import finished, written

from pathways.experiments.cli import main

CONFIG = """
name: small
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 2, batch: 16}
strategy: {munet: {generations: 1, children: 1, probes: 1}}
controls: [independent]
"""
FILES = {
    "empty.yaml": b"", "list.yaml": b"[1, 2]", "text.yaml": b"hello", "tab.yaml": b"a:\n\tb: 1",
    "binary.yaml": bytes(range(256)), "tag.yaml": b"a: !!python/object:os.system {}", "twice.yaml": b"name: a\nname: b",
    "deep.yaml": b"[" * 20000, "alias.yaml": b"a: &a [*a]", "nul.yaml": b'name: "\\0"', "afile": b"x",
    "empty.csv": b"", "bytes.csv": b"\xff\xfe\x00", "nan.csv": b",".join([b"nan"] * 64), "wide.csv": b"1" * 200000,
    "words.csv": b"network,cost,a,b\nx,1,oops,0.5\n", "good.csv": b"network,cost,a,b\nab,1,0.5,0.4\n",
    "zip.npz": b"PK\x03\x04junk", "short.png": b"\x89PNG\r\n\x1a\n", "config.yaml": CONFIG.encode(),
    "full/thesis.txt": b"precious", "root/path.json": b"{", "roots/path.json": b"[1]",
}
ARRAYS = {
    "objects": np.array([{}], dtype=object), "shape": np.zeros((2, 3)), "words": np.array(["a"]),
    "nan": np.full((1, 1, 8, 8), np.nan, np.float32), "scalar": np.float32(3),
    "complex": np.zeros((1, 1, 8, 8), complex),
    "none": np.zeros((0, 1, 8, 8), np.float32), "good": np.zeros((1, 1, 8, 8), np.float32),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A run, kept as it is."""
    return finished(tmp_path_factory, written(tmp_path_factory, CONFIG))


@pytest.fixture(scope="module")
def place(made: FilePath, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilePath]:
    """A folder with good and bad files and a run."""
    folder = tmp_path_factory.mktemp("place")
    for name, data in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    with (folder / "single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    for name, array in ARRAYS.items():
        np.savez(folder / f"{name}.npz", x=array)
    shutil.copytree(made, folder / "done")
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


RUN = ("run", "config.yaml", "--out", "new", "--set")
PREDICT = ("predict", "done", "digits/0-1", "--input")
WRONG: list[tuple[tuple[str, ...], str]] = [
    ((), "COMMAND"), (("rnu",), "did you mean 'run'"), (("run",), "CONFIG"),
    (("run", "none.yaml"), "none.yaml"), (("run", "."), "cannot be read"),
    (("run", "config.yaml", "extra"), "'extra'"), (("run", "config.yaml", "--wrokers", "2"), "'--workers'"),
    (("run", "config.yaml", "--workers", "two"), "'two'"), (("run", "config.yaml", "--workers", "-1"), "-1"),
    (("run", "config.yaml", "--engine", "rya"), "'ray'"), (("run", "config.yaml", "--device", "gpu"), "`--device`"),
    (("run", "config.yaml", "--address", "auto"), "`--address`"),
    (("run", "config.yaml", "--set", "noequals"), "`--set`"),
    ((*RUN, "training.steps=["), "valid YAML"), ((*RUN, "training.steps=nan"), "whole number"),
    ((*RUN, "training.lr=.nan"), "found nan"), ((*RUN, "training.steps=1e30"), "whole number"),
    ((*RUN, "training.steps=-1"), "found -1"), ((*RUN, "training.batch=0"), "found 0"), ((*RUN, "seed=x"), "'x'"),
    ((*RUN, "controls=[{head-only: {}}]"), "`controls.0.head-only`: `root` must be frozen"),
    ((*RUN, "root=null"), "`strategy.munet`"), ((*RUN, "root=none"), "'none'"), ((*RUN, "root=root"), "path.json"),
    ((*RUN, "root=roots"), "path.json"), ((*RUN, "root={architecture: [{family: linear, dmi: 3}]}"), "'dim'"),
    ((*RUN, "tasks=[{source: csv, file: none.csv, target: y, name: a}]"), "'none.csv'"),
    ((*RUN, "tasks=[{source: csv, file: bytes.csv, target: y, name: a}]"), "bytes.csv"),
    ((*RUN, "tasks=[{source: csv, file: empty.csv, target: y, name: a}]"), "empty.csv"),
    ((*RUN, "name=a/b"), "'a/b'"), ((*RUN, "name="), "`name`"), ((*RUN, "at_once=0"), "`at_once`"),
    ((*RUN, "strategy={munet: {racing: pared}}"), "'paired'"), ((*RUN, "ledger=postgres//x"), "`ledger`"),
    *((("run", f"{name}.yaml"), f"{name}.yaml") for name in (
        "empty", "list", "text", "tab", "binary", "tag", "twice", "deep", "alias", "nul")),
    (("run", "config.yaml", "--out", "afile"), "afile"), (("run", "config.yaml", "--out", "afile/x"), "afile"),
    (("run", "config.yaml", "--out", "full"), "thesis.txt"), (("run", "config.yaml", "--out", "s4://x/y"), "s4"),
    (("run", "config.yaml", "--out", "a" * 300), "too long"),
    (("run", "config.yaml", "--out", "done", "--set", "training.steps=9"), "`training.steps` was 2 and is 9"),
    (("run", "config.yaml", "--ledger", "nonsense", "--out", "new"), "`ledger`"),
    (("run", "config.yaml", "--families", "os"), "'os'"),
    (("run", "config.yaml", "--families", "os:path"), "'os:path'"),
    (("run", "config.yaml", "--families", "no.such:X"), "'no.such:X'"),
    *(((name, where), where) for name in ("show", "verify", "report", "graph", "trace", "dashboard", "resume", "cite")
      for where in ("none", "afile", "full")),
    (("predict", "done", "digits/0-1"), "--input"), (("predict", "done", "../../etc", "--input", "good.npz"), "etc"),
    (("predict", "done", "", "--input", "good.npz"), "''"), (("predict", "done", "a\0b", "--input", "good.npz"), "x00"),
    *(((*PREDICT, name), name) for name in (
        "none.csv", "full", "afile", "empty.csv", "bytes.csv", "nan.csv", "wide.csv", "zip.npz", "short.png",
        "single.npz", "objects.npz", "words.npz", "nan.npz", "complex.npz")),
    *(((*PREDICT, f"{name}.npz"), "'digits/0-1'") for name in ("shape", "scalar", "none")),
    ((*PREDICT, "nan.csv", "bytes.csv"), "found 2 files"), ((*PREDICT, "good.npz", "--top", "0"), "--top"),
    ((*PREDICT, "good.npz", "--top", "-3"), "--top"), ((*PREDICT, "short.png", "--white", "nan"), "--white"),
    (("export", "done", "digits/0-1", "--format", "pt3"), "did you mean 'pt2'"),
    (("export", "done", "digits/0-1", "--out", "full"), "full"),
    (("export", "done", "digits/0-1", "--out", "afile/x"), "afile"),
    (("export", "done", "digits/9", "--out", "x.pt2"), "'digits/9'"), (("forget", "done", "digits/9"), "'digits/9'"),
    (("serve", "done", "digits/0-1", "--port", "99999"), "--port"),
    (("serve", "done", "digits/0-1", "--replicas", "0"), "--replicas"),
    (("serve", "done", "digits/9"), "'digits/9'"),
    (("compare", "none", "done"), "none"), (("graph", "done", "--out", "full"), "full"),
    (("graph", "done", "--out", "afile/g.svg"), "afile"),
    (("graph", "done", "--format", "bmp"), "'bmp'"), (("trace", "done", "--out", "full"), "full"),
    (("trace", "done", "--out", "afile/x.json"), "afile"), (("affinity", "config.yaml"), "pathways run"),
    (("affinity", "none.yaml"), "none.yaml"), (("affinity", "full"), "full"),
    *((("group", name, "--budget", "2"), name) for name in (
        "none.csv", "empty.csv", "bytes.csv", "full", "words.csv", "wide.csv")),
    *((("group", "good.csv", "--budget", budget), budget) for budget in ("nan", "-1", "two", "1e400")),
    (("group", "good.csv"), "--budget"), (("group", "good.csv", "--budget", "2", "--rule", "tga"), "'tag'"),
    (("group", "good.csv", "--budget", "2", "--single", "x"), "'x'"),
    (("group", "good.csv", "--budget", "2", "--source-cost", "a"), "NAME=COST"),
    (("group", "good.csv", "--budget", "2", "--score-on", "none.csv"), "none.csv"),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[" ".join(line)[:60].replace("\0", "0") for line, _ in WRONG])
def test_what_is_wrong_is_one_sentence(
    line: tuple[str, ...], words: str, place: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(file.name for file in place.iterdir())
    assert main(list(line)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pathways: error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert captured.err.rstrip()[-1] in ".?`", "a sentence ends"
    assert ".tmp-" not in captured.err, "it names what was asked for"
    assert sorted(file.name for file in place.iterdir()) == before, "something was written"


def test_there_are_many_wrong_lines() -> None:
    assert len(WRONG) >= 60


# -- runs that are damaged ----------------------------------------------------------------------------------

LOOKS = ("show", "verify", "resume", "report", "cite", "graph", "dashboard")


def as_directory(file: FilePath) -> None:
    file.unlink()
    file.mkdir()


DAMAGED: dict[str, tuple[Callable[[FilePath], object], str, tuple[str, ...]]] = {
    "an empty record": (lambda run: (run / "system.json").write_text(""), "system.json", LOOKS),
    "a record that is a list": (lambda run: (run / "system.json").write_text("[]"), "system.json", ("show", "resume")),
    "a record of bytes": (lambda run: (run / "system.json").write_bytes(bytes(range(256))), "system.json", ("show",)),
    "a folder for a record": (lambda run: as_directory(run / "system.json"), "system.json", ("show", "resume")),
    "no configuration": (lambda run: (run / "config.yaml").unlink(), "config.yaml", ("resume",)),
    "half a configuration": (lambda run: (run / "config.yaml").write_text("a: ["), "config.yaml", ("show", "cite")),
    "another configuration": (lambda run: (run / "config.yaml").write_text("[1]"), "config.yaml", ("resume",)),
    "a ledger of junk": (lambda run: (run / "ledger.db").write_bytes(b"junk" * 999), "ledger", ("show", "dashboard")),
    "a folder for a ledger": (lambda run: as_directory(run / "ledger.db"), "ledger", ("show", "dashboard")),
    "half a task": (lambda run: next((run / "tasks").iterdir()).write_text("{"), "tasks", ("report", "resume")),
}


@pytest.mark.parametrize(("what", "command"), [
    (what, name) for what, (_, _, names) in DAMAGED.items() for name in names
])
def test_a_damaged_run_is_told_by_the_file_that_is_damaged(
    what: str, command: str, made: FilePath, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    damage, words, _ = DAMAGED[what]
    damage(copy)
    assert main([command, str(copy), *(["--quiet"] if command == "resume" else [])]) == 2
    err = capsys.readouterr().err
    assert err.startswith("pathways: error: ")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize("command", ["show", "cite", "report"])
def test_an_odd_configuration_does_not_keep_a_run_from_being_looked_at(
    command: str, made: FilePath, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "config.yaml").write_text(json.dumps({"engine": 3, "strategy": [1], "tasks": 4, "controls": 7, "roots": 3}))
    assert main([command, str(copy)]) == 0
    assert capsys.readouterr().err == ""


# -- places that are full or may not be written -------------------------------------------------------------


@pytest.mark.parametrize("line", [("report", "done"), ("graph", "done"), ("init", "new.yaml")])
def test_a_full_disk_is_one_sentence(
    line: tuple[str, ...], place: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(str(file) for file in place.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert main(list(line)) == 2
    err = capsys.readouterr().err
    assert "no space left on device" in err
    assert "free some space" in err
    assert err.count("\n") == 1
    assert sorted(str(file) for file in place.rglob("*")) == before


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_run_that_may_only_be_read_is_looked_at_and_not_written(
    made: FilePath, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    for folder, _, names in os.walk(copy):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o400)
        os.chmod(folder, 0o500)
    try:
        assert main(["report", str(copy)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    finally:
        for folder, _, _ in os.walk(copy):
            os.chmod(folder, 0o700)

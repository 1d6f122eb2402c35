"""The shelf and its index: nothing stale is told, whatever happens to files; what is not needed is not read."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_manifest import path_of, record_of

from pathways import manifest
from pathways.brief import Brief, brief_of
from pathways.champions import Champions
from pathways.errors import PathwaysError
from pathways.modules import BUILT_IN, Families, Module
from pathways.shelf import Records, Shelf
from pathways.shelf_index import FILE, SLACK


def blob(i: int) -> str:
    return f"{i % 16:x}"


def record(i: int, **changes: Any) -> Any:
    return record_of(f"task/{i}", changes.pop("index", i), path_of(blob(i % 3), blob(i % 5 + 5)), **changes)


def opened(directory: FilePath, families: Families = BUILT_IN) -> Shelf:
    shelf = Shelf(directory, families)
    shelf.refresh()
    return shelf


def age(directory: FilePath) -> None:
    """Let the manifests be of yesterday, as far as their times can be set: what changed last is the clock's."""
    for file in (directory / "tasks").iterdir():
        os.utime(file, ns=(0, 0))


def agrees(shelf: Shelf, directory: FilePath) -> bool:
    """Whether the shelf tells what reading every file tells."""
    records, wrong = manifest.read_valid_tasks(directory)
    blobs = {b for r in records.values() for b in r.path.frozen()}
    users = {b: [name for name, r in records.items() if b in r.path.frozen()] for b in blobs}
    return (
        list(shelf.briefs.items()) == [(n, brief_of(r, BUILT_IN)) for n, r in records.items()]
        and dict(Records(shelf)) == records
        and shelf.unreadable == dict(wrong)
        and all(shelf.users(b) == found for b, found in users.items())
        and shelf.users("f" * 64) == []
    )


# -- what is told is what the files say -------------------------------------------------------------------------


def act(directory: FilePath, kind: str, i: int) -> None:
    """Something that another process, or a user with an editor, does to a run."""
    file = manifest.task_file(directory, f"task/{i}")
    if kind == "write":
        manifest.write_task(directory, record(i))
    elif kind == "replace":
        manifest.write_task(directory, record(i, test=random.Random(i).random(), data=f"{i:x}" * 64))
    elif kind == "twin":
        manifest.write_task(directory, record(i, index=0))
    elif kind == "remove":
        manifest.remove_task(directory, f"task/{i}")
    elif kind == "index":
        (directory / FILE).unlink(missing_ok=True)
    elif kind == "tear" and (directory / FILE).exists():
        data = (directory / FILE).read_bytes()
        (directory / FILE).write_bytes(data[: i * len(data) // 6])
    elif kind == "lie" and (directory / FILE).exists():
        data = (directory / FILE).read_bytes()
        (directory / FILE).write_bytes(data.replace(b'"new_parameters":', b'"new_parameters":1', 1))
    elif kind == "edit" and file.exists():
        file.write_bytes(file.read_bytes().replace(b'"index": ', b'"index": 1', 1))
    elif kind == "same size" and file.exists():  # in place, and back to the times it had
        before = file.stat()
        file.write_bytes(file.read_bytes().replace(b"omniglot", b"omniglut"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


KINDS = ["write", "write", "replace", "twin", "remove", "index", "tear", "lie", "edit", "same size", "open", "save"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5)), max_size=14), st.booleans())
def test_whatever_happens_to_the_files_the_shelf_tells_what_they_say(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int]], save: bool
) -> None:
    directory = tmp_path_factory.mktemp("run")
    for i in range(4):
        manifest.write_task(directory, record(i))
    shelf = opened(directory)
    if save:
        shelf.save()
    for kind, i in acts:
        if kind == "open":
            shelf = opened(directory)
        elif kind == "save":
            shelf.save()
        else:
            act(directory, kind, i)
        shelf.refresh()
        assert agrees(shelf, directory), (kind, i)
    assert agrees(opened(directory), directory)


def test_an_edit_that_keeps_size_and_times_is_seen(tmp_path: FilePath, monkeypatch: Any) -> None:
    monkeypatch.setattr("pathways.shelf.SETTLED", 10**7)  # two seconds are for coarse clocks, this disk's is fine
    manifest.write_task(tmp_path, record(0))
    age(tmp_path)
    time.sleep(0.05)
    shelf = opened(tmp_path)
    assert all(seen.settled for seen in shelf._seen.values())
    hashed = shelf.hashed + shelf.reads
    shelf.refresh()
    assert shelf.hashed + shelf.reads == hashed, "a settled file is not looked at again"
    time.sleep(0.05)
    file = manifest.task_file(tmp_path, "task/0")
    assert file.stat().st_mtime_ns == 0
    file.write_bytes(file.read_bytes().replace(b'"index": 0', b'"index": 7'))
    os.utime(file, ns=(0, 0))
    shelf.refresh()
    assert "digest" in shelf.unreadable["task/0"]


def test_a_file_that_was_written_just_now_is_looked_at_again(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record(0))
    shelf = opened(tmp_path)
    assert not any(seen.settled for seen in shelf._seen.values())
    shelf.refresh()
    assert (shelf.reads, shelf.hashed) == (1, 1)


def test_a_record_whose_file_changed_since_is_not_given_out(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record(0))
    opened(tmp_path).save()
    shelf = opened(tmp_path)
    manifest.write_task(tmp_path, record(0, test=0.25))
    with pytest.raises(PathwaysError, match=r"task%2F0.json changed since it was read: open the run again"):
        shelf.record("task/0")
    shelf.refresh()
    assert shelf.record("task/0").test == 0.25
    manifest.remove_task(tmp_path, "task/0")
    shelf._held.clear()
    with pytest.raises(PathwaysError, match="must be there, found no such file"):
        shelf.record("task/0")


# -- what is not needed is not read -----------------------------------------------------------------------------


def test_with_an_index_opening_reads_no_manifest_in_full_and_one_more_task_reads_one(tmp_path: FilePath) -> None:
    for i in range(30):
        manifest.write_task(tmp_path, record(i))
    cold = opened(tmp_path)
    assert (cold.reads, cold.hashed) == (30, 0)
    cold.save()
    warm = opened(tmp_path)
    assert (warm.reads, warm.hashed) == (0, 30)
    assert warm.briefs == cold.briefs
    manifest.write_task(tmp_path, record(30))
    warm.add("task/30")
    assert warm.reads == 1
    warm.save()
    assert opened(tmp_path).reads == 0


def test_a_copied_run_needs_no_reading_either(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path / "a", record(0))
    opened(tmp_path / "a").save()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert opened(tmp_path / "b").reads == 0


def test_reading_whole_trusts_nothing(tmp_path: FilePath) -> None:
    for i in range(3):
        manifest.write_task(tmp_path, record(i))
    opened(tmp_path).save()
    shelf = opened(tmp_path)
    shelf.refresh(whole=True)
    assert shelf.reads == 3


def test_looking_writes_nothing_and_equal_runs_have_equal_indexes(tmp_path: FilePath) -> None:
    for run in ("a", "b"):
        for i in range(4):
            manifest.write_task(tmp_path / run, record(i))
            shelf = opened(tmp_path / run)
            assert (tmp_path / run / FILE).exists() == (i > 0), "opening writes no file"
            shelf.save()
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_the_index_of_other_families_or_other_code_is_not_read(tmp_path: FilePath, monkeypatch: Any) -> None:
    class Mine(Module):
        family = "mine"

    manifest.write_task(tmp_path, record(0))
    opened(tmp_path).save()
    assert opened(tmp_path, Families([Mine])).reads == 1
    monkeypatch.setattr("pathways.shelf_index._code", lambda: "other")
    assert opened(tmp_path).reads == 1


def test_a_task_that_is_gone_is_gone_from_the_index_too(tmp_path: FilePath) -> None:
    for i in range(3):
        manifest.write_task(tmp_path, record(i))
    shelf = opened(tmp_path)
    shelf.save()
    assert b"task/1" in (tmp_path / FILE).read_bytes()
    manifest.remove_task(tmp_path, "task/1")
    shelf.refresh()
    shelf.save()
    assert b"task/1" not in (tmp_path / FILE).read_bytes()


def test_the_index_stays_small_however_often_tasks_change(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record(0))
    for i in range(2 * SLACK):
        manifest.write_task(tmp_path, record(1, test=i / 100))
        opened(tmp_path).save()
    assert len((tmp_path / FILE).read_bytes().splitlines()) <= 2 * 2 + SLACK + 1


def test_an_index_that_cannot_be_written_is_no_failure(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record(0))
    (tmp_path / FILE).mkdir()
    shelf = opened(tmp_path)
    shelf.save()
    assert list(shelf.briefs) == ["task/0"]


# -- briefs and champions ---------------------------------------------------------------------------------------


def test_a_brief_comes_back_from_json() -> None:
    brief = brief_of(record(3, test=None, test_data=None), BUILT_IN)
    assert Brief.from_json(json.loads(json.dumps(brief.to_json()))) == brief
    assert (brief.parameters, len(brief.sizes)) == (5 * 4 + 5 + 5 * 3 + 3, 2)


def test_champions_are_read_when_looked_at_and_know_who_uses_what() -> None:
    paths = {name: record_of(name, 0, path_of("a", head)).champion for name, head in [("x", "b"), ("y", "c")]}
    loaded: list[str] = []

    def load(name: str) -> Any:
        loaded.append(name)
        return paths[name]

    known = Champions.of(paths, BUILT_IN)
    champions = Champions(known.sketches, load, known.using)
    assert list(champions) == ["x", "y"]
    assert champions.users["a" * 64] == {"x", "y"}
    assert "b" * 64 in champions.users
    assert "d" * 64 not in champions.users
    assert len(champions.users) == 3
    assert champions.but(frozenset({"x"})).users["a" * 64] == {"y"}
    assert loaded == []
    assert champions["y"] == paths["y"]
    assert loaded == ["y"]
    assert champions == paths
    with pytest.raises(KeyError):
        champions.but(frozenset({"x"}))["x"]


def test_a_shared_part_of_the_head_is_no_trunk() -> None:
    brief = brief_of(record(0), BUILT_IN)
    assert brief.sketch.trunk == record(0).path.step_hashes["trunk"]
    steps = {"head": record(0).path.steps["trunk"], "last": replace(record(0).path.steps["head"], reads=("head",))}
    odd = replace(record(0).path, steps=steps, output="last")
    assert brief_of(record_of("odd", 0, odd), BUILT_IN).sketch.trunk == ""

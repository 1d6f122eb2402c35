"""The manifest: what is written comes back, byte for byte; what was edited is refused by file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways import manifest
from pathways.candidate import Augment, Measures, Training
from pathways.errors import PathwaysError
from pathways.manifest import SystemRecord, TaskRecord, fingerprint
from pathways.modules import Draft, Families, Frozen, Init, Module, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.strategy import Champion
from pathways.task import Affine, Classes, Values

HEAD = ModuleSpec("classifier", {"classes": 3})


def path_of(blob: str = "a", head: str = "b", spec: ModuleSpec = HEAD) -> Path:
    """A frozen path of two modules."""
    trunk = Frozen(blob * 64, ModuleSpec("linear", {"dim": 5}))
    steps = {"trunk": Step((trunk,), ("x",)), "head": Step((Frozen(head * 64, spec),), ("trunk",))}
    return Path({"x": Vector(4)}, steps, "head")


def record_of(
    name: str = "letters/Greek", index: int = 0, path: Path | None = None, **changes: Any
) -> TaskRecord:
    """A record with something in every field."""
    champion = Champion(
        name, path or path_of(), Training(augment=Augment(rotate=10.0)),
        Measures(0.5, 0.5, 1.25, 0.5, 100), "c" * 64, ("root", "letters/Latin"),
        {"rates": {"clone": 0.25}, "steps": (1, 2)},
    )
    record = TaskRecord(
        champion, index, Classes(3, ("α", "β", "γ")), {"x": Affine((0.5, 1.0, 2.0, 1.0), 0)},
        "accuracy", True, "embedded", "d" * 64, "e" * 64, 0.75, 18, "f" * 64, "munet", {"generations": 2},
    )
    return replace(record, **changes)


def test_a_task_is_written_read_and_written_to_the_same_bytes(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record_of())
    file = tmp_path / "tasks" / "letters%2FGreek.json"
    before = file.read_bytes()
    record = manifest.read_task(tmp_path, "letters/Greek")
    assert record.champion.path == path_of()
    assert record.champion.parents == ("root", "letters/Latin")
    assert record.target == Classes(3, ("α", "β", "γ"))
    assert (record.name, record.inputs, record.test, record.settings) == (
        "letters/Greek", {"x": Vector(4)}, 0.75, {"generations": 2},
    )
    manifest.write_task(tmp_path, record)
    assert file.read_bytes() == before
    assert manifest.read_task(tmp_path, "letters/Greek") == record


def test_a_system_is_written_read_and_written_to_the_same_bytes(tmp_path: FilePath) -> None:
    draft = Draft("a", ModuleSpec("linear", {"dim": 5}), Init(3))
    root = Path({"x": Vector(4)}, {"a": Step((draft,), ("x",))}, "a")
    numerics = {"torch": "2.13", "stack": {"dispatch": 2}}
    for record in (SystemRecord("a" * 64, 7, numerics, root), SystemRecord("b", 0)):
        manifest.write_system(tmp_path, record)
        before = manifest.system_file(tmp_path).read_bytes()
        assert manifest.read_system(tmp_path) == record
        manifest.write_system(tmp_path, manifest.read_system(tmp_path))
        assert manifest.system_file(tmp_path).read_bytes() == before


NUMBERS = st.floats(allow_nan=False)


@settings(deadline=None, max_examples=30)
@given(st.text(min_size=1, max_size=15), NUMBERS, st.none() | NUMBERS, st.integers(0, 2**40))
def test_any_name_and_number_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: float, test: float | None, size: int
) -> None:
    directory = tmp_path_factory.mktemp("run")
    record = record_of(name, test=test, new_parameters=size)
    measures = Measures(value, 0.5, math.inf, 0.0, 3)
    record = replace(record, champion=replace(record.champion, measures=measures, extra={}))
    manifest.write_task(directory, record)
    assert manifest.read_task(directory, name) == record
    assert [file.parent for file in directory.rglob("*.json")] == [directory / "tasks"]


def test_nan_survives(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record_of(test=math.nan))
    found = manifest.read_task(tmp_path, "letters/Greek").test
    assert found is not None
    assert math.isnan(found)


def test_what_is_not_plain_data_is_refused_and_nothing_is_written(tmp_path: FilePath) -> None:
    with pytest.raises(PathwaysError, match="plain data only"):
        manifest.write_task(tmp_path, record_of(settings={"module": object()}))
    with pytest.raises(PathwaysError, match="plain data only"):
        manifest.write_task(tmp_path, record_of(settings={"rate": math.nan}))
    assert list(tmp_path.rglob("*.json")) == []


def test_tasks_come_in_the_order_learned(tmp_path: FilePath) -> None:
    for index, name in ((2, "a"), (0, "b"), (5, "c")):
        manifest.write_task(tmp_path, record_of(name, index))
    (tmp_path / "tasks" / ".tmp-half").write_text("{")
    assert list(manifest.read_tasks(tmp_path)) == ["b", "a", "c"]
    manifest.remove_task(tmp_path, "a")
    manifest.remove_task(tmp_path, "a")
    assert list(manifest.read_tasks(tmp_path)) == ["b", "c"]


def test_two_tasks_of_one_index_are_refused(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record_of("a", 1))
    manifest.write_task(tmp_path, record_of("b", 1))
    with pytest.raises(PathwaysError, match=r"b.json: `index` must be its own, found 1, as 'a' has"):
        manifest.read_tasks(tmp_path)


def test_valid_tasks_are_read_beside_those_that_do_not_fit(tmp_path: FilePath) -> None:
    manifest.write_task(tmp_path, record_of("a/1", 0))
    manifest.write_task(tmp_path, record_of("b/2", 1))
    manifest.task_file(tmp_path, "b/2").write_text("{")
    records, unreadable = manifest.read_valid_tasks(tmp_path)
    assert list(records) == ["a/1"]
    ((name, what),) = unreadable
    assert name == "b/2"
    assert "b%2F2.json must be plain JSON" in what


def test_names_stay_inside_the_directory() -> None:
    run = FilePath("run")
    for name in ("..", "../x", "/etc/passwd", ".", "a\\b", "a\0b", "C:x"):
        assert manifest.task_file(run, name).parent == run / "tasks"
        assert manifest.probe_file(run, name).parent == run / "probes"
    for name in ("", "x" * 201, "/" * 70):
        with pytest.raises(PathwaysError, match="`name` of a task must have 1 to 200 characters"):
            manifest.task_file(run, name)


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """An edit that sets a key."""
    def edit(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value
    return edit


def cut(*keys: Any) -> Callable[[dict[str, Any]], None]:
    """An edit that removes a key."""
    def edit(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        del data[keys[-1]]
    return edit


TRUNK = ("path", "steps", "trunk")
DRAFT = Draft("a", ModuleSpec("linear", {"dim": 5})).to_json()


@pytest.mark.parametrize(("edit", "message"), [
    (put("format", value=2), "`format` must be 1, the format that this release reads, found 2"),
    (put("format", value=True), "`format` must be a whole number, found True"),
    (put("index", value=0.0), "`index` must be a whole number"),
    (put("index", value=-1), "`index` must be at least 0, found -1"),
    (put("task", value="../letters"), "`task` must be the name that the file has, found '../letters'"),
    (put("task", value="letters/Latin"), "`task` must be the name that the file has"),
    (put("parents", value=["root", 1]), "`parents` must be a list of texts"),
    (put("surprise", value=1), "`surprise` is no key of this file"),
    (put("test", value="high"), "`test` must be a number, found 'high'"),
    (put("extra", value=[]), "`extra` must be an object"),
    (put("measures", "seconds", value=1), "`measures.seconds` is no key"),
    (put("measures", "quality", value=None), "`measures.quality` must be a number"),
    (put("metric", "higher_is_better", value=1), "`metric.higher_is_better` must be true or false"),
    (put("target", "kind", value="ranks"), "`target.kind` must be 'classes', 'values', 'sequences' or 'spans'"),
    (put("target", "n", value=4), "`target.names` must be empty or 4 texts"),
    (put("target", value={"kind": "values", "n": 4, "names": []}), "`target.n` must be the size of what"),
    (put("transform", value={"y": {"scale": 1.0, "shift": 0.0}}), "`transform` must be one for each input"),
    (put("transform", "x", "scale", value="a"), "`transform` does not fit: could not convert"),
    (put("transform", "x", "gamma", value=1.0), "`transform` does not fit: `x.gamma` is missing, unknown"),
    (put("training", "lr", value=-1.0), "`training` does not fit: `lr` must be a number"),
    (put("training", "speed", value=1.0), "`training` does not fit: .*speed"),
    (cut("training", "lr"), "`training` does not fit: `lr` is missing"),
    (put("training", "augment", "flip", value=1.0), "`training` does not fit: .*flip"),
    (put("path", "output", value="nowhere"), "`path` does not fit: `output` must name a step"),
    (put("path", "extra", value=1), "`path` does not fit: `extra` is missing, unknown"),
    (put(*TRUNK, "reads", value=["y"]), "`path` does not fit: step 'trunk' reads 'y'"),
    (put(*TRUNK, "reads", value=["head"]), "`path` does not fit: .* in a circle"),
    (put(*TRUNK, "modules", 0, "frozen", value="../../etc"), "`path` does not fit: .* a module reference is"),
    (put(*TRUNK, "modules", 0, "spec", "family", value="os.system"), "`path` .*`family` must be one of"),
    (put(*TRUNK, "modules", 0, "spec", "config", value={"dim": -3}), "`path` does not fit: .*-3"),
    (put(*TRUNK, "modules", 0, "spec", "config", value={}), "`path` does not fit: .*dim"),
    (cut(*TRUNK, "modules", 0, "spec", "version"), "`path` .*: `steps.trunk.modules.0.spec.version` is"),
    (put("path", "inputs", "x", "dim", value=0), "`path` does not fit: .*`dim` of port"),
    (put(*TRUNK, "modules", value=[DRAFT]), "`path` must be of frozen modules only"),
])
def test_an_edited_record_is_refused_by_file_and_key(
    tmp_path: FilePath, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    manifest.write_task(tmp_path, record_of())
    file = manifest.task_file(tmp_path, "letters/Greek")
    data = json.loads(file.read_text())
    edit(data)
    file.write_text(json.dumps(data))
    with pytest.raises(PathwaysError, match=r"letters%2FGreek\.json: " + message):
        manifest.read_task(tmp_path, "letters/Greek")
    with pytest.raises(PathwaysError, match=r"letters%2FGreek\.json"):
        manifest.read_tasks(tmp_path)


@pytest.mark.parametrize("kind", ["task", "system"])
def test_every_key_is_needed(tmp_path: FilePath, kind: str) -> None:
    manifest.write_task(tmp_path, record_of())
    manifest.write_system(tmp_path, SystemRecord("a", 1))
    file = manifest.task_file(tmp_path, "letters/Greek") if kind == "task" else manifest.system_file(tmp_path)
    read = manifest.read_tasks if kind == "task" else manifest.read_system
    whole = json.loads(file.read_text())
    for key in whole:
        file.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(PathwaysError, match=f"`{key}` must be .*, found no such key"):
            read(tmp_path)


@pytest.mark.parametrize(("text", "found"), [
    ("", "must be plain JSON"), ("[]", "must be an object"), ('{"a": 1, "a": 2}', "stands twice"),
    ('{"a": NaN}', "constant NaN"), ("[" * 100_000, "must be plain JSON"), ("\ud800", "must be plain JSON"),
])
def test_what_is_no_json_object_is_refused(tmp_path: FilePath, text: str, found: str) -> None:
    manifest.system_file(tmp_path).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PathwaysError, match=rf"system\.json.*{found}"):
        manifest.read_system(tmp_path)


def test_a_missing_file_is_named(tmp_path: FilePath) -> None:
    with pytest.raises(PathwaysError, match=r"system\.json must be there.*is this a run directory"):
        manifest.read_system(tmp_path)
    assert manifest.read_tasks(tmp_path) == {}


class Doubled(Module):
    """A family that is not built in."""

    family = "doubled"

    def __init__(self, ports: tuple[Vector, ...]) -> None:
        super().__init__()
        self.output = Vector(2 * ports[0].dim)


def test_foreign_families_are_passed_not_imported(tmp_path: FilePath) -> None:
    path = path_of(spec=ModuleSpec("doubled"))
    manifest.write_task(tmp_path, record_of(path=path, target=Values(10)))
    with pytest.raises(PathwaysError, match="pass the class that defines it"):
        manifest.read_task(tmp_path, "letters/Greek")
    assert manifest.read_task(tmp_path, "letters/Greek", Families([Doubled])).champion.path == path


def test_the_fingerprint_covers_names_paths_and_blobs_and_nothing_else() -> None:
    one, two = record_of("a", 0), record_of("b", 1)
    whole = fingerprint([one, two])
    assert whole == fingerprint([two, one])
    assert whole == fingerprint([replace(one, index=7, test=None, source="elsewhere", settings={}), two])
    changed = [record_of("c", 1), record_of("b", 1, path_of("9")), record_of("b", 1, path_of("b", "a"))]
    others = [[one], *([one, other] for other in changed)]
    assert len({whole, *map(fingerprint, others)}) == 5

"""A system with several roots: each task builds on the one that reads its inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import pytest
import yaml
from helpers_tiny import TRAINING, FixedPath, chain, linear, task_of, tiny_root

from pathways import System
from pathways.candidate import Training
from pathways.choose_root import root_for
from pathways.errors import ConfigError, PathwaysError
from pathways.evolve import MuNet
from pathways.evolve.at_once import AtOnce, waves_by_affinity
from pathways.evolve.controls import FineTune, HeadOnly, Independent, Joint
from pathways.evolve.grouping import Grouping, divide
from pathways.evolve.joint import shared_network
from pathways.evolve.paths import side_by_side, with_head
from pathways.graph import path_graph
from pathways.modules import Vector, content_hash
from pathways.path import Path
from pathways.strategy import View
from pathways.task import Task

WIDE = 9


def wide(name: str) -> Task:
    """A task of other inputs than those of `task_of`."""
    return task_of(name, {"w": Vector(WIDE)}, lambda split, x: {"w": x.repeat(1, 2)[:, :WIDE]})


def roots() -> dict[str, Path]:
    return {"narrow": tiny_root(), "wide": chain({"w": Vector(WIDE)}, linear("a", 5))}


@pytest.fixture
def system(tmp_path: FilePath):
    with System.create(tmp_path / "run", root=roots(), training=TRAINING, stack=1) as made:
        yield made


def test_the_record_keeps_all_roots_in_their_order(system: System) -> None:
    assert (system.root, list(system.roots)) == (None, ["narrow", "wide"])
    with System.open(system.directory) as again:
        assert again.roots == roots()
        assert list(again.roots) == ["narrow", "wide"]
    data = system.record.to_json()
    assert (data["root"], data["roots"]["order"]) == (None, ["narrow", "wide"])


def test_a_run_with_one_root_is_recorded_as_before(tmp_path: FilePath) -> None:
    with System.create(tmp_path / "plain", root=tiny_root(), training=TRAINING, stack=1) as plain:
        record = plain.record
        assert plain.roots == {"root": tiny_root()}
        config = yaml.safe_load((plain.directory / "config.yaml").read_text())
        assert record.run == content_hash([config, tiny_root().to_json()])  # as it was when there was but one
    with System.create(tmp_path / "named", root={"only": tiny_root()}, training=TRAINING, stack=1) as named:
        assert named.record.run == record.run
        assert named.record.to_json() == record.to_json()
    assert "roots" not in record.to_json()


def test_each_task_builds_on_the_root_that_reads_its_inputs(system: System) -> None:
    strategy = MuNet(generations=1, children=1)
    one = system.learn(task_of("one"), strategy)
    two = system.learn(wide("two"), strategy)
    assert dict(one.path.inputs) == {"x": Vector(6)}
    assert dict(two.path.inputs) == {"w": Vector(WIDE)}
    assert (one.parents, two.parents) == (("root",), ("root",))
    # The third task has a champion of its own inputs to build on, and not the other.
    three = system.learn(wide("three"), strategy)
    assert three.parents == ("two",)
    assert system.verify().ok
    assert system.summary()["parameters"] > 0
    assert {data["family"] for _, data in path_graph(system).nodes(data=True)} >= {"x", "w"}


def test_frozen_roots_are_kept_and_belong_to_the_root(system: System, tmp_path: FilePath) -> None:
    strategy = FixedPath(lambda view: {t.name: with_head(view.root, t.target, inputs=t.inputs) for t in view.tasks})
    for task in (task_of("one"), wide("two")):
        system.learn(task, strategy)
    folders = {name: str(system.export(name, "root", tmp_path / name)) for name in ("one", "two")}
    with System.create(tmp_path / "built", root=folders, training=TRAINING, stack=1) as built:
        blobs = {blob for root in built.roots.values() for blob in root.frozen()}
        assert len(blobs) == 3
        assert built.root_blobs == blobs
        built.collect()
        assert built.verify().modules == 3
        assert all(built.needing(blob) == ["root"] for blob in blobs)
        built.learn(wide("three"), MuNet(generations=1, children=1, rates={"clone": 0.0}))
        frozen_by = {data["id"]: data["frozen_by"] for _, data in path_graph(built).nodes(data=True) if data["id"]}
        assert {frozen_by[blob] for blob in built.roots["two"].frozen()} == {"root"}
        assert built.summary()["parameters"] >= sum(
            root.costs().parameters for root in built.roots.values()
        )
        next(iter(built.pool.path(blob) for blob in built.roots["one"].frozen())).write_bytes(b"")
        with pytest.raises(PathwaysError, match="first 'root'"):
            built.verify()


def view_of(system: System, *tasks: Task) -> View:
    from pathways.search import view

    return view(system, tasks)


def test_controls_take_the_right_root(system: System) -> None:
    narrow, broad = task_of("narrow"), wide("broad")
    system.compare([narrow, broad], Independent(steps=4))
    paths = {task: Path.from_json(system.ledger.control("independent", task)["paths"][task]) for task in
             ("narrow", "broad")}
    assert [list(path.inputs) for path in paths.values()] == [["x"], ["w"]]


def test_fine_tune_carries_a_trunk_for_each_root(system: System) -> None:
    tasks = [task_of("n1"), wide("w1"), task_of("n2")]
    system.compare(tasks, FineTune(steps=4))
    first, second, third = (system.ledger.control("fine-tune", task.name) for task in tasks)
    of = {task: Path.from_json(path) for task, path in third["paths"].items()}
    assert set(of) == {"n1", "w1", "n2"}
    assert of["w1"] == Path.from_json(second["paths"]["w1"])  # another network, left alone
    assert of["n1"] != Path.from_json(first["paths"]["n1"])  # its trunk has moved on
    assert list(of["n1"].frozen())[:2] == list(of["n2"].frozen())[:2]
    assert set(third["memory"]["trunks"]) == {"narrow", "wide"}
    assert system.verify().ok


def test_joint_trains_a_trunk_for_each_root(system: System) -> None:
    tasks = [task_of("n1"), wide("w1"), task_of("n2")]
    [candidate] = Joint().begin(view_of(system, *tasks)).ask()
    names = {task: set(path.drafts()) for task, path in candidate.paths.items()}
    assert names["n1"] & names["n2"] == {"a", "b"}
    assert names["w1"] == {"wide/a", "head/w1"}  # of the same name, but not the same module
    system.compare(tasks, Joint(steps=4))
    assert system.ledger.control("joint", "w1") is not None


def test_modules_that_two_roots_name_alike_are_one_where_they_are_the_same() -> None:
    shared, other = linear("trunk", 4), linear("own", 4)
    first = chain({"x": Vector(6)}, other, shared)
    second = chain({"w": Vector(WIDE)}, replace(other, name="own"), shared)
    made = side_by_side({"first": first, "second": second})
    assert made["first"] == first
    assert list(made["second"].drafts()) == ["second/own", "trunk"]


def test_tasks_without_a_root_of_theirs_are_named(system: System) -> None:
    other = task_of("other", {"y": Vector(4)}, lambda split, x: {"y": x[:, :4]})
    with pytest.raises(ConfigError, match="muNet needs a root or a champion that reads the inputs"):
        system.learn(other, MuNet(generations=1, children=1))
    with pytest.raises(ConfigError, match=r"`roots` must hold one .* 'independent`|found only \['narrow', 'wide'\]"):
        system.compare([other], Independent(steps=1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": tiny_root(), "b": tiny_root()}, r"roots 'a' and 'b' must read different inputs, found \(x: Vector"),
        ({"../a": tiny_root()}, "`root` must be named by letters, .* found '../a'"),
        ({"a": "nowhere/at all"}, "`root` must be one of .* or a folder with a `path.json`"),
    ],
)
def test_bad_roots_are_named(tmp_path: FilePath, given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        System.create(tmp_path / "run", root=given, training=TRAINING, stack=1)


def test_the_order_of_roots_is_part_of_the_run(tmp_path: FilePath) -> None:
    runs = []
    for i, order in enumerate((["narrow", "wide"], ["wide", "narrow"])):
        made = {name: roots()[name] for name in order}
        with System.create(tmp_path / str(i), root=made, training=TRAINING, stack=1) as system:
            runs.append(system.record.run)
    assert runs[0] != runs[1]


def test_equal_names_come_before_equal_ports() -> None:
    step = chain({"x": Vector(3)}, linear("a"))
    both = {"first": step, "second": chain({"y": Vector(3)}, linear("b"))}
    assert root_for(both, [{"y": Vector(3)}]) == "second"
    assert root_for(both, [{"z": Vector(3)}]) == "first"
    assert root_for(both, [{"x": Vector(3)}, {"y": Vector(3)}]) == "first"
    assert root_for({}, []) is None


def test_networks_of_affinity_share_the_trunk_that_reads_their_inputs(system: System) -> None:
    trunk = system.root_for([wide("a"), wide("b")])
    assert trunk is not None
    candidate = shared_network([wide("a"), wide("b")], trunk, TRAINING, system.families)
    assert {tuple(path.inputs) for path in candidate.paths.values()} == {("w",)}
    assert system.root_for([wide("a"), task_of("b")]) is None


def test_a_root_may_be_frozen_and_another_not(system: System, tmp_path: FilePath) -> None:
    strategy = FixedPath(lambda view: {t.name: with_head(view.root, t.target, inputs=t.inputs) for t in view.tasks})
    system.learn(task_of("one"), strategy)
    given = {"narrow": str(system.export("one", "root", tmp_path / "one")), "wide": roots()["wide"]}
    with System.create(tmp_path / "mixed", root=given, training=TRAINING, stack=1) as mixed:
        mixed.compare([task_of("two")], HeadOnly(steps=2))
        with pytest.raises(ConfigError, match=r"`root` must be frozen .* found untrained modules \['a'\]"):
            mixed.compare([wide("three")], HeadOnly(steps=2))


def test_affinity_needs_one_trunk_for_all_its_tasks(system: System) -> None:
    tasks = [task_of("n1"), wide("w1"), task_of("n2")]
    with pytest.raises(ConfigError, match=r"`roots` must hold one .* strategy `grouping` have, found only \['narrow'"):
        divide(system, tasks, Grouping(budget=2))
    alike = [task_of("n1"), task_of("n2"), task_of("n3")]
    groups, affinity = divide(system, alike, Grouping(budget=2, training=Training(steps=4, batch=8), every=2))
    assert affinity is not None
    assert sorted(task.name for group in groups for task in group) == ["n1", "n2", "n3"]


def test_waves_by_transfer_measure_each_task_on_its_own_root(system: System) -> None:
    tasks = [task_of("n1"), wide("w1"), task_of("n2")]
    rule = AtOnce("logme", training=Training(steps=4, batch=8))
    waves, affinity = waves_by_affinity(system, tasks, rule)
    assert affinity is not None
    assert sorted(name for wave in waves for name in wave) == ["n1", "n2", "w1"]
    with pytest.raises(ConfigError, match=r"`roots` must hold one .* by affinity` have, found only"):
        waves_by_affinity(system, tasks, AtOnce(training=Training(steps=40, batch=8)))

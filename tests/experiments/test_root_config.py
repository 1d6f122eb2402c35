"""Roots in configurations: a name, a chain, a preset, a wiring, steps, and several by name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from helpers_tiny import DIM, task_of

from pathways.data.sklearn_sets import digits_tasks
from pathways.errors import ConfigError
from pathways.evolve.paths import side_by_side
from pathways.experiments.cli import main
from pathways.experiments.config import config_from, resolved
from pathways.experiments.plan import plan
from pathways.experiments.root_config import Laid, Root
from pathways.experiments.runner import make_root
from pathways.modules import BUILT_IN, Image, ModuleSpec, Vector
from pathways.path import Path
from pathways.preset import preset
from pathways.system import System
from pathways.task import Task

STEPS = {"a": {"module": {"family": "linear", "config": {"dim": 4}}}, "b": {"module": {"family": "detach"}}}
PORT = {"port": "vector", "dim": DIM}


def config(**given: Any) -> Any:
    return config_from({"name": "n", "tasks": ["digits"], "strategy": "munet", **given}, "file")


def narrow(name: str = "narrow") -> Task:
    return task_of(name)


def wide(name: str = "wide") -> Task:
    return task_of(name, {"w": Vector(9)}, lambda split, x: {"w": x.repeat(1, 2)[:, :9]})


@pytest.mark.parametrize(
    "root",
    [
        None,
        "omniglot",
        {"architecture": [{"family": "linear", "dim": 3}]},
        {"preset": "mlp"},
        {"steps": STEPS},
        {"wiring": {"early_fusion": {"dim": 8, "heads": 2}}},
        {"steps": STEPS, "inputs": {"x": PORT}, "output": "a"},
    ],
)
def test_a_root_survives_a_round_trip(root: Any) -> None:
    made = config(root=root)
    data = resolved(made)
    assert yaml.safe_load(yaml.safe_dump(data)) == data
    assert config_from(data, "again") == made
    assert "roots" not in data


def test_a_chain_is_resolved_as_it_always_was() -> None:
    made = config(root={"architecture": [{"family": "linear", "dim": 3}]})
    assert made.root == Root((ModuleSpec("linear", {"dim": 3}),))
    assert resolved(made)["root"] == {"architecture": [{"family": "linear", "dim": 3}]}


def test_a_preset_reads_the_inputs_of_the_tasks_by_their_names() -> None:
    root = make_root(config(root={"preset": "mlp"}), [task_of("t", {"features": Vector(DIM)},
                     lambda split, x: {"features": x})], BUILT_IN)
    assert isinstance(root, Path)
    assert dict(root.inputs) == {"features": Vector(DIM)}
    assert root.steps["layer1"].reads == ("features",)


def test_a_preset_is_given_the_first_inputs_that_it_can_read() -> None:
    image = digits_tasks(((0, 1),))[0]
    root = make_root(config(root={"preset": "mlp"}), [image, narrow()], BUILT_IN)
    assert isinstance(root, Path)
    assert dict(root.inputs) == {"x": Vector(DIM)}
    own = config(root={"preset": "mlp", "inputs": {"x": PORT}})
    assert make_root(own, [image], BUILT_IN) == preset("mlp", {"x": Vector(DIM)})


def test_steps_read_the_inputs_of_the_tasks_or_their_own() -> None:
    root = make_root(config(root={"steps": STEPS, "output": "a"}), [narrow()], BUILT_IN)
    assert isinstance(root, Path)
    assert (root.output, root.ports()["a"]) == ("a", Vector(4))
    own = make_root(config(root={"steps": STEPS, "inputs": {"y": PORT}}), [wide()], BUILT_IN)
    assert isinstance(own, Path)
    assert dict(own.inputs) == {"y": Vector(DIM)}


def test_a_wiring_reads_all_inputs_of_the_tasks() -> None:
    ports = {"x": Vector(DIM), "w": Vector(3)}
    both = task_of("both", ports, lambda split, x: {"x": x, "w": x[:, :3]})
    root = make_root(config(root={"wiring": {"bottleneck": {"dim": 8, "heads": 2}}}), [both], BUILT_IN)
    assert isinstance(root, Path)
    assert dict(root.inputs) == ports
    assert root.ports()["joined"] == Vector(16)


def test_roots_of_one_input_and_of_two_serve_their_tasks() -> None:
    both = task_of("both", {"x": Vector(DIM), "w": Vector(3)}, lambda split, x: {"x": x, "w": x[:, :3]})
    fused = {"wiring": {"late_fusion": {"dim": 8, "heads": 2, "layers": 1}}}
    roots = make_root(config(roots={"one": {"preset": "mlp"}, "two": fused}), [both, narrow()], BUILT_IN)
    assert isinstance(roots, dict)
    assert [sorted(root.inputs) for root in roots.values() if isinstance(root, Path)] == [["x"], ["w", "x"]]
    assert all(name.startswith("two/") for name in roots["two"].drafts())  # type: ignore[union-attr]


def test_several_roots_read_the_inputs_that_no_other_reads() -> None:
    chain = {"architecture": [{"family": "linear", "dim": 3}]}
    made = config(roots={"first": chain, "second": chain, "letters": "omniglot"})
    assert config_from(resolved(made), "again") == made
    assert list(resolved(made)["roots"]) == ["first", "second", "letters"]
    roots = make_root(made, [narrow(), wide()], BUILT_IN)
    assert isinstance(roots, dict)
    first, second, letters = roots.values()
    assert isinstance(first, Path)
    assert isinstance(second, Path)
    assert (dict(first.inputs), dict(second.inputs)) == ({"x": Vector(DIM)}, {"w": Vector(9)})
    assert (list(first.drafts()), list(second.drafts())) == (["first/block1"], ["second/block1"])
    assert letters == "omniglot"


def test_a_shipped_root_leaves_its_inputs_to_no_other() -> None:
    images = task_of("i", {"image": Image(1, 28, 28)}, lambda split, x: {"image": x.repeat(1, 131)[:, None, None, :784]
                     .reshape(-1, 1, 28, 28)})
    made = config(roots={"letters": "omniglot", "rest": {"architecture": [{"family": "detach"}]}})
    roots = make_root(made, [images, narrow()], BUILT_IN)
    assert isinstance(roots, dict)
    assert isinstance(roots["rest"], Path)
    assert dict(roots["rest"].inputs) == {"x": Vector(DIM)}


def test_a_module_that_steps_name_is_one_in_all_roots() -> None:
    def steps(dim: int) -> dict[str, Any]:
        shared = {"family": "linear", "name": "shared", "config": {"dim": 4}}
        return {"steps": {"own": {"module": {"family": "linear", "config": {"dim": dim}}}, "trunk": {"module": shared}}}

    roots = make_root(config(roots={"a": steps(5), "b": steps(5)}), [narrow(), wide()], BUILT_IN)
    assert isinstance(roots, dict)
    assert [list(root.drafts()) for root in roots.values() if isinstance(root, Path)] == [
        ["a/own", "shared"], ["b/own", "shared"],
    ]


def test_roots_share_the_modules_that_they_say() -> None:
    def asked(task: str, shared: list[str]) -> dict[str, Any]:
        return {"wiring": {"task_queries": {"task": task, "dim": 8, "heads": 2, "layers": 1}}, "shared": shared}

    made = config(roots={"a": asked("a", ["talk1", "ask1"]), "b": asked("b", ["ask1"])})
    assert config_from(resolved(made), "again") == made
    tasks = [narrow(), wide()]
    roots = make_root(made, tasks, BUILT_IN)
    assert isinstance(roots, dict)
    first, second = (set(root.drafts()) for root in roots.values() if isinstance(root, Path))
    assert first & second == {"ask1"}
    assert {"talk1", "b/talk1"} <= first | second
    trunks = {name: root for name, root in roots.items() if isinstance(root, Path)}
    assert side_by_side(trunks) == trunks  # in a network of both it is one module
    with pytest.raises(ConfigError, match=r"`roots.a`: `shared` must name modules .* found \['tell1'\]"):
        make_root(config(roots={"a": asked("a", ["tell1"]), "b": asked("b", [])}), tasks, BUILT_IN)


def test_the_plan_takes_each_tasks_root() -> None:
    chain = {"architecture": [{"family": "linear", "dim": 3}]}
    munet = {"munet": {"generations": 1, "children": 2, "probes": 1, "scratch_generations": 0}}
    made = config(roots={"first": chain, "second": chain}, strategy=munet)
    found = plan(made, [[narrow()], [wide()], [narrow("again")]])
    alone = plan(config(root=chain, strategy=munet), [[narrow()], [narrow("again")]])
    one = plan(config(root=chain, strategy=munet), [[wide()]])
    count = [each["sides"]["munet"]["candidates"] for each in (found, alone, one)]
    assert count[0] == count[1] + count[2]  # the first task of each root is learned from scratch


REFUSED = {
    "a way": ({"root": {"inputs": {}}}, "file: `root` must have one of .*'architecture', 'preset', .* found \\[\\]"),
    "one way": ({"root": {"preset": "mlp", "steps": STEPS}}, "file: `root` must have one of"),
    "a key": ({"root": {"presett": "mlp"}}, "file: `root.presett` is not a setting: did you mean 'preset'"),
    "a preset": ({"root": {"preset": "mpl"}}, "file: `root`: `preset` must be one of .* found 'mpl'"),
    "a mapping": ({"root": 3}, "file: `root` must be a name, or a mapping with one of"),
    "steps": ({"root": {"steps": {"a": {"modul": 1}}, "inputs": {"x": PORT}}}, "step 'a' must have a `module`"),
    "inputs": ({"root": {"steps": STEPS, "inputs": {"x": {"port": "x"}}}}, "`root`.*`inputs` must give a port"),
    "kinds": ({"root": {"preset": "mlp", "inputs": {"x": {"port": "x"}}}}, "file: `root`.*`port` must be one of"),
    "both": ({"root": "omniglot", "roots": {"a": "omniglot"}}, "`roots` must be left out where there is a `root`"),
    "names": ({"roots": {}}, "file: `roots` must be a mapping of names to roots"),
    "null": ({"roots": {"a": None}}, "file: `roots.a` must be a root, found None"),
    "inside": ({"roots": {"a": {"layers": []}}}, "file: `roots.a.layers` is not a setting"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_named_with_its_place(what: str) -> None:
    given, message = REFUSED[what]
    with pytest.raises(ConfigError, match=message) as error:
        config(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ({"architecture": [{"family": "conv", "channels": 2}]}, "`root`: .*family `conv` reads one Image"),
        ({"preset": "convnet"}, "`root`: .*reads \\(.*Image.* found inputs \\(x: Vector"),
        ({"steps": {"a": {"module": {"family": "linear"}, "reads": ["y"]}}}, "`root`: step 'a' reads 'y'"),
        ({"wiring": {"no_such": {}}}, "`root`: `wiring` must name one of"),
    ],
)
def test_tasks_that_a_root_cannot_read_are_told(root: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_root(config(root=root), [narrow()], BUILT_IN)


def test_the_wrong_root_among_several_is_named() -> None:
    made = config(roots={"a": {"preset": "mlp"}, "b": {"preset": "convnet"}})
    with pytest.raises(ConfigError, match=r"`roots\.b`: "):
        make_root(made, [narrow(), wide()], BUILT_IN)


def test_a_run_of_a_preset_is_planned_and_learned(tmp_path, capsys) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({
        "name": "tiny", "root": {"steps": {"flat": {"module": {"family": "flatten"}}, **STEPS}},
        "tasks": [{"source": "digits_tasks", "groups": [[0, 1]]}], "training": {"steps": 2, "batch": 4},
        "strategy": {"munet": {"generations": 0, "scratch_generations": 0}}, "engine": {"workers": 0, "stack": 1},
    }, sort_keys=False))
    assert main(["run", str(file), "--dry-run"]) == 0
    assert main(["run", str(file), "--out", str(tmp_path / "out")]) == 0
    assert main(["run", str(file), "--out", str(tmp_path / "out")]) == 0  # the same run
    kept = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert list(kept["root"]["steps"]) == ["flat", "a", "b"]
    assert kept["root"]["steps"]["a"] == {**STEPS["a"], "reads": ["flat"]}  # resolved: nothing is left to defaults
    assert kept["root"]["output"] == "b"
    assert Laid(**kept["root"]).to_json() == kept["root"]


def test_a_run_with_roots_for_images_and_tables_is_learned_and_compared(tmp_path, capsys) -> None:
    file, out = tmp_path / "run.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({
        "name": "two-kinds",
        "roots": {
            "image": {"architecture": [{"family": "flatten"}, {"family": "linear", "dim": 6}]},
            "table": {"preset": "mlp"},
        },
        "tasks": [
            {"source": "digits_tasks", "groups": [[0, 1]]}, "wine", {"source": "digits_tasks", "groups": [[2, 3]]},
        ],
        "training": {"steps": 2, "batch": 4},
        "strategy": {"munet": {"generations": 1, "children": 1, "scratch_generations": 0}},
        "controls": ["independent", "fine-tune", "joint"], "engine": {"workers": 0, "stack": 1},
    }, sort_keys=False))
    assert main(["run", str(file), "--dry-run"]) == 0
    assert main(["run", str(file), "--out", str(out)]) == 0
    assert main(["run", str(file), "--out", str(out)]) == 0  # the same run, which has nothing left to do
    assert main(["verify", str(out)]) == 0
    with System.open(out) as system:
        assert list(system.roots) == ["image", "table"]
        assert [sorted(record.inputs) for record in system.records.values()] == [["image"], ["features"], ["image"]]
        joint = {task: Path.from_json(system.ledger.control("joint", task)["paths"][task]) for task in system.records}
        first, table, last = (set(path.frozen()) for path in joint.values())
        assert len(first & last) == 2
        assert not table & (first | last)
    other = file.read_text().replace("preset: mlp", "architecture: [{family: linear, dim: 6}]")
    file.write_text(other)
    assert main(["run", str(file), "--out", str(out)]) == 2
    assert "another configuration: `roots.table." in capsys.readouterr().err

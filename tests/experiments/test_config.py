"""Configurations: read strictly, said back in full, refused in one sentence."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.candidate import Augment, Training
from pathways.data import digits_tasks
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.hyperparameters import as_hyperparameters
from pathways.experiments.affinity_config import AffinityConfig, is_study
from pathways.experiments.config import config_from, read_config, resolved
from pathways.experiments.overrides import with_overrides
from pathways.experiments.plan import plan
from pathways.experiments.root_config import Root
from pathways.experiments.strict import Place, build, plain
from pathways.experiments.tables import ENGINES, STRATEGIES, resolve
from pathways.experiments.yaml_file import parse_yaml, read_yaml, write_yaml
from pathways.modules import ModuleSpec
from pathways.racing import as_rule

SMALL = """
name: letters
tasks:
  - source: omniglot
    alphabets: [Tengwar]
training: {steps: 20, lr: 3e-3, augment: {rotate: 10, views: 4}}
strategy:
  munet: {generations: 2}
controls: [fine-tune-all, {independent: {steps: 50}}]
engine: {workers: 2}
"""


def small(tmp_path, text=SMALL, *overrides):
    file = tmp_path / "small.yaml"
    file.write_text(text)
    return read_config(file, overrides)


def refused(tmp_path, *overrides, text=SMALL):
    with pytest.raises(ConfigError) as error:
        small(tmp_path, text, *overrides)
    message = str(error.value)
    assert "\n" not in message
    return message.replace(str(tmp_path), "")


def test_a_configuration_is_read_into_objects(tmp_path):
    config = small(tmp_path)
    assert (config.name, config.seed, config.root) == ("letters", 0, None)
    assert config.tasks[0].arguments == {"alphabets": ["Tengwar"]}
    assert config.training == Training(steps=20, lr=3e-3, augment=Augment(rotate=10.0, views=4))
    assert (config.strategy.name, config.strategy.strategy.generations) == ("munet", 2)
    assert [(c.name, c.strategy.steps) for c in config.controls] == [("fine-tune-all", None), ("independent", 50)]
    assert config.engine.workers == 2


def test_the_resolved_configuration_says_all_and_reads_back_equal(tmp_path):
    config = small(tmp_path)
    data = resolved(config)
    assert data["training"]["batch"] == 64
    assert data["strategy"]["munet"]["children"] == config.strategy.strategy.children
    file = tmp_path / "config.yaml"
    write_yaml(file, data)
    assert config_from(read_yaml(file), "config.yaml") == config
    assert yaml.safe_load(file.read_text()) == data


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_reads_back_from_its_resolved_settings(name):
    cls = resolve(STRATEGIES, name, "`strategy`")
    strategy = build(cls, {}, Place("a test"))
    assert build(cls, parse_yaml(yaml.safe_dump(plain(strategy)), "a test"), Place("a test")) == strategy
    assert strategy.name


def test_every_engine_can_be_made():
    for name in ENGINES:
        assert resolve(ENGINES, name, "`engine`")(workers=0).workers == 1


@pytest.mark.parametrize("preset", ["pathnet-2017-text", "pathnet-2017-author", "pathnet-population"])
def test_presets_are_resolved_into_settings(tmp_path, preset):
    config = small(tmp_path, SMALL, f"strategy={{pathnet: {{preset: {preset}, generations: 3}}}}")
    pathnet = config.strategy.strategy
    assert (pathnet.generations, pathnet.layers, pathnet.modules) == (3, 3, 10)
    assert config_from(resolved(config), "a test") == config
    assert "preset" not in resolved(config)["strategy"]["pathnet"]


@pytest.mark.parametrize("preset", ["munet-2022", "mu2net-2022", "mu3net-2022", "mu4net-2023"])
def test_presets_of_munet_and_its_successors_are_resolved_into_settings(tmp_path, preset):
    rest = "generations: 2, population: 3, rate_steps: [0.1, 0.2], multipath: {paths: [2]}"
    config = small(tmp_path, SMALL, f"strategy={{munet: {{preset: {preset}, {rest}}}}}")
    munet = config.strategy.strategy
    changes = {"population": 3, "rate_steps": [0.1, 0.2], "multipath": {"paths": [2]}}
    assert plain(munet) == plain(MuNet.preset(preset, generations=2, **changes))
    assert config_from(resolved(config), "a test").strategy.strategy == munet


def test_training_of_a_control_changes_that_of_the_run(tmp_path):
    config = small(tmp_path, SMALL, "controls=[{independent: {training: {steps: 99, augment: {views: 2}}}}]")
    own = config.controls[0].strategy.training
    assert own == replace(config.training, steps=99, augment=Augment(rotate=10.0, views=2))


def test_precision_is_a_word_of_training_and_of_the_search(tmp_path):
    low = small(tmp_path, SMALL, "training.precision=bfloat16")
    assert low.training == replace(small(tmp_path).training, precision="bfloat16")
    with pytest.raises(ConfigError, match=r"`precision` must be one of .* found 'half'"):
        small(tmp_path, SMALL, "training.precision=half")
    searched = small(tmp_path, SMALL, "strategy.munet.space={precision: [float32, bfloat16]}")
    assert searched.strategy.strategy.space["precision"] == ("float32", "bfloat16")


def test_training_of_a_strategy_changes_that_of_the_run(tmp_path):
    config = small(tmp_path, SMALL, "strategy.munet.training.steps=7")
    assert config.strategy.strategy.training == replace(config.training, steps=7)


def test_augmentation_can_be_turned_off(tmp_path):
    assert small(tmp_path, SMALL, "training.augment=null").training.augment is None


def test_a_root_from_scratch_is_a_chain_of_modules(tmp_path):
    config = small(tmp_path, SMALL, "root={architecture: [{family: conv, channels: 8}, {family: flatten}]}")
    assert config.root == Root((ModuleSpec("conv", {"channels": 8}), ModuleSpec("flatten")))
    assert config_from(resolved(config), "a test") == config


def test_a_module_can_be_said_in_full(tmp_path):
    config = small(tmp_path, SMALL, "root={architecture: [{family: conv, version: 1, config: {channels: 8}}]}")
    assert config.root == Root((ModuleSpec("conv", {"channels": 8}),))


REFUSALS = {
    "seed=one": ("`seed`", "whole number", "'one'"),
    "seed=true": ("`seed`", "whole number", "True"),
    "name=../up": ("`name`", "directory", "'../up'"),
    "tasks=[]": ("`tasks`", "at least one source"),
    "tasks.0={alphabets: [Greek]}": ("`tasks.0`", "`source`"),
    "training.stepz=3": ("`training.stepz`", "did you mean 'steps'"),
    "training.lr=fast": ("`training.lr`", "a number", "'fast'"),
    "training.lr=-1": ("`training`", "`lr`", "-1"),
    "training.schedule=cosin": ("`training`", "`schedule`", "'cosin'"),
    "training.augment.rotat=3": ("`training.augment.rotat`", "did you mean 'rotate'"),
    "strategy.munet.generatons=3": ("`strategy.munet.generatons`", "did you mean 'generations'"),
    "strategy.munet.generations=-3": ("`strategy.munet`", "`generations`", "-3"),
    "strategy=munett": ("`strategy`", "'munett'", "did you mean 'munet'"),
    "strategy={munet: {}, pathnet: {}}": ("`strategy`", "one name"),
    "strategy={munet: {preset: munet-1999}}": ("`strategy.munet.preset`", "munet-1999"),
    "strategy={independent: {preset: x}}": ("`strategy.independent.preset`", "no presets"),
    "controls={independent: {}}": ("`controls`", "a list"),
    "controls=[independant]": ("`controls.0`", "did you mean 'independent'"),
    "controls=[independent, independent]": ("`controls.1`", "again"),
    "engine.worker=2": ("`engine.worker`", "did you mean 'workers'"),
    "engine.workers=-1": ("`engine`", "`workers`", "-1"),
    "engine.kind=locl": ("`engine`", "`kind`", "did you mean 'local'"),
    "root={architecture: [{channels: 3}]}": ("`root.architecture.0`", "`family`"),
    "root={layers: []}": ("`root.layers`", "architecture"),
    "extra=1": ("`extra`", "not a setting"),
}


@pytest.mark.parametrize("override", REFUSALS)
def test_bad_values_are_refused_in_one_sentence(tmp_path, override):
    message = refused(tmp_path, override)
    assert message.startswith("/small.yaml: ")
    for part in REFUSALS[override]:
        assert part in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name: a\nname: b\n", ("line 2", "'name'", "twice")),
        ("training: {lr: 1, lr: 2}", ("line 1", "'lr'", "twice")),
        ("name: [", ("line", "valid YAML")),
        ("name: !!python/object/apply:os.system [ls]", ("valid YAML",)),
        ("1: 2", ("keys must be words",)),
        ("- a", ("must hold a mapping",)),
        ("", ("must hold a mapping",)),
        ("tasks: [wine]\nstrategy: munet\n", ("must have `name`",)),
        ("name: a\nstrategy: munet\n", ("must have `tasks`",)),
        ("name: a\ntasks: [wine]\n", ("must have `strategy`",)),
    ],
)
def test_bad_files_are_refused(tmp_path, text, parts):
    message = refused(tmp_path, text=text)
    for part in ("/small.yaml", *parts):
        assert part in message


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: the file cannot be read"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_config(tmp_path / "binary.yaml")


@pytest.mark.parametrize("override", ["seed", "=3", "tasks.7.source=wine", "tasks.x.source=wine", "name.first=a"])
def test_bad_overrides_are_refused(tmp_path, override):
    assert "--set" in refused(tmp_path, override)


def test_overrides_reach_into_names_and_leave_the_data_alone():
    data = {"strategy": "munet"}
    assert with_overrides(data, ["strategy.munet.children=3"], "f") == {"strategy": {"munet": {"children": 3}}}
    assert data == {"strategy": "munet"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-3", 0.003), ("1.5", 1.5), ("7", 7), ("no", "no"), ("on", "on"), ("true", True), ("null", None),
     ("2020-01-01", "2020-01-01"), ("'1e3'", "1e3")],
)  # fmt: skip
def test_scalars_are_read_as_people_mean_them(text, value):
    read = parse_yaml(text, "a test")
    assert (read, type(read)) == (value, type(value))


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
trees = st.recursive(leaves, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=6), t, max_size=3))


@settings(deadline=None, max_examples=60)
@given(data=st.dictionaries(st.text(max_size=6), trees, max_size=4))
def test_written_yaml_reads_back_equal(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.yaml"
        write_yaml(file, data)
        assert read_yaml(file) == data


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Outer:
    needed: float
    inner: Inner = Inner()
    mode: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    by_name: dict[str, Inner] = field(default_factory=dict)
    either: int | str | None = None
    anything: Any = None


PLACE = Place("f", ("outer",))


def test_dataclasses_are_built_from_their_types():
    data = {"needed": 1, "inner": {"size": 2}, "mode": "b", "sizes": [1, 2], "pair": [3, "x"],
            "by_name": {"k": {"size": 4}}, "either": "word", "anything": [{"x": 1}]}  # fmt: skip
    built = build(Outer, data, PLACE)
    assert built == Outer(1.0, Inner(2), "b", (1, 2), (3, "x"), {"k": Inner(4)}, "word", [{"x": 1}])
    assert isinstance(built.needed, float)
    assert build(Outer, plain(built), PLACE) == built


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "f: `outer` must have `needed`: add it."),
        ({"needed": "1"}, "f: `outer.needed` must be a number, found '1'."),
        ({"needed": 1, "inner": 3}, "f: `outer.inner` must be a mapping of settings, found 3."),
        ({"needed": 1, "inner": {"size": 1.5}}, "f: `outer.inner.size` must be a whole number, found 1.5."),
        ({"needed": 1, "mode": "c"}, "f: `outer.mode` must be one of ['a', 'b'], found 'c'."),
        ({"needed": 1, "sizes": [1, "x"]}, "f: `outer.sizes.1` must be a whole number, found 'x'."),
        ({"needed": 1, "sizes": 3}, "f: `outer.sizes` must be a list, found 3."),
        ({"needed": 1, "pair": [1]}, "f: `outer.pair` must be a list of 2, found 1."),
        ({"needed": 1, "by_name": []}, "f: `outer.by_name` must be a mapping, found []."),
        ({"needed": 1, "either": 1.5}, "f: `outer.either` must be a whole number, found 1.5."),
    ],
)
def test_types_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ConfigError) as error:
        build(Outer, data, PLACE)
    assert str(error.value) == message


def test_the_yaml_files_that_ship_are_valid():
    folder = Path(__file__).parents[2] / "experiments"
    for file in sorted(folder.glob("*.yaml")):
        if is_study(data := read_yaml(file)):
            study = AffinityConfig.read(data, str(file))
            assert AffinityConfig.read(study.resolved(), "again") == study
            continue
        config = read_config(file)
        assert config_from(resolved(config), "again") == config


RACED = """
name: raced
tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3]]}]
root: {architecture: [{family: flatten}, {family: linear, dim: 8}]}
training: {steps: 8, batch: 16}
strategy:
  munet: {generations: 1, children: 2, probes: 1, racing: RACING, hyperparameters: HYPERPARAMETERS}
controls:
  - independent: {hyperparameters: optuna, candidates: 6, children: 3, space: {lr: [1.0e-3, 1.0e-2]}}
"""


@pytest.mark.parametrize(("racing", "hyperparameters"), [
    ("null", "inherit"), ("paired", "optuna"), ("{paired: {alpha: 0.1, at: [0.5]}}", "{optuna: {sampler: gp}}"),
    ("{pruner: {name: median, n_startup_trials: 2}}", "{optuna: {sampler: tpe, n_startup_trials: 3}}"),
    ("{pruner: {name: patient, patience: 1, wrapped_pruner: {name: median}}}", "inherit"),
])
def test_racing_and_hyperparameters_are_settings_like_all_others(tmp_path, racing, hyperparameters):
    text = RACED.replace("RACING", racing).replace("HYPERPARAMETERS", hyperparameters)
    config = small(tmp_path, text)
    data = resolved(config)
    assert yaml.safe_load(yaml.safe_dump(data)) == data
    again = config_from(data, "again")
    for made in (config, again):
        strategy, control = made.strategy.strategy, made.controls[0].strategy
        assert strategy.racing == as_rule(yaml.safe_load(racing))
        assert strategy.hyperparameters == as_hyperparameters(yaml.safe_load(hyperparameters))
        assert (control.tuned, control.candidates, control.children) == (True, 6, 3)
    assert resolved(again) == data


def test_rules_and_samplers_that_there_are_not_are_refused_with_their_place(tmp_path):
    text = RACED.replace("HYPERPARAMETERS", "inherit")
    message = refused(tmp_path, text=text.replace("RACING", "{pruner: {name: medium}}"))
    assert "strategy.munet" in message
    assert "`name` of the pruner must be one of" in message
    message = refused(tmp_path, "strategy.munet.hyperparameters=by-hand", text=text.replace("RACING", "null"))
    assert "`hyperparameters` must be 'inherit', 'optuna'" in message


def test_a_plan_counts_what_a_tuned_control_tries(tmp_path):
    text = RACED.replace("RACING", "paired").replace("HYPERPARAMETERS", "optuna")
    sides = plan(small(tmp_path, text), [[task] for task in digits_tasks(((0, 1), (2, 3)))])["sides"]
    assert [side["candidates"] for side in sides.values()] == [6, 12]


def test_parents_and_guard_survive_a_round_trip() -> None:
    munet = {"parents": {"prior": {"estimator": "logme", "weight": 8}}, "guard": {"repeats": 2}}
    data = {"name": "n", "tasks": ["digits"], "strategy": {"munet": munet}}
    config = config_from(data, "file")
    assert (config.strategy.strategy.parents.weight, config.strategy.strategy.guard.repeats) == (8, 2)
    again = config_from(resolved(config), "file")
    assert again == config
    with pytest.raises(ConfigError, match=r"file: `strategy.munet`: `parents` must be 'uniform', .*found 'unifrom'"):
        config_from({**data, "strategy": {"munet": {"parents": "unifrom"}}}, "file")


@pytest.mark.parametrize(("rule", "probes", "candidates", "steps"), [
    # probes, children, and from the second task on the guard's: of tasks 1, 2, 3 with an untrained root
    ("uniform", 1, (1 + 1) + (1 + 2 + 2) + (1 + 2 + 2), (70 + 9) + (4 + 18 + 140) + (4 + 18 + 140)),
    ("exhaustive", 1, (1 + 1) + (1 + 2 + 2) + (1 + 3 + 2), (70 + 9) + (4 + 18 + 140) + (4 + 27 + 140)),
    ({"prior": {"estimator": "logme"}}, 1, (1 + 1) + (2 + 2 + 2) + (3 + 2 + 2), (70 + 9) + 2 * (4 + 18 + 140)),
    ("prior", 1, (1 + 1) + (2 + 2 + 2) + (3 + 2 + 2), (70 + 9) + (8 + 18 + 140) + (12 + 18 + 140)),
])
def test_the_plan_counts_what_parents_and_guard_ask_for(rule: Any, probes: Any, candidates: int, steps: int) -> None:
    tasks = digits_tasks()[:3]
    munet = {
        "parents": rule, "guard": {"repeats": 2}, "probes": probes, "generations": 1, "children": 2,
        "probe_training": {"steps": 4}, "scratch_training": {"steps": 70},
    }
    config = config_from({
        "name": "n", "tasks": ["digits"], "training": {"steps": 9}, "strategy": {"munet": munet},
        "root": {"architecture": [{"family": "flatten"}, {"family": "linear", "config": {"dim": 4}}]},
    }, "file")
    side = plan(config, [[task] for task in tasks])["sides"]["munet"]
    assert (side["candidates"], side["steps"]) == (candidates, steps)

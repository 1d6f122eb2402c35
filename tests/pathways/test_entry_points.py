"""Families of another package, found by entry point and used only where a user names the package."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from helpers_tiny import TRAINING, FixedPath, chain, head, task_of

import pathways
from pathways import evolve
from pathways.entry_points import GROUP, classes
from pathways.errors import ConfigError
from pathways.experiments.cli import main
from pathways.modules import Draft, ModuleSpec
from pathways.program import Program

PACKAGE = Path(__file__).parent.parent / "third_party"
CONFIG = """
name: highways
seed: 0
root: {architecture: [{family: linear, config: {dim: 6}}, {family: highway}]}
tasks: [{source: wine}]
training: {steps: 4, batch: 8}
strategy: {independent: {}}
engine: {workers: 0}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which the package was installed, by pip and from its own files only."""
    pytest.importorskip("setuptools", reason="building the package needs setuptools")
    copy = tmp_path_factory.mktemp("source") / "letter-blocks"  # pip writes beside what it builds
    shutil.copytree(PACKAGE, copy)
    target = tmp_path_factory.mktemp("site")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(target), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture
def installed(site, monkeypatch):
    """The package can be imported, as if it was installed here."""
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "letter_blocks"]:
        del sys.modules[name]


def test_its_own_tests_pass(site):
    inherited = [place for place in sys.path if place and Path(place).is_dir()]
    environment = {"PYTHONPATH": ":".join([str(site), *inherited]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null",
               "--rootdir", str(PACKAGE), str(PACKAGE / "tests")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["letter-blocks", "Letter_Blocks", "highway"])
def test_a_package_is_found_by_its_name_or_that_of_an_entry_point(installed, name):
    [cls] = pathways.families(name)
    assert (cls.__name__, cls.__module__, cls.family) == ("Highway", "letter_blocks.highway", "highway")
    assert classes([name, cls, "highway"]) == [cls]


def test_nothing_is_imported_that_is_not_named(installed, tmp_path):
    """What is installed does not count, nor does what a file says."""
    with pathways.System.create(tmp_path / "run") as system, pytest.raises(ValueError, match="found 'highway'"):
        system.families["highway"]
    assert "letter_blocks" not in sys.modules
    assert pathways.families() == []
    assert "letter_blocks" not in sys.modules


def highways():
    return [Draft("a", ModuleSpec("highway")), head()]


def test_a_run_is_made_and_opened_with_the_packages_name(installed, tmp_path):
    task = task_of("one")
    strategy = FixedPath(lambda view: {"one": chain(view.task.inputs, *highways())}, rounds=1)
    families = ["letter-blocks"]
    with pathways.System.create(tmp_path / "run", training=TRAINING, families=families, stack=1) as system:
        with evolve.Local(workers=1) as engine:
            system.learn(task, strategy, engine)  # its worker imports the class by the name it has here
        before = system.predict("one", task.splits["test"].inputs)
    with pathways.System.open(tmp_path / "run", families=families) as system:
        assert system.verify().ok
        assert bool((system.predict("one", task.splits["test"].inputs) == before).all())
        program = Program(system.export("one", "pt2", tmp_path / "one.pt2"))
    assert program(task.splits["test"].inputs["x"]).shape == before.shape


@pytest.fixture(scope="module")
def cli_run(site, tmp_path_factory):
    """A run that the command line made with the package."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        command = ["run", str(folder / "config.yaml"), "--out", str(folder / "run"), "--quiet"]
        assert main([*command, "--families", "letter-blocks"]) == 0
    return folder / "run"


def test_the_command_line_takes_the_packages_name(installed, cli_run, capsys):
    config = str(cli_run.parent / "config.yaml")
    assert main(["run", config, "--dry-run", "--families", "letter-blocks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["candidates"] == 1
    assert main(["verify", str(cli_run), "--families", "letter-blocks"]) == 0
    capsys.readouterr()
    assert main(["show", str(cli_run), "--families", "letter_blocks.highway:Highway", "--json"]) == 0
    [task] = json.loads(capsys.readouterr().out)["tasks"]
    assert task["candidates"] == 1


@pytest.mark.parametrize("command", ["show", "verify"])
def test_without_the_package_one_sentence_says_what_to_pass(cli_run, capsys, command):
    assert main([command, str(cli_run)]) == 2
    said = capsys.readouterr().err
    assert "found 'highway'" in said
    assert "pass the class" in said
    assert "--families" in said
    assert said.count("\n") == 1
    assert main([command, str(cli_run), "--families", "letter-blocks"]) == 2
    said = capsys.readouterr().err
    assert f"must name an installed package with entry points of group `{GROUP}`, found 'letter-blocks'" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("value", "said"), [
    ("no_such_package:Thing", "must be importable, found ModuleNotFoundError"),
    ("json:dumps", "must be a subclass of `Module` or `Delta`"),
    ("json:JSONDecoder", "must be a subclass of `Module` or `Delta`"),
    ("sys:path", "must be a subclass of `Module` or `Delta`"),
])  # fmt: skip
def test_entry_points_that_offer_no_family_are_refused(value, said, monkeypatch):
    point = metadata.EntryPoint("odd", value, GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == GROUP else [])
    with pytest.raises(ConfigError, match=said):
        pathways.families("odd")


def test_an_entry_point_may_offer_several(monkeypatch):
    point = metadata.EntryPoint("both", "pathways.testing.fake:nothing", GROUP)
    from pathways.modules import BUILT_IN

    offered = [BUILT_IN["linear"], BUILT_IN["lora"]]
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: offered)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    assert pathways.families("both") == offered

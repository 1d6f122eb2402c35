"""The public surface: every component is documented, tested and cited; every floor imports only downwards."""

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest

import pathways
from pathways import affinity
from pathways.affinity.table import CO_TRAINING, ESTIMATORS, TRANSFERABILITY, UNITS
from pathways.data import SOURCES
from pathways.evolve.measured.table import MEASURED
from pathways.experiments.tables import ENGINES, STRATEGIES, resolve
from pathways.modules import BUILT_IN, FAMILIES

REPOSITORY = FilePath(__file__).parent.parent
FLOORS = {"modules": "pathways.modules", "pathways": "pathways", "evolve": "pathways.evolve",
          "experiments": "pathways.experiments"}
CITATION = re.compile(r"\d{4}\.\d{4,5}|\b(19|20)\d\d\b")  # an arXiv number or a year of publication


def sources_of(floor: str) -> list[FilePath]:
    return sorted((REPOSITORY / floor).rglob("*.py"))


def module_name(file: FilePath) -> str:
    """The import name of a file."""
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    names = [FLOORS[parts[0]], *parts[1:]]
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


FILES = [file for floor in FLOORS for file in sources_of(floor)]
MODULES = [module_name(file) for file in FILES]
TESTS = {file.name: file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py")
         if file.name != FilePath(__file__).name}


def mentioning(*names: str) -> list[str]:
    """The test files that mention one of the names as a word of its own."""
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in names))
    return [name for name, text in TESTS.items() if pattern.search(text)]


def has_reference(component: Any) -> bool:
    """Whether its own `reference`, its docstring, those of its bases here, or its file's cite a publication."""
    texts = [getattr(component, "reference", "") or ""]
    for cls in component.__mro__:
        if cls.__module__.startswith("pathways"):
            texts += [cls.__doc__ or "", sys.modules[cls.__module__].__doc__ or ""]
    return any(CITATION.search(text) for text in texts)


# -- components ---------------------------------------------------------------------------------------------

PLAIN = {
    # Weightless or textbook: what they do has no paper of its own.
    "blank", "classifier", "concat", "detach", "embed", "flatten", "linear", "pool", "regressor", "scale_gradient",
    "slice",
}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_module_family_is_documented_tested_and_cited(name: str) -> None:
    cls = BUILT_IN[name]
    assert cls.family == name
    assert cls.__doc__, f"family `{name}` has no docstring"
    assert ">>>" in cls.__doc__, f"family `{name}` has no example"
    assert mentioning(name, cls.__name__), f"no test mentions family `{name}`"
    assert has_reference(cls) or name in PLAIN, f"family `{name}` cites nothing"


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_is_documented_tested_and_cited(name: str) -> None:
    cls = resolve(STRATEGIES, name, "strategy")
    assert cls().name == name
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}("), f"strategy `{name}` has only what dataclasses generate"
    assert mentioning(cls.__name__), f"no test mentions strategy `{name}`"
    assert any(f"strategy = {cls.__name__}" in text for text in TESTS.values()), f"`{name}` has no conformance test"
    assert has_reference(cls), f"strategy `{name}` cites nothing"


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_every_engine_is_documented_and_tested(name: str) -> None:
    cls = resolve(ENGINES, name, "engine")
    assert cls.__doc__
    assert mentioning(cls.__name__)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_data_source_is_documented_and_tested(name: str) -> None:
    function = getattr(pathways.data, name)
    assert function.__doc__
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
    assert mentioning(name), f"no test mentions source `{name}`"


SUITES = dict.fromkeys(CO_TRAINING, "CoTrainingEstimatorSuite") | dict.fromkeys(TRANSFERABILITY, "TransferabilitySuite")
"""By estimator, the conformance suite that its test inherits."""


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_estimator_is_documented_tested_and_cited(name: str) -> None:
    file, _, function = ESTIMATORS[name].partition(":")
    estimator = getattr(importlib.import_module(f"pathways.affinity.{file}"), function)
    assert estimator.__name__ == name
    assert getattr(affinity, name) is estimator, f"`pathways.affinity.{name}` is not estimator `{name}`"
    assert name in affinity.__all__
    said = estimator.__doc__ or ""
    assert ">>>" in said, f"estimator `{name}` has no example"
    assert CITATION.search(said[said.find("Reference") :]), f"estimator `{name}` cites nothing"
    assert mentioning(name), f"no test mentions estimator `{name}`"
    suite = SUITES.get(name)
    assert suite is None or suite in TESTS[f"test_{name}.py"], f"`{name}` has no conformance test, `{suite}`"
    assert name not in CO_TRAINING or UNITS[name], f"readings of `{name}` have no unit"


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_every_estimator_of_studies_is_documented_tested_and_cited(name: str) -> None:
    file, _, function = MEASURED[name].partition(":")
    estimator = getattr(importlib.import_module(f"pathways.evolve.measured.{file}"), function)
    said = estimator.__doc__ or ""
    assert CITATION.search(said[said.find("Reference") :]), f"`{name}` of studies cites nothing"
    for setting in inspect.signature(estimator).parameters:
        assert len(inspect.signature(estimator).parameters) == 1 or f"{setting}: " in said, f"`{name}` hides {setting}"
    assert mentioning(name), f"no test mentions `{name}`"


@pytest.mark.parametrize("name", sorted(affinity.__all__))
def test_every_public_name_of_affinity_is_documented_and_tested(name: str) -> None:
    value = getattr(affinity, name)
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}("), f"`{name}` has only what dataclasses generate"
    assert mentioning(name), f"no test mentions `pathways.affinity.{name}`"


@pytest.mark.parametrize("name", sorted(set(pathways.__all__) - {"__version__"}))
def test_every_public_name_is_documented_and_tested(name: str) -> None:
    value = getattr(pathways, name)
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}("), f"`{name}` has only what dataclasses generate"
    assert mentioning(name), f"no test mentions `pathways.{name}`"


def test_names_are_exported_where_they_are_looked_for() -> None:
    from pathways import evolve

    for package in (pathways, evolve):
        assert set(dir(package)) == set(package.__all__)
        with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
            package.Nothing  # noqa: B018
        for name in set(package.__all__) - {"__version__"}:
            value = getattr(package, name)
            assert getattr(value, "__name__", "").rsplit(".", 1)[-1] == name
    strategies = {resolve(STRATEGIES, name, "strategy") for name in STRATEGIES}
    assert strategies <= {getattr(evolve, name) for name in evolve.__all__}


@pytest.mark.parametrize("name", MODULES)
def test_every_public_definition_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    missing = []
    for key, value in vars(module).items():
        local = getattr(value, "__module__", None) == name
        if key.startswith("_") or not local or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        # A dataclass without one is given its signature; an exception may say all by its name.
        generated = inspect.isclass(value) and (value.__doc__ or "").startswith(f"{key}(")
        if not value.__doc__ or generated:
            missing.append(key)
    assert not missing, f"{name}: no docstring on {missing}"


# -- floors -------------------------------------------------------------------------------------------------


def imports_of(file: FilePath) -> Iterator[tuple[int, str]]:
    """The line and the absolute name of every import in a file, those inside functions too."""
    package = module_name(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            # `from pathways import evolve` names a package by its last part
            yield from ((node.lineno, f"{target}.{alias.name}") for alias in node.names)


def above(name: str, floor: str) -> bool:
    """Whether an import of `name` reaches beyond what the floor may use."""
    def within(*packages: str) -> bool:
        return any(name == p or name.startswith(f"{p}.") for p in packages)

    upper = {"pathways": ("pathways.evolve", "pathways.experiments"), "evolve": ("pathways.experiments",)}
    if floor == "modules":
        return within("pathways") and not within("pathways.modules")
    return within(*upper.get(floor, ()))


@pytest.mark.parametrize("floor", list(FLOORS))
def test_each_floor_imports_only_from_those_below(floor: str) -> None:
    wrong = [
        f"{file.relative_to(REPOSITORY)}:{line} imports {name}"
        for file in sources_of(floor) for line, name in imports_of(file) if above(name, floor)
    ]
    assert not wrong


@pytest.mark.parametrize(("floor", "text", "found"), [
    ("modules", "from pathways.errors import PathError", True),
    ("modules", "def f():\n    from pathways import path", True),
    ("modules", "from .spec import Init", False),
    ("modules", "from .. import path", True),
    ("pathways", "def f():\n    from .evolve.munet import MuNet", True),
    ("pathways", "import pathways.experiments.cli", True),
    ("pathways", "from pathways.modules import Draft", False),
    ("evolve", "from pathways import experiments", True),
    ("evolve", "from pathways.path import Path", False),
])
def test_the_check_of_floors_sees_what_it_should(
    floor: str, text: str, found: bool, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "REPOSITORY", tmp_path)
    (tmp_path / floor).mkdir()
    file = tmp_path / floor / "some.py"
    file.write_text(text)
    assert any(above(name, floor) for _, name in imports_of(file)) == found


def test_the_ground_floor_needs_only_torch() -> None:
    standard = set(sys.stdlib_module_names)
    others = {name.split(".")[0] for file in sources_of("modules") for _, name in imports_of(file)}
    assert others - standard == {"torch", "pathways"}


def test_importing_the_package_is_light() -> None:
    heavy = ["torch", "numpy", "sklearn", "matplotlib", "sqlalchemy", "optuna", "networkx", "pathways.modules"]
    code = f"import sys, pathways, pathways.evolve, pathways.data; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_registers_nothing_and_starts_nothing() -> None:
    """Import order decides nothing: the tables of names are literal."""
    for table in (FAMILIES, STRATEGIES, ENGINES, SOURCES):
        assert all(isinstance(home, str) and ":" in home for home in table.values())


# -- texts --------------------------------------------------------------------------------------------------


def tracked_texts() -> Iterator[tuple[str, str]]:
    """The text files of the repository, as git lists them, or as they lie where there is no git."""
    folders = [*FLOORS, "tests", "docs", "notebooks", ".ci"]
    files = [f for folder in folders for f in (REPOSITORY / folder).rglob("*") if f.is_file()]
    files += [f for f in REPOSITORY.iterdir() if f.is_file()]
    for file in files:
        known = file.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".ipynb", ".cfg", ""}
        if known and "__pycache__" not in file.parts and file != FilePath(__file__):
            try:
                yield str(file.relative_to(REPOSITORY)), file.read_text()
            except UnicodeDecodeError:
                continue


MACHINE = re.compile(r"(?<![\w./-])/(?:home|Users|work|root|mnt|opt|srv)/[\w.-]+")


def test_no_text_names_a_place_on_some_machine() -> None:
    found = [f"{name}: {match.group()}" for name, text in tracked_texts() for match in MACHINE.finditer(text)]
    assert not found


def test_the_check_of_places_sees_them() -> None:
    assert MACHINE.search("open('" + "/home" + "/someone/data.csv')")
    assert not MACHINE.search("https://example.org/home/page and runs/work/x")


# -- examples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    results = doctest.testmod(module, optionflags=flags, report=False)
    assert results.failed == 0, f"{results.failed} of {results.attempted} examples of {name} fail"
    assert not list(tmp_path.iterdir()), "an example leaves files behind"

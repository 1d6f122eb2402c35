import doctest
import importlib
from pathlib import Path

import pytest

import pathways.modules
import pathways.testing
from pathways.modules import BUILT_IN, FAMILIES, Delta, Families, Module, ModuleSpec, Vector, build
from pathways.testing import DeltaFamilySuite, ModuleFamilySuite

HOME = Path(pathways.modules.__file__).parent
FILES = sorted(
    ".".join(path.relative_to(HOME).with_suffix("").parts)
    for path in HOME.rglob("*.py")
    if path.stem != "__init__"
)
SUITES = sorted(path.stem for path in Path(pathways.testing.__file__).parent.glob("*_family.py"))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_is_documented_and_has_a_source(name):
    cls = BUILT_IN[name]
    assert issubclass(cls, (Module, Delta))
    assert cls.family == name
    assert cls.version >= 1
    assert cls.__doc__
    assert "Example:" in cls.__doc__
    assert cls.reference or FAMILIES[name].startswith("glue")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_has_a_suite(name):
    home = importlib.import_module(BUILT_IN[name].__module__).__name__.rpartition(".")[2]
    source = Path(__file__).with_name(f"test_{home}.py")
    spec = importlib.util.spec_from_file_location(f"suites_of_{home}", source)
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    suites = [
        cls
        for cls in vars(tests).values()
        if isinstance(cls, type)
        and issubclass(cls, (ModuleFamilySuite, DeltaFamilySuite))
        and cls.__name__.startswith("Test")
        and cls.spec.family == name
    ]
    assert suites


@pytest.mark.parametrize(
    "file", [f"modules.{name}" for name in FILES] + [f"testing.{name}" for name in SUITES]
)
def test_examples_run(file):
    found = doctest.testmod(
        importlib.import_module(f"pathways.{file}"), optionflags=doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert found.failed == 0


def test_only_heads_are_heads():
    assert {name for name in FAMILIES if getattr(BUILT_IN[name], "head", False)} == {
        "classifier",
        "regressor",
        "sequence",
        "span",
    }


class Mine(Module):
    """A user's family."""

    family = "mine"

    def __init__(self, ports):
        super().__init__()
        self.output = ports[0]


def test_users_pass_their_own_families():
    families = Families([Mine])
    assert build(ModuleSpec("mine"), [Vector(3)], families=families).output == Vector(3)
    assert families.names() == sorted([*FAMILIES, "mine"])
    with pytest.raises(
        ValueError, match=r"`family` must be one of .* found 'mine': pass the class that defines it"
    ):
        build(ModuleSpec("mine"), [Vector(3)])


def test_names_in_specs_import_nothing():
    with pytest.raises(ValueError, match="`family` must be one of"):
        build(ModuleSpec("os:system"), [Vector(3)])


@pytest.mark.parametrize("name", ["", "linear", "mine"])
def test_names_must_be_there_and_free(name):
    other = type("Other", (Module,), {"family": name})
    with pytest.raises(ValueError, match="Other needs a `family` name that is not taken"):
        Families([Mine, other])

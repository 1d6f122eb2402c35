import doctest
import importlib
from pathlib import Path

import pytest
import torch

import pathways.modules
import pathways.testing
from pathways.modules import (
    BUILT_IN,
    FAMILIES,
    Context,
    Delta,
    Families,
    Ids,
    Image,
    Module,
    ModuleSpec,
    Signal,
    Tokens,
    Vector,
    build,
    facts,
)
from pathways.modules.ports import example, split
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


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_says_with_what_it_fits(name):
    cls = BUILT_IN[name]
    assert getattr(cls, "head", False) or cls.fitting.__func__ not in (Module.fitting.__func__, Delta.fitting.__func__)


PORTS = (
    Vector(1), Vector(6), Image(1, 1, 1), Image(3, 5, 4), Image(8, 2, 2), Tokens(1, 1), Tokens(9, 7), Tokens(None, 6),
    Ids(5, 9), Ids(None, 2), Signal(1, 1), Signal(4, 9), Signal(3, None),
)  # fmt: skip
MODULES = [name for name in sorted(FAMILIES) if issubclass(BUILT_IN[name], Module)]


@pytest.mark.parametrize("name", MODULES)
def test_what_fits_some_ports_can_be_built_there(name):
    cls = BUILT_IN[name]
    for ports in ((), *((port,) for port in PORTS), *((one, other) for one in PORTS for other in PORTS)):
        config = cls.fitting(ports)
        if config is not None:
            assert facts(ModuleSpec(name, dict(config)), ports).output is not None


STARTS_AS_THE_IDENTITY = {
    "adapter": (Vector(6), Image(3, 5, 4), Tokens(None, 6)),
    "decoder": (),
    "dilated_conv": (Tokens(9, 7), Signal(3, None)),
    "mlp": (Vector(6), Tokens(None, 6)),
    "positions": (Tokens(9, 7), Tokens(None, 6)),
    "residual_conv": (Image(3, 5, 4), Image(1, 1, 1)),
    "separable_block": (Image(3, 5, 4), Signal(3, None), Tokens(9, 7)),
    "state_space": (Tokens(9, 7), Tokens(None, 6)),
    "tabular": (Tokens(9, 7), Tokens(None, 6)),
    "transformer": (Tokens(9, 7), Tokens(None, 6)),
}


@pytest.mark.parametrize(
    ("name", "ports"),
    [(name, (port,)) for name, ports in STARTS_AS_THE_IDENTITY.items() for port in ports]
    + [(name, (Tokens(9, 7), Tokens(None, 6))) for name in ("decoder", "transformer")],
)
def test_what_evolution_puts_behind_a_step_starts_as_the_identity(name, ports):
    spec = ModuleSpec(name, dict(BUILT_IN[name].fitting(ports)))
    module = build(spec, ports, torch.Generator().manual_seed(0)).eval()
    values = [example(port, 3, torch.Generator().manual_seed(1)) for port in ports]
    assert module.output == ports[0]
    assert torch.equal(split(module(*values, context=Context()))[0], split(values[0])[0])


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

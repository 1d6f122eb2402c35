"""What a fresh process imports: nothing heavy before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path as FilePath

import pytest
from helpers_tiny import run_of_one

import pathways
from pathways import evolve, modules

HEAVY = (
    "torch", "numpy", "sqlalchemy", "sklearn", "scipy", "matplotlib", "networkx", "optuna", "safetensors", "yaml",
    "PIL", "ray",
)
NEEDED_TO_SHOW = {"sqlalchemy", "numpy", "yaml"}  # the ledger, the metrics, the configuration


def imported_by(program: str) -> set[str]:
    """The heavy packages that a fresh process has imported after a program."""
    program += f"\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def command(*arguments: str) -> str:
    """A program that runs one command."""
    return (
        "from pathways.experiments.cli import main\n"
        f"try:\n    status = main({list(arguments)!r})\nexcept SystemExit as stop:\n    status = stop.code\n"
        "assert status == 0, status\n"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """The directory of a run of one task, looked at once."""
    return run_of_one(tmp_path_factory.mktemp("startup") / "run")


def test_a_run_without_its_index_is_worked_out_once(run: FilePath) -> None:
    for file in (run / "index.jsonl", run / "cache" / "facts.json"):
        file.unlink(missing_ok=True)
    assert imported_by(command("show", str(run))) >= {"torch"}
    assert "torch" not in imported_by(command("show", str(run)))


@pytest.mark.parametrize(("arguments", "needed"), [
    (["--help"], set()), (["completion", "bash"], set()), (["init", "-"], {"yaml"}),
    (["init", "-", "--from", "preset", "munet-2022"], {"yaml"}),
])
def test_setting_up_imports_little(arguments: list[str], needed: set[str]) -> None:
    assert imported_by(command(*arguments).replace("assert status == 0", "assert not status")) <= needed


def test_citing_a_run_needs_no_torch(run: FilePath) -> None:
    assert imported_by(command("cite", str(run))) <= NEEDED_TO_SHOW


@pytest.mark.parametrize("program", [
    "import pathways", "import pathways.experiments", "from pathways import evolve, modules", "import pathways.cores",
])
def test_importing_the_package_imports_nothing_heavy(program: str) -> None:
    assert imported_by(program) == set()


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("show", "--help")])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported_by(command(*arguments)) == set()


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_show_reads_the_record_without_torch(run: FilePath, arguments: tuple[str, ...]) -> None:
    assert imported_by(command("show", str(run), *arguments)) == NEEDED_TO_SHOW


def test_the_system_and_paths_are_at_hand_without_torch() -> None:
    names = ("System", "Path", "Step", "Task", "Classes", "Training", "Candidate", "Champion", "Metric")
    assert imported_by(f"from pathways import {', '.join(names)}") == {"sqlalchemy"}
    assert imported_by("from pathways.modules import BUILT_IN, Draft, Image, ModuleSpec, build, facts") == set()


def test_torch_is_imported_when_a_module_is_first_built() -> None:
    program = (
        "import sys\nfrom pathways.modules import ModuleSpec, Vector, facts\n"
        "spec = ModuleSpec('linear', {'dim': 2})\nassert 'torch' not in sys.modules\n"
        "assert facts(spec, [Vector(3)]).parameters == 8\nassert 'torch' in sys.modules\n"
        "from pathways.modules import Context, Delta, Module\n"
    )
    assert "torch" in imported_by(program)


def declared(package: object) -> dict[str, str]:
    """What a package imports for type checkers, by name, with the file it is from."""
    tree = ast.parse(FilePath(package.__file__).read_text())  # type: ignore[attr-defined]
    blocks = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    imports = [n for block in blocks for n in block.body if isinstance(n, ast.ImportFrom) and n.module]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("package", [pathways, evolve, modules])
def test_type_checkers_see_the_names_that_are_imported_late(package: object) -> None:
    assert declared(package) == package._HOMES  # type: ignore[attr-defined]
    assert set(package._HOMES) <= set(dir(package))  # type: ignore[attr-defined]
    for name in package._HOMES:  # type: ignore[attr-defined]
        assert getattr(package, name).__name__ == name


def test_training_a_stack_imports_no_compiler(tmp_path: FilePath) -> None:
    """Torch's takes seconds and a hundred megabytes, of each worker; switches of torch that import it have others."""
    program = f"""
import sys
sys.path.append({str(FilePath(__file__).parent)!r})
from helpers_tiny import TRAINING, chain, head, linear, task_of
from pathlib import Path
from pathways.candidate import Candidate
from pathways.modules import BUILT_IN
from pathways.pool import Pool
from pathways.stack_plan import plan
from pathways.trainer import Trainer
task = task_of("one")
asked = [
    Candidate({{"one": chain(task.inputs, linear("a"), head())}}, TRAINING, {{"one": task.fingerprint}}, repeat=repeat)
    for repeat in range(2)
]
trainer = Trainer(Pool(Path({str(tmp_path / "pool")!r})))
trainer.provide(task)
[group] = plan(asked, 2, BUILT_IN).stacks
assert [(result.ok, result.alone) for result in trainer.run(group.candidates, True, group.slots)] == [(True, "")] * 2
print([name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

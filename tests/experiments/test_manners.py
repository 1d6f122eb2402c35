"""Manners of the command line: help with examples, nearest names, JSON for results and errors, statuses, faults."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_cli import finished, written

from pathways.errors import ConfigError, UsageError
from pathways.experiments import cli, examples
from pathways.experiments.cli import main, parser
from pathways.experiments.failures import FAULT, failure

CONFIG = """
name: small
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 3, batch: 16}
strategy: {munet: {generations: 1, children: 1, probes: 1}}
controls: [independent]
"""
COMMANDS = sorted(parser().commands())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return finished(tmp_path_factory, written(tmp_path_factory, CONFIG))


# -- help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_its_parser_reads(name: str) -> None:
    lines = examples.EXAMPLES[name]
    assert 1 <= len(lines) <= 3
    for line, what in lines:
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
        assert words[:2] == ["pathways", name]
        assert parser().parse_args(words[1:]).command == name
        assert what
    told = parser().commands()[name].format_help()
    assert all(line in told for line, _ in lines)


def test_the_top_help_groups_all_commands_and_says_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(name for names in examples.GROUPS.values() for name in names) == COMMANDS
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    places = [told.index(f"\n{title}:") for title in examples.GROUPS]
    assert places == sorted(places)
    assert all(f"\n  {name} " in told for name in COMMANDS)
    assert all(f"\n  {status} " in told for status, _ in examples.STATUSES)


def test_a_command_that_is_in_no_group_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {title: names for title, names in examples.GROUPS.items() if "show" not in names}
    monkeypatch.setattr("pathways.experiments.parsers.GROUPS", few)
    assert "\nmore:" in parser().format_help()
    assert "\n  verify " in parser().format_help()


# -- nearest names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "meant"), [
    (["ver", "x"], "verify"), (["shwo", "x"], "show"), (["run", "x", "--wrokers", "2"], "--workers"),
    (["run", "x", "--dryrun"], "--dry-run"), (["graph", "x", "--format", "graphlm"], "graphml"),
    (["group", "x", "--budget", "1", "--rule", "taskonmy"], "taskonomy"), (["completion", "bsh"], "bash"),
])
def test_a_slip_in_a_command_line_names_what_was_meant(arguments: list[str], meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        parser().parse_args(arguments)


@pytest.mark.parametrize(("change", "meant"), [
    ("strategy=munte", "munet"), ("controls=[indepedent]", "independent"), ("training.stpes=3", "steps"),
    ("trainin.steps=3", "training"), ("strategy.munet.childern=3", "children"), ("strategy={munte: {}}", "munet"),
    ("tasks=[{source: omniglto}]", "omniglot"), ("tasks=[{source: digits_tasks, gruops: [[0, 1]]}]", "groups"),
    ("tasks=[{source: omniglot, alphabets: [Grek]}]", "Greek"), ("root=omniglto", "omniglot"),
    ("root={preset: perciever}", "perceiver"), ("root={architecture: [{family: liner, dim: 3}]}", "linear"),
    ("training.optimizer=adam", "adamw"), ("engine.kind=rya", "ray"), ("training.schedule=cosin", "cosine"),
    ("strategy={munet: {preset: munet-2021}}", "munet-2022"), ("strategy={munet: {rates: {clon: 0.1}}}", "clone"),
    ("strategy={munet: {parents: {prior: {estimator: logem}}}}", "logme"),
    ("strategy={munet: {hyperparameters: {optuna: {sampler: tep}}}}", "tpe"),
    ("strategy={munet: {probe_training: {stpes: 1}}}", "steps"),
    ("strategy={munet: {visits: al}}", "all"), ("strategy={pathnet: {tournament: fiar}}", "fair"),
])
def test_a_slip_in_a_configuration_names_what_was_meant(
    change: str, meant: str, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    assert main(["run", str(file), "--out", str(tmp_path / "out"), "--set", change]) == 2
    err = capsys.readouterr().err
    assert f"did you mean {meant!r}?" in err or f"such as [{meant!r}" in err, err
    assert [f.name for f in tmp_path.iterdir()] == ["config.yaml"]


def test_a_slip_in_a_task_names_what_was_meant(run: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["predict", str(run), "0-1", "--input", "x.png"], ["export", str(run), "digit/0-1"],
                    ["forget", str(run), "digits/01"]):  # fmt: skip
        assert main(command) == 2
        assert "did you mean 'digits/0-1'?" in capsys.readouterr().err


# -- JSON ---------------------------------------------------------------------------------------------------

TASK = {
    "name", "metric", "higher_is_better", "test", "validation", "independent_test", "new_parameters",
    "shared_parameters", "parents", "candidates", "seconds",
}
SUMMARY = {
    "tasks", "ACC", "BWT", "FWT", "transfer", "forgetting", "parameters", "independent_parameters", "seconds", "engine",
    "fingerprint", "run",
}
FIELDS: dict[str, set[str]] = {
    "show": SUMMARY, "resume": SUMMARY, "verify": {"ok", "tasks", "modules", "bytes", "bitwise", "differs"},
    "graph": {"file", "view", "format", "run"}, "report": {"file", "tasks", "run"},
    "dashboard": {"file", "url", "command", "run"}, "trace": {"trace"}, "cite": {"run", "entries", "bibtex"},
}
"""By command on a run, the fields that others read: they stay."""


@pytest.mark.parametrize("name", FIELDS)
def test_results_as_json_have_their_fields(name: str, run: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, str(run), "--json", *(["--quiet"] if name == "resume" else [])]) == 0
    data = json.loads(capsys.readouterr().out)
    assert FIELDS[name] <= set(data)
    if "file" in data:
        assert FilePath(data["file"]).exists()
    if name in ("show", "resume"):
        assert all(set(task) >= TASK for task in data["tasks"])


def test_every_command_that_prints_a_result_takes_json() -> None:
    for name, sub in parser().commands().items():
        takes = any("--json" in action.option_strings for action in sub._actions)
        assert takes or name in ("completion", "serve"), f"`{name}` has no --json"


def test_export_and_forget_as_json_say_what_they_did(
    run: FilePath, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    out = tmp_path / "one.safetensors"
    assert main(["export", str(copy), "digits/0-1", "--out", str(out), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["file"], data["task"], data["format"]) == (str(out), "digits/0-1", "safetensors")
    assert main(["forget", str(copy), "digits/0-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"forgot": "digits/0-1", "left": ["digits/2-3"], "run": str(copy)}


@pytest.mark.parametrize("arguments", [
    ["show", "none", "--json"], ["shwo", "--json"], ["run", "none.yaml", "--json"], ["show", "--json", "a", "b"],
])
def test_errors_as_json_are_objects_beside_the_sentence(
    arguments: list[str], tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert set(error) == {"message", "type", "exit"}
    assert error["exit"] == 2
    assert captured.err == f"pathways: error: {error['message']}\n"


# -- statuses and faults ------------------------------------------------------------------------------------


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Callable[..., int]:
    """A command line whose `show` fails in that way."""
    def show(options: Any) -> int:
        raise error

    made = parser()
    made.commands()["show"].set_defaults(command_function=show)
    monkeypatch.setattr(cli, "parser", lambda: made)
    return lambda *more: main(["show", "x", *more])


@pytest.mark.parametrize(("error", "status", "words"), [
    (ConfigError("`a` must be 1."), 2, "`a` must be 1."),
    (PermissionError(13, "Permission denied", "/x/y"), 2, "/x/y cannot be read or written (permission denied)"),
    (OSError(28, "No space left on device"), 2, "no space left on device"),
    (IsADirectoryError(21, "Is a directory", "runs"), 2, "runs cannot be read or written (is a directory)"),
    (OSError(98, "Address already in use"), 2, "choose another `--port`"),
    (socket.gaierror(-2, "Name or service not known"), 2, "no such host"),
    (MemoryError(), 2, "not enough memory"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (BrokenPipeError(), 0, ""),
    (ZeroDivisionError("division by zero"), FAULT, "ZeroDivisionError: division by zero"),
    (KeyError("x"), FAULT, "KeyError"),
])  # fmt: skip
def test_each_kind_of_error_has_its_status_and_no_traceback(
    error: BaseException, status: int, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: FilePath,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "_forget_output", lambda: None)
    assert failing(monkeypatch, error)() == status
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 1


def test_a_fault_leaves_its_traceback_in_a_file_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failing(monkeypatch, ZeroDivisionError("é"))("--json") == FAULT
    captured = capsys.readouterr()
    [file] = tmp_path.iterdir()
    assert str(file) in captured.err
    assert "ZeroDivisionError: é" in file.read_text()
    assert json.loads(captured.out)["error"]["exit"] == FAULT


def test_a_fault_whose_traceback_cannot_be_written_still_says_how_to_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    assert "`--debug`" in failure(KeyError("x")).message


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_anywhere_shows_the_traceback(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "no/such/run"]
    assert main(["--debug", *words] if where == "before" else [*words, "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("pathways: error: ")


def test_output_that_cannot_be_written_is_a_sentence(run: FilePath) -> None:
    if not FilePath("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pathways.experiments.cli", "init", "-"], stdout=full, stderr=subprocess.PIPE,
            text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    assert done.returncode == 2
    assert "no space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_of_few_characters_gets_replacements() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pathways.experiments.cli", "show", "né→"], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert b"n?" in done.stderr
    assert b"Traceback" not in done.stderr


# -- completion ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_each_shell_has_a_script_that_knows_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "--dry-run" in script or shell in ("fish", "tcsh")


BASH = """
source "$1"
COMP_WORDS=(pathways $2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
$(complete -p pathways | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(("typed", "completed"), [
    ("ver", "verify"), ("com", "completion"), ("run --dr", "--dry-run"), ("graph --format gra", "graphml"),
    ("run con", "config.yaml"),
])  # fmt: skip
def test_bash_completes(
    typed: str, completed: str, tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    main(["completion", "bash"])
    (tmp_path / "pathways.bash").write_text(capsys.readouterr().out)
    (tmp_path / "config.yaml").write_text("")
    subprocess.run([bash, "-n", "pathways.bash"], cwd=tmp_path, check=True)
    done = subprocess.run([bash, "-c", BASH, "bash", "pathways.bash", typed], cwd=tmp_path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert completed in done.stdout.split(), done.stderr

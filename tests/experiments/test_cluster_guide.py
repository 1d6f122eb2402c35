"""The cluster guide and the files for clusters say what there is: the real readers read their commands and settings."""

from __future__ import annotations

import re
from pathlib import Path as FilePath

import click
import pytest
import yaml
from stated_commands import commands_of, indented_in_comments, parse_ray

from pathways.errors import UsageError
from pathways.experiments.cli import parser
from pathways.experiments.config import config_from

REPOSITORY = FilePath(__file__).parent.parent.parent
GUIDE = REPOSITORY / "docs" / "cluster.md"
FILES = sorted((REPOSITORY / "experiments" / "cluster").glob("*.yaml"))


def blocks(text: str, *languages: str) -> list[str]:
    return [body for name, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if name in languages]


def stated(file: FilePath) -> list[tuple[str, list[str]]]:
    """The commands of a file: in blocks of Markdown, else in comments and in what Kubernetes is to run."""
    text = file.read_text()
    if file.suffix == ".md":
        lines = blocks(text, "", "sh")
    else:
        entrypoints = [(item or {}).get("spec", {}).get("entrypoint", "") for item in yaml.safe_load_all(text)]
        lines = [indented_in_comments(text), *entrypoints]
    return [call for line in lines for call in commands_of(line)]


@pytest.mark.parametrize("file", [GUIDE, *FILES], ids=lambda file: file.stem)
def test_commands_are_read_by_the_real_command_lines(file: FilePath) -> None:
    found = stated(file)
    for program, arguments in found:
        if program == "ray":
            parse_ray(arguments)
        else:
            parser().parse_args(arguments)
    runs = [arguments for program, arguments in found if program == "pathways" and arguments[0] == "run"]
    assert any({"--engine", "ray", "--address", "auto"} <= set(arguments) for arguments in runs)


def test_configurations_that_commands_name_are_there_or_the_users_own() -> None:
    for file in [GUIDE, *FILES]:
        for program, arguments in stated(file):
            if program == "pathways" and arguments[0] == "run":
                name = FilePath(arguments[1])
                own = name.stem in ("CONFIG", "letters")  # the guide's placeholder, and the manifest's ConfigMap
                assert own or (REPOSITORY / name).is_file(), f"{file.name} names {name}"


def test_files_that_the_guide_hands_to_ray_are_there() -> None:
    named = [word for _, arguments in stated(GUIDE) for word in arguments if word.startswith("experiments/")]
    assert {word for word in named if "/cluster/" in word}
    assert all((REPOSITORY / word).is_file() for word in named)


def test_the_settings_of_the_engine_are_read() -> None:
    [block] = [body for body in blocks(GUIDE.read_text(), "yaml") if body.startswith("engine:")]
    data = {"name": "letters", "tasks": ["omniglot"], "strategy": "munet", **yaml.safe_load(block)}
    engine = config_from(data, "the guide").engine
    assert (engine.kind, engine.workers) == ("ray", 4)


def test_commands_are_found_wherever_they_stand() -> None:
    quoted = "A=1 ~/bin/ray exec x.yaml 'pathways show a; pathways verify b'  # ray up\n"
    assert list(commands_of(quoted + "ray job submit --no-wait -- \\\n  pathways run c")) == [
        ("ray", ["exec", "x.yaml", "pathways show a; pathways verify b"]),
        ("pathways", ["show", "a"]),
        ("pathways", ["verify", "b"]),
        ("ray", ["job", "submit", "--no-wait", "--", "pathways", "run", "c"]),
        ("pathways", ["run", "c"]),
    ]


@pytest.mark.parametrize("line", ["start --heed", "job sumbit", "job submit --adress http://x -- true", "up"])
def test_a_command_that_ray_does_not_read_is_found(line: str) -> None:
    with pytest.raises(click.ClickException):
        parse_ray(line.split())


def test_a_command_that_pathways_does_not_read_is_found() -> None:
    with pytest.raises(UsageError, match="--adress"):
        parser().parse_args(["run", "c.yaml", "--adress", "auto"])

"""Commands that set things up: `init`, `doctor` and `completion`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .arguments import as_json, command, place, print_json

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add(commands: Any) -> None:
    """Add the commands."""
    init = command(commands, "init", _init, "write a configuration to start from, each key with a line of why")
    init.add_argument(
        "file", type=Path, nargs="?", default=Path("pathways.yaml"), metavar="FILE",
        help="the configuration; pathways.yaml when not given, - for standard output",
    )  # fmt: skip
    init.add_argument(
        "--from", nargs="+", default=[], metavar="WAY", dest="way",
        help="what it is for: omniglot (when not given), csv FILE [COLUMN], images DIR, or preset NAME",
    )  # fmt: skip
    init.add_argument("--force", action="store_true", help="replace FILE where it is there")
    as_json(init)
    doctor = command(commands, "doctor", _doctor, "check this installation, and say of each failure what to do")
    doctor.add_argument(
        "directory", type=place, nargs="?", metavar="DIR",
        help="a run directory, or where runs will be kept; runs in this folder when not given",
    )  # fmt: skip
    doctor.add_argument("--ray", action="store_true", help="also start Ray on this machine, and stop it again")
    as_json(doctor)
    completion = command(commands, "completion", _completion, "print what has a shell complete commands and options")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh, fish or tcsh")


def _init(options: argparse.Namespace) -> int:
    from pathways.errors import ConfigError
    from pathways.files import write_atomically

    from .starter import starter

    file: Path = options.file
    aside = str(file) == "-"
    if aside and options.json:
        raise ConfigError("`--json` names the file that was written, found `-`: leave one of them out.")
    name = "pathways" if aside else file.stem
    if not aside and file.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"`FILE` must end in .yaml, found {str(file)!r}: try {file.name or 'letters'}.yaml.")
    if name.startswith(".") or "\\" in name or not name.isprintable():  # as runs refuse it
        raise ConfigError(f"`FILE` must have a name that a run can have too, found {name!r}.")
    text = starter("pathways.yaml" if aside else str(file), name, options.way)
    if aside:
        print(text, end="")
        return 0
    if not options.force and (file.exists() or file.is_symlink()):
        raise ConfigError(f"{file} is there already, and is left as it is: choose another name, or say `--force`.")
    if not file.parent.is_dir():
        raise ConfigError(f"`FILE` must be in a folder that is there, found no {file.parent}: make it first.")
    write_atomically(file, text.encode())
    if options.json:
        print_json({"file": str(file), "next": [f"pathways run {file} --dry-run", f"pathways run {file}"]})
    else:
        print(f"{file}\nread it, then see what it would take with: pathways run {file} --dry-run")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine, findings_text

    checks = examine(options.directory, ray=options.ray)
    broken = [check for check in checks if check.status == "fail"]
    if options.json:
        print_json({"ok": not broken, "checks": [check.to_json() for check in checks]})
    else:
        print(findings_text(checks))
    return 1 if broken else 0


def _completion(options: argparse.Namespace) -> int:
    from pathways.errors import ConfigError

    from .cli import parser
    from .completion import script

    try:
        print(script(parser(), options.shell))
    except ImportError:
        raise ConfigError("`completion` needs the package shtab: install it with `pip install shtab`.") from None
    if sys.stdout.isatty():
        print("pathways: note: `pathways completion --help` says where to put this", file=sys.stderr)
    return 0

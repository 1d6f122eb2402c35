"""Arguments that several commands share, and how they print."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from textwrap import fill
from typing import Any

from .examples import examples_text


def command(commands: Any, name: str, function: Any, help: str) -> argparse.ArgumentParser:
    """Add a command: its name, what runs it, and what it does. Its help ends with its examples."""
    sub: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=fill(f"{help[0].upper()}{help[1:]}.", 100), epilog=examples_text(name)
    )
    sub.set_defaults(command_function=function)
    # Also here, so that it may stand anywhere on the line; the default stays that of the top.
    sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")
    return sub


def directory(sub: argparse.ArgumentParser) -> None:
    """Take a run directory, and the module families its paths need."""
    sub.add_argument("directory", type=place, metavar="DIR", help="the run directory, or its URL on storage")
    families(sub)


def place(text: str) -> Path | str:
    """Where a run is, from what the command line says: a directory, or a URL such as `s3://bucket/run`."""
    from pathways.storage import is_url

    return text if is_url(text) else Path(text)


def at_least_one(text: str) -> int:
    """A whole number of at least 1, from what the command line says.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, found {text!r}")
    return int(text)


def finite(text: str) -> float:
    """A finite number, from what the command line says.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a finite number, found {text!r}")
    return value


def port(text: str) -> int:
    """The number of a port, from what the command line says; 0 is any that is free.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port, 0 to 65535, found {text!r}")
    return int(text)


def families(sub: argparse.ArgumentParser) -> None:
    """Take module families that are not built in."""
    sub.add_argument(
        "--families",
        action="append",
        default=[],
        metavar="PACKAGE[:CLASS]",
        help="a module family of your own, importable by this name, or an installed package that offers some; may be "
        "repeated",
    )


def as_json(sub: argparse.ArgumentParser) -> None:
    """Take `--json`."""
    sub.add_argument("--json", action="store_true", help="print the result as JSON")


def given_families(names: list[str]) -> list[Any]:
    """The classes that `--families` names.

    Raises:
        ConfigError: one cannot be imported, or no such package offers families.
    """
    from importlib import import_module

    from pathways.entry_points import families as offered
    from pathways.errors import ConfigError

    classes: list[Any] = []
    for name in names:
        package, colon, cls = name.partition(":")
        if not colon:
            classes += offered(package)
            continue
        try:
            classes.append(getattr(import_module(package), cls))
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"`--families` must be PACKAGE:CLASS that can be imported, found {name!r}: {error}."
            ) from None
        if not isinstance(classes[-1], type) or not isinstance(getattr(classes[-1], "family", None), str):
            raise ConfigError(f"`--families` must name a class with a `family`, found {name!r}: see CONTRIBUTING.md.")
    return classes


def opened(options: argparse.Namespace) -> Any:
    """The system in the run directory of a command."""
    from pathways.system import System

    families = given_families(options.families)
    return System.open(options.directory, families=families, ledger=getattr(options, "ledger", None))


def print_json(data: Any) -> None:
    """Print plain data on standard output, so that other programs can read it."""
    json.dump(data, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    print()


def tell(options: argparse.Namespace, data: Any, text: str) -> None:
    """Print a result: as JSON where that was asked for, else as text."""
    if options.json:
        print_json(data)
    else:
        print(text)


def how_to_train(sub: argparse.ArgumentParser) -> None:
    """Take where trainers run, where data lies, and how results are printed."""
    sub.add_argument("--engine", metavar="KIND", help="where trainers run: local, or ray")
    sub.add_argument(
        "--workers", type=int, metavar="N",
        help="how many train at the same time; 0 trains in this process, with ray in as many as there is room for",
    )  # fmt: skip
    sub.add_argument(
        "--address", metavar="ADDR",
        help="with ray: `local` starts it on this machine; `auto`, or HOST:PORT, joins a cluster",
    )  # fmt: skip
    sub.add_argument("--device", metavar="D", help="what trainers compute on: cpu, cuda, cuda:N, or auto")
    sub.add_argument("--data", type=Path, metavar="DIR", help="the folder of external data sets; else PATHWAYS_DATA")
    sub.add_argument("--quiet", action="store_true", help="no progress")
    sub.add_argument(
        "--log", action="append", default=[], metavar="LOGGER",
        help="also tell this logger every number as it comes: tensorboard, or PACKAGE:CLASS of your own, which is made "
        "with the run directory; may be repeated",
    )  # fmt: skip
    as_json(sub)


def with_others(sub: argparse.ArgumentParser) -> None:
    """Take what lets several drivers work on one run."""
    sub.add_argument(
        "--ledger", metavar="URL",
        help="the database that holds the run's ledger, such as postgresql://USER@HOST/DATABASE; a password is better "
        "given in PATHWAYS_LEDGER, where no list of processes shows it",
    )  # fmt: skip
    sub.add_argument(
        "--share", action="store_true",
        help="work on this run beside other drivers: each learns what no other is learning, and waits for the rest",
    )  # fmt: skip


def with_engine(config: Any, options: argparse.Namespace) -> Any:
    """A configuration with the engine that `how_to_train` was told.

    Raises:
        ConfigError: there is no such engine, or its device is not here.
    """
    from dataclasses import replace

    from pathways.devices import device_here
    from pathways.errors import ConfigError

    from .engine_config import changed_engine

    asked = (
        ("kind", options.engine), ("workers", options.workers), ("address", options.address),
        ("device", options.device),
    )  # fmt: skip
    changes = {key: value for key, value in asked if value is not None}
    try:
        config = replace(config, engine=changed_engine(config.engine, **changes))
        device_here(config.engine.device)  # refused now, before anything is written
    except (ConfigError, ValueError) as error:
        where = "`--device`" if options.device else "`engine.device`"
        said = str(error).replace("`device`", where).replace("`workers`", "`--workers`")
        raise ConfigError(said.replace("`address`", "`--address`") if options.address else said) from None
    if config.engine.kind == "ray" and not options.quiet:
        _say_which_cluster()
    return config


def _say_which_cluster() -> None:
    """Have the engine's connection to a cluster told on standard error."""
    import logging

    log = logging.getLogger("pathways.ray.session")
    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
        log.propagate = False

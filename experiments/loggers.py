"""The loggers that `--log` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from pathways.errors import ConfigError
from pathways.logger import Logger


def _tensorboard(directory: Path) -> Logger:
    from pathways.tensorboard import TensorBoard

    return TensorBoard(directory / "tensorboard")


LOGGERS: dict[str, Callable[[Path], Logger]] = {"tensorboard": _tensorboard}
"""By name, what makes a logger for a run directory."""


def add_loggers(system: Any, names: Iterable[str]) -> None:
    """Have a system's numbers told to these loggers.

    Args:
        system: a `pathways.System`.
        names: each of `LOGGERS`, or `PACKAGE:CLASS` of what is called with the run directory.

    Raises:
        ConfigError: one is not there.
    """
    for name in names:
        system.loggers.add(_maker(name)(system.directory))


def _maker(name: str) -> Callable[[Path], Logger]:
    if name in LOGGERS:
        return LOGGERS[name]
    package, colon, cls = name.partition(":")
    try:
        if not colon:
            raise ValueError("it names no class")
        made: Callable[[Path], Logger] = getattr(import_module(package), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"`--log` must be {' or '.join(LOGGERS)}, or PACKAGE:CLASS that can be imported, found {name!r}: {error}."
        ) from None
    return made


__all__ = ["LOGGERS", "add_loggers"]

"""What worker processes must be able to import: the families that are not built in."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from pathways.errors import EngineError
from pathways.modules import Families


def importable(families: Families) -> list[tuple[str, str]]:
    """Where a worker finds the classes that are not built in: module and name.

    Raises:
        EngineError: one stands in a script or a function.
    """
    for cls in families.extra:
        if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
            place = "the script that runs" if cls.__module__ == "__main__" else "a function"
            raise EngineError(
                f"family class `{cls.__qualname__}` must be one that worker processes can import, found it in {place}: "
                f"put it into a file of its own, or train with `workers=0`."
            )
    return [(cls.__module__, cls.__qualname__) for cls in families.extra]


def imported(module: str, name: str) -> Any:
    """A family's class, by the name under which the run's own process imported it.

    Raises:
        EngineError: it cannot be imported here.
    """
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise EngineError(
            f"a worker must be able to import family class {module}.{name}, found {type(error).__name__}: {error}: "
            f"put it into a file that can be imported."
        ) from None
    return found


def search_path() -> tuple[str, ...]:
    """Where this process imports from."""
    return tuple(sys.path)


__all__ = ["importable", "imported", "search_path"]

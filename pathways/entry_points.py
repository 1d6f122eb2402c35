"""Module families that installed packages offer, by entry point; used only where a user names the package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pathways.modules import Delta, Module

GROUP = "pathways.families"
"""The group of entry points; each names a class, or a list of classes."""


def families(*packages: str) -> list[type[Module] | type[Delta]]:
    """The module families that installed packages offer, for `System.open(run, families=...)`.

    A package offers them in its `pyproject.toml`:

    ```
    [project.entry-points."pathways.families"]
    letter-blocks = "letter_blocks:FAMILIES"
    ```

    Nothing is imported but what is named here: not what else is installed, nor what a file names.

    Args:
        packages: each the name of an installed distribution, all of whose entry points are meant, or of one entry
            point.

    Raises:
        ConfigError: no package of that name offers families, or what it offers cannot be imported or is none.

    Example:
        >>> families()
        []
    """
    found: list[type[Module] | type[Delta]] = []
    for package in packages:
        for point in _points(package):
            found += [cls for cls in _loaded(point) if cls not in found]
    return found


def classes(given: Iterable[type[Module] | type[Delta] | str]) -> list[type[Module] | type[Delta]]:
    """Classes as they are, names as the families that the package offers."""
    found: list[type[Module] | type[Delta]] = []
    for each in given:
        found += [cls for cls in (families(each) if isinstance(each, str) else [each]) if cls not in found]
    return found


def _points(package: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points

    offered = entry_points(group=GROUP)
    points = [point for point in offered if package == point.name or _plain(package) == _plain(_package(point))]
    if not points:
        raise ConfigError(
            f"`families` must name an installed package with entry points of group `{GROUP}`, found {package!r}: "
            f"those installed are {sorted({_package(point) for point in offered})}; install it, or pass the classes."
        )
    return points


def _loaded(point: EntryPoint) -> list[Any]:
    from pathways.modules import Delta, Module

    try:
        loaded = point.load()
    except Exception as error:  # importing a package runs its code, which may raise anything
        raise ConfigError(
            f"entry point `{point.name}` of package {_package(point)!r} must be importable, found "
            f"{type(error).__name__}: {error}."
        ) from None
    offered = [loaded] if isinstance(loaded, type) else list(loaded) if isinstance(loaded, (list, tuple)) else [None]
    for cls in offered:
        if not (isinstance(cls, type) and issubclass(cls, (Module, Delta))):
            raise ConfigError(
                f"entry point `{point.name}` of package {_package(point)!r} must be a subclass of `Module` or `Delta`, "
                f"or a list of them, found {loaded!r}."
            )
    return offered


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _plain(name: str) -> str:
    """A distribution's name as indexes compare it: letter-blocks and Letter_Blocks are one."""
    return name.lower().replace("_", "-").replace(".", "-")


__all__ = ["GROUP", "classes", "families"]

"""Where external data sets lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pathways.errors import DataError

VARIABLE = "PATHWAYS_DATA"


def data_folder(explicit: str | Path | None = None) -> Path:
    """The folder of external data sets: the one given, else the one that `PATHWAYS_DATA` names.

    Args:
        explicit: the value of `--data`, or of a source's `data` argument.

    Raises:
        DataError: neither is given, or the folder does not exist.
    """
    named = explicit or os.environ.get(VARIABLE)
    if not named:
        raise DataError(
            f"`data` must name the folder of data sets, found none: pass `--data FOLDER`, or set {VARIABLE}."
        )
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "`--data`" if explicit else VARIABLE
        raise DataError(f"{origin} must name an existing folder, found {str(folder)!r}: correct the name.")
    return folder


def find_file(file: str | Path, data: str | Path | None = None) -> Path:
    """The file of that name: as it stands, seen from the working directory, else inside the data folder.

    Args:
        file: an absolute or relative path.
        data: the data folder; see `data_folder`.

    Raises:
        DataError: the file is in neither place; the message names both.
    """
    return _find("file", Path(file).expanduser(), data, Path.is_file)


def find_folder(folder: str | Path, data: str | Path | None = None) -> Path:
    """The folder of that name, looked for as `find_file` does."""
    return _find("folder", Path(folder).expanduser(), data, Path.is_dir)


def _find(what: str, path: Path, data: str | Path | None, exists: Callable[[Path], bool]) -> Path:
    places = [path]
    if not path.is_absolute() and (data or os.environ.get(VARIABLE)):
        places.append(data_folder(data) / path)
    for place in places:
        if exists(place):
            return place
    looked = " and ".join(repr(str(place)) for place in places)
    raise DataError(
        f"`{what}` must exist, looked for {looked} in vain: correct it, or name the folder of data sets by "
        f"`--data` or {VARIABLE}."
    )

"""Task sources: functions that yield `Task`s. YAML and `load` name them by the table `SOURCES`.

A source is one function in one file and one line of the table. Sources are imported when they are first used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathways.errors import ConfigError, DataError

from .arguments import check_arguments

if TYPE_CHECKING:
    from pathways.task import Task

SOURCES: dict[str, str] = {
    "omniglot": "omniglot_set:omniglot",
    "omniglot_background": "omniglot_set:omniglot_background",
    "digits": "sklearn_sets:digits",
    "digits_tasks": "sklearn_sets:digits_tasks",
    "wine": "sklearn_sets:wine",
    "breast_cancer": "sklearn_sets:breast_cancer",
    "diabetes": "sklearn_sets:diabetes",
    "idx_folder": "idx:idx_folder",
    "mnist": "idx:mnist",
    "fashion_mnist": "idx:fashion_mnist",
    "cmaterdb": "cmaterdb_set:cmaterdb",
    "fsdd": "fsdd_set:fsdd",
    "clinc150": "clinc_set:clinc150",
    "digit_pairs": "digit_pairs_set:digit_pairs",
    "npz": "npz_file:npz",
    "csv": "csv_file:csv",
    "image_folder": "image_folder_set:image_folder",
}

# What Python can use and YAML cannot name: no file name may equal one of these or a source's name, or the
# imported file would hide the function.
_OTHERS = {
    "from_dataset": "dataset:from_dataset",
    "from_image_folder": "image_folder_set:from_image_folder",
    "read_images": "image_files:read_images",
    "data_folder": "folder:data_folder",
}

__all__ = ["SOURCES", "load", *SOURCES, *_OTHERS]


def load(source: str, *, data: str | Path | None = None, **arguments: Any) -> list[Task]:
    """The tasks of the source of that name.

    Args:
        source: a name of `SOURCES`.
        data: the folder of external sets, handed to the sources that read files; see `data_folder`.
        **arguments: the arguments of the source's function.

    Raises:
        ConfigError: no such source, or arguments that it does not take; the message lists what there is.
        DataError: the source's data cannot be read or learned from.

    >>> [task.name for task in load("omniglot", alphabets=["Tengwar"])]
    ['omniglot/Tengwar']
    """
    if source not in SOURCES:
        from pathways.modules.near import did_you_mean

        raise ConfigError(
            f"`source` must be one of {sorted(SOURCES)}, found {source!r}{did_you_mean(source, SOURCES, '.')}"
        )
    function = getattr(import_module(__name__), source)
    if data is not None and "data" in inspect.signature(function).parameters:
        arguments = {**arguments, "data": data}
    check_arguments(source, function, arguments)
    tasks = list(function(**arguments))
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"source {source!r} gives task {twice[0]!r} more than once: name each task once.")
    return tasks


def __getattr__(name: str) -> Callable[..., Any]:
    """Import a source when it is first used, so that `import pathways.data` stays light."""
    home = SOURCES.get(name) or _OTHERS.get(name)
    if home is None:
        raise AttributeError(f"module 'pathways.data' has no attribute {name!r}")
    file, function = home.split(":")
    return getattr(import_module(f".{file}", __name__), function)


def __dir__() -> list[str]:
    return list(__all__)

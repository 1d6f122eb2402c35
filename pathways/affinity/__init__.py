"""Affinity: which tasks help each other, and which should share a path.

Estimators measure an `Affinity` matrix, rules choose a `Selection` of networks from it. One method is one file that is
named after it; the table in `table.py` names them all.

>>> from pathways import affinity
>>> affinity.Affinity.__name__
'Affinity'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Affinity": "matrix", "Moment": "moment", "Network": "selection", "Selection": "selection", "pooled": "matrix",
    "PerformanceTable": "performance", "choose": "choice", "hoa": "higher_order", "random_selections": "ways",
    "read_table": "table_files", "value_curve": "ways",
    "read_csv": "matrix_files", "read_json": "matrix_files", "write_csv": "matrix_files", "write_json": "matrix_files",
}

__all__ = [
    "Affinity", "Moment", "Network", "Selection", "pooled", "read_csv", "read_json", "write_csv", "write_json",
    "PerformanceTable", "choose", "hoa", "random_selections", "read_table", "value_curve",
]

if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from .choice import choose
    from .higher_order import hoa
    from .matrix import Affinity, pooled
    from .matrix_files import read_csv, read_json, write_csv, write_json
    from .moment import Moment
    from .performance import PerformanceTable
    from .selection import Network, Selection
    from .table_files import read_table
    from .ways import random_selections, value_curve


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that the command line stays light."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

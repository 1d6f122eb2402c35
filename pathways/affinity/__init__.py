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
    "read_csv": "matrix_files", "read_json": "matrix_files", "write_csv": "matrix_files", "write_json": "matrix_files",
    "Findings": "findings", "read_findings": "findings_files", "write_findings": "findings_files",
    "stability": "evidence",
}

__all__ = [
    "Affinity", "Moment", "Network", "Selection", "pooled", "read_csv", "read_json", "write_csv", "write_json",
    "Findings", "read_findings", "stability", "write_findings",
]

if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from .evidence import stability
    from .findings import Findings
    from .findings_files import read_findings, write_findings
    from .matrix import Affinity, pooled
    from .matrix_files import read_csv, read_json, write_csv, write_json
    from .moment import Moment
    from .selection import Network, Selection


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that the command line stays light."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)

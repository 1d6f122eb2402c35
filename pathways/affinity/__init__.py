"""Affinity: which tasks help each other, and which should share a path.

Estimators measure an `Affinity` matrix, rules choose a `Selection` of networks from it. One method is one file that is
named after it; the table in `table.py` names them all.

>>> from pathways import affinity
>>> affinity.Affinity.__name__
'Affinity'
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Affinity": "matrix", "Findings": "findings", "Moment": "moment", "Network": "selection",
    "Selection": "selection", "ahp": "ahp", "h_score": "h_score", "leep": "leep", "logme": "logme", "nce": "nce",
    "pooled": "matrix", "read_csv": "matrix_files", "read_findings": "findings_files", "read_json": "matrix_files",
    "stability": "evidence", "trans_rate": "trans_rate", "win_rates": "ahp", "write_csv": "matrix_files",
    "write_findings": "findings_files", "write_json": "matrix_files",
    "Dependence": "dependence", "OutlierBoosting": "outlier", "active_sampling": "active", "dependence": "dependence",
    "outlier": "outlier", "relevance": "relevance", "sample_counts": "active", "sampling_shares": "relevance",
    "short_runs": "short_runs", "task_relevance": "relevance",
}

__all__ = [
    "Affinity", "Findings", "Moment", "Network", "Selection", "ahp", "h_score", "leep", "logme", "nce", "pooled",
    "read_csv", "read_findings", "read_json", "stability", "trans_rate", "win_rates", "write_csv", "write_findings",
    "write_json",
    "Dependence", "OutlierBoosting", "active_sampling", "dependence", "outlier", "relevance", "sample_counts",
    "sampling_shares", "short_runs", "task_relevance",
]

if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from .active import active_sampling, sample_counts
    from .ahp import ahp, win_rates
    from .dependence import Dependence, dependence
    from .evidence import stability
    from .findings import Findings
    from .findings_files import read_findings, write_findings
    from .h_score import h_score
    from .leep import leep
    from .logme import logme
    from .matrix import Affinity, pooled
    from .matrix_files import read_csv, read_json, write_csv, write_json
    from .moment import Moment
    from .nce import nce
    from .outlier import OutlierBoosting, outlier
    from .relevance import relevance, sampling_shares, task_relevance
    from .selection import Network, Selection
    from .short_runs import short_runs
    from .trans_rate import trans_rate


def __getattr__(name: str) -> Any:
    """Import names when they are first used, so that the command line stays light."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


class _Package(ModuleType):
    """A package whose functions keep their names: importing the file `ahp` does not put it in the place of `ahp`."""

    def __setattr__(self, name: str, value: Any) -> None:
        named_after = isinstance(value, ModuleType) and _HOMES.get(name) == name
        super().__setattr__(name, getattr(value, name) if named_after else value)


sys.modules[__name__].__class__ = _Package

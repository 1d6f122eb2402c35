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
    "Affinity": "matrix", "Dependence": "dependence", "Findings": "findings", "Moment": "moment",
    "Network": "selection", "OutlierBoosting": "outlier", "PerformanceTable": "performance", "Readout": "readout",
    "Selection": "selection", "Watch": "watch", "active_sampling": "active", "add_target": "transfer", "ahp": "ahp",
    "choose": "choice", "dependence": "dependence", "first_order": "first_order", "gain": "tournament",
    "gradient_cosine": "gradient_cosine", "h_score": "h_score", "hoa": "higher_order", "leep": "leep",
    "linearised": "linearised", "logme": "logme", "lookahead": "lookahead", "nce": "nce", "needs_of": "needs",
    "outlier": "outlier",
    "permutation_test": "permutation", "pooled": "matrix", "projected_gradients": "projected_gradients",
    "quality": "tournament", "random_selections": "ways", "read_csv": "matrix_files",
    "read_findings": "findings_files", "read_json": "matrix_files", "read_table": "table_files",
    "relevance": "relevance", "sample_counts": "active", "sampling_shares": "relevance", "short_runs": "short_runs",
    "stability": "evidence", "task2vec": "task2vec", "task_relevance": "relevance", "trans_rate": "trans_rate",
    "transfer": "transfer", "transfer_from_losses": "tournament", "transfer_losses": "transfer",
    "transferability": "transferability", "value_curve": "ways", "win_rates": "ahp", "with_rows": "tournament",
    "waves_of": "needs", "write_csv": "matrix_files", "write_findings": "findings_files", "write_json": "matrix_files",
}

__all__ = [
    "Affinity", "Dependence", "Findings", "Moment", "Network", "OutlierBoosting", "PerformanceTable", "Readout",
    "Selection", "Watch", "active_sampling", "add_target", "ahp", "choose", "dependence", "first_order", "gain",
    "gradient_cosine", "h_score", "hoa", "leep", "linearised", "logme", "lookahead", "nce",
    "needs_of", "outlier", "permutation_test", "pooled", "projected_gradients", "quality", "random_selections",
    "read_csv", "read_findings", "read_json", "read_table", "relevance", "sample_counts", "sampling_shares",
    "short_runs", "stability", "task2vec", "task_relevance", "trans_rate", "transfer", "transfer_from_losses",
    "transfer_losses", "transferability", "value_curve", "waves_of", "win_rates", "with_rows", "write_csv",
    "write_findings", "write_json",
]

if TYPE_CHECKING:  # for type checkers and editors, which do not run `__getattr__`
    from .active import active_sampling, sample_counts
    from .ahp import ahp, win_rates
    from .choice import choose
    from .dependence import Dependence, dependence
    from .evidence import stability
    from .findings import Findings
    from .findings_files import read_findings, write_findings
    from .first_order import first_order
    from .gradient_cosine import gradient_cosine
    from .h_score import h_score
    from .higher_order import hoa
    from .leep import leep
    from .linearised import linearised
    from .logme import logme
    from .lookahead import lookahead
    from .matrix import Affinity, pooled
    from .matrix_files import read_csv, read_json, write_csv, write_json
    from .moment import Moment
    from .nce import nce
    from .needs import needs_of, waves_of
    from .outlier import OutlierBoosting, outlier
    from .performance import PerformanceTable
    from .permutation import permutation_test
    from .projected_gradients import projected_gradients
    from .readout import Readout
    from .relevance import relevance, sampling_shares, task_relevance
    from .selection import Network, Selection
    from .short_runs import short_runs
    from .table_files import read_table
    from .task2vec import task2vec
    from .tournament import gain, quality, transfer_from_losses, with_rows
    from .trans_rate import trans_rate
    from .transfer import add_target, transfer, transfer_losses
    from .transferability import transferability
    from .watch import Watch
    from .ways import random_selections, value_curve


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

"""The one table of benchmarks: a name, and the function that gives its rows."""

from __future__ import annotations

from collections.abc import Mapping

# Each function takes the number of pairs and yields `Row`s.
BENCHMARKS: Mapping[str, str] = {
    "growth": "pathways.experiments.benchmarks.growth:rows",
}

"""The report's numbers as files: a CSV for each table and matrix, and all of them in one JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathways.affinity.findings import Findings
from pathways.affinity.findings_files import plain
from pathways.affinity.matrix_files import write_csv
from pathways.files import write_atomically
from pathways.report.numbers import Table, table_csv

from .answer import answer, verdict
from .verified import ALONE, CHOSEN, TOGETHER, difference


def write_numbers(findings: Findings, tables: Mapping[str, Table], directory: Path) -> list[Path]:
    """Write `affinity.json`, and in `tables/` a CSV for each table, and each matrix as `affinity[-ESTIMATOR].csv`."""
    written = []
    for i, affinity in enumerate(findings.affinities):
        title = f"affinity-{_file_name(affinity.estimator)}-{i + 1}" if i else "affinity"
        written.append(write_csv(affinity, directory / "tables" / f"{title}.csv"))
    for table in tables.values():
        path = directory / "tables" / f"{table.name}.csv"
        write_atomically(path, table_csv(table).encode(), durable=False)
        written.append(path)
    path = directory / "affinity.json"
    text = json.dumps(numbers(findings, tables), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return [*written, path]


def numbers(findings: Findings, tables: Mapping[str, Table]) -> dict[str, Any]:
    """All of the report as plain data: what a study found in short, then its tables."""
    affinity, selection = findings.affinity, findings.selection
    compared = {other: difference(findings, CHOSEN, other) for other in (ALONE, TOGETHER)}
    gain = {other: found for other, found in compared.items() if found is not None}
    cost = next((c.joint_runs for c in findings.costs if c.what == affinity.estimator), None)
    return plain({
        "name": findings.name, "kind": affinity.kind, "estimator": affinity.estimator, "unit": affinity.unit,
        "tasks": findings.tasks, "affected": affinity.affected, "sources": affinity.sources,
        "matrix": affinity.values, "standard_error": affinity.standard_error,
        "groups": selection.groups, "serves": dict(selection.serves), "rule": selection.rule,
        "predicted_gain": selection.value, "verified_gain": gain[ALONE].value if ALONE in gain else None,
        "verified_against": {
            other: {"value": e.value, "low": e.low, "high": e.high, "seeds": e.n} for other, e in gain.items()
        },
        "cost_in_joint_runs": cost, "metric": findings.metric, "higher_is_better": findings.higher_is_better,
        "metric_unit": findings.unit, "seeds": findings.seeds, "budget": selection.budget, "cost": selection.cost,
        "optimal": selection.optimal, "gap": selection.gap, "shared_parameters": findings.shared_parameters,
        "own_parameters": findings.own_parameters, "shared": affinity.shared, "verdict": verdict(findings),
        "answer": answer(findings), "about": dict(findings.about),
        "tables": {name: table.records() for name, table in tables.items()},
    })  # fmt: skip


def _file_name(estimator: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in estimator)


__all__ = ["numbers", "table_csv", "write_numbers"]

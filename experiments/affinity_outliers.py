"""Outlier weights on real data: which of several tasks follow another rule, where some do and where none is known to.

    python -m pathways.experiments.affinity_outliers --seeds 10 --json

Three problems, all from the data that comes with scikit-learn: eight parts of the handwritten digits, two of which see
their images in a mirror; the same eight parts, none of which does; and the progression of diabetes in eight groups of
patients by sex and quarter of age, about which nothing is known. `affinity.outlier` (R-MTGB, 2507.11411) splits the
tasks in two; seeds draw the parts, the first weights and the trees' ties.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathways.affinity.outlier import OutlierBoosting, outlier
from pathways.seeds import numpy_generator

Array = NDArray[np.float64]
Data = dict[str, tuple[Array, NDArray[Any]]]
TASKS, MIRRORED = 8, 2
PROBLEMS = ("digits, two mirrored", "digits, none mirrored", "diabetes by sex and age")
TREES: Mapping[str, Any] = {"shared": 5, "split": 60, "own": 0}


def digit_parts(seed: int, mirrored: int, samples: int = 200) -> Data:
    """Eight parts of the digits, drawn by the seed; the first `mirrored` see their images from behind.

    >>> {name: x.shape for name, (x, y) in digit_parts(0, 2).items()}["part 1, mirrored"]
    (200, 64)
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = numpy_generator("digit parts", seed).permutation(len(images))
    found: Data = {}
    for part in range(TASKS):
        rows = order[part * samples : (part + 1) * samples]
        x = images[rows].reshape(-1, 8, 8)
        x = x[:, :, ::-1] if part < mirrored else x
        found[f"part {part}{', mirrored' * (part < mirrored)}"] = (x.reshape(-1, 64), labels[rows])
    return found


def patient_groups() -> Data:
    """Patients by sex and quarter of age, with the eight other measures, standardised, and progression after a year.

    >>> len(patient_groups()), sum(len(y) for _, y in patient_groups().values())
    (8, 442)
    """
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    age, sex, rest = data.data[:, 0], data.data[:, 1], data.data[:, 2:]
    quarter = np.searchsorted(np.quantile(age, [0.25, 0.5, 0.75]), age, side="right")
    x = (rest - rest.mean(0)) / rest.std(0)
    return {
        f"sex {s:g}, quarter {q + 1}": (x[mine], data.target[mine])
        for s in np.unique(sex) for q in range(4) if (mine := (sex == s) & (quarter == q)).any()
    }  # fmt: skip


def fitted(problem: str, seed: int, trees: Mapping[str, Any] = TREES) -> OutlierBoosting:
    """A problem's tasks, split in two while they are learned."""
    if problem == PROBLEMS[2]:
        return outlier(patient_groups(), seed=seed, **trees)
    return outlier(digit_parts(seed, MIRRORED if problem == PROBLEMS[0] else 0), target="classes", seed=seed, **trees)


def run(seeds: Iterable[int], trees: Mapping[str, Any] = TREES) -> list[dict[str, Any]]:
    """For each problem how often outliers were named, which, and how far apart the two sides stood."""
    rows, numbers = [], list(seeds)
    for problem in PROBLEMS:
        found = [fitted(problem, seed, trees) for seed in numbers]
        named = Counter("; ".join(sorted(each.outliers)) for each in found)
        odd = "; ".join(name for name in sorted(found[0].tasks) if name.endswith("mirrored"))
        rows.append({
            "problem": problem, "seeds": len(numbers), "named": dict(named.most_common()),
            "right": None if problem == PROBLEMS[2] else named[odd] / len(numbers),
            "gap": float(np.mean([each.gap for each in found])),
        })  # fmt: skip
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| problem | seeds | named right | mean gap | named as outliers |", "|" + "---|" * 5]
    for row in rows:
        named = ", ".join(f"{name or 'none'} ({count})" for name, count in row["named"].items())
        right = "not known" if row["right"] is None else f"{100 * row['right']:.0f} %"
        lines.append(f"| {row['problem']} | {row['seeds']} | {right} | {row['gap']:.2f} | {named} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study, and print its table or, with `--json`, its rows."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.affinity_outliers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0 on (default 10)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)
    rows = run(range(options.seeds))
    print(json.dumps(rows, indent=1) if options.json else table(rows))


if __name__ == "__main__":
    main()

"""The study of parents: its streams at tiny settings, and its numbers against ones worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest

from pathways.data import omniglot
from pathways.experiments import affinity_stream
from pathways.experiments.affinity_regret import regrets
from pathways.experiments.affinity_stream import CONFIG, PRIORS, RULES, Learned
from pathways.experiments.affinity_stream_figure import gains
from pathways.experiments.affinity_stream_tables import difference, rank_table, stream_table, transfer_table
from pathways.experiments.config import config_from, read_config
from pathways.experiments.yaml_file import read_yaml

TINY = (
    "training.steps=3", "strategy.munet.scratch_training={steps: 3, head_init: random}", "strategy.munet.children=1",
    "strategy.munet.probe_training={steps: 0, head_init: random}",
)  # fmt: skip; probes with random heads lose, so that children bring trunks of their own
ALPHABETS = ("Tagalog", "Angelic", "Early_Aramaic")


def order(children: dict[str, dict[str, float]], transferability: dict[str, dict[str, float]]) -> dict[str, Any]:
    """An order of one exhaustive stream and of uniform's, in which each task's champion is its best child."""
    def row(task: str, own: dict[str, float], trained: int) -> dict[str, Any]:
        best = max(own.values(), default=0.5)
        return asdict(Learned(task, best, best, own, 0.5, "sharing", (), trained, 1, 1.0))

    return {
        "order": 0, "tasks": list(children), "transferability": dict.fromkeys(PRIORS, transferability),
        "streams": {
            "uniform": [row(task, dict(list(own.items())[:1]), 1) for task, own in children.items()],
            "exhaustive": [row(task, own, 4) for task, own in children.items()],
        },
    }  # fmt: skip


PARENTS = ("p", "q", "r", "s")
HELPFUL = order(
    {f"task{i}": dict(zip(PARENTS, (0.5, 0.6, 0.7, 0.8), strict=True)) for i in range(6)},
    {f"task{i}": dict(zip(PARENTS, (0.0, 1.0, 2.0, 3.0), strict=True)) for i in range(6)},
)
MISLEADING = order(
    {f"task{i}": dict(zip(PARENTS, (0.5, 0.6, 0.7, 0.8), strict=True)) for i in range(6)},
    {f"task{i}": dict(zip(PARENTS, (3.0, 2.0, 1.0, 0.0), strict=True)) for i in range(6)},
)


def regret_of(found: dict[str, Any], rules: dict[str, Any], draws: int) -> dict[tuple[str, int], float]:
    return {(row["rule"], row["tries"]): row["regret"] for row in regrets([found], rules, draws)}


def test_regret_of_uniform_is_its_expectation() -> None:
    found = regret_of(HELPFUL, {"uniform": "uniform"}, 100)
    assert found["uniform", 1] == pytest.approx(0.15, abs=0.02)  # the mean of 0, 0.1, 0.2 and 0.3
    assert found["uniform", 2] == pytest.approx(0.4 / 6, abs=0.015)  # of six pairs three lose 0, two 0.1, one 0.2
    assert found["uniform", 0] == pytest.approx(0.4 / 6, abs=0.015), "half of four is two"
    assert found["uniform", 3] == pytest.approx(0.1 / 4, abs=0.015)


def test_a_prior_has_less_regret_where_transferability_helps_and_learns_where_it_misleads() -> None:
    helpful, misleading = (regret_of(found, {"probe": PRIORS["probe"]}, 20) for found in (HELPFUL, MISLEADING))
    assert helpful["probe (top)", 1] == 0
    assert helpful["probe", 2] < 0.02
    assert misleading["probe (top)", 2] == pytest.approx(0.2)
    assert misleading["probe", 2] < 0.15, "it has learned from the gains of earlier tasks"


def test_tables_say_what_was_found() -> None:
    lines = stream_table([HELPFUL]).splitlines()
    assert lines[2].startswith("| uniform | 50.00 | -30.00 | – | 50.00 | -30.00 | – | 6 | 25% | 6 | 6 | 0 of 6 |")
    assert difference([HELPFUL, HELPFUL], "exhaustive", "uniform", "test") == "+30.00 ± 0.00"
    assert "| probe | 1.00 | 6 of 6 |" in rank_table([HELPFUL])
    assert "| probe | -1.00 | 0 of 6 |" in rank_table([MISLEADING])
    assert transfer_table([HELPFUL]).splitlines()[2] == "| task0 | 50.0 | +0.0 (p) | +30.0 (s) | 0 of 4 | 0 of 1 |"


def test_gains_are_means_over_orders() -> None:
    two = order({"p": {"q": 0.6}, "q": {"p": 0.4}}, {})
    other = order({"p": {"q": 0.8}, "q": {}}, {})
    assert np.allclose(gains([two, other], ["p", "q"]), [[np.nan, 20.0], [-10.0, np.nan]], equal_nan=True)


def test_it_runs_and_a_child_is_the_same_whichever_rule_has_asked(
    tmp_path: FilePath, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = omniglot(ALPHABETS, validation_drawers=1, test_drawers=1)
    monkeypatch.setattr(affinity_stream, "load_tasks", lambda config, file: tasks)
    file = tmp_path / "found.json"
    changes = [part for change in TINY for part in ("--set", change)]
    chosen = ["--orders", "0", "--rules", "probe", "uniform", "--draws", "2"]
    affinity_stream.main([*chosen, *changes, "--out", str(file), "--figure", str(tmp_path / "figure.png")])
    printed = capsys.readouterr().out
    [found] = json.loads(file.read_text())
    assert list(found["streams"]) == ["probe", "uniform", "exhaustive"]
    for rule, steps in found["streams"].items():
        assert [step["task"] for step in steps] == found["tasks"]
        assert [len(step["children"]) for step in steps] == ([0, 1, 2] if rule == "exhaustive" else [0, 1, 1])
        assert [step["kept"] != "" for step in steps] == [False, True, True]
        for step in steps[1:]:
            assert step["scratch"] is not None
            assert step["validation"] >= max(step["scratch"], *step["children"].values())
    first, second = (found["streams"][rule][1] for rule in ("uniform", "exhaustive"))
    assert first["children"] == second["children"], "where there is one parent, all rules do the same"
    assert first["cpu_seconds"] == second["cpu_seconds"]
    for name in PRIORS:
        parents = [set(found["transferability"][name][task]) for task in found["tasks"][1:]]
        assert parents == [set(step["children"]) for step in found["streams"]["exhaustive"][1:]]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    affinity_stream.main(["--read", str(file), "--draws", "2"])
    assert capsys.readouterr().out == printed
    assert printed.count("| exhaustive |") == 1


def test_the_configuration_is_one_that_runs_as_it_is() -> None:
    config = read_config(CONFIG, TINY)
    assert config.strategy.strategy.guard is not None
    assert len(config.tasks) >= 12
    assert config_from(read_yaml(CONFIG), "again").strategy == read_config(CONFIG).strategy
    assert set(RULES) == {*PRIORS, "uniform", "exhaustive"}

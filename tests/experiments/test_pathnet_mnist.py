"""The PathNet-MNIST study: it runs and resumes; its intervals, censoring and table are right on known numbers."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathways.errors import ConfigError
from pathways.experiments import pathnet_mnist
from pathways.experiments.config import read_config
from pathways.experiments.pathnet_mnist import CONFIG, draw_pairs, main, report, study
from pathways.experiments.pathnet_mnist_summary import bootstrap, study_figure, study_table, summarise_study
from pathways.system import System

SMALL = [
    "strategy.pathnet.generations=3", "strategy.pathnet.steps=4", "strategy.pathnet.threshold=0.97",
    "strategy.pathnet.population=4", "strategy.pathnet.modules=4",
    *(f"controls.{i}.{name}.{key}={value}" for i, name in enumerate(("random-path", "pathnet-fine-tune"))
      for key, value in (("generations", 3), ("steps", 4), ("threshold", 0.97), ("modules", 4))),
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten classes of 6x5 images, each a bright column and row of its own under noise, as IDX files."""
    folder: Path = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    generator = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 100)):
        labels = np.arange(count) % 10
        images = generator.integers(0, 100, (count, 6, 5))
        images[np.arange(count), labels % 6, :] += 120
        images[np.arange(count), :, labels // 2] += 30
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            content = gzip.compress(header + array.astype(np.uint8).tobytes())
            (folder / "mnist" / f"{part}-{kind}-ubyte.gz").write_bytes(content)
    return folder


def test_pairs_are_of_both_kinds() -> None:
    for seed in range(40):
        x, y = draw_pairs(seed)
        assert len(set(x)) == len(set(y)) == 2
        assert len({*x, *y}) == (3 if seed % 2 else 4)
        assert x[0] == y[0] or seed % 2 == 0
        assert all(0 <= digit < 10 for digit in (*x, *y))
    assert len({draw_pairs(seed) for seed in range(40)}) > 35


def test_the_study_runs_and_resumes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = read_config(CONFIG, SMALL)
    out = tmp_path / "runs"
    real, calls = pathnet_mnist.carry_out, []

    def killed(*args: Any) -> None:
        real(*args)
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(pathnet_mnist, "carry_out", killed)
    with pytest.raises(KeyboardInterrupt):
        study(config, range(2), out, data)
    assert {json.loads(line)["seed"] for line in (out / "searches.jsonl").read_text().splitlines()} == {0}
    monkeypatch.setattr(pathnet_mnist, "carry_out", real)
    rows = study(config, range(2), out, data)
    assert rows == study(config, range(2), out, tmp_path / "nowhere"), "finished seeds are not run again"
    fresh = study(config, range(2), tmp_path / "fresh", data)

    def untimed(some: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in row.items() if key != "cpu_seconds"} for row in some]

    assert untimed(rows) == untimed(fresh)
    assert not list(out.glob("seed-*"))

    assert len(rows) == 2 * (6 + 4)
    for row in rows:
        assert row["verified"]
        assert 1 <= row["generations"] == len(row["fitness"]) <= 3
        assert row["reached"] == (max(row["fitness"]) >= 0.97)
        assert row["reached"] or row["generations"] == 3
        assert row["cpu_seconds"] > 0
        assert 0 <= row["test"] <= 1
        assert row["candidates"] <= row["generations"] * (2 if row["side"] == "pathnet" else 1)
    sides = [(row["seed"], row["side"], row["place"], row["task"]) for row in rows]
    assert len(set(sides)) == len(rows), "each task is once first, once second, and once alone"
    assert all(row["reused"] == 0 for row in rows if row["place"] != "second")


def test_a_study_of_other_settings_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*more: str) -> int:
        settings = [part for setting in (*SMALL, *more) for part in ("--set", setting)]
        return main(["--data", str(data), "--seeds", "1", "--out", str(tmp_path / "found.json"),
                     "--figure", str(tmp_path / "figure"), *settings])  # fmt: skip

    assert run() == 0
    assert "| PathNet, second task | 2 |" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert list(found["summaries"]) == ["all pairs", "disjoint pairs"]
    assert found["settings"]["strategy"]["pathnet"]["population"] == 4
    assert (tmp_path / "figure.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert run("strategy.pathnet.lr=0.5") == 2
    assert "`--runs` must hold a study of the same settings" in capsys.readouterr().err


def test_second_tasks_after_an_untrained_first_one(data: Path, tmp_path: Path) -> None:
    config = read_config(CONFIG, [*SMALL, "strategy.pathnet.population=2"])
    out = tmp_path / "runs"
    rows = study(config, [0], out, data, untrained=True, keep=True)
    assert [row["place"] for row in rows if row["side"] == "pathnet-untrained"] == ["second", "second"]
    for order in ("xy", "yx"):
        with System.open(out / f"seed-0-{order}-untrained") as system:
            first, second = system.records.values()
            assert first.champion.training.lr == 0
            assert second.champion.training.lr == 0.01
            assert len(system.ledger.rows(first.name)) <= 2
    assert "PathNet, after an untrained path" in report(config, rows)["summaries"]["all pairs"]["sides"]
    with pytest.raises(ConfigError, match="`--at` must be at most"):
        report(config, rows, 0.99)


def search(seed: int, side: str, place: str, task: str, generations: int, reached: bool = True) -> dict[str, Any]:
    return {"seed": seed, "side": side, "place": place, "task": task, "generations": generations, "reached": reached,
            "fitness": [0.9] * (generations - 1) + [0.99 if reached else 0.9], "candidates": generations,
            "cpu_seconds": 1.0, "test": 0.9, "reused": 0.5, "verified": True}  # fmt: skip


def known() -> list[dict[str, Any]]:
    rows = []
    for seed, scale in ((0, 1), (1, 2), (2, 3)):
        for task, more in (("x", 0), ("y", 10)):
            rows += [
                search(seed, "pathnet", "first", task, 20 * scale + more, reached=seed < 2),
                search(seed, "pathnet", "second", task, 10 * scale),
                search(seed, "random-path", "alone", task, 5 * scale),
                search(seed, "pathnet-fine-tune", "first", task, 5 * scale),
                search(seed, "pathnet-fine-tune", "second", task, 5 * scale),
            ]
    return rows


def test_means_ratios_and_censoring_on_known_numbers() -> None:
    summary = summarise_study(known(), limit=100, at=0.99, resamples=200)
    first, second = summary["sides"]["PathNet, first task"], summary["sides"]["PathNet, second task"]
    # 20 30, 40 50 and two cut off at 100, where they ran to, whatever their rows say
    assert first["mean"] == pytest.approx((20 + 30 + 40 + 50 + 100 + 100) / 6)
    assert first["median"] == 45
    assert first["reached"] == pytest.approx(4 / 6)
    assert (second["mean"], second["reached"], second["searches"]) == (20, 1, 6)
    ratio = summary["ratios"]["PathNet: first / second task"]
    assert ratio["value"] == pytest.approx(first["mean"] / 20)
    assert ratio["interval"][0] <= ratio["value"] <= ratio["interval"][1]
    # these two are proportional in every seed, so resampling seeds in pairs leaves no spread
    paired = summary["ratios"]["random path / PathNet's second task"]
    assert paired["value"] == pytest.approx(0.5)
    assert paired["interval"] == pytest.approx((0.5, 0.5))
    assert summary["verified"]
    assert "PathNet, after an untrained path" not in summary["sides"], "it was not run"
    assert summarise_study(known(), 100, 0.9, resamples=2)["sides"]["PathNet, first task"]["mean"] == 1
    assert "| PathNet, first task | 6 | 67% | 56.7 (" in study_table(summary)


def test_the_bootstrap_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(150):
        values = generator.normal(3.0, 1.0, 40)
        low, high = bootstrap(lambda chosen, v=values: float(v[chosen].mean()), 40, 300)  # type: ignore[misc]
        covered += low <= 3.0 <= high
    assert 0.86 <= covered / 150 <= 0.99


def test_the_figure_ends_at_the_share_reached() -> None:
    (axes,) = study_figure(known(), 100, 0.99).axes
    ends = {line.get_label(): line.get_ydata()[-1] for line in axes.get_lines()}
    assert ends["PathNet, first task"] == pytest.approx(100 * 4 / 6)
    assert ends["PathNet, second task"] == pytest.approx(100)

"""The study of outlier weights on real data: its problems, its rows, its table."""

import json

import numpy as np
import pytest

from pathways.experiments import affinity_outliers
from pathways.experiments.affinity_outliers import PROBLEMS, digit_parts, fitted, main, patient_groups, table


def test_mirrored_parts_are_the_same_images_from_behind() -> None:
    plain, turned = digit_parts(1, 0), digit_parts(1, 2)
    assert [name.endswith("mirrored") for name in turned] == [True, True, *[False] * 6]
    for (x, y), (z, w), mirrored in zip(plain.values(), turned.values(), [True, True, *[False] * 6], strict=True):
        assert np.array_equal(y, w)
        flipped = x.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
        assert np.array_equal(z, flipped if mirrored else x)
    rows = np.concatenate([x for x, _ in plain.values()])
    assert len(np.unique(rows, axis=0)) == len(rows)  # parts share no image


def test_groups_hold_every_patient_once() -> None:
    groups = patient_groups()
    assert sum(len(y) for _, y in groups.values()) == 442
    assert all(x.shape == (len(y), 8) for x, y in groups.values())


def test_mirrored_parts_are_found_in_real_images() -> None:
    assert fitted(PROBLEMS[0], 1).outliers == ("part 0, mirrored", "part 1, mirrored")


def test_rows_and_table_say_what_was_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(affinity_outliers, "run", lambda seeds: affinity_outliers_rows(len(list(seeds))))
    main(["--seeds", "2", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["seeds"] == 2
    main(["--seeds", "2"])
    assert "| digits, two mirrored | 2 | 50 % | 0.40 | a; b (1), none (1) |" in capsys.readouterr().out


def affinity_outliers_rows(seeds: int) -> list[dict[str, object]]:
    return [{"problem": PROBLEMS[0], "seeds": seeds, "named": {"a; b": 1, "": 1}, "right": 0.5, "gap": 0.4}]


def test_a_small_run_counts_what_was_named() -> None:
    rows = affinity_outliers.run([0], {"shared": 0, "split": 2, "own": 0})
    assert [row["problem"] for row in rows] == list(PROBLEMS)
    assert all(sum(row["named"].values()) == 1 for row in rows)
    assert rows[2]["right"] is None
    assert rows[0]["right"] in (0.0, 1.0)
    assert table(rows).count("\n") == 4

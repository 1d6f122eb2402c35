"""Which tasks need each other's results, and the waves in which they are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pathways.affinity import Affinity, needs_of, waves_of
from pathways.affinity.needs import require_noise
from pathways.errors import ConfigError, DataError


def planted(blocks: list[int], noise: float = 0.02, repeats: int = 3, moments: int = 1, kind: Any = "transfer",
            **settings: Any) -> Affinity:  # fmt: skip
    """Tasks `t0`, `t1`, ... that help those of their own block by 1 and others by 0, with noise."""
    rng = np.random.default_rng(7)
    inside = np.equal.outer(blocks, blocks).astype(float)
    names = [f"t{i}" for i in range(len(blocks))]
    readings = inside + rng.normal(0, noise, (repeats, moments, len(blocks), len(blocks)))
    return Affinity(names, names, kind, "planted", "", readings, **settings)


@pytest.mark.parametrize("kind", ["transfer", "co-training"])
@pytest.mark.parametrize("shape", [(4, 1), (1, 64)])
def test_a_block_structure_gives_the_expected_waves(kind: str, shape: tuple[int, int]) -> None:
    repeats, moments = shape
    found = planted([0, 0, 1, 1, 2, 2], repeats=repeats, moments=moments, kind=kind)
    needs = needs_of(found)
    assert needs == {"t0": (), "t1": ("t0",), "t2": (), "t3": ("t2",), "t4": (), "t5": ("t4",)}
    assert waves_of(needs, most=8) == (("t0", "t2", "t4"), ("t1", "t3", "t5"))
    assert waves_of(needs, most=2) == (("t0", "t2"), ("t1", "t3"), ("t4",), ("t5",))
    assert waves_of(needs, most=1) == tuple((f"t{i}",) for i in range(6))


def test_blocks_that_are_interleaved_go_side_by_side() -> None:
    found = planted([0, 1, 0, 1, 0, 1])
    needs = needs_of(found, best=2)
    assert needs == {"t0": (), "t1": (), "t2": ("t0",), "t3": ("t1",), "t4": ("t0", "t2"), "t5": ("t1", "t3")}
    assert waves_of(needs, most=4) == (("t0", "t1"), ("t2", "t3"), ("t4", "t5"))


def test_only_the_best_sources_are_needed_and_only_those_that_come_before() -> None:
    values = np.array([[0, 9, 5, 1], [9, 0, 5, 1], [8, 4, 0, 9], [8, 5, 1, 0]], dtype=float)
    found = Affinity("abcd", "abcd", "transfer", "table", "", np.stack([values, values + 0.01])[:, None])
    assert needs_of(found) == {"a": (), "b": ("a",), "c": (), "d": ("a",)}  # the best of `c` is `d`, which is late
    assert needs_of(found, best=2)["c"] == ("a",)
    worse = Affinity("abcd", "abcd", "transfer", "table", "", -found.readings, higher_is_better=False)
    assert needs_of(worse, best=2) == needs_of(found, best=2)


def test_noise_is_no_need_more_often_than_the_level_says() -> None:
    rng = np.random.default_rng(0)
    waits = []
    for _ in range(150):
        found = Affinity("abcdef", "abcdef", "transfer", "noise", "", rng.normal(size=(4, 1, 6, 6)))
        # The best of several is chosen by the same numbers that it is tested on: any given pair holds the level.
        waits += [len(needs_of(found, best=5)[task]) / at for at, task in enumerate("abcdef") if at]
    assert 0.03 < np.mean(waits) < 0.07


def test_where_all_help_alike_nobody_waits_and_where_two_are_all_zero_counts() -> None:
    alike = planted([0, 0, 0, 0])
    assert sum(map(len, needs_of(alike, level=0.001).values())) == 0
    assert needs_of(planted([0, 0])) == {"t0": (), "t1": ("t0",)}
    assert needs_of(planted([0, 1], noise=0.0)) == {"t0": (), "t1": ()}


def test_a_pair_that_was_not_measured_is_no_need() -> None:
    found = planted([0, 0, 1, 1])
    readings = found.readings.copy()
    readings[:, :, 1, 0] = np.nan
    readings[0, :, 3, 2] = np.nan
    holes = Affinity(found.affected, found.sources, "transfer", "planted", "", readings)
    assert needs_of(holes, level=0.001) == {"t0": (), "t1": (), "t2": (), "t3": ()}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="of kind 'transfer' or 'co-training', found 'dependence' from `planted`"):
        needs_of(planted([0, 0, 1], kind="dependence"))
    with pytest.raises(ConfigError, match="found one repeat with 1: measure with more `seeds`"):
        needs_of(planted([0, 0, 1], repeats=1))
    with pytest.raises(ConfigError, match="`level` must be above 0 and below 1, found 1"):
        needs_of(planted([0, 1]), level=1)
    with pytest.raises(ConfigError, match="`best` must be a whole number of at least 1, found 0"):
        needs_of(planted([0, 1]), best=0)
    with pytest.raises(DataError, match="same tasks as rows and columns"):
        needs_of(Affinity("ab", "bc", "transfer", "table", "", np.zeros((2, 1, 2, 2))))
    with pytest.raises(ConfigError, match="`most` must be a whole number of at least 1, found 0"):
        waves_of({"a": ()}, most=0)
    with pytest.raises(ConfigError, match="`needs` of task 'a' must stand before it, found 'b'"):
        waves_of({"a": ("b",), "b": ()}, most=2)


@pytest.mark.parametrize(("moments", "enough"), [(1, False), (2, False), (3, False), (4, True), (27, True)])
def test_one_repeat_needs_two_blocks_of_moments(moments: int, enough: bool) -> None:
    if enough:
        require_noise(1, moments)
        return
    with pytest.raises(ConfigError, match="noise is told by at least two repeats"):
        require_noise(1, moments)


def test_waves_hold_each_task_once_and_after_its_needs() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        names = [f"t{i}" for i in range(int(rng.integers(1, 12)))]
        needs = {name: tuple(n for n in names[:at] if rng.random() < 0.2) for at, name in enumerate(names)}
        most = int(rng.integers(1, 5))
        waves = waves_of(needs, most)
        place = {name: at for at, wave in enumerate(waves) for name in wave}
        assert sorted(place) == sorted(names)
        assert max(map(len, waves)) <= most
        assert all(place[needed] < place[name] for name in names for needed in needs[name])
        assert all(sorted(wave, key=names.index) == list(wave) for wave in waves)

"""From losses to affinities, gain and quality, and studies with more targets."""

import numpy as np
import pytest

from pathways.affinity import Affinity, ahp, gain, quality, transfer_from_losses, win_rates, with_rows
from pathways.errors import ConfigError, DataError

Losses = dict[str, dict[str, np.ndarray]]


def some(targets: str = "xy", sources: str = "abc", seed: int = 0, items: int = 40) -> Losses:
    rng = np.random.default_rng(seed)
    names = [*sources, f"{sources[0]}|{sources[1]}", "random", "self", "pixels"]
    return {t: {s: rng.normal(size=items) + i / 3 for i, s in enumerate(names)} for t in targets}


def test_a_row_is_ahp_of_its_own_tournament() -> None:
    losses = some()
    found = transfer_from_losses(losses)
    assert (found.kind, found.affected) == ("transfer", ("x", "y"))
    assert found.sources == ("a", "b", "c", "a|b", "random", "self")
    for target, row in losses.items():
        expected = ahp(win_rates([each for source, each in row.items() if source != "pixels"]))
        assert np.array_equal(found.of([target], list(row)[:-1]).values[0], expected)
    assert np.abs(found.values.sum(1) - 1).max() < 1e-12


def test_losses_of_one_target_on_another_scale_change_nothing() -> None:
    """Only who wins each item counts: no loss has to be made comparable with another target's."""
    losses = some()
    scaled = {t: {s: 1000 * each - 5 for s, each in row.items()} for t, row in losses.items()}
    assert np.array_equal(transfer_from_losses(scaled).values, transfer_from_losses(losses).values)


def test_repeats_have_standard_errors() -> None:
    found = transfer_from_losses(some(), some(seed=1), some(seed=2))
    each = [transfer_from_losses(some(seed=seed)).values for seed in range(3)]
    assert found.repeats == 3
    assert np.allclose(found.values, np.mean(each, 0))
    assert np.allclose(found.standard_error, np.std(each, 0, ddof=1) / 3**0.5)


def test_a_source_that_was_not_measured_takes_no_part() -> None:
    losses = some()
    del losses["y"]["b"]
    found = transfer_from_losses(losses)
    assert np.isnan(found["y", "b"])
    assert np.nansum(found.values[1]) == pytest.approx(1)


def test_gain_and_quality_count_won_items_and_half_of_the_ties() -> None:
    losses = {"x": {"a": [0.0, 1.0, 2.0, 3.0], "self": [1.0, 1.0, 1.0, 1.0], "pixels": [4.0, 0.0, 4.0, 4.0]}}
    assert quality(losses)["x", "a"] == 0.375
    assert quality(losses)["x", "self"] == 0.5
    assert gain(losses)["x", "a"] == 0.75
    assert (gain(losses).estimator, quality(losses).estimator) == ("gain", "quality")
    with pytest.raises(DataError, match="losses of 'pixels' to be compared with"):
        gain({"x": {"a": [0.0], "self": [1.0]}})


def test_more_targets_leave_what_is_there_as_it_is() -> None:
    old, new = transfer_from_losses(some(), some(seed=1)), transfer_from_losses(some("z", "cd", seed=2))
    both = with_rows(old, new)
    assert both.affected == ("x", "y", "z")
    kept = both.of(old.affected, old.sources)
    assert np.array_equal(kept.readings, old.readings)
    assert both["z", "d"] == new["z", "d"]
    assert np.isnan(both["z", "a"])
    assert np.isnan(both["x", "d"])
    assert np.isnan(both.readings[1, :, 2]).all()  # the new target was measured once


def test_what_is_wrong_is_said() -> None:
    study = transfer_from_losses(some())
    with pytest.raises(DataError, match=r"must be new to the study, found \['x'\]"):
        with_rows(study, transfer_from_losses(some("x")))
    with pytest.raises(DataError, match="must have the study's `estimator`, 'transfer', found 'quality'"):
        with_rows(study, quality(some("z")))
    with pytest.raises(ConfigError, match="needs a matrix of kind 'transfer', found 'co-training'"):
        with_rows(study, Affinity(("z",), ("a",), "co-training", "cosine", "", [[0.0]]))
    with pytest.raises(DataError, match="found none"):
        transfer_from_losses()
    with pytest.raises(DataError, match="target 'x' must have one loss an item"):
        transfer_from_losses({"x": {"a": [0.0], "b": [0.0, 1.0]}})
    with pytest.raises(DataError, match="target 'x' from 'b' must be numbers, found NaN"):
        transfer_from_losses({"x": {"a": [0.0], "b": [np.nan]}})

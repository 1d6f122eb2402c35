"""What is believed of parents: transferability where no gain is known, gains where many are."""

import numpy as np
import pytest

from pathways.evolve.prior import Belief, Calibration, calibrate, chances, drawn, posterior, standardised

Z = np.array([1.5, 0.5, -0.5, -1.5])


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_without_gains_it_follows_transferability() -> None:
    belief = posterior(calibrate([]), Z, [])
    share = chances(belief, generator())
    assert list(share) == sorted(share, reverse=True)
    assert share[0] > 2 * share[1] > 0
    assert sum(drawn(belief, 1, generator(seed)) == [0] for seed in range(200)) > 100


def test_after_many_gains_it_follows_them() -> None:
    gains = [0.00, 0.01, 0.02, 0.09]  # the opposite of what transferability says
    rng = generator(1)
    seen = [(place, gains[place] + 0.005 * rng.standard_normal()) for place in range(4) for _ in range(12)]
    pairs = [(float(z), float(np.mean([g for p, g in seen if p == i]))) for i, z in enumerate(Z)]
    share = chances(posterior(calibrate([pairs]), Z, seen), generator())
    assert share.argmax() == 3
    assert share[3] > 0.99


def test_a_gain_moves_its_parent_only() -> None:
    before = posterior(Calibration(0.5, 1.0), Z, [])
    after = posterior(Calibration(0.5, 1.0), Z, [(0, 0.0), (3, 3.0)], noise=0.5)
    assert after.mean[3] - after.mean[0] > before.mean[3] - before.mean[0] + 2
    assert after.mean[1] - after.mean[2] == pytest.approx(before.mean[1] - before.mean[2])
    assert after.covariance[3, 3] < before.covariance[3, 3]


def test_the_posterior_is_that_of_gaussians_worked_out_by_hand() -> None:
    """Two parents, difference of means: prior variance 2 (1 - noise) s², noise variance 2 noise s²."""
    slope, spread, noise = 0.3, 0.7, 0.25
    z = np.array([1.0, -1.0])
    belief = posterior(Calibration(slope, spread), z, [(0, 0.1), (1, 0.9)], noise)
    prior, variance, error = 2 * slope, 2 * (1 - noise) * spread**2, 2 * noise * spread**2
    kept = variance / (variance + error)
    assert belief.mean[0] - belief.mean[1] == pytest.approx(prior + kept * ((0.1 - 0.9) - prior), abs=1e-9)
    contrast = np.array([1.0, -1.0])
    assert contrast @ belief.covariance @ contrast == pytest.approx(variance * (1 - kept), abs=1e-9)


def test_chances_are_probabilities_and_the_same_every_time() -> None:
    belief = posterior(calibrate([]), Z, [(1, 0.3)])
    share = chances(belief, generator())
    assert share.sum() == pytest.approx(1.0)
    assert (share >= 0).all()
    assert share.tolist() == chances(belief, generator()).tolist()
    assert share.tolist() != chances(belief, generator(1)).tolist()
    assert drawn(belief, 3, generator()) == drawn(belief, 3, generator())


def test_drawn_parents_differ_and_there_are_never_more_than_there_are() -> None:
    belief = Belief(Z, np.eye(4))
    for seed in range(20):
        assert len(set(drawn(belief, 3, generator(seed)))) == 3
    assert sorted(drawn(belief, 9, generator())) == [0, 1, 2, 3]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_the_unit_of_gains_does_not_matter(scale: float) -> None:
    pairs = [[(1.0, 0.5), (-1.0, 0.1), (0.0, 0.4)], [(0.5, 2.0), (-0.5, 1.7)]]
    found = calibrate([[(z, scale * g) for z, g in task] for task in pairs])
    unscaled = calibrate(pairs)
    assert found.slope == pytest.approx(scale * unscaled.slope)
    assert found.spread == pytest.approx(scale * unscaled.spread)


def test_calibration_learns_whether_transferability_says_anything() -> None:
    rng = generator(2)

    def tasks(slope: float) -> list[list[tuple[float, float]]]:
        levels = rng.standard_normal(60)  # of tasks; they must not count
        zs = rng.standard_normal((60, 4))
        return [[(z, slope * z + 5 * lv + 0.1 * rng.standard_normal()) for z in row]
                for row, lv in zip(zs, levels, strict=True)]

    useful, useless, misleading = (calibrate(tasks(slope)) for slope in (0.2, 0.0, -0.2))
    assert useful.slope == pytest.approx(0.2, abs=0.03)
    assert useful.spread == pytest.approx(0.1, abs=0.03)
    assert abs(useless.slope) < 0.03
    assert misleading.slope < -0.15
    shares = [chances(posterior(found, Z, []), generator())[0] for found in (useful, useless, misleading)]
    assert shares[0] > 0.9
    assert 0.15 < shares[1] < 0.4
    assert shares[2] < 0.05


def test_one_pair_or_equal_gains_say_nothing_of_the_slope() -> None:
    assert calibrate([[(1.0, 0.4)], [(0.2, 0.1)]]) == calibrate([])
    assert calibrate([[(1.0, 0.4), (-1.0, 0.4)]]).slope > 0


def test_what_was_not_measured_stands_in_the_middle() -> None:
    assert standardised([5.0, 5.0]).tolist() == [0.0, 0.0]
    assert standardised([float("nan")] * 2).tolist() == [0.0, 0.0]
    found = standardised([1.0, float("inf"), 2.0, 6.0])
    assert found[1] == 0
    assert found[[0, 2, 3]].mean() == pytest.approx(0)

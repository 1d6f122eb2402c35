from __future__ import annotations

import numpy as np
import pytest

from pathways.affinity import active_sampling, sample_counts
from pathways.errors import ConfigError

D, K, M = 20, 10, 15


def problem(seed: int):
    """A way to draw samples of 15 sources, a target made of the first two, and its true weights."""
    rng = np.random.default_rng(seed)
    features, heads = np.linalg.qr(rng.normal(size=(D, K)))[0], rng.normal(size=(M, K))
    asked: list[tuple[str, int]] = []

    def draw(source: str, n: int):
        asked.append((source, n))
        x = rng.normal(size=(n, D))
        return x, x @ features @ heads[int(source)] + 0.3 * rng.normal(size=n)

    truth = features @ (heads[0] + heads[1])
    x = rng.normal(size=(40, D))
    return draw, (x, x @ truth + 0.3 * rng.normal(size=40)), truth, asked


@pytest.mark.parametrize("total", [0, 1, 7, 100])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_counts_are_whole_and_sum_to_the_total(total: int, norm: str) -> None:
    nu = np.random.default_rng(total).normal(size=5)
    counts = sample_counts(nu, total, norm)  # type: ignore[arg-type]
    shares = np.abs(nu) ** (1 if norm == "l1" else 2)
    assert counts.sum() == total
    assert np.abs(counts - total * shares / shares.sum()).max() < 1


def test_every_source_may_be_kept_in() -> None:
    assert sample_counts([1, 0, 0], 12, at_least=2).tolist() == [8, 2, 2]
    with pytest.raises(ConfigError, match="`total` must be at least 5 for each of 3 sources, found 12"):
        sample_counts([1, 0, 0], 12, at_least=5)


@pytest.mark.parametrize("seed", range(3))
def test_samples_go_to_the_sources_of_the_target(seed: int) -> None:
    draw, target, truth, asked = problem(seed)
    rounds = active_sampling(draw, [str(i) for i in range(M)], target, K, budgets=[60 * M, 600, 600])
    assert rounds[0].counts.tolist() == [60] * M
    assert [int(r.counts.sum()) for r in rounds] == [60 * M, 600, 600]
    assert rounds[2].counts[:2].sum() > 0.8 * 600
    assert [n for _, n in asked[M : 2 * M]] == rounds[1].counts.tolist()
    assert np.square(rounds[2].features @ rounds[2].head - truth).sum() < 0.2 * np.square(truth).sum()


def test_l2_spreads_samples_wider() -> None:
    used = {}
    for norm in ("l1", "l2"):
        draw, target, _, _ = problem(0)
        last = active_sampling(draw, [str(i) for i in range(M)], target, K, budgets=[60 * M, 600], norm=norm)[-1]  # type: ignore[arg-type]
        used[norm] = (last.counts > 0).sum()
    assert used["l1"] < used["l2"]

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control, ttest_1samp
from torch import nn

from pathways.affinity import Affinity, Dependence, dependence, short_runs
from pathways.affinity.dependence import benjamini_hochberg, holm
from pathways.errors import ConfigError, DataError
from pathways.testing import MatrixEstimatorSuite

TASKS = ("a", "b", "c", "d")


def simulated(seed: int, effects: dict[tuple[str, str], float] | None = None, tasks: tuple[str, ...] = TASKS):
    """Runs whose measures are noise of deviation 1 on what is common to a repeat, and an effect on some pairs."""
    rng = np.random.default_rng(seed)

    def run(source: str | None, repeat: int) -> dict[str, float]:
        level = 10 * repeat + rng.normal(size=len(tasks))
        return {t: x + (effects or {}).get((t, source or ""), 0.0) for t, x in zip(tasks, level, strict=True)}

    return run


class TestDependence(MatrixEstimatorSuite):
    kind = "dependence"
    affected: ClassVar = TASKS
    sources: ClassVar = TASKS

    def measure(self, seed: int) -> Affinity:
        return dependence(simulated(seed), TASKS, repeats=3).affinity


def test_planted_dependence_is_found() -> None:
    planted = {("a", "b"): 12.0, ("d", "a"): -12.0}
    found = [set(dependence(simulated(seed, planted), TASKS, repeats=8).pairs) for seed in range(20)]
    assert sum(set(planted) <= pairs for pairs in found) >= 19
    assert sum(pairs == set(planted) for pairs in found) >= 17


def test_independent_tasks_are_told_dependent_in_about_one_study_of_twenty() -> None:
    """The rate is that of the whole set of 12 pairs, of which three share each baseline."""
    studies = 2000
    false = sum(dependence(simulated(seed), TASKS, repeats=5).significant.any() for seed in range(studies))
    spread = 3 * np.sqrt(0.05 * 0.95 / studies)
    assert 0.05 - spread < false / studies < 0.05 + spread


def test_without_control_of_the_set_far_more_studies_err() -> None:
    found = [dependence(simulated(seed), TASKS, repeats=5) for seed in range(300)]
    assert np.mean([np.nanmin(study.p) < 0.05 for study in found]) > 0.25


def test_p_values_are_those_of_a_t_test_and_the_diagonal_has_none() -> None:
    found = dependence(simulated(1, {("a", "a"): 50.0}), TASKS, repeats=6)
    expected = ttest_1samp(found.affinity.readings[:, 0], 0).pvalue
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found.p[off], expected[off], rtol=1e-9)
    assert np.isnan(found.p[~off]).all()
    assert not found.significant[~off].any()
    assert found.affinity["a", "a"] > 40


def test_half_widths_hold_all_true_values_at_once() -> None:
    off = ~np.eye(4, dtype=bool)
    held = [
        (np.abs(found.affinity.values[off]) <= found.half_width[off]).all()
        for found in (dependence(simulated(seed), TASKS, repeats=5) for seed in range(400))
    ]
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)


def test_what_is_common_to_a_repeat_cancels() -> None:
    found = dependence(simulated(0), TASKS, repeats=8)
    assert found.affinity.standard_error.max() < 2  # repeats differ by 10 each


def test_who_may_share_a_run() -> None:
    found = dependence(simulated(0, {("a", "b"): 30.0}), TASKS, repeats=8)
    assert isinstance(found, Dependence)
    assert not found.may_share("a", "b")
    assert not found.may_share("b", "a")
    assert found.may_share("c", "d")


def test_without_any_spread_there_is_an_effect_or_none() -> None:
    found = dependence(lambda source, repeat: {"a": float(source == "b"), "b": 0.0}, ["a", "b"], repeats=2)
    assert found.pairs == (("a", "b"),)
    assert found.p[1, 0] == 1


@pytest.mark.parametrize("seed", range(5))
def test_procedures_equal_their_definitions(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 1, size=12)
    p[:6] /= 50
    by_hand = [all(q * sum(p >= q) <= 0.05 for q in p if q <= mine) for mine in p]
    assert any(by_hand)
    assert holm(p, 0.05).tolist() == by_hand
    assert benjamini_hochberg(p, 0.05).tolist() == (false_discovery_control(p) <= 0.05).tolist()


def test_discovery_control_finds_more() -> None:
    planted, more = {(t, s): 2.5 for t in TASKS for s in TASKS if t != s}, 0
    for seed in range(10):
        family = dependence(simulated(seed, planted), TASKS, 5)
        discovery = dependence(simulated(seed, planted), TASKS, 5, control="discovery")
        assert set(family.pairs) <= set(discovery.pairs)
        more += len(discovery.pairs) - len(family.pairs)
    assert more > 10


def test_arguments_are_checked() -> None:
    for wrong in ({"repeats": 1}, {"repeats": 3, "alpha": 0.0}, {"repeats": 3, "control": "none"}):
        with pytest.raises(ConfigError, match="`repeats` must be at least 2, `alpha` between 0 and 1"):
            dependence(simulated(0), TASKS, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"must give a number for each of .*found none for 'e'"):
        dependence(simulated(0), (*TASKS, "e"), repeats=2)
    with pytest.raises(DataError, match="found none for 'a'"):
        dependence(lambda source, repeat: {"a": float("nan")}, ["a"], repeats=2)


# -- short runs of a model ------------------------------------------------------------------------------------


def study(background: str | None = None, dropout: float = 0.0, seed: int = 0):
    """Three regressions on a shared layer: `a` and `b` are opposite functions of one input, `c` is of another."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2, generator=generator)
    y = {"a": x[:, :1], "b": -x[:, :1], "c": x[:, 1:], "rest": 0.1 * x[:, 1:]}
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Dropout(dropout))
    nn.init.zeros_(model[0].weight)  # type: ignore[arg-type]

    def loader(task: str):
        def batches(g: torch.Generator):
            rows = torch.randperm(64, generator=g)[:48]
            noise = 0.5 * torch.randn(64, 1, generator=g)
            return [(x[part], (y[task] + noise)[part]) for part in rows.split(16)]
        return batches

    def loss(m, batch):
        return (m(batch[0]) - batch[1]).square().mean()

    inputs = {"a": 0, "b": 0, "c": 1}
    measures = {t: lambda m, t=t: -(m(x[:, [0, 1]] * torch.eye(2)[inputs[t]]) - y[t]).square().mean() for t in inputs}
    run = short_runs(
        model, dict.fromkeys(y, loss), {t: loader(t) for t in y}, measures,
        steps=12, rate=0.05, background=background, seed=seed,
    )  # fmt: skip
    return model, run


def test_a_model_trained_on_one_task_changes_its_opposite_and_not_the_other() -> None:
    _, run = study(background="rest")
    found = dependence(run, ["a", "b", "c"], repeats=8)
    assert {("a", "b"), ("b", "a")} <= set(found.pairs)
    assert found.affinity["a", "b"] < 0 < found.affinity["a", "a"]
    for pair in (("a", "c"), ("b", "c")):
        assert abs(found.affinity[pair]) < 0.1 * abs(found.affinity["a", "b"])


def test_runs_leave_the_model_and_random_state_alone_and_repeat_to_the_bit() -> None:
    model, run = study(dropout=0.5)
    before, state = model[0].weight.clone(), torch.get_rng_state()
    first, again, other = run("a", 0), run("a", 0), run("a", 1)
    assert torch.equal(model[0].weight, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert first == again
    assert first != other
    assert model.training


def test_without_a_background_nothing_is_trained_where_there_is_no_source() -> None:
    _, run = study()
    assert run(None, 0) == run(None, 1)
    _, with_background = study(background="rest")
    assert with_background(None, 0) != with_background(None, 1)
    assert with_background(None, 0) != run(None, 0)


def test_short_runs_are_told_what_is_missing() -> None:
    _, run = study()
    with pytest.raises(ConfigError, match="`losses` and `loaders` must have 'z'"):
        run("z", 0)
    empty = short_runs(nn.Linear(1, 1), {"a": lambda m, b: m(b).sum()}, {"a": lambda g: []}, {}, steps=1, rate=0.1)
    with pytest.raises(ConfigError, match="`loaders` must give at least one batch"):
        empty("a", 0)

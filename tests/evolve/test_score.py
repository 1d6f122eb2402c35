"""Scores: what a path is charged for, exactly, and what that does to its score."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pathways.candidate import Measures, Training
from pathways.errors import ConfigError
from pathways.evolve import Score
from pathways.evolve.score import accounted, users_of
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.strategy import Champion
from pathways.testing.fake import sha

LAYERS = [ModuleSpec("linear", {"dim": dim}) for dim in (3, 5, 7)]


def champion(task: str, versions: list[int]) -> Champion:
    """A chain of three layers; tasks that draw the same version of a layer share its blob where the dims agree."""
    steps, last = {}, "x"
    for number, version in enumerate(versions):
        spec = LAYERS[version]
        name = f"l{number}"
        below = steps[last].modules[0].spec.config["dim"] if last in steps else 4
        steps[name] = Step((Frozen(sha(number, version, below), spec),), (last,))
        last = name
    path = Path({"x": Vector(4)}, steps, last)
    return Champion(task, path, Training(), Measures(0.5, 0.5, 0.5, 0.5, 10), sha(task))


sharing = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), min_size=1, max_size=8)


@settings(deadline=None, max_examples=100)
@given(sharing)
def test_accounted_sizes_add_up_to_the_distinct_parameters(paths: list[list[int]]) -> None:
    champions = [champion(f"task{i}", versions) for i, versions in enumerate(paths)]
    users = users_of(champions)
    charged = [accounted(c.path, c.task, users) for c in champions]
    distinct: dict[str, int] = {}
    for c in champions:
        distinct |= c.path.costs().sizes
    assert sum(charged) == sum(distinct.values())
    assert all(isinstance(amount, Fraction) and amount > 0 for amount in charged)


@settings(deadline=None, max_examples=50)
@given(sharing, st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_a_new_task_is_charged_for_itself_and_lowers_what_others_pay(
    paths: list[list[int]], versions: list[int]
) -> None:
    old = [champion(f"task{i}", v) for i, v in enumerate(paths)]
    new = champion("new", versions)
    before, after = users_of(old), users_of([*old, new])
    assert accounted(new.path, "new", before) == accounted(new.path, "new", after)
    for c in old:
        assert accounted(c.path, c.task, after) <= accounted(c.path, c.task, before)


def test_drafts_are_charged_in_full() -> None:
    spec = ModuleSpec("linear", {"dim": 4})
    shared = Frozen(sha("shared"), spec)
    path = Path({"x": Vector(4)}, {
        "a": Step((shared,), ("x",)), "b": Step((Draft("b", spec, Init()),), ("a",)),
    }, "b")
    assert accounted(path, "new", {shared.id: {"one", "two", "three"}}) == 20 + Fraction(20, 4)
    assert accounted(path, "one", {shared.id: {"one", "two", "three"}}) == 20 + Fraction(20, 3)
    assert accounted(path, "new", {}) == 40


def test_a_module_used_twice_in_a_path_is_charged_once() -> None:
    module = Frozen(sha("m"), ModuleSpec("linear", {"dim": 4}))
    path = Path({"x": Vector(4)}, {"a": Step((module,), ("x",)), "b": Step((module,), ("a",))}, "b")
    assert accounted(path, "t", {}) == 20


def test_users_are_the_tasks_of_each_blob() -> None:
    one, two = champion("one", [0, 1]), champion("two", [0, 2])
    users: Mapping[str, set[str]] = users_of([one, two])
    assert users[sha(0, 0, 4)] == {"one", "two"}
    assert users[sha(1, 1, 3)] == {"one"}
    assert len(users) == 3


# -- the score ----------------------------------------------------------------------------------------------

qualities = st.floats(-10, 1, allow_nan=False)
amounts = st.integers(0, 10**6)


def test_without_factors_the_score_is_the_quality() -> None:
    assert Score()(0.7, 10**9, 10**9) == 0.7


def test_the_published_formula() -> None:
    score = Score(size=0.9, compute=0.8, base_parameters=100, base_flops=1000)
    assert score(0.5, Fraction(250), 500) == pytest.approx(0.5 * 0.9**2.5 * 0.8**0.5)


@given(qualities, amounts, amounts, st.sampled_from(["size", "compute"]))
def test_of_equal_qualities_the_smaller_path_scores_higher(quality: float, less: int, more: int, factor: str) -> None:
    assume(less < more and abs(quality) > 1e-6)
    score = Score(**{factor: 0.9}, base_parameters=10**6, base_flops=10**6)
    small, large = ((less, 0), (more, 0)) if factor == "size" else ((0, less), (0, more))
    assert score(quality, *small) >= score(quality, *large)
    if more - less > 1000:
        assert score(quality, *small) > score(quality, *large)


@given(qualities, qualities, amounts, amounts)
def test_of_equal_sizes_the_better_path_scores_higher(worse: float, better: float, size: int, flops: int) -> None:
    assume(worse < better)
    score = Score(size=0.9, compute=0.9, base_parameters=10**6, base_flops=10**6)
    assert score(worse, size, flops) <= score(better, size, flops)


@given(st.floats(0.01, 1), st.integers(2, 9))
def test_a_smaller_factor_prefers_smaller_paths_more(quality: float, times: int) -> None:
    small = [Score(size=size, base_parameters=100)(quality, 100, 0) for size in (1.0, 0.9, 0.3)]
    large = [Score(size=size, base_parameters=100)(quality, 100 * times, 0) for size in (1.0, 0.9, 0.3)]
    advantage = [a / b for a, b in zip(small, large, strict=True)]
    assert advantage[0] == 1.0 < advantage[1] < advantage[2]


def test_a_negative_quality_is_made_worse_by_size_and_stays_finite() -> None:
    score = Score(size=0.02, base_parameters=1)
    assert score(-2.0, 1, 0) == pytest.approx(-100.0)
    assert float("-inf") < score(-2.0, 10**6, 0) < score(-2.0, 1, 0)
    assert score(float("-inf"), 1, 0) == float("-inf")


@pytest.mark.parametrize(("wrong", "message"), [
    ({"size": 1.1}, "`size` must be above 0 and at most 1, found 1.1"),
    ({"size": 0.0}, "`size` must be above 0"),
    ({"compute": -0.5}, "`compute` must be above 0"),
    ({"base_parameters": 0}, "`base_parameters` must be at least 1"),
])
def test_bad_settings_are_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Score(**wrong)  # type: ignore[arg-type]

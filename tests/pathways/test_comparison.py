"""Comparisons: what is paired, what the tests say, and that words follow intervals."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pathways.comparison import Arm, Repeat, compare, read_arm
from pathways.comparison.compared import welch
from pathways.comparison.figures import cost_chart, differences_chart
from pathways.comparison.signed_rank import holm, signed_rank
from pathways.comparison.words import comparison_json, comparison_text, verdict
from pathways.errors import ConfigError

FACTS = {"ACC": 0.9, "BWT": 0.0, "forgetting": 0.0, "parameters": 1000, "candidates": 12, "cpu_seconds": 3.5}


def repeat(tests, seed=0, metric="accuracy", higher=True, data=None):
    names = {f"t{i}": value for i, value in enumerate(tests)}
    known = {name: value for name, value in names.items() if value is not None}
    return Repeat(
        "runs/x", seed, known, data or dict.fromkeys(names, "same"), dict.fromkeys(names, (metric, higher)), FACTS, {}
    )


def arm(name, *tests, **more):
    return Arm(name, tuple(repeat(values, seed, **more) for seed, values in enumerate(tests)))


# -- tests of paired differences ----------------------------------------------------------------------------

@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12, unique=True), st.randoms(use_true_random=False))
def test_the_signed_rank_test_is_scipys_where_that_is_exact(sizes, random):
    differences = [size * random.choice([-1, 1]) for size in sizes]
    if len({abs(d) for d in differences}) == len(differences):
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank(differences) == pytest.approx(expected)


@given(st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=9))
def test_with_ties_it_counts_all_ways_to_put_signs(differences):
    ranks = stats.rankdata(np.abs(differences))
    observed = min(ranks[np.array(differences) > 0].sum(), ranks[np.array(differences) < 0].sum())
    sums = [sum(r for r, plus in zip(ranks, signs, strict=True) if plus)
            for signs in itertools.product([0, 1], repeat=len(ranks))]
    expected = min(1.0, 2 * sum(s <= observed + 1e-9 for s in sums) / len(sums))
    assert signed_rank(differences) == pytest.approx(expected)


def test_equal_sides_have_no_p_value_and_their_order_does_not_matter():
    assert signed_rank([0.0, 0.0]) is None
    values = [0.5, -0.25, 1.5, 0.0, 2.0]
    assert signed_rank(values) == signed_rank([-v for v in values])
    assert signed_rank([1.0] * 200) < 1e-50


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_values_are_never_smaller_and_keep_the_order(values):
    adjusted = holm(values)
    assert all(a >= v for a, v in zip(adjusted, values, strict=True))
    assert all(a <= min(1.0, v * len(values)) + 1e-12 for a, v in zip(adjusted, values, strict=True))
    order = np.argsort(values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


def test_welchs_interval_is_scipys():
    a, b = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.2, 0.9])
    found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (welch(a, b).low, welch(a, b).high) == pytest.approx((found.low, found.high))
    assert not welch(a, b[:1]).sure


# -- what is compared ---------------------------------------------------------------------------------------

def test_differences_are_paired_by_task_and_turned_so_that_more_is_better():
    for higher, sign in ((True, 1), (False, -1)):
        found = compare([arm("a", [0.5, 0.6, 0.7], higher=higher), arm("b", [0.6, 0.8, 0.7], higher=higher)])
        difference = found.differences[0]
        assert list(difference.by_task.values()) == pytest.approx([sign * 0.1, sign * 0.2, 0.0])
        assert difference.over_tasks.value == pytest.approx(sign * 0.1)
        assert (difference.wins, difference.ties, difference.losses) == ((2, 1, 0) if higher else (0, 1, 2))
        assert found.ranks == ((11 / 6, 7 / 6) if higher else (7 / 6, 11 / 6))


def test_the_interval_over_tasks_is_the_paired_t_interval():
    a, b = [0.5, 0.6, 0.7, 0.9], [0.62, 0.68, 0.9, 0.91]
    interval = compare([arm("a", a), arm("b", b)]).differences[0].over_tasks
    expected = stats.ttest_rel(b, a).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_seeds_are_paired_where_both_have_the_same():
    first, second = arm("a", [0.5, 0.7], [0.6, 0.8], [0.4, 0.6]), arm("b", [0.55, 0.75], [0.66, 0.86], [0.43, 0.63])
    difference = compare([first, second]).differences[0]
    assert difference.paired
    expected = stats.ttest_rel([0.65, 0.76, 0.53], [0.6, 0.7, 0.5]).confidence_interval(0.95)
    assert (difference.over_seeds.low, difference.over_seeds.high) == pytest.approx((expected.low, expected.high))
    reordered = Arm("b", second.repeats[::-1])
    assert compare([first, reordered]).differences[0].over_seeds == difference.over_seeds
    fewer = compare([first, Arm("b", second.repeats[:2])]).differences[0]
    assert not fewer.paired
    assert fewer.over_seeds.sure


def test_only_tasks_measured_on_the_same_test_data_are_compared():
    other = {"t0": "same", "t1": "other", "t2": "same"}
    found = compare([arm("a", [0.5, 0.6, 0.7]), arm("b", [0.5, 0.6, None], data=other)])
    assert found.tasks == ("t0",)
    assert found.left_out == {"t1": "has other test data in other runs", "t2": "is not measured in 'b'"}
    assert "decides nothing" in verdict(found, found.differences[0])


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        ([arm("a", [0.5])], "two arms or more, found 1"),
        ([arm("a", [0.5]), arm("a", [0.6])], "'a' is there twice"),
        ([arm("a", [0.5]), arm("b", [None])], "found none: 't0' is not measured in 'b'"),
        ([arm("a", [0.5]), arm("b", [0.5], metric="r2")], "found `accuracy`, `r2`"),
    ],
)
def test_what_cannot_be_compared_is_refused(arms, words):
    with pytest.raises(ConfigError, match=words):
        compare(arms)


# -- words --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("gains", "word"),
    [([0.05, 0.06, 0.05, 0.07], "better than"), ([-0.05, -0.06, -0.05, -0.07], "worse than"),
     ([0.05, -0.06, 0.05, -0.07], "not told apart from"), ([0.0, 0.0, 0.0, 0.0], "not told apart from")],
)
def test_the_verdict_follows_the_interval(gains, word):
    found = compare([arm("a", [0.5] * 4), arm("b", [0.5 + g for g in gains])])
    text = verdict(found, found.differences[0])
    assert text.startswith(f"b is {word} a: ")
    assert "One seed each: of other seeds this says nothing." in text
    assert "With fewer than 6 tasks" in text


def test_with_seeds_the_verdict_follows_the_interval_over_seeds():
    same = [[0.5, 0.6], [0.52, 0.58], [0.51, 0.61]]
    better = [[v + 0.1 + 0.01 * i for v in values] for i, values in enumerate(same)]
    found = compare([arm("a", *same), arm("b", *better)])
    assert "over 3 paired seeds" in verdict(found, found.differences[0])
    assert "better" in verdict(found, found.differences[0])


def test_text_and_plain_data_hold_every_number():
    found = compare([arm("a", [0.5, 0.61]), arm("b", [0.6, 0.83]), arm("c$<", [0.4, 0.7])])
    text, data = comparison_text(found), comparison_json(found)
    assert all(number in text for number in ("50.0", "61.0", "83.0", "+22.0", "-10.0"))
    assert [d["arm"] for d in data["differences"]] == ["b", "c$<"]
    assert data["tasks"][1]["means"] == {"a": 0.61, "b": 0.83, "c$<": 0.7}
    assert data["differences"][0]["over_tasks"]["n"] == 2
    assert "for all arms at once" in data["differences"][1]["verdict"]


def test_many_tasks_are_cut_to_those_that_differ_the_most():
    values = [0.5 + i / 1000 for i in range(60)]
    found = compare([arm("a", [0.5] * 60), arm("b", values)])
    text = comparison_text(found)
    assert "the 40 tasks of 60 that differ the most" in text
    assert "t59" in text
    assert "t3 " not in text


# -- figures ------------------------------------------------------------------------------------------------

def test_figures_draw_every_task_and_arm():
    found = compare([arm("a", [0.5, 0.61]), arm("b", [0.6, 0.83]), arm("c$<", [0.4, 0.7])])
    axes = differences_chart(found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][-2:] == ["t1", "t0"]
    points = {round(float(x), 6) for line in axes.lines for x in np.atleast_1d(line.get_xdata())}
    assert {10.0, 22.0, -10.0, 9.0} <= points
    assert len(cost_chart(found).axes) == 2


def test_costs_that_are_not_known_are_not_drawn():
    bare = [
        Arm(name, (Repeat("r", 0, {"t": 0.5}, {"t": "d"}, {"t": ("accuracy", True)}, dict.fromkeys(FACTS), {}),))
        for name in "ab"
    ]
    assert cost_chart(compare(bare)) is None


# -- reading ------------------------------------------------------------------------------------------------

def test_arms_are_read_from_runs_and_their_controls(tmp_path):
    from test_logger import learned

    one = learned(tmp_path / "one")
    champions, control = read_arm(str(tmp_path / "one")), read_arm(f"tuned={tmp_path / 'one'}:fine-tune-all")
    assert champions.name == "one"
    assert control.name == "tuned"
    found = compare([control, champions])
    summary = one.summary()
    assert found.means[1].tolist() == [task["test"] for task in summary["tasks"]]
    assert found.means[0].tolist() == [task["controls"]["fine-tune-all"] for task in summary["tasks"]]
    assert not math.isnan(found.differences[0].over_tasks.value)
    for text, words in (
        (f"{tmp_path / 'one'}:none", "found `fine-tune-all`"), ("a=", "name a run directory"),
        (f"{tmp_path / 'one'},{tmp_path / 'one'}", "seed 0 twice"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_arm(text)

"""What a report shows, before it is drawn: plain data from plain data, by properties."""

from dataclasses import replace

import numpy as np
import pytest
from fake_system import fake_system
from helpers_page import well_formed
from hypothesis import given
from hypothesis import strategies as st

from pathways.interval import Estimate
from pathways.racing import pack
from pathways.report.against import Against, against, mean_test
from pathways.report.answer import reasons, verdict
from pathways.report.front import on_front, placed, side_points
from pathways.report.ledger_costs import by_side, paid
from pathways.report.markup import html_page, html_table, numbers, section
from pathways.report.numbers import Table
from pathways.report.reuse import reuse, sources_table
from pathways.report.search import PANELS, chosen, searches
from pathways.report.traces import settings_table, traces
from pathways.report.tried import FAILED, STOPPED, TRAINED, candidates_table, tried
from pathways.summary import CHAMPIONS, summarise

SIDES = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=12)


def summary_of(tests, control, higher=True, metric="accuracy"):
    """A summary of tasks with one control, as far as the comparison reads it."""
    tasks = [
        {"name": f"t{i}", "metric": metric, "higher_is_better": higher, "test": a, "controls": {"independent": b}}
        for i, (a, b) in enumerate(zip(tests, control, strict=True))
    ]  # fmt: skip
    count = len(tasks)
    matrix = [[tests[j] if j <= i else None for j in range(count)] for i in range(count)]
    sides = {CHAMPIONS: {"ACC": sum(tests) / count}, "independent": {"ACC": sum(control) / count}}
    return {
        "tasks": tasks, "sides": sides, "matrices": {CHAMPIONS: matrix, "independent": [[None] * count] * count},
        "independent_parameters": 200, "parameters": 100, "forgetting": 0.0,
    }  # fmt: skip


@given(SIDES)
def test_the_front_holds_exactly_what_nothing_beats(points):
    points = [(float(cost), float(quality)) for cost, quality in points]
    for (cost, quality), there in zip(points, on_front(points), strict=True):
        beaten = any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)
        assert there != beaten


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_verdicts_follow_the_interval(gains):
    found = against(summary_of([0.5 + g / 2 for g in gains], [0.5] * len(gains)))[0]
    assert found.better + found.worse <= len(gains)
    if found.verdict == "better":
        assert found.mean.low > 0
    if found.verdict == "worse":
        assert found.mean.high < 0
    if found.verdict == "within noise":
        assert found.mean.low <= 0 <= found.mean.high
    if len(gains) == 1 and any(found.gains.values()):
        assert found.verdict == "unknown"


def test_less_is_better_turns_the_sign():
    summary = summary_of([1.0, 1.0, 1.1], [2.0, 2.2, 2.1], higher=False, metric="mae")
    assert against(summary)[0].verdict == "better"
    assert "less is better" in reasons(summary, against(summary))


def test_the_words_say_what_the_interval_says():
    better = summary_of([0.9, 0.91, 0.92, 0.9], [0.8, 0.81, 0.79, 0.8])
    assert verdict(better, against(better)) == (
        "4 tasks learned; on average better than a separate model for each task, with 50 % of the parameters."
    )
    same = summary_of([0.9, 0.8], [0.9, 0.8])
    assert "the same as a separate model" in verdict(same, against(same))
    one = summary_of([0.9], [0.8])
    assert "on the one task that both were tested on, which may be noise" in verdict(one, against(one))
    assert "no interval" in reasons(one, against(one))
    assert "how well is not known" in verdict(one, ())
    assert "one here" in reasons(better, against(better))
    other = Against("joint", {"t0": 0.1, "t1": 0.1}, Estimate(0.1, 0.05, 0.15, 2))
    assert reasons(better, (*against(better), other)).startswith("Better than joint.")


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_interval_of_a_share_stays_within_it(tests):
    found = mean_test(summary_of(tests, tests))
    assert 0 <= found.low <= found.high <= 1
    assert found.value == pytest.approx(sum(tests) / len(tests))
    assert found.n == len(tests)


@given(st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=8), st.sets(st.integers(0, 12)))
def test_reuse_counts_every_parameter_once(paths, root):
    sizes = {f"t{i}": {f"m{m:02}": 10 + m for m in sorted(path)} for i, path in enumerate(paths)}
    found = reuse(sizes, [f"m{m:02}" for m in root])
    assert found.parameters.sum(axis=1).tolist() == [sum(blobs.values()) for blobs in sizes.values()]
    assert np.allclose(found.shares.sum(axis=1), 1)
    assert sorted(module.id for module in found.modules) == sorted({blob for blobs in sizes.values() for blob in blobs})
    assert not np.triu(found.parameters[:, 1:], 1).any()  # nobody uses what was frozen later
    freezers = [module.frozen_by for module in found.modules]
    order = ["root", *sizes]
    assert [order.index(who) for who in freezers] == sorted(order.index(who) for who in freezers)
    assert [list(row[1:]) for row in sources_table(found).rows] == found.parameters.tolist()


def every(tmp_path):
    system = fake_system(tmp_path)
    return system, tried(system.ledger.rows(), {name: c.candidate for name, c in system.champions.items()})


def test_what_was_tried_tells_parents_champions_and_ends(tmp_path):
    system, found = every(tmp_path)
    summary = summarise(system)
    own = searches(found, {task["name"]: task["strategy"] for task in summary["tasks"]})
    assert list(own) == list(system.records)
    for ones in own.values():
        assert [one.place for one in ones] == [1, 2, 3, 4, 5]
        assert [one.parent for one in ones] == [None, 1, 1, 1, 1]
        assert [one.outcome for one in ones] == [TRAINED, TRAINED, TRAINED, FAILED, STOPPED]
        assert [one.champion for one in ones] == [False, True, False, False, False]
    table = candidates_table(found)
    assert len(table.rows) == len(found) == len(system.ledger.rows())
    assert sum(row["champion"] for row in table.records()) == len(own)
    assert {one.task for one in tried(system.ledger.rows(), {"s/one": "x"})} == {"s/one"}  # of learned tasks only


def test_rungs_are_qualities_also_of_values_without_error(tmp_path):
    rows, errors = fake_system(tmp_path).ledger.rows(), [np.array([-0.5, -1.5]), np.zeros(2)]
    [row] = [row for row in rows if row.tasks == ("s/one",) and row.strategy == "munet"][:1]
    raced = replace(row, result=replace(row.result, merits={"s/one": tuple(map(pack, errors))}))
    assert [tried([raced], {"s/one": "x"}, values)[0].rungs for values in (["s/one"], [])] == [(0.5, 1), (-1, 0)]


def test_traces_hold_what_differs_and_nothing_else(tmp_path):
    system, found = every(tmp_path)
    own = searches(found, {name: "munet" for name in system.records})
    made = traces(own)
    assert [trace.name for trace in made] == ["lr"]
    assert len(made[0].values) == sum(map(len, own.values())) == made[0].bounds[-1]
    table = settings_table(own, ["lr"])
    assert [row["lr"] for row in table.records()] == list(made[0].values)


def test_candidates_stand_beside_their_champion(tmp_path):
    system, found = every(tmp_path)
    points = placed(searches(found, {name: "munet" for name in system.records}))
    assert len(points) == 9  # three that finished of each task
    for point in points:
        assert (point.gain == 0) == point.one.champion
        if point.one.champion:
            assert set(point.ratios.values()) == {1.0}
    sides = side_points(summarise(system))
    assert [point.side for point in sides] == ["champions", "independent"]
    assert sides[0].front == {"parameters": True, "CPU-seconds": True}


def test_the_ledger_adds_up(tmp_path):
    system, found = every(tmp_path)
    made = paid(system.ledger.costs_by_task(), found, list(system.records))
    total = system.ledger.costs()
    for side in total:
        rows = [one for one in made if one.side == side]
        assert sum(one.candidates for one in rows) == total[side].candidates
        assert sum(one.cpu_seconds for one in rows) == pytest.approx(total[side].cpu_seconds)
    assert sum(one.saved for one in made) == 3 * (50 - 20)
    assert "munet (champions)" in by_side(made, ["munet"])
    assert by_side((), []) == ""


@given(st.integers(1, 80))
def test_some_searches_are_chosen_evenly_and_in_order(count):
    tasks = [f"t{i}" for i in range(count)]
    some = chosen(tasks)
    assert len(some) == len(set(some)) == min(count, PANELS)
    assert some == sorted(some, key=tasks.index)
    assert {some[0], some[-1]} == {tasks[0], tasks[-1]}


def test_tables_on_the_page_are_bounded_and_point_to_their_file():
    long = Table("long", ("a", "b"), tuple((f"r{i}", i) for i in range(2000)))
    assert numbers(long, "Rows").count("<tr>") == 601
    assert "2,000 rows" in numbers(long, "Rows")
    wide = Table("wide", tuple(map(str, range(200))), (tuple(range(200)),))
    assert "<table" not in numbers(wide, "Columns")
    assert "figures/wide.csv" in numbers(wide, "Columns")
    assert numbers(Table("none", ("a",), ()), "Nothing") == ""


@pytest.mark.parametrize(("columns", "rows", "printed"), [(14, 100, True), (15, 1, False), (2, 101, False)])
def test_tables_that_are_too_large_for_paper_leave_it_to_their_file(columns, rows, printed):
    table = Table("t", tuple(map(str, range(columns))), (tuple(range(columns)),) * rows)
    assert ("unprinted" not in numbers(table, "Rows")) is printed
    assert "figures/t.csv" in numbers(table, "Rows")


def test_cells_that_are_no_plain_numbers_say_what_they_are_sorted_by():
    table = Table("t", ("a", "seconds", "n"), (("x", 61.0, 1234),))
    html = numbers(table, "Times", {"seconds": lambda cell: "1 min 01 s"})
    assert '<td class=n data-v="61">1 min 01 s</td>' in html
    assert "<td class=n>1,234</td>" in html


def test_pages_of_others_can_use_the_same_parts():
    table = html_table(("task", "value"), '<tr><th scope="row">a</th><td class=n>1</td></tr>', ("task",),
                       caption="What <it> is", foot='<tr><th scope="row">mean</th><td>1</td></tr>')  # fmt: skip
    page = well_formed(html_page("A <title>", f"<h1>A</h1>{section('One & two', table)}"))
    assert "What <it> is" in page.words
    assert page.words.count("One & two") == 2  # in the contents too
    assert page.of("section")[0]["id"] == "one-two"

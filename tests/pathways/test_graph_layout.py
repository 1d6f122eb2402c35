"""Where the path graph's boxes and lines stand: apart, at their ends, and crossing little."""

from collections import defaultdict
from itertools import combinations, pairwise

import pytest
from grown import graphs, grown
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathways.graph.layout import FEW, crossings, lay_out, scale_for
from pathways.graph.order import crossings_between, in_order
from pathways.graph.routes import shared_order

few = settings(deadline=None, max_examples=8)


@few
@given(graphs, st.sampled_from(["time", "shared"]))
@example(grown(17, 12950), "time")  # a box reaches past its column by the last digit
def test_boxes_are_apart_and_lines_join_them(graph, order):
    layout = lay_out(graph, order)
    for a, b in combinations(layout.boxes.values(), 2):
        across, down = abs(a.x - b.x) - (a.width + b.width) / 2, abs(a.y - b.y) - (a.height + b.height) / 2
        assert across >= -1e-5 or down >= -1e-5, (a, b)
    assert sorted((*line.edge, line.task) for line in layout.lines) == sorted(graph.edges(data="task"))
    lanes = defaultdict(dict)
    for line in layout.lines:
        begin, end = (layout.boxes[node] for node in line.edge)
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        assert x0 == pytest.approx(begin.x + begin.width / 2)
        assert x1 == pytest.approx(end.x - end.width / 2)
        assert abs(y0 - begin.y) <= begin.height / 2 + 1e-5
        assert abs(y1 - end.y) <= end.height / 2 + 1e-5
        assert [x for x, _ in line.points] == sorted(x for x, _ in line.points)
        lanes[line.edge[0], "out"][line.task], lanes[line.edge[1], "in"][line.task] = y0, y1
    for side in lanes.values():
        ys = sorted(side.values())
        assert all(b - a >= layout.scale.lane - 1e-5 for a, b in pairwise(ys))


@few
@given(graphs)
def test_no_line_passes_below_a_box(graph):
    layout = lay_out(graph)
    for line in layout.lines:
        others = [box for node, box in layout.boxes.items() if node not in line.edge]
        for (x0, y0), (x1, y1) in pairwise(line.points):
            for box in others:
                beside = x1 <= box.x - box.width / 2 + 1e-5 or x0 >= box.x + box.width / 2 - 1e-5
                away = y0 == y1 and abs(y0 - box.y) >= box.height / 2 - 1e-5
                assert beside or away, (line, box)


@few
@given(graphs)
def test_sorting_never_gives_more_crossings(graph):
    before = crossings(lay_out(graph, "time", sweeps=0))
    assert crossings(lay_out(graph, "time")) <= before
    assert crossings(lay_out(graph, "shared")) <= before


@pytest.mark.parametrize("seed", [0, 1])
def test_fifty_tasks_cross_much_less(seed):
    graph = grown(50, seed)
    before, time, shared = (
        crossings(lay_out(graph, order, sweeps)) for order, sweeps in [("time", 0), ("time", 12), ("shared", 12)]
    )
    assert before > 100
    assert time < 0.8 * before
    assert shared < 0.4 * before


def test_few_tasks_stand_in_the_order_learned_and_many_by_what_they_share():
    few_tasks, many = grown(FEW), grown(FEW + 1)
    assert lay_out(few_tasks).rows == few_tasks.graph["tasks"]
    assert set(lay_out(many).rows) == set(many.graph["tasks"])
    assert lay_out(many, "time").rows == many.graph["tasks"]
    assert lay_out(many) == lay_out(many, "shared")
    heads = [lay_out(many).boxes[node].y for task in lay_out(many).rows for node in heads_of(many, task)]
    assert heads == sorted(heads)


def heads_of(graph, task):
    return [node for node, data in graph.nodes(data=True) if data["kind"] == "head" and task in data["tasks"]]


def test_fifty_tasks_fit_a_page():
    layout = lay_out(grown(50))
    assert layout.height < 9
    assert scale_for(50).row * 72 > 6.5 * 1.2  # points: room for words of 6.5


def test_ribbons_are_as_wide_as_their_tasks():
    layout = lay_out(grown(30))
    assert sum(len(ribbon.tasks) for ribbon in layout.ribbons) == len(layout.lines)
    for ribbon in layout.ribbons:
        assert ribbon.width == pytest.approx(len(ribbon.tasks) * layout.scale.lane)
        for end, (_, y) in zip(ribbon.edge, (ribbon.points[0], ribbon.points[-1]), strict=True):
            if end.startswith("input") or ribbon.edge[0].startswith("input"):
                assert abs(y - layout.boxes[end].y) + ribbon.width / 2 <= layout.boxes[end].height / 2 + 1e-5


def test_tasks_that_begin_alike_stand_together():
    graph = grown(12, seed=5)
    order = list(shared_order(graph))
    assert sorted(order) == sorted(graph.graph["tasks"])
    near = [(node, data["tasks"]) for node, data in graph.nodes(data=True) if data["depth"] == 1]
    first = [[node for node, users in near if task in users] for task in order]
    changes = sum(a != b for a, b in pairwise(first))
    assert changes == len(set(map(tuple, first))) - 1


gaps = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 3)), max_size=14)


@settings(deadline=None, max_examples=60)
@given(gaps)
def test_crossings_are_counted(lines):
    left, right = list("abcdef"), list("uvwxyz")
    links = {}
    for a, b, count in lines:
        links.setdefault(left[a], {})[right[b]] = count
    pairs = [(left.index(a), right.index(b), count) for a, ends in links.items() for b, count in ends.items()]
    expected = sum(n * m for (a, b, n), (c, d, m) in combinations(pairs, 2) if (a < c and b > d) or (a > c and b < d))
    assert crossings_between(left, right, links) == expected


@settings(deadline=None, max_examples=40)
@given(gaps, gaps, st.booleans())
def test_orders_hold_the_same_items_and_cross_no_more(first, second, fixed):
    columns = [list("abcdef"), list("uvwxyz"), list("123456")]
    links = [{}, {}]
    for gap, lines, (left, right) in zip(links, (first, second), pairwise(columns), strict=True):
        for a, b, count in lines:
            gap.setdefault(left[a], {})[right[b]] = count
    found = in_order(columns, links, fixed)
    assert [sorted(column) for column in found] == [sorted(column) for column in columns]
    assert not fixed or found[-1] == columns[-1]
    assert in_order(columns, links, fixed) == found
    before, after = (sum(map(crossings_between, order, order[1:], links)) for order in (columns, found))
    assert after <= before

"""Less of a path graph, and the graph as a file that is read again."""

import json

import networkx as nx
import pytest
from grown import graphs, grown
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.errors import ConfigError
from pathways.graph import at_depths, graph_from_json, graph_to_json, matching, only_tasks, until, used_by
from pathways.graph.draw import draw_graph
from pathways.graph.layout import lay_out
from pathways.graph.marks import colours_of

few = settings(deadline=None, max_examples=8)


def is_part_of(part, graph):
    for node, data in part.nodes(data=True):
        assert set(data["tasks"]) <= set(graph.nodes[node]["tasks"])
        assert {k: v for k, v in data.items() if k != "tasks"} == {
            k: v for k, v in graph.nodes[node].items() if k != "tasks"
        }
    for a, b, key, data in part.edges(keys=True, data=True):
        assert data["task"] in part.graph["tasks"]
        if data["kind"] != "past":
            assert graph.get_edge_data(a, b)[key] == data
            continue
        own = nx.DiGraph((u, v) for u, v, task in graph.edges(data="task") if task == data["task"])
        gone = [node for node in own if node not in part]
        assert nx.has_path(own.subgraph([a, b, *gone]), a, b)
    colours = colours_of(graph)
    assert all(colours[task] == colour for task, colour in colours_of(part).items())


def whole_paths(graph):
    for task in graph.graph["tasks"]:
        own = nx.DiGraph((u, v) for u, v, t in graph.edges(data="task") if t == task)
        [head] = [node for node in own if graph.nodes[node]["kind"] == "head"]
        assert all(nx.has_path(own, node, head) for node in own)


@few
@given(graphs, st.data())
def test_filters_give_parts_of_the_graph_with_whole_paths(graph, data):
    tasks = data.draw(st.lists(st.sampled_from(graph.graph["tasks"]), min_size=1, unique=True))
    least, depths = data.draw(st.integers(1, 5)), sorted(data.draw(st.tuples(st.integers(0, 5), st.integers(0, 5))))
    count = data.draw(st.integers(1, len(graph.graph["tasks"])))
    for part in (
        only_tasks(graph, tasks),
        until(graph, count),
        used_by(graph, least),
        at_depths(graph, *depths),
        at_depths(used_by(only_tasks(graph, tasks), least), *depths),
    ):
        is_part_of(part, graph)
        whole_paths(part)
        lay_out(part)


@few
@given(graphs)
def test_what_leaves_nothing_out_changes_nothing(graph):
    same = [only_tasks(graph, graph.graph["tasks"]), used_by(graph, 1), at_depths(graph, 0, 99)]
    assert all(nx.utils.graphs_equal(part, graph) for part in same)


def test_only_modules_that_several_use_remain():
    graph = used_by(grown(20), 4)
    assert all(len(data["tasks"]) >= 4 for _, data in graph.nodes(data=True) if data["kind"] == "module")
    assert {"reads", "past"} == {kind for *_, kind in graph.edges(data="kind")}
    with pytest.raises(ConfigError, match=r"`least` must be at least 1, found 0"):
        used_by(graph, 0)


def test_tasks_are_found_by_name_and_pattern():
    graph = grown(12)
    assert matching(graph, ["t3", "s/t1*"]) == ["s/t1", "s/t3", "s/t10", "s/t11"]
    assert matching(graph, []) == []
    with pytest.raises(ConfigError, match=r"`tasks` must fit a task of the graph, found 'x\*'; its 12 tasks are s/t0"):
        matching(graph, ["t1", "x*"])


@few
@given(graphs, st.booleans())
def test_json_gives_the_graph_again(graph, places):
    data = json.loads(json.dumps(graph_to_json(graph, lay_out(graph) if places else None)))
    assert nx.utils.graphs_equal(graph_from_json(data), graph)
    assert ("layout" in data) == places
    if places:
        assert set(data["layout"]["boxes"]) == set(graph.nodes)
        assert len(data["layout"]["lines"]) == graph.number_of_edges()


def test_json_says_how_many_tasks_are_left_out():
    graph = until(grown(5), 2)
    graph.graph["left_out"] = 3
    data = graph_to_json(graph)
    assert (data["left_out"], data["tasks"][1]) == (3, {"name": "s/t1", "place": 1})
    assert nx.utils.graphs_equal(graph_from_json(data), graph)


def test_a_file_holds_the_places_too(tmp_path):
    graph = grown(4)
    data = json.loads(draw_graph(graph, tmp_path / "graph.json").read_text())
    assert data == json.loads(json.dumps(graph_to_json(graph, lay_out(graph))))

"""The path graph, its layout and its drawings."""

import json
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise

import networkx as nx
import pytest
from fake_system import CONV, HEAD, PATHS, PORT, ROOT, blob, fake_system, frozen
from helpers_graph import rich_path
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.errors import ConfigError
from pathways.graph import graph_from_json, graph_of, graph_of_path, path_graph, plain_graph
from pathways.graph.draw import FORMATS, draw_graph, graph_figure
from pathways.graph.layout import lay_out
from pathways.graph.settle import spread
from pathways.modules import Draft, Image, Init, ModuleSpec, Vector
from pathways.path import Path, Step

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def graph():
    return graph_of(PATHS, [ROOT])


def test_a_system_gives_the_graph_of_its_champions(tmp_path, graph):
    assert nx.utils.graphs_equal(path_graph(fake_system(tmp_path)), graph)


def test_shared_modules_are_one_node(graph):
    node = graph.nodes[blob("root", 0)]
    assert (node["kind"], node["family"], node["parameters"]) == ("module", "conv", 20)
    assert (node["frozen_by"], node["tasks"]) == ("root", tuple(PATHS))
    own = graph.nodes[blob("two", 1)]
    assert (own["frozen_by"], own["tasks"]) == ("s/two", ("s/two", "s/three"))


def test_every_task_has_its_own_edges_from_input_to_head(graph):
    for task in PATHS:
        edges = [(a, b) for a, b, data in graph.edges(data=True) if data["task"] == task]
        own = nx.DiGraph(edges)
        [source] = [node for node in own if own.in_degree(node) == 0]
        [head] = [node for node in own if own.out_degree(node) == 0]
        assert graph.nodes[source]["kind"] == "input"
        assert (graph.nodes[head]["kind"], graph.nodes[head]["parameters"]) == ("head", HEAD)
        assert nx.has_path(own, source, head)
        assert len(edges) == 4


def test_weightless_modules_are_shared_only_behind_the_same_modules(graph):
    glue = sorted(data["tasks"] for _, data in graph.nodes(data=True) if data["kind"] == "glue")
    assert glue == [("s/one",), ("s/two", "s/three")]


def test_different_inputs_are_different_nodes():
    port = Image(1, 16, 16)
    other = Path({"image": port}, dict(PATHS["s/one"].steps) | {
        "b": Step((frozen(ModuleSpec("conv", {"channels": 2, "stride": 4}), "wide"),), ("a",)),
    }, "head")  # fmt: skip
    graph = graph_of({"small": PATHS["s/one"], "large": other})
    inputs = {data["size"]: data["tasks"] for _, data in graph.nodes(data=True) if data["kind"] == "input"}
    assert inputs == {"1×8×8": ("small",), "1×16×16": ("large",)}


@pytest.fixture
def rich():
    return rich_path()


def test_routers_and_deltas_have_edges_of_their_own(rich):
    graph = graph_of({"t": rich})
    kinds = sorted(data["kind"] for *_, data in graph.edges(data=True))
    assert kinds == ["changes", *["reads"] * 7, "weighs", "weighs"]
    assert graph.get_edge_data(blob("delta"), blob("m", 0))["t changes"]["kind"] == "changes"


def test_a_module_used_twice_in_one_path_is_one_node():
    again = ModuleSpec("linear", {"dim": 4})
    steps = {
        "one": Step((frozen(again, "same"),), ("x",)),
        "two": Step((frozen(again, "same"),), ("one",)),
        "head": Step((frozen(ModuleSpec("classifier", {"classes": 2}), "h"),), ("two",)),
    }
    graph = graph_of({"t": Path({"x": Vector(4)}, steps, "head")})
    assert graph.has_edge(blob("same"), blob("same"))
    graph_figure(graph)


def boxes_do_not_overlap(layout):
    for a, b in combinations(layout.boxes.values(), 2):
        apart = abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2 - 1e-5
        assert apart, (a, b)


def test_heads_stand_at_the_right_in_the_order_of_learning(graph):
    layout = lay_out(graph)
    heads = [layout.boxes[blob(name.removeprefix("s/"), "head")] for name in PATHS]
    assert len({head.x for head in heads}) == 1
    assert heads[0].x == max(box.x for box in layout.boxes.values())
    assert [head.y for head in heads] == sorted(head.y for head in heads)
    boxes_do_not_overlap(layout)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), min_size=1, max_size=14))
def test_boxes_never_overlap_and_lines_run_to_the_right(tasks):
    paths = {}
    for i, (own_first, shared, adapter) in enumerate(tasks):
        steps = dict(PATHS["s/one"].steps)
        steps["a"] = Step((frozen(CONV, i, "own") if own_first else frozen(CONV, "root", 0),), ("image",))
        steps["b"] = Step((frozen(CONV, "shared", shared),), ("a",))
        if adapter:
            steps["more"] = Step((frozen(ModuleSpec("adapter", {"dim": 2}), i, "adapter"),), ("b",))
            steps["flat"] = Step(steps["flat"].modules, ("more",))
        steps["head"] = Step((frozen(ModuleSpec("classifier", {"classes": 2}), i, "head"),), ("flat",))
        paths[f"task{i}"] = Path({"image": PORT}, steps, "head")
    layout = lay_out(graph_of(paths, [ROOT]))
    boxes_do_not_overlap(layout)
    for line in layout.lines:
        xs = [x for x, _ in line.points]
        assert xs == sorted(xs)
        assert all(0 <= y <= layout.height for _, y in line.points)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 2), st.floats(0.1, 9)), min_size=1, max_size=9))
def test_spread_keeps_order_and_distance(rows):
    rows.sort()
    wanted, heights, weights = (list(column) for column in zip(*rows, strict=True))
    middles = spread(wanted, heights, weights)
    for i in range(len(rows) - 1):
        assert middles[i + 1] - middles[i] >= (heights[i] + heights[i + 1]) / 2 - 1e-5
    if all(b - a > 3 for a, b in pairwise(wanted)):
        assert middles == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_drawings_are_files_of_their_format(tmp_path, graph, format):
    out = draw_graph(graph, tmp_path / f"graph.{format}", notes={"s/one": "91.2"})
    data = out.read_bytes()
    assert draw_graph(graph, tmp_path / "again", format, {"s/one": "91.2"}).read_bytes() == data
    if format == "png":
        assert data.startswith(b"\x89PNG")
    elif format == "graphml":
        read = nx.read_graphml(out)
        assert set(read.nodes) == set(graph.nodes)
        assert read.number_of_edges() == graph.number_of_edges()
    elif format == "gif":
        assert data.startswith(b"GIF89a")
    elif format == "json":
        assert nx.utils.graphs_equal(graph_from_json(json.loads(data)), graph)
    else:
        assert b"91.2" in data
        assert b"http://www.w3.org/1999/xlink" in data or format == "html"
        assert (b"<script" in data) == (format == "html")


def test_the_svg_names_every_task_and_family(tmp_path, graph):
    root = ElementTree.parse(draw_graph(graph, tmp_path / "graph.svg")).getroot()
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {"one", "two", "three", "conv", "image"} <= words


def test_odd_names_are_drawn_as_they_are(tmp_path, rich):
    name = "$x_1$ <b>&amp; 日本"
    graph = graph_of({name: rich})
    root = ElementTree.parse(draw_graph(graph, tmp_path / "graph.svg")).getroot()
    assert name in {text.text for text in root.iter(f"{SVG}text")}
    page = draw_graph(graph, tmp_path / "graph.html").read_text()
    assert "<b>" not in page
    draw_graph(graph, tmp_path / "graph.png")
    nx.read_graphml(draw_graph(graph, tmp_path / "graph.graphml"))


def test_an_empty_graph_can_be_drawn(tmp_path):
    assert draw_graph(graph_of({}), tmp_path / "graph.svg").exists()


def test_another_format_is_refused(tmp_path, graph):
    with pytest.raises(ConfigError, match=r"`format` must be one of .* found 'bmp'"):
        draw_graph(graph, tmp_path / "graph.bmp")


def test_plain_graphs_hold_words_and_numbers(graph):
    for _, data in plain_graph(graph).nodes(data=True):
        assert all(isinstance(value, (str, int)) for value in data.values())


def test_a_module_stands_behind_all_that_any_task_puts_before_it():
    def spec(family, **config):
        return ModuleSpec(family, config)

    a, b, c = (frozen(spec("linear", dim=4), name) for name in "abc")
    extra = frozen(spec("adapter", dim=2), "extra")
    plain = {"a": Step((a,), ("x",)), "b": Step((b,), ("a",)), "c": Step((c,), ("b",))}
    longer = {**plain, "extra": Step((extra,), ("a",)), "b": Step((b,), ("extra",))}
    graph = graph_of({"short": Path({"x": Vector(4)}, plain, "c"), "long": Path({"x": Vector(4)}, longer, "c")})
    depths = {data["id"]: data["depth"] for _, data in graph.nodes(data=True)}
    assert depths[a.id] < depths[extra.id] < depths[b.id] < depths[c.id]
    assert all(graph.nodes[u]["depth"] < graph.nodes[v]["depth"] for u, v in graph.edges())


def test_a_path_of_no_task_shows_what_is_frozen_what_is_a_draft_and_its_end():
    draft = Draft("new", ModuleSpec("linear", {"dim": 3}), Init(0))
    old = frozen(ModuleSpec("linear", {"dim": 3}), "old")
    graph = graph_of_path(Path({"x": Vector(4)}, {"both": Step((old, draft), ("x",))}, "both"))
    kinds = {(data["kind"], data["family"], data["frozen_by"]) for _, data in graph.nodes(data=True)}
    assert kinds == {
        ("input", "x", "output"), ("module", "linear", "root"), ("module", "linear", "output"),
        ("head", "output", "output"),
    }  # fmt: skip
    assert graph.in_degree("output") == 2
    figure = graph_figure(graph)
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"frozen module", "draft, to be trained", "its outputs", "new", "output"} <= words
    assert not any("task" in text for text in words)
    assert Path({"x": Vector(4)}, {"a": Step((draft,), ("x",))}, "a")._repr_svg_().startswith("<?xml")

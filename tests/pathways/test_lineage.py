"""A champion's line: every step is a candidate of the ledger, made from the one before."""

import json
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from learned import GRID, munet_system, pathnet_system
from structure import same_structure, texts_apart, texts_inside

from pathways.candidate import Measures
from pathways.canvas import render
from pathways.errors import PathwaysError
from pathways.evolve.genotype import changes
from pathways.evolve.pathnet import PathNet
from pathways.graph.lineage import _parents, lineage
from pathways.graph.lineage_figure import lineage_figure
from pathways.testing.fake import example_view, fake_result


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with munet_system(tmp_path_factory.mktemp("lineage") / "run") as system:
        yield system


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    with pathnet_system(tmp_path_factory.mktemp("lineage") / "run", count=2) as system:
        yield system


def test_a_line_goes_from_the_root_to_the_champion(system):
    for task in system.briefs:
        found = lineage(system, task)
        line = found["line"]
        assert found["begins"] == "root"
        assert line[-1]["candidate"] == system.champions[task].candidate
        assert line[-1]["score"] == system.champions[task].extra["score"]
        for before, step in pairwise(line):
            named = before["candidate"] if step["task"] == before["task"] else before["task"]
            assert step["parent"] == named
        assert [step["line"] for step in line] == list(range(len(line)))
        tasks = [search["task"] for search in found["searches"]]
        assert tasks == list(dict.fromkeys(step["task"] for step in line))


def test_a_champion_s_line_continues_its_ancestors(system):
    for task in system.briefs:
        parents = [name for name in system.champions[task].parents if name in system.briefs]
        if parents:
            line = lineage(system, task)["line"]
            older = lineage(system, parents[0])["line"]
            assert [step["candidate"] for step in line[: len(older)]] == [step["candidate"] for step in older]


def test_all_candidates_of_a_search_are_there_with_what_they_measured(system):
    for search in lineage(system, "t/a")["searches"]:
        rows = {row.hash: row for row in system.ledger.rows(search["task"], search["strategy"])}
        assert {each["candidate"] for each in search["candidates"]} == set(rows)
        for each in search["candidates"]:
            measures = rows[each["candidate"]].result.measures[search["task"]]
            assert (each["validation"], each["quality"]) == (measures.validation, measures.quality)


def test_settings_that_changed_are_those_of_the_candidates(system):
    for task in system.briefs:
        for before, step in pairwise(lineage(system, task)["line"]):
            old, new = (system.ledger.candidate(s["candidate"]).training.to_json() for s in (before, step))
            assert step["settings"] == {k: [old[k], new[k]] for k in new if old[k] != new[k]}


def test_it_is_plain_data_and_scores_may_be_given(system):
    rows = system.ledger.rows("t/a", "munet")
    found = lineage(system, "t/a", {row.hash: 0.25 for row in rows})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {each["score"] for each in found["searches"][-1]["candidates"]} == {0.25}


def test_another_task_is_refused(system):
    with pytest.raises(PathwaysError, match="`task` must be one that was learned"):
        lineage(system, "t/z")


@pytest.mark.parametrize("tournament", ["fair", "sequential", "population"])
def test_a_genotype_s_parent_is_the_one_that_its_mutation_was_made_of(tournament):
    search = PathNet(**{**GRID, "generations": 40, "population": 5}, tournament=tournament).begin(example_view())
    rows, genotypes, several = [], {}, 5 if tournament == "population" else 2
    while candidates := search.ask():
        answers = []
        for candidate in candidates:
            value = int(candidate.hash[:6], 16) / 16**6
            result = fake_result(candidate)
            (task,) = candidate.paths
            result = replace(result, measures={task: Measures(value, value, 0.0, value, 10)})
            answers.append((candidate, result))
            labels = dict(candidate.labels)
            if candidate.hash not in genotypes:  # the record keeps equal ones once
                rows.append(SimpleNamespace(
                    hash=candidate.hash, labels=labels, number=labels["number"], generation=candidate.order,
                    parents=(), result=result,
                ))  # fmt: skip
            genotypes[candidate.hash] = tuple(map(tuple, labels["genotype"]))
        search.tell(answers)
    parents = _parents(rows, several)
    whole = [row for row in rows if parents[row.hash]]
    right = 0
    for row in whole:
        made = [list(change) for change in row.labels["mutations"]]
        before, now = genotypes[parents[row.hash]], genotypes[row.hash]
        right += before == now or changes(before, now) == made
    # where two equal paths met, the record holds one of them, and the other's slot cannot be followed
    assert len(whole) > 20
    assert right >= len(whole) - 2 * (sum(1 for _ in range(40)) * several - len(rows))


def test_pathnet_s_line_says_which_cells_were_changed(grid):
    found = lineage(grid, "t/<$last$>")
    assert [search["task"] for search in found["searches"]][-1] == "t/<$last$>"
    words = {word for search in found["searches"] for each in search["candidates"] for word in each["mutations"]}
    assert "drawn at random" in words
    assert any(word.startswith("layer ") and " -> " in word for word in words)


@pytest.mark.parametrize("which", ["munet", "pathnet"])
def test_pictures_are_whole_and_the_same_each_time(system, grid, which):
    data = lineage(system if which == "munet" else grid, "t/<$last$>")
    figure = lineage_figure(data)
    texts_inside(figure)
    svg = render(figure, "svg", "lineage")
    assert svg == render(lineage_figure(data), "svg", "lineage")
    assert b"How &lt;$last$&gt; came about" in svg
    if which == "munet":
        texts_apart(figure, 3.0)


def test_the_structure_of_the_picture():
    def step(task, place, number, parent, quality, **more):
        return {
            "task": task, "candidate": f"{task} {number}", "number": number, "generation": number, "parent": parent,
            "mutations": ["clone b"] if number else ["probe"], "validation": quality, "quality": quality,
            "score": None, "state": "trained", "line": place, "settings": {}, "trains": ["b"], "trainable": 1200,
            "parameters": 9000, "seconds": 1.0, "also_from": [], **more,
        }  # fmt: skip

    line = [step("s/one", 0, 0, "root", 0.8), step("s/one", 1, 1, "s/one 0", 0.9, score=0.89),
            step("s/two", 2, 1, "s/one", 0.7, also_from=["s/nought"])]
    other = step("s/two", None, 2, "s/two 1", 0.6, state="stopped")
    searches = [
        {"task": task, "place": place, "strategy": "munet", "metric": "accuracy", "candidates": found}
        for place, (task, found) in enumerate({"s/one": line[:2], "s/two": [line[2], other]}.items())
    ]
    data = {"task": "s/two", "metric": "accuracy", "higher_is_better": True, "begins": "root", "searches": searches,
            "line": line}
    figure = lineage_figure(data)
    texts_inside(figure)
    texts_apart(figure)
    same_structure(render(figure, "svg", "lineage"), "lineage_figure")


def test_a_long_line_is_cut_and_says_so(system):
    data = lineage(system, "t/<$last$>")
    copies = [{**data["searches"][-1], "task": f"t/{i}", "place": i} for i in range(9)]
    line = [{**data["line"][-1], "task": f"t/{i}", "line": i} for i in range(9)]
    figure = lineage_figure({**data, "searches": copies, "line": line, "task": "t/8"}, searches=4)
    assert "by way of 5 earlier tasks (first t/0)" in figure.texts[1].get_text()


def test_failed_and_stopped_candidates_are_marked(system):
    data = lineage(system, "t/a")
    search = data["searches"][-1]
    odd = [{**search["candidates"][0], "candidate": state, "state": state, "quality": quality, "parent": ""}
           for state, quality in (("failed", None), ("stopped", 0.5))]
    figure = lineage_figure({**data, "searches": [{**search, "candidates": [*search["candidates"], *odd]}]})
    markers = [line.get_marker() for line in figure.axes[0].lines]
    assert markers.count("x") == 1
    assert "#ffffff" in [line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "o"]

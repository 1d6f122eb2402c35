"""A module's card: every fact is the record's or the weights' own."""

import json

import pytest
import torch
from fake_system import HEAD, fake_system
from fake_system import blob as named
from learned import munet_system, pathnet_system, tasks
from structure import same_structure, texts_apart, texts_inside
from tiny import chain, linear

from pathways.candidate import Training
from pathways.canvas import render
from pathways.errors import PathwaysError
from pathways.evolve import MuNet
from pathways.graph.card import card_facts, card_text, module_card, moved, resolved_id, ways
from pathways.graph.card_figure import card_figure, card_html
from pathways.leave_out import leave_out
from pathways.modules import Vector
from pathways.origin import origin, start_of
from pathways.system import System


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with munet_system(tmp_path_factory.mktemp("card") / "run") as system:
        yield system


@pytest.fixture(scope="module")
def copy(system):
    """The card of a module that began as a copy, with what leaving it out costs."""
    blob = next(blob for blob in system.champions.users if origin(system, blob)["began"]["how"] == "copy")
    card = module_card(system, blob)
    return module_card(system, blob, [each for how in ways(card) for each in leave_out(system, tasks(), blob, how)])


def test_a_card_says_what_the_records_say(system):
    for blob, users in system.champions.users.items():
        card = module_card(system, blob)
        path = system.champions[next(iter(sorted(users)))].path
        assert card["parameters"] == path.costs(system.families).sizes[blob]
        assert card["bytes"] == system.pool.bytes(blob)
        assert {each["task"] for each in card["tasks"]} == users
        assert {use["task"] for use in card["uses"]} == users
        assert json.loads(json.dumps(card, allow_nan=False)) == card
        weights = system.pool.get(blob)
        for name, each in card["tensors"].items():
            assert each["norm"] == pytest.approx(float(weights[name].double().norm()))


def test_who_trained_it_did(system):
    for blob in system.champions.users:
        card = module_card(system, blob)
        rows = {row.hash: row for row in system.ledger.rows()}
        for made, each in zip([blob], card["trained"], strict=False):
            assert rows[each["candidate"]].result.blobs[each["draft"]] == made
        if card["began"]["how"] == "copy":
            first = system.ledger.candidate(card["trained"][-1]["candidate"])
            assert first.drafts()[card["trained"][-1]["draft"]].start.blob == card["began"]["blob"]


def test_a_copy_moved_from_the_module_that_it_was(system, copy):
    now, before = (system.pool.get(each) for each in (copy["id"], copy["began"]["blob"]))
    distance = sum(float((now[n].double() - before[n].double()).norm()) ** 2 for n in now) ** 0.5
    whole = sum(float(tensor.double().norm()) ** 2 for tensor in before.values()) ** 0.5
    assert moved(copy) == pytest.approx(distance / whole)
    assert card_facts(copy)["began as"].startswith(f"a copy of {copy['began']['blob'][:12]} ")


def test_fresh_weights_are_made_again_to_the_bit(tmp_path):
    """What was measured without training stands in the pool as it was initialised."""
    task = tasks(2)[0]
    root = chain(Vector(4), linear("one", 5, seed=None), linear("two", 5, seed=7))
    with System.create(tmp_path / "run", root=root, training=Training(steps=0), stack=1) as system:
        system.learn(task, MuNet(generations=0, probes=1))
        for blob in system.champions.users:
            found = origin(system, blob)
            assert found["began"]["how"] == "fresh"
            start = start_of(system, found)
            for name, tensor in system.pool.get(blob).items():
                assert torch.equal(start[name], tensor)
            assert moved(module_card(system, blob)) in (0.0, None)


def test_pathnet_s_modules_are_followed_through_the_generations(tmp_path):
    with pathnet_system(tmp_path / "run", count=1) as system:
        cards = [module_card(system, blob) for blob in system.champions.users]
    trained = [card for card in cards if card["family"] == "linear"]
    assert all(card["began"]["how"] == "fresh" and moved(card) > 0 for card in trained)
    assert max(len(card["trained"]) for card in trained) > 1
    for card in trained:
        generations = [each["generation"] for each in card["trained"]]
        assert generations == sorted(generations, reverse=True)


def test_an_id_is_found_by_its_beginning(tmp_path):
    system = fake_system(tmp_path)
    system.root_blobs = {named("root", 0), named("root", 1)}
    head = named("one", "head")
    assert resolved_id(system, head[:10]) == head
    for wrong in ("", "z"):
        with pytest.raises(PathwaysError, match="`module` must begin the id of one module"):
            resolved_id(system, wrong)
    assert system.briefs["s/one"].sizes[head] == HEAD


def test_the_text_and_the_page_hold_all_of_it(copy):
    text, page = card_text(copy), card_html(copy)
    assert copy["id"] in text
    assert copy["id"] in page
    assert text.count("costs") == len(copy["left_out"])
    assert "<$" not in page.replace("&lt;$", "")
    assert 'role="img"' in page
    assert page.count("<caption>") == 2
    assert "<h3>" in page


def test_names_are_escaped(copy):
    odd = {**copy, "frozen_by": "<script>", "tasks": [{"task": "<b>", "place": 0}]}
    odd["left_out"] = [{**copy["left_out"][0], "task": "<b>"}]
    page = card_html(odd)
    assert "<script>" not in page
    assert "<b>" not in page


def test_the_picture_is_whole_and_the_same_each_time(copy):
    figure = card_figure(copy)
    texts_inside(figure)
    assert render(figure, "svg", "card") == render(card_figure(copy), "svg", "card")
    marks = [line.get_marker() for line in figure.axes[-1].lines]
    assert marks.count("D") == 1 + len({each["task"] for each in copy["left_out"]})


def test_the_structure_of_the_picture():
    began = {"how": "copy", "blob": "b" * 64, "frozen_by": "root"}
    training = {"optimizer": "adamw", "lr": 0.002, "batch": 64, "steps": 300}
    trained = [{"strategy": "munet", "candidate": "c" * 64, "generation": 1, "training": training}]
    use = {"task": "s/two", "step": "b", "place": 2, "of": 4, "beside": 1, "combine": "sum", "deltas": ["lora"]}
    lost = {
        "module": "a" * 64, "task": "s/two", "metric": "accuracy", "higher_is_better": True, "how": "mean",
        "samples": 100, "intact": 0.9, "without": 0.7, "cost": 0.2, "low": 0.1, "high": 0.3, "lost": 25, "gained": 5,
    }  # fmt: skip
    card = {
        "id": "a" * 64, "family": "conv", "config": {"channels": 2}, "parts": {}, "kind": "module",
        "reads": ["Vector(dim=4)"], "gives": "Vector(dim=4)", "parameters": 1200, "bytes": 4800, "frozen_by": "s/two",
        "frozen_place": 1, "trained": trained, "began": began, "tasks": [{"task": "s/two", "place": 1}], "uses": [use],
        "tensors": {"weight": {"shape": [2, 2], "norm": 2.0, "start": 1.0, "moved": 0.5}},
        "left_out": [lost, {**lost, "how": "start", "without": 0.8, "cost": 0.1, "low": -0.02, "high": 0.2}],
    }  # fmt: skip
    figure = card_figure(card)
    texts_inside(figure)
    texts_apart(figure)
    same_structure(render(figure, "svg", "card"), "card_figure")


def test_a_picture_shows_the_dearest_tasks_only(copy):
    one = copy["left_out"][0]
    many = [{**one, "task": f"t/{i}", "cost": i / 100} for i in range(30)]
    card = {**copy, "left_out": many, "tasks": [{"task": each["task"], "place": i} for i, each in enumerate(many)]}
    labels = [label.get_text() for label in card_figure(card).axes[-1].get_yticklabels()]
    assert labels == [str(i) for i in range(18, 30)]

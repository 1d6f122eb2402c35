"""Encoders from raw data to values: text, byte pairs, one vocabulary for all, records, spikes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.candidate import Training
from pathways.columns import Column
from pathways.data import byte_pairs, places, rows, spikes, text, vocabulary
from pathways.data.byte_pairs import BytePairs
from pathways.data.rows import rows_of
from pathways.data.spikes import spike_events
from pathways.data.text import decode, encode, text_ids, texts_of
from pathways.data.vocabulary import Vocabulary
from pathways.errors import ConfigError, DataError
from pathways.evolve.controls import Independent
from pathways.modules import Draft, Ids, ModuleSpec
from pathways.path import Path, Step
from pathways.system import System
from pathways.task import Sequences, Split, Task

PAIRS = BytePairs.learn(["the thin thing thinks", "then the other"], 270)
ANY = st.text(st.characters(exclude_categories=()))  # surrogates, too


@given(ANY)
@settings(max_examples=200, deadline=None)
def test_t53_every_string_comes_back_from_its_bytes(given: str) -> None:
    assert decode(encode(given)) == given
    assert all(0 <= i < 256 for i in encode(given))


@given(ANY)
@settings(max_examples=100, deadline=None)
def test_t53_every_string_comes_back_from_its_byte_pairs(given: str) -> None:
    assert PAIRS.decode(PAIRS.encode(given)) == given


def test_t53_byte_pairs_make_texts_shorter() -> None:
    assert PAIRS.merges[0] == (ord("t"), ord("h"))
    assert len(PAIRS.encode("the thing")) < len("the thing") / 2
    assert PAIRS.vocabulary == 256 + len(PAIRS.merges) < 270  # no other pair occurs twice
    assert BytePairs.learn(["ab"], 300).merges == ()  # no pair occurs twice
    with pytest.raises(ConfigError, match="`vocabulary` must be at least 256, the bytes, found 100"):
        BytePairs.learn(["ab"], 100)


def test_t8_texts_are_padded_and_come_back() -> None:
    texts = ["hi", "größer", "\ud800"]
    assert texts_of(text_ids(texts)) == texts
    assert texts_of(text_ids(texts, by=PAIRS.encode), PAIRS.decode) == texts
    assert decode([255, 104]) == "\ufffdh"


@pytest.mark.parametrize("side", [640, 1000, 37])
def test_t10_a_box_comes_back_to_within_half_a_bin(side: int) -> None:
    words = Vocabulary(codes=16, places=side)
    boxes = torch.rand(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes[0] = torch.tensor([0.0, 1.0, 0.5, 1.0])
    ids = torch.tensor([words.ids("box", box) for box in boxes.tolist()])
    assert int(ids.min()) == 256 + 16
    assert int(ids.max()) == 256 + 16 + side - 1
    assert float((words.boxes(ids).double() - boxes).abs().max()) <= 0.5 / side + 1e-7


def test_t11_numbers_share_their_ids_with_discrete_ones_and_the_loss_is_of_text_and_actions() -> None:
    words = Vocabulary(values=1024)
    samples = [{"text": "go", "numbers": [0.5, -3.0], "discrete": [7], "actions": [0.25]}, {"actions": [1.0]}]
    ids, targets = words.sequences(samples, before=4)
    assert words.size == 256 + 1024 + 1
    go, first, third = encode("go"), words.ids("numbers", [0.5])[0], 256 + 7
    [second] = words.ids("numbers", [-3.0])
    assert ids.value[0].tolist() == [*go, first, second, third, words.separator, *words.ids("actions", 0.25)]
    none = -100
    action = words.ids("actions", [0.25])
    assert targets[0].tolist() == [none] * 4 + [go[1], none, none, none, none, *action, none]
    assert targets[1].tolist() == [none] * 4 + [*words.ids("actions", 1.0), none, none, none, none, none, none]
    assert ids.mask.sum(1).tolist() == [7, 2]
    assert float(words.numbers(torch.tensor(action))) == pytest.approx(0.25, rel=0.02)


def one_loss_task(kind: str, n: int = 60) -> Task:
    """A class, a box or a caption for each of three shapes, as ids behind the id of the shape."""
    words = Vocabulary(places=20)
    said: dict[str, Any] = {
        "caption": [{"text": t} for t in ("aox", "bog", "cow")],
        "box": [{"text": t, "box": [i / 10, 0.5]} for i, t in enumerate("abc")],
        "class": [{"text": t} for t in ("ax", "by", "cz")],
    }[kind]
    ids, targets = words.sequences([said[i % 3] for i in range(n)], learned=("text", "box"))
    split = Split({"ids": ids}, targets)
    return Task(f"say/{kind}", {"ids": Ids(None, words.size)}, Sequences(words.size),
                {"train": split, "validation": split, "test": split}, allow_duplicates=True)


def test_t10_one_loss_serves_captions_boxes_and_classes(tmp_path) -> None:
    size = Vocabulary(places=20).size
    steps = {
        "embed": Step((Draft("embed", ModuleSpec("embed", {"dim": 16, "positions": 8})),), ("ids",)),
        "block": Step(
            (Draft("block", ModuleSpec("transformer", {"heads": 2, "ff": 2, "causal": True})),), ("embed",)
        ),
    }
    root = Path({"ids": Ids(None, size)}, steps, "block")
    training = Training(steps=60, batch=16, lr=0.02)
    with System.create(tmp_path / "run", root=root, training=training) as system:
        for kind in ("caption", "box", "class"):
            champion = system.learn(one_loss_task(kind), Independent())
            assert champion.path.steps["head"].modules[0].spec == ModuleSpec("sequence", {"classes": size})
            assert champion.measures.validation == 1.0
        words, task = Vocabulary(places=20), one_loss_task("box")
        said = system.predict("say/box", task.splits["test"].inputs["ids"]).argmax(2)
        boxes = words.boxes(said[:3, :2])
        assert float((boxes - torch.tensor([[0.0, 0.5], [0.1, 0.5], [0.2, 0.5]])).abs().max()) <= 0.5 / 20 + 1e-6


def test_records_become_numbers_and_ids() -> None:
    columns = [Column("size"), Column("colour", ("blue", "red")), Column("age")]
    numbers, ids = rows_of([{"size": 2, "colour": "red", "age": 1.5}, {"size": 0, "colour": "blue", "age": 2}], columns)
    assert numbers.tolist() == [[2.0, 1.5], [0.0, 2.0]]
    assert ids.tolist() == [[1], [0]]


def test_spikes_are_sorted_in_time() -> None:
    ids, times = spike_events([[(0.03, 2), (0.01, 4), (0.012, 0)], [(0.0, 1)]], units=5, bins=5, width=0.01)
    assert ids.value.tolist() == [[0, 4, 2], [1, 0, 0]]
    assert times.value.tolist() == [[1, 1, 3], [0, 0, 0]]
    assert ids.mask.tolist() == times.mask.tolist() == [[True] * 3, [True, False, False]]


COLOUR = [Column("colour", ("blue", "red"))]
WORDS = Vocabulary(places=10, codes=4, values=16)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda: text_ids(["a", 3]), "sample 1, field 'text': must be a text that is not empty, found 3."),
        (lambda: text_ids(["a", ""], field="title"), "sample 1, field 'title': must be a text that is not empty"),
        (lambda: text_ids(["a", "abc"], longest=2), "sample 1, field 'text': must have at most 2 ids, found 3"),
        (lambda: rows_of([{"colour": "red"}, {"colour": "mauve"}], COLOUR),
         r"sample 1, field 'colour': must be one of \['blue', 'red'\], found 'mauve'."),
        (lambda: rows_of([{"size": 3}], COLOUR), r"sample 0, field 'colour': must be there, found only \['size'\]"),
        (lambda: rows_of([{"a": math.nan}], [Column("a")]), "sample 0, field 'a': must be a finite number, found nan"),
        (lambda: spike_events([[(0.1, 0)]], units=2, bins=4, width=0.01),
         "sample 0, field 'time': must be from 0 to 0.04 s, found 0.1"),
        (lambda: spike_events([[(0.0, 2)]], units=2, bins=4, width=0.01),
         "sample 0, field 'unit': must be a whole number from 0 to 1, found 2"),
        (lambda: spike_events([[]], units=2, bins=4, width=0.01), "sample 0, field 'spikes': must hold at least one"),
        (lambda: WORDS.sequences([{"text": "a"}, {"box": [0.5, 1.5]}]),
         r"sample 1, field 'box': must hold numbers from 0 to 1, found \[0.5, 1.5\]"),
        (lambda: WORDS.sequences([{"codes": [4]}]), r"sample 0, field 'codes': must have ids of codes from 0 to 3"),
        (lambda: WORDS.sequences([{"discrete": [0.5]}]), r"sample 0, field 'discrete': must hold whole numbers"),
        (lambda: WORDS.sequences([{"numbers": "abc"}]), r"sample 0, field 'numbers': must hold numbers, found 'abc'"),
        (lambda: WORDS.sequences([{"numbers": [math.inf]}]), r"field 'numbers': must hold finite numbers"),
        (lambda: WORDS.sequences([{"smell": 1}]), r"sample 0, field 'smell': must be of a kind among"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded_is_named_by_sample_and_field(encoder: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encoder()


def test_a_vocabulary_has_room_for_what_it_names() -> None:
    with pytest.raises(ConfigError, match="`places` of a vocabulary must be at least 0, found -1"):
        Vocabulary(places=-1)


@pytest.mark.parametrize("module", [byte_pairs, places, rows, spikes, text, vocabulary])
def test_examples_run(module: Any) -> None:
    import doctest

    assert doctest.testmod(module).failed == 0

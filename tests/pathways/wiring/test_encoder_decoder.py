"""Decoders that tasks share: what is shared, what a task's own token does, what sees what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from wired import SMALL, assembled, values

from pathways.assemble import PathModule
from pathways.candidate import Candidate, Training
from pathways.evolve.paths import with_head
from pathways.modules import Context, Ids, Image, Tokens
from pathways.modules.ports import split
from pathways.path import Path
from pathways.pool import Pool
from pathways.seeds import torch_generator
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer
from pathways.wiring.encoder_decoder import CAUSAL, mixed_decoder, task_queries

IMAGE, TEXT = Image(1, 6, 6), Ids(5, 11)
BOTH = {"image": IMAGE, "text": TEXT}


def test_t5_tasks_share_encoders_and_decoder_but_not_their_queries() -> None:
    tasks = {
        "sees": task_queries({"image": IMAGE}, task="sees", queries=6, **SMALL),  # as many as it wants
        "reads": task_queries({"text": TEXT}, task="reads", queries=2, **SMALL),
        "answers": task_queries(BOTH, task="answers", queries=3, **SMALL),
    }
    sizes = {name: dict(path.costs().sizes) for name, path in tasks.items()}
    decoder = {f"{step}{i}" for step in ("talk", "ask") for i in (1, 2)}
    held = [{name for name, size in each.items() if size} for each in sizes.values()]
    assert set.intersection(*held) == decoder
    assert sizes["answers"].items() >= {k: v for k, v in sizes["sees"].items() if k.startswith("image.")}.items()
    # Built side by side, as a candidate's paths are, what they share is there once.
    shared: dict[Any, Any] = {}
    whole = [with_head(path, Classes(2), f"head/{name}") for name, path in tasks.items()]
    modules = [PathModule(path, lambda ref: torch_generator(ref.spec.family), shared=shared) for path in whole]
    distinct = {id(p): p.numel() for module in modules for p in module.parameters()}
    every = {name: size for each in sizes.values() for name, size in each.items()}
    assert sum(distinct.values()) == sum(every.values()) + 3 * (8 * 2 + 2)
    for module in modules:
        assert module(values(module.path)).shape == (3, 2)


def learned(path: Path, name: str, pool: Pool) -> Path:
    """The path with a head, trained for a few steps on random samples and frozen."""
    splits = {
        split: Split(values(path, 8, seed), torch.arange(8) % 2)
        for seed, split in enumerate(("train", "validation", "test"))
    }
    task = Task(name, path.inputs, Classes(2), splits)
    trainer = Trainer(pool)
    trainer.provide(task.without_test())
    whole = with_head(path, Classes(2), f"head/{name}")
    [result] = trainer.run([Candidate({name: whole}, Training(steps=3, batch=4), {name: task.fingerprint}, 0)])
    assert result.ok, result.error
    return whole.trained(result.blobs)


def test_t5_adding_an_encoder_leaves_the_other_tasks_as_they_were(tmp_path) -> None:
    pool = Pool(tmp_path / "pool")
    drafted = task_queries({"image": IMAGE}, task="sees", **SMALL)
    sees = learned(drafted, "sees", pool)

    def run(path: Path) -> torch.Tensor:
        return PathModule(path, lambda ref: pool.get(ref.id))(values(path))  # type: ignore[union-attr,return-value]

    before = run(sees)
    known = {
        draft.name: frozen for draft, frozen in zip(drafted.drafts().values(), sees.refs(), strict=False)
    }
    later = task_queries(BOTH, task="answers", **SMALL).map_refs(lambda ref: known.get(getattr(ref, "name", ""), ref))
    shared = set(later.frozen())
    assert len(shared) >= 6  # the image's encoder and the decoder
    answers = learned(later, "answers", pool)
    assert shared <= set(answers.frozen())
    assert set(sees.frozen()) >= shared
    assert torch.equal(run(sees), before)
    assert run(answers).shape == (3, 2)


def test_t5_the_queries_decide_what_is_read() -> None:
    first, second = (assembled(task_queries({"image": IMAGE}, task=task, **SMALL)).eval() for task in ("one", "two"))
    given = values({"image": IMAGE})
    assert not torch.allclose(first(given), second(given), atol=1e-4)


# -- one decoder for answers so far ---------------------------------------------------------------------------

WITH = {"image": IMAGE, "words": Ids(6, 13)}
MOE = {"family": "moe", "config": {"experts": 3, "k": 2, "residual": True}}
CONV = {"family": "separable_block", "config": {"kernels": [3, 3], "dilations": [1, 2], "causal": True}}


def test_t7_the_family_of_a_slot_may_be_any_that_keeps_the_shape() -> None:
    bodies: list[Any] = [
        [CAUSAL],
        [MOE],
        [CONV, MOE],
        [{"family": "transformer", "config": {"heads": 2}, "reads": "encoded"}],
        [{"family": "decoder", "config": {"heads": 2}, "reads": "encoded"}, CONV],
    ]
    for slot in ("encoder", "mixer", "decoder"):
        for body in bodies:
            if slot == "encoder" and "reads" in body[0]:
                continue
            path = mixed_decoder(WITH, answers="words", **SMALL, **{slot: body})
            assert path.ports()["decoded"] == Tokens(6, 8)
            assert bool(assembled(path)(values(WITH)).isfinite().all())


def test_t7_the_tasks_token_changes_what_is_decoded() -> None:
    first, second = (assembled(mixed_decoder({"image": IMAGE}, task=task, **SMALL)).eval() for task in ("a", "b"))
    given = values({"image": IMAGE})
    assert not torch.allclose(first(given), second(given), atol=1e-4)
    differ = {name for name in first.path.drafts() if name not in second.path.drafts()}
    assert differ == {"task/a"}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("mixer", [[CAUSAL], [CAUSAL, CONV]])
def test_t9_the_decoder_is_causal_in_the_answers(masked: bool, mixer: Any) -> None:
    port = Tokens(None if masked else 6, 8)
    path = mixed_decoder({"image": IMAGE, "words": port}, answers="words", mixer=mixer, **SMALL)
    module = assembled(replace(path, output="decoded")).eval()
    given = values(path, batch=1)
    words, mask = split(given["words"])
    full = None if mask is None else torch.ones_like(mask)
    for place in range(words.shape[1]):
        changed = words.clone()
        changed[:, place] += 1.0
        outputs = []
        for value in (words, changed):
            given["words"] = value if full is None else type(given["words"])(value, full)  # type: ignore[call-arg]
            outputs.append(split(module(given, Context()))[0].detach())
        moved = (outputs[0] - outputs[1]).abs().amax((0, 2))
        assert bool((moved[: place + 1] < 1e-6).all())  # neither what stood before, nor the place itself
        assert place + 1 == len(moved) or float(moved[place + 1]) > 1e-4


@pytest.mark.parametrize(
    ("ports", "config", "message"),
    [
        (WITH, {"answers": "word"}, r"`answers` must be one of the inputs \['image', 'words'\], found 'word'"),
        ({"words": TEXT}, {"answers": "words"}, r"`inputs` must hold one beside `answers`, found \['words'\]"),
        (WITH, {"encoder": [{**CAUSAL, "reads": "encoded"}]}, "`reads` of a slot behind the encoder must be 'encoded'"),
        (WITH, {"decoder": [{**CAUSAL, "reads": "words"}]}, "must be 'encoded', found 'words'"),
    ],
)
def test_bad_settings_are_named(ports: Any, config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mixed_decoder(ports, **config)

"""One trunk for unlike tasks: how much of the network it is, and that a frozen one stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from wired import SMALL, assembled, values

from pathways.assemble import PathModule
from pathways.candidate import Candidate, Training
from pathways.evolve.paths import with_head
from pathways.modules import Draft, Frozen, Ids, Image, ModuleRef, ModuleSpec, Tokens, build
from pathways.path import Path
from pathways.pool import Pool
from pathways.seeds import torch_generator
from pathways.shared import shared_share
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer
from pathways.wiring.frozen_trunk import frozen_trunk

IMAGE, TEXT = Image(1, 6, 6), Ids(5, 11)
BLOCK = {"family": "transformer", "config": {"heads": 2, "ff": 2}}


def four_tasks() -> dict[str, Path]:
    """Code, handwriting, an answer and a place in a picture: unlike tasks over one trunk, each with its own head."""
    both = {"image": IMAGE, "text": TEXT}
    trunks = {
        "code": frozen_trunk({"text": Ids(9, 40)}, **SMALL).map_refs(own("code")),
        "words": frozen_trunk({"scan": Image(1, 8, 8)}, **SMALL),
        "answer": frozen_trunk(both, asks="text", **SMALL),
        "place": frozen_trunk(both, asks="text", **SMALL),
    }
    return {name: with_head(path, Classes(30), f"head/{name}") for name, path in trunks.items()}


def own(task: str) -> Callable[[ModuleRef], ModuleRef]:
    """All modules but the trunk's are the task's own."""

    def renamed(ref: ModuleRef) -> ModuleRef:
        return replace(ref, name=f"{task}/{ref.name}") if isinstance(ref, Draft) and "trunk" not in ref.name else ref

    return renamed


def test_t17_at_least_a_quarter_of_the_parameters_is_shared() -> None:
    paths = four_tasks()
    share = shared_share(paths)
    sizes = {name: size for path in paths.values() for name, size in path.costs().sizes.items()}
    by_hand = {name for name in sizes if sum(name in path.costs().sizes for path in paths.values()) > 1}
    assert {"trunk1", "trunk2"} <= by_hand
    assert share == sum(sizes[name] for name in by_hand) / sum(sizes.values())
    assert 0.25 <= share < 0.8
    assert shared_share({"code": paths["code"]}) == 0.0
    apart = {name: path.map_refs(lambda ref, name=name: replace(ref, name=f"{name}/{ref.name}"))  # type: ignore[misc]
             for name, path in paths.items()}
    assert shared_share(apart) == 0.0


def test_t17_images_are_looked_at_in_the_light_of_the_question() -> None:
    path = frozen_trunk({"image": IMAGE, "text": TEXT}, asks="text", **SMALL)
    module, given = assembled(path).eval(), values(path)
    found = module.compute(given, ("looked", "image.any_length", "text.trunk2"))
    looked = found["looked"].value  # type: ignore[union-attr]
    torch.testing.assert_close(looked.mean(-1), torch.zeros(3, 4), atol=1e-5, rtol=0)  # normalised last
    other = {**given, "text": (given["text"] + 1) % 11}  # type: ignore[operator]
    assert not torch.allclose(module(other), module(given), atol=1e-4)


def test_t17_a_frozen_trunk_stays_as_it_is(tmp_path) -> None:
    pool = Pool(tmp_path / "pool")
    spec = ModuleSpec(BLOCK["family"], BLOCK["config"])  # type: ignore[arg-type]
    blob = pool.put(spec, build(spec, [Tokens(None, 8)], torch_generator(3)).state_dict())
    trunk = [{**BLOCK, "blob": blob}]
    ports = {"image": IMAGE, "text": TEXT}
    path = with_head(frozen_trunk(ports, trunk=trunk, asks="text", **SMALL), Classes(2))
    assert list(path.frozen()) == [blob]
    splits = {
        name: Split(values(ports, 8, seed), torch.arange(8) % 2)
        for seed, name in enumerate(("train", "validation", "test"))
    }
    task = Task("t", ports, Classes(2), splits)
    trainer = Trainer(pool)
    trainer.provide(task.without_test())
    [result] = trainer.run([Candidate({"t": path}, Training(steps=3, batch=4), {"t": task.fingerprint}, 0)])
    assert result.ok, result.error
    assert blob not in result.blobs.values()
    trained = path.trained(result.blobs)
    assert isinstance(next(iter(trained.frozen().values())), Frozen)
    assert blob in trained.frozen()
    assert bool(PathModule(trained, lambda ref: pool.get(ref.id))(splits["test"].inputs).isfinite().all())


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"`asks` must be one of at least two inputs, found 'text' of \['text'\]"):
        frozen_trunk({"text": TEXT}, asks="text")

"""Training in bfloat16: products of training steps only, alone and in stacks; what is measured stays float32."""

from __future__ import annotations

import logging
from typing import ClassVar

import pytest
import torch
from tiny import candidate, chain, clusters, frozen, head, images, linear
from torch import Tensor

from pathways.modules import BUILT_IN, Draft, Families, Image, Init, Module, ModuleSpec, Vector
from pathways.pool import Pool
from pathways.stack_plan import plan
from pathways.trainer import Trainer, precision
from pathways.trainer.precision import fast_bfloat16, products_in

TASK = clusters(dim=200, n=200)


class Seen(Module):
    """The identity, which notes its mode and the dtype of a product."""

    family = "seen"
    notes: ClassVar[list[tuple[bool, torch.dtype]]] = []

    def __init__(self, ports: tuple[Vector, ...]) -> None:
        super().__init__()
        self.output = ports[0]

    def forward(self, *inputs: Tensor, context: object) -> Tensor:
        x = inputs[0]
        Seen.notes.append((self.training, (x @ x.t()).dtype))
        return x

    def flops(self) -> int:
        return 0


@pytest.fixture
def pool(tmp_path) -> Pool:
    return Pool(tmp_path / "pool")


def trained(pool: Pool, *candidates: object, stacked: bool = False, families: object = BUILT_IN, task=TASK):
    trainer = Trainer(pool, families=families)  # type: ignore[arg-type]
    trainer.provide(task)
    results = trainer.run(candidates, stacked)  # type: ignore[arg-type]
    assert all(result.ok for result in results), [result.failure for result in results]
    return results


def wide(k: int, **training: object):
    path = chain(Vector(200), linear("a", 80, seed=k), linear("b", 70, seed=k), head(seed=k))
    return candidate(path, TASK, **{"batch": 128, "steps": 20, "lr": 0.005, "evaluate_every": 10, **training})


def test_training_steps_compute_in_bfloat16_and_measurements_in_float32(pool: Pool) -> None:
    families = Families([Seen])
    for word, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        Seen.notes.clear()
        path = chain(Vector(200), Draft("seen", ModuleSpec("seen")), head(seed=0))
        trained(pool, candidate(path, TASK, steps=3, precision=word), families=families)
        assert Seen.notes == [(True, dtype)] * 3 + [(False, torch.float32)]


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("optimizer", [{"optimizer": "sgd", "lr": 0.05}, {"optimizer": "adamw"}], ids=["sgd", "adamw"])
def test_weights_stay_float32_and_end_near_those_of_float32(pool: Pool, stacked: bool, optimizer) -> None:
    results = {
        word: trained(pool, *(wide(k, precision=word, **optimizer) for k in range(3)), stacked=stacked)
        for word in ("float32", "bfloat16")
    }
    for plain, low in zip(results["float32"], results["bfloat16"], strict=True):
        assert low.stack == (3 if stacked else 1)
        assert low.quality == pytest.approx(plain.quality, abs=0.05)
        for draft, blob in low.blobs.items():
            ours, theirs = pool.get(blob), pool.get(plain.blobs[draft])
            assert {tensor.dtype for tensor in ours.values()} == {torch.float32}
            assert blob != plain.blobs[draft]
            moved = torch.cat([(ours[name] - theirs[name]).flatten() for name in ours]).norm()
            assert moved < 0.1 * torch.cat([t.flatten() for t in theirs.values()]).norm()


def test_one_precision_a_stack(pool: Pool) -> None:
    words = ("float32", "bfloat16", "bfloat16", "float32")
    stacks = plan([wide(k, precision=word) for k, word in enumerate(words)], 8, BUILT_IN).stacks
    assert [{c.training.precision for c in group.candidates} for group in stacks] == [{"float32"}, {"bfloat16"}]
    # Without steps nothing is trained, in either precision.
    assert len(plan([wide(k, steps=0, precision=word) for k, word in enumerate(words)], 8, BUILT_IN).stacks) == 1


def test_a_result_does_not_depend_on_who_else_is_in_the_stack(pool: Pool) -> None:
    candidates = [wide(k, precision="bfloat16", optimizer="sgd", lr=0.02 * (1 + k)) for k in range(7)]
    known = {result.candidate: result.blobs for result in trained(pool, *candidates, stacked=True)}
    for some in (candidates[:1], candidates[2:5], candidates[::-1]):
        for result in trained(pool, *some, stacked=True):
            assert result.blobs == known[result.candidate]


def test_convolutions_train_behind_a_frozen_prefix(pool: Pool) -> None:
    task = images(n=60, side=6)
    spec = ModuleSpec("conv", {"channels": 4, "norm": "batch"})
    first, flat = frozen(pool, spec, Image(1, 6, 6), seed=1), Draft("flat", ModuleSpec("flatten"))
    path = chain(Image(1, 6, 6), first, Draft("conv", spec, Init(2)), flat, head(2, seed=0))
    found = {}
    for word in ("float32", "bfloat16"):
        [result] = trained(pool, candidate(path, task, steps=20, precision=word), task=task)
        found[word] = result
        assert {t.dtype for t in pool.get(result.blobs["conv"]).values()} == {torch.float32, torch.int64}
    assert found["bfloat16"].blobs["conv"] != found["float32"].blobs["conv"]
    assert found["bfloat16"].measures["images"].loss == pytest.approx(found["float32"].measures["images"].loss, abs=0.1)


def test_a_processor_without_it_is_named_once(monkeypatch, caplog) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert not fast_bfloat16()
    precision._warn_where_slow.cache_clear()
    with caplog.at_level(logging.WARNING, "pathways.trainer"):
        for _ in range(2):
            with products_in("bfloat16"):
                assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        with products_in("float32"):
            pass
    precision._warn_where_slow.cache_clear()
    assert len(caplog.records) == 1
    assert "may be slower than float32" in caplog.text

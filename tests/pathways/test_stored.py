"""How trainers hold values changes what they take and how long batches take, and no bit of what is computed."""

from __future__ import annotations

import pytest
import torch
from tiny import candidate, chain, frozen, head, seeded

import pathways.trainer.samples as samples_module
from pathways.data import digits, omniglot
from pathways.modules import Context, Draft, Image, Init, Masked, ModuleSpec, build
from pathways.pool import Pool
from pathways.task import Affine, Classes, Split, Task
from pathways.trainer import Trainer
from pathways.trainer.prefix_cache import PrefixCache
from pathways.trainer.stored import Stored, gathered, size, stored_activations, stored_input

AFFINES = [
    Affine(), Affine(1 / 255), Affine(1 / 255, -0.5), Affine(-0.1), Affine(0.0), Affine(1.0, 0.3),
    Affine((0.1, -0.2, 0.3), (0.0, 0.0, 0.0)), Affine((0.1, 0.2, 0.3), 0.5), Affine(2.0, (-0.0, 1.0, 2.0)),
]  # fmt: skip
SHAPES = [(3,), (5, 3), (3, 4, 4)]


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether values are the same to the sign of their zeros, whatever their order in memory."""
    return a.shape == b.shape and torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def bytes_of(n: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, *shape), generator=seeded(3), dtype=torch.uint8)


# -- bytes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", AFFINES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bytes_become_the_inputs_that_all_at_once_would_be(affine: Affine, shape: tuple[int, ...]) -> None:
    x = bytes_of(20, *shape)
    stored, whole = stored_input(x, affine), affine(x)
    assert isinstance(stored, Stored)
    assert size(stored) == x.numel() == size(whole) // 4
    for index in (torch.tensor([7, 0, 7, 19]), slice(3, 9), slice(18, 99), slice(None)):
        assert same_bits(gathered(stored, index), whole[index])
    assert torch.equal(stored.tensor, bytes_of(20, *shape))  # what is held was not changed in place


def test_other_values_are_transformed_once_and_indexed_as_they_are() -> None:
    x = torch.randn(20, 3, generator=seeded())
    held = stored_input(x, Affine(2.0, 1.0))
    assert isinstance(held, torch.Tensor)
    index = torch.tensor([4, 4, 1])
    assert torch.equal(gathered(held, index), (x * 2 + 1)[index])
    masked = Masked(x, x > 0)
    batch = gathered(masked, index)
    assert isinstance(batch, Masked)
    assert torch.equal(batch.mask, masked.mask[index])


def photos(n: int = 60, side: int = 8) -> Task:
    """Bytes of three channels, each class with a colour of its own."""
    generator = seeded(5)

    def split() -> Split:
        targets = torch.arange(n) % 3
        noise = torch.randint(0, 200, (n, 3, side, side), generator=generator)
        x = noise + 55 * torch.nn.functional.one_hot(targets, 3)[:, :, None, None]
        return Split({"x": x.to(torch.uint8)}, targets)

    splits = {name: split() for name in ("train", "validation")}
    return Task("photos", {"x": Image(3, side, side)}, Classes(3), splits, transform={"x": Affine(1 / 255, -0.5)})


def body(pool: Pool, **settings: object) -> object:
    spec = ModuleSpec("conv", {"channels": 4, "norm": "batch", **settings})
    return frozen(pool, spec, Image(3, 8, 8), seed=1)


def asked(task: Task, *refs: object, **training: object) -> object:
    path = chain(task.inputs["x"], *refs, Draft("flat", ModuleSpec("flatten")), head(3))  # type: ignore[arg-type]
    return candidate(path, task, **{"steps": 8, "batch": 16, **training})


def results(trainer: Trainer, task: Task, *candidates: object) -> list[object]:
    trainer.provide(task)
    found = trainer.run(candidates)  # type: ignore[arg-type]
    assert all(result.ok for result in found), [result.failure for result in found]
    return [(result.blobs, result.measures) for result in found]


@pytest.mark.parametrize("frozen_body", [True, False])
def test_training_on_bytes_gives_the_bits_of_training_on_floats(tmp_path, monkeypatch, frozen_body) -> None:
    task, pool = photos(), Pool(tmp_path / "pool")
    first = body(pool) if frozen_body else Draft("conv", ModuleSpec("conv", {"channels": 4}), Init(2))
    one = asked(task, first)
    on_bytes = results(Trainer(pool), task, one)
    monkeypatch.setattr(samples_module, "stored_input", lambda x, affine: affine(x))
    assert results(Trainer(pool), task, one) == on_bytes


def test_data_that_does_not_fit_as_floats_is_held_as_bytes(tmp_path) -> None:
    task = photos()
    taken = sum(size(split.inputs["x"]) for split in task.splits.values())  # type: ignore[arg-type]
    pool = Pool(tmp_path / "pool")
    trainer = Trainer(pool, cache_bytes=taken)
    candidates = [asked(task, Draft("conv", ModuleSpec("conv", {"channels": 4}), Init(k))) for k in range(2)]
    found = results(trainer, task, *candidates)
    held = [trainer.prepared(task, split, None) for split in ("train", "validation")]
    for samples, split in zip(held, ("train", "validation"), strict=True):
        assert trainer.prepared(task, split, None) is samples  # neither put the other out
        assert samples.values["x"].tensor is task.splits[split].inputs["x"]  # type: ignore[union-attr]
    assert found == results(Trainer(pool), task, *candidates)


def test_the_data_of_shipped_tasks_is_what_it_was() -> None:
    """Fingerprints name data in candidates' hashes and in runs that exist."""
    greek = next(iter(omniglot(alphabets=["Greek"])))
    assert greek.fingerprint == "2bb4f064a22fa6a4bc66d862e4d18e2d76f24134d46580fce5e7437d9e4bb525"
    [numbers] = digits()
    assert numbers.fingerprint == "addba37c3c1d6332c0717d1a89f8ce5710afc79930d0b9dc2e8c926c747eb082"
    for task in (greek, numbers):
        assert {split.inputs["image"].dtype for split in task.splits.values()} == {torch.uint8}  # type: ignore[union-attr]


# -- channels last ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batches_of_activations_have_their_channels_last_in_memory(layout: torch.memory_format) -> None:
    x = torch.randn(9, 4, 5, 5, generator=seeded()).contiguous(memory_format=layout)
    held = stored_activations(x)
    assert isinstance(held, Stored)
    assert held.tensor.is_contiguous()
    for index in (torch.tensor([3, 3, 0]), slice(2, 5)):
        batch = gathered(held, index)
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert same_bits(batch, x[index])


@pytest.mark.parametrize("x", [
    torch.randn(4, 3), torch.randn(4, 1, 3, 3), torch.randn(4, 3, 2), torch.zeros(4, 2, 3, 3).long(),
    Masked(torch.randn(4, 3, 2), torch.ones(4, 3).bool()),
], ids=["vectors", "one channel", "tokens", "whole numbers", "masked"])  # fmt: skip
def test_other_activations_are_held_as_they_are(x: torch.Tensor | Masked) -> None:
    assert stored_activations(x) is x


def test_activations_on_disk_keep_their_order_of_memory(tmp_path) -> None:
    cache = PrefixCache(tmp_path)
    x = torch.randn(9, 4, 5, 5, generator=seeded())
    cache.put("ab", stored_activations(x))
    held = cache.get("ab")
    assert isinstance(held, Stored)
    assert gathered(held, torch.tensor([1, 8])).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(held[:], x)


def test_a_frozen_prefix_of_images_gives_the_same_from_memory_and_from_disk(tmp_path) -> None:
    task, pool = photos(), Pool(tmp_path / "pool")
    trained = Draft("more", ModuleSpec("conv", {"channels": 4, "norm": "batch"}), Init(3))
    one = asked(task, body(pool), trained)
    without = results(Trainer(pool), task, one)
    cache = PrefixCache(tmp_path / "cache")
    assert results(Trainer(pool, prefixes=cache), task, one) == without
    assert results(Trainer(pool, prefixes=cache), task, one) == without
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_gradients_of_images_come_in_the_order_of_memory_of_the_image() -> None:
    conv = build(ModuleSpec("conv", {"channels": 4}), (Image(3, 8, 8),), seeded(2))
    conv.to(memory_format=torch.channels_last)
    x = torch.randn(6, 3, 8, 8, generator=seeded())
    y = conv(x, context=Context())
    seen = []
    y.register_hook(seen.append)
    (y.flatten(1) * torch.randn(6, y[0].numel(), generator=seeded(1))).sum().backward()
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)

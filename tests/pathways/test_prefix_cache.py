"""Activations on disk change nothing but the time: they may be bounded, shared, damaged or deleted at any moment."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from tiny import candidate, chain, clusters, frozen, head, linear

from pathways.engine import Dispatch
from pathways.evolve import Local
from pathways.modules import Masked, ModuleSpec, Vector
from pathways.pool import Pool
from pathways.trainer import Trainer
from pathways.trainer.prefix_cache import PrefixCache, prefixes_of

TASK = clusters(n=40)
LINEAR = ModuleSpec("linear", {"dim": 6, "activation": "relu"})


def trainer_of(folder, limit=1 << 20):
    trainer = Trainer(Pool(folder / "pool"), prefixes=PrefixCache(folder / "cache", limit))
    trainer.provide(TASK)
    return trainer


def asked(pool):
    body = frozen(pool, LINEAR, Vector(4), seed=1)
    return [candidate(chain(Vector(4), body, linear("b", 5, seed=k), head(seed=k)), TASK) for k in range(2)]


def files(folder):
    return sorted((folder / "cache").glob("*"))


def kept(results):
    return [(result.blobs, result.measures, result.curve) for result in results]


@pytest.mark.parametrize("stacked", [True, False])
def test_results_are_the_same_with_without_and_from_what_another_trainer_left(tmp_path, stacked, monkeypatch):
    candidates = asked(Pool(tmp_path / "pool"))
    without = trainer_of(tmp_path, limit=0).run(candidates, stacked)
    assert not (tmp_path / "cache").exists()
    first = trainer_of(tmp_path).run(candidates, stacked)
    assert len(files(tmp_path)) == 2  # training and validation
    monkeypatch.setattr("pathways.trainer.train.through", None)  # nothing is left to compute
    second = trainer_of(tmp_path).run(candidates, stacked)
    assert kept(without) == kept(first) == kept(second)


@pytest.mark.parametrize("damage", [
    lambda file: file.write_bytes(b""), lambda file: file.write_bytes(file.read_bytes()[:-8]),
    lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x7f"), lambda file: file.unlink(),
    lambda file: file.write_bytes(os.urandom(500)),
], ids=["empty", "short", "changed", "gone", "noise"])  # fmt: skip
def test_what_is_damaged_is_computed_again(tmp_path, damage):
    candidates = asked(Pool(tmp_path / "pool"))
    first = trainer_of(tmp_path).run(candidates)
    for file in files(tmp_path):
        damage(file)
    assert kept(trainer_of(tmp_path).run(candidates)) == kept(first)
    cache = PrefixCache(tmp_path / "cache")
    assert all(cache.get(file.stem) is not None for file in files(tmp_path))


def test_values_outlive_their_files(tmp_path):
    cache = PrefixCache(tmp_path)
    cache.put("a", torch.arange(1000.0))
    value = cache.get("a")
    shutil.rmtree(tmp_path)
    assert float(value.sum()) == 499500.0
    assert cache.get("a") is None


def test_the_least_recently_used_go_first(tmp_path):
    cache = PrefixCache(tmp_path, limit=3 * 4200)
    for i, key in enumerate("abc"):
        cache.put(key, torch.full((1000,), float(i)))
        os.utime(tmp_path / f"{key}.safetensors", (i, i))
    assert cache.get("a") is not None  # used now
    cache.put("d", torch.zeros(1000))
    assert [cache.get(key) is not None for key in "abcd"] == [True, False, True, True]
    cache.put("large", torch.zeros(2000))
    assert cache.get("large") is None
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= cache.limit


def test_masks_are_kept(tmp_path):
    cache = PrefixCache(tmp_path)
    cache.put("m", Masked(torch.ones(2, 3, 4), torch.tensor([[True, False, True], [True, True, False]])))
    value = cache.get("m")
    assert isinstance(value, Masked)
    assert value.mask.dtype == torch.bool
    assert value.mask.sum() == 4


def test_a_disk_that_cannot_be_written_to_stops_nothing(tmp_path):
    (tmp_path / "cache").write_text("a file stands in the way")
    candidates = asked(Pool(tmp_path / "pool"))
    assert all(result.ok for result in trainer_of(tmp_path).run(candidates))


def test_workers_share_it(tmp_path):
    candidates = asked(Pool(tmp_path / "pool"))
    here = trainer_of(tmp_path).run(candidates)
    with Local(workers=1) as engine:
        engine.open(tmp_path / "pool")
        engine.provide(TASK)
        engine.submit(Dispatch(0, tuple(candidates)))
        answer = engine.next(timeout=60)
    assert kept(answer.results) == kept(here)
    cache = prefixes_of(tmp_path / "pool")
    assert len(list(cache.directory.iterdir())) == 2

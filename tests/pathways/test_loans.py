"""Frozen weights are read in place, and a module that writes to them is found and named."""

import pytest
import torch
from helpers_scribble import Scribble
from helpers_tiny import CLASSES, DIM, TRAINING, chain, head, linear, task_of

from pathways.assemble import PathModule
from pathways.candidate import Candidate
from pathways.modules import Families, Frozen, Init, ModuleSpec, Vector
from pathways.path import Path
from pathways.pool import Pool
from pathways.trainer import Trainer
from pathways.trainer.loans import Loans, Written

FAMILIES = Families([Scribble])
TASK = task_of("one")


def scribbler(pool: Pool, way: str) -> Frozen:
    spec = ModuleSpec("scribble", {"way": way})
    return Frozen(pool.put(spec, {"scale": torch.ones(DIM)}), spec)


def candidate(pool: Pool, way: str, seed: int = 0, **changes) -> Candidate:
    path = chain(TASK.inputs, scribbler(pool, way), linear("a", start=Init(seed)), head())
    return Candidate({"one": path}, TRAINING, {"one": TASK.fingerprint}, **changes)


@pytest.fixture
def trainer(tmp_path):
    trainer = Trainer(Pool(tmp_path / "pool"), FAMILIES)
    trainer.provide(TASK)
    return trainer


def path_of(ref: Frozen) -> Path:
    return chain({"x": Vector(DIM)}, ref, head(classes=CLASSES))


def test_frozen_modules_read_the_pools_tensors_and_drafts_have_their_own(trainer):
    pool = trainer.pool
    ref = scribbler(pool, "nothing")
    lent = PathModule(path_of(ref), lambda r: pool.get(r.id) if isinstance(r, Frozen) else torch.Generator(),
                      FAMILIES, lend=True)  # fmt: skip
    copied = PathModule(path_of(ref), lambda r: pool.get(r.id) if isinstance(r, Frozen) else torch.Generator(),
                        FAMILIES)  # fmt: skip
    where = pool.get(ref.id)["scale"].data_ptr()
    assert lent.module_of(ref).scale.data_ptr() == where
    assert copied.module_of(ref).scale.data_ptr() != where


@pytest.mark.parametrize("stacked", [False, True])
def test_who_writes_fails_by_name_and_the_next_candidate_is_what_it_would_be_alone(trainer, tmp_path, stacked):
    bad, good = candidate(trainer.pool, "torch"), candidate(trainer.pool, "nothing")
    ref = next(iter(bad.paths["one"].refs()))
    found = trainer.run([bad], stacked, (1, 1) if stacked else ())
    assert ref.id[:12] in found[0].failure
    assert "family `scribble`" in found[0].failure
    assert not found[0].blobs
    assert torch.equal(trainer.pool.get(ref.id)["scale"], torch.ones(DIM))
    (after,) = trainer.run([good])
    other = Trainer(Pool(tmp_path / "pool"), FAMILIES)
    other.provide(TASK)
    (alone,) = other.run([good])
    assert after.blobs == alone.blobs
    assert after.measures == alone.measures


def test_what_is_lent_is_forgotten_after_each_candidate(trainer):
    trainer.run([candidate(trainer.pool, "nothing")])
    assert not trainer.loans._lent


def test_a_write_through_a_view_is_seen(tmp_path):
    pool = Pool(tmp_path)
    ref = scribbler(pool, "nothing")
    loans = Loans()
    loans.note(PathModule(path_of(ref), lambda r: pool.get(r.id) if isinstance(r, Frozen) else torch.Generator(),
                          FAMILIES, lend=True))  # fmt: skip
    loans.check()
    pool.get(ref.id)["scale"].view(2, -1)[0].add_(1)
    with pytest.raises(Written, match=r"found that [0-9a-f]{12} \(family `scribble`\) wrote"):
        loans.check()

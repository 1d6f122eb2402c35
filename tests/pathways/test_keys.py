"""Keys of activations: what a driver foretells is what trainers keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers_tiny import TRAINING, chain, head, linear, task_of

from pathways.candidate import Candidate
from pathways.modules import Frozen, Init, ModuleSpec
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.trainer import Trainer
from pathways.trainer.keys import prefix_keys

TASK = task_of("one")
SPEC = ModuleSpec("linear", {"dim": 6, "activation": "relu"})


class Kept:
    """Takes note of the keys under which activations are kept."""

    limit = 1 << 20

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, held: object) -> None:
        self.keys.add(key)


def frozen(pool: Pool, value: float) -> Frozen:
    return Frozen(pool.put(SPEC, {"linear.weight": torch.full((6, 6), value), "linear.bias": torch.zeros(6)}), SPEC)


def mixed(pool: Pool) -> Path:
    """A frozen step, then one that adds a module to be trained to two frozen ones, then a head."""
    steps = {
        "below": Step((frozen(pool, 0.1),), ("x",)),
        "mixed": Step((frozen(pool, 0.2), frozen(pool, 0.3), linear("a", 6)), ("below",)),
        "head": Step((head(),), ("mixed",)),
    }
    return Path(TASK.inputs, steps, "head")


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("shape", ["chain", "mixed", "no prefix"])
def test_what_is_foretold_is_what_is_kept(tmp_path, shape, stacked):
    pool, kept = Pool(tmp_path), Kept()
    path = {
        "chain": lambda: chain(TASK.inputs, frozen(pool, 0.1), frozen(pool, 0.2), linear("a", start=Init(1)), head()),
        "mixed": lambda: mixed(pool),
        "no prefix": lambda: chain(TASK.inputs, linear("a"), head()),
    }[shape]()
    candidate = Candidate({"one": path}, replace(TRAINING, steps=3), {"one": TASK.fingerprint})
    trainer = Trainer(pool, prefixes=kept)
    trainer.provide(TASK)
    slots = tuple(len(path.steps[name].modules) - 2 * (name == "mixed") for name in path.canonical_order
                  if any(not isinstance(ref, Frozen) for ref in path.steps[name].modules))  # fmt: skip
    (result,) = trainer.run([candidate], stacked, slots if stacked else ())
    assert result.ok, result.failure
    assert set(prefix_keys(candidate)) == kept.keys
    assert bool(kept.keys) == (shape != "no prefix")

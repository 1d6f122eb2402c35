"""Where a frozen module comes from: who trained it, and what its weights were before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pathways.modules import Draft, Frozen, Init, Warm

from .choose_root import ROOT
from .summary import plain_number

if TYPE_CHECKING:
    from torch import Tensor

    from pathways.modules import Module

    from .candidate import Candidate
    from .system import System


def frozen_by(system: System, blob: str) -> str:
    """Who froze a module: `root`, or the first task whose champion uses it; empty where none does."""
    if blob in system.root_blobs:
        return ROOT
    return next((name for name, brief in system.briefs.items() if blob in brief.sizes), "")


def origin(system: System, blob: str) -> dict[str, Any]:
    """How a frozen module was trained, and from what, as the ledger tells it.

    Args:
        system: a `pathways.System`.
        blob: the id of a module that a champion or a root uses.

    Returns:
        `frozen_by` (see `frozen_by`); `trained`: what has trained it, the last first, each with `candidate, draft` (its
        name there), `strategy, generation, number, mutations, quality, training, seconds`; `began`: `how` its weights
        began: `root` (it came with the root), `copy` (of the frozen module `blob`, frozen by `frozen_by`), `fresh`
        (initialised), `zeros`, `class_means` or `discriminant` (a head that was set so or fitted in closed form), or
        `unknown` (the ledger does not tell).
    """
    owner = frozen_by(system, blob)
    trained: list[dict[str, Any]] = []
    if owner == ROOT:
        return {"frozen_by": owner, "trained": trained, "began": {"how": "root", "blob": None, "frozen_by": ""}}
    rows = system.ledger.rows(owner) if owner else []
    made = {blob: row for row in reversed(rows) for blob in row.result.blobs.values()}
    seen, began = blob, {"how": "unknown", "blob": None, "frozen_by": ""}
    while (row := made.get(seen)) is not None and len(trained) < len(made):
        name = next(name for name, one in row.result.blobs.items() if one == seen)
        trained.append({
            "candidate": row.hash, "draft": name, "strategy": row.strategy, "generation": row.generation,
            "number": row.number, "mutations": row.labels.get("mutations", []),
            "quality": plain_number(row.result.quality), "training": dict(row.training),
            "seconds": round(row.result.seconds, 3),
        })  # fmt: skip
        candidate = system.ledger.candidate(row.hash)
        draft = candidate.drafts()[name]
        if not isinstance(draft.start, Warm):
            began = {"how": _fitted(system, candidate, name) or "fresh", "blob": None, "frozen_by": ""}
            break
        seen = draft.start.blob
        if giver := frozen_by(system, seen):
            began = {"how": "copy", "blob": seen, "frozen_by": giver}
            break
    return {"frozen_by": owner, "trained": trained, "began": began}


def start_of(system: System, found: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The weights that a module began with, by what `origin` tells; `None` where they cannot be had again."""
    if found["began"]["how"] == "copy":
        return system.pool.get(found["began"]["blob"])
    if found["began"]["how"] != "fresh":
        return None
    first = found["trained"][-1]
    candidate = system.ledger.candidate(first["candidate"])
    return {name: tensor.detach() for name, tensor in _built(system, candidate, first["draft"]).state_dict().items()}


def _built(system: System, candidate: Candidate, name: str) -> Module:
    """A draft of a candidate as its trainer has initialised it."""
    from .assemble import PathModule
    from .seeds import torch_generator

    drafts = candidate.drafts()
    draft = drafts[name]

    def weights(ref: Draft | Frozen) -> Any:
        """As the trainer has it for this draft; what else there is may be gone, and is never looked at."""
        if ref != draft:
            return torch_generator("init", 0)
        if isinstance(draft.start, Init) and draft.start.seed is not None:
            return torch_generator("init", draft.start.seed)
        return torch_generator("init", candidate.run, candidate.unraced, candidate.repeat, list(drafts).index(name))

    path = next(path for path in candidate.paths.values() if name in path.drafts())
    return PathModule(path, weights, system.families).module_of(draft)  # type: ignore[return-value]


def _fitted(system: System, candidate: Candidate, name: str) -> str:
    """How a head's weights were set before training, if not drawn: a closed form or `zeros`; else empty."""
    how, target = candidate.training.head_init, next(p for p in candidate.paths.values() if name in p.drafts())
    modules = target.steps[target.head].modules
    if how == "random" or modules != (candidate.drafts()[name],):
        return ""
    return how if how == "zeros" or hasattr(_built(system, candidate, name), "linear") else ""


__all__ = ["frozen_by", "origin", "start_of"]

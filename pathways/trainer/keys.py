"""The keys under which prepared data and activations of frozen prefixes are held: what they are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pathways.candidate import Augment, Candidate
from pathways.modules import content_hash
from pathways.path import Path
from pathways.prefix import frozen_parts, frozen_prefix


def changes_of(candidate: Candidate, split: str) -> Augment | None:
    """How samples of a split are changed for a candidate, beforehand or in every batch."""
    training = candidate.training
    if split == "train":
        return training.augment if training.steps else None
    views = training.augment and replace(training.augment, views=training.score_views, clean=True)
    return views if training.score_views > 1 else None


def samples_key(data: str, split: str, augment: Augment | None) -> str:
    """The key of a split of the data with that fingerprint, with its views."""
    return content_hash([data, split, vars(augment) if augment else None])


def activations_key(samples: str, step_hash: str) -> str:
    """The key of what a step gives for samples of that key."""
    return content_hash([samples, step_hash])


def prefix_keys(candidate: Candidate) -> list[str]:
    """The keys of the activations that training a candidate may compute and keep, as far as they do not depend on it.

    A driver that knows them before anything is computed can see to it that of several workers one shares each. Not
    all of them need come about: a value may be too large to be held.
    """
    found: list[str] = []
    for task, path in candidate.paths.items():
        steps = list(_frozen_steps(path))
        for split in ("train", "validation") if steps else ():
            augment = changes_of(candidate, split)
            if split == "train" and augment is not None and augment.views == 0:
                continue  # changed anew in every batch: nothing is kept
            samples = samples_key(candidate.data[task], split, augment)
            found += [activations_key(samples, step) for step in steps]
    return found


def _frozen_steps(path: Path) -> Iterator[str]:
    """The hashes of the steps whose values are kept: those of the prefix that are read, and frozen modules alone."""
    prefix, boundary = frozen_prefix(path)
    yield from (path.step_hashes[name] for name in boundary if name in prefix)
    for name, modules in frozen_parts(path).items():
        reads = [path.step_hashes[read] for read in path.steps[name].reads]
        for ref in modules:
            # As `Path.step_hashes` has it for a step of one frozen module.
            yield content_hash({"modules": [[ref.identity(), []]], "deltas": [], "combine": None, "reads": reads})


__all__ = ["activations_key", "changes_of", "prefix_keys", "samples_key"]

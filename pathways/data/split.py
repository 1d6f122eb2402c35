"""How samples are divided into train, validation and test: by seed, stratified, equal samples together.

The test split of a set that comes without one depends on the task's name only; validation depends on the seed
too. Runs of different seeds are so measured on the same test data.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pathways.digests import sample_digests
from pathways.errors import DataError
from pathways.modules import Port
from pathways.seeds import numpy_generator
from pathways.task import SPLITS, Classes, Split, Target, take


def divide(
    contents: Sequence[Hashable], strata: Sequence[int], share: float, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Divide samples into a rest and a part of about `share` of each stratum; equal samples stay together.

    A stratum with at least two different samples gives at least one and keeps at least one.

    Args:
        contents: what each of N samples holds; equal contents go to the same side.
        strata: the class of each sample, or all zeros.
        share: the share of the part, between 0 and 1.
        generator: draws which samples go.

    Returns:
        The indices of the rest and of the part, both rising.

    >>> divide("abcdefgh", [0] * 4 + [1] * 4, 0.25, np.random.default_rng(0))
    ([0, 1, 3, 4, 5, 6], [2, 7])
    """
    members: dict[Hashable, list[int]] = {}
    for index, content in enumerate(contents):
        members.setdefault(content, []).append(index)
    groups: dict[int, list[list[int]]] = {}
    for group in members.values():
        groups.setdefault(strata[group[0]], []).append(group)
    part: list[int] = []
    for stratum in sorted(groups):
        part += _draw(groups[stratum], share, generator)
    chosen = set(part)
    return [index for index in range(len(contents)) if index not in chosen], sorted(part)


def _draw(groups: list[list[int]], share: float, generator: np.random.Generator) -> list[int]:
    size = sum(map(len, groups))
    quota = min(max(round(share * size), 1), size - 1)
    order = [groups[place] for place in generator.permutation(len(groups))]
    drawn: list[int] = []
    for group in order:
        if len(drawn) + len(group) <= quota:
            drawn += group
    if not drawn and len(groups) > 1:  # all groups are larger than the quota
        drawn = min(order, key=len)
    return drawn


def split_indices(
    name: str,
    contents: Sequence[Hashable],
    strata: Sequence[int],
    *,
    seed: int,
    validation: float,
    test: float | None,
) -> dict[str, list[int]]:
    """The sample indices of train, validation and, where `test` is a share, test.

    Args:
        name: the task's name, which the draws are seeded by.
        contents: what each of N samples holds.
        strata: the class of each sample, or all zeros.
        seed: draws validation.
        validation: the share of validation, of what is left after test.
        test: the share of test, or `None` where the set comes with one.

    Raises:
        DataError: a share is not between 0 and 1, or a split would be empty.
    """
    for which, share in (("validation", validation), ("test", test)):
        if share is not None and not 0 < share < 1:
            raise DataError(f"`{which}` must be a share between 0 and 1, found {share}: use for example 0.2.")
    indices = {"train": list(range(len(contents)))}
    for which, share, names in (("test", test, ()), ("validation", validation, (seed,))):
        if share is not None:
            left = indices["train"]
            rest, part = divide(
                [contents[i] for i in left],
                [strata[i] for i in left],
                share,
                numpy_generator("split", which, name, *names),
            )
            indices |= {"train": [left[i] for i in rest], which: [left[i] for i in part]}
    if empty := [which for which in SPLITS if which in indices and not indices[which]]:
        count, different = len(contents), len(set(contents))
        step = "get more samples."
        if different < count:
            step = (
                f"equal samples stay in one split, and {count} samples have {different} different contents. Get more, "
                "or say `allow_duplicates: true` if they are true repeats."
            )
        raise DataError(f"task {name!r} must have samples for {empty[0]!r}, found none of its {count}: {step}")
    return indices


def split_pool(
    name: str,
    ports: Mapping[str, Port],
    target: Target,
    pool: Split,
    fixed_test: Split | None = None,
    *,
    seed: int,
    validation: float,
    test: float = 0.2,
    allow_duplicates: bool = False,
) -> tuple[dict[str, Split], str]:
    """The three splits of a task, from all its samples or from those beside a fixed test split.

    Samples of the pool that also stand in the fixed test split are left out of training and validation,
    unless `allow_duplicates` is true; the second value says how many, for the task's `source`.

    Args:
        name: the task's name, which the draws are seeded by.
        ports: the port of each input.
        target: classes are kept in proportion.
        pool: the samples to divide.
        fixed_test: the set's own test split, if it has one.
        seed: draws validation.
        validation: the share of validation.
        test: the share of test, where there is no fixed one.
        allow_duplicates: treat equal samples as different ones.

    Returns:
        The splits by name, and a note that is empty where nothing was left out.
    """
    contents: list[Hashable] = list(sample_digests(pool.inputs, ports))
    left = list(range(len(pool)))
    if allow_duplicates:
        contents = list(left)
    elif fixed_test is not None:
        taken = set(sample_digests(fixed_test.inputs, ports))
        left = [i for i in left if contents[i] not in taken]
    labels = pool.targets.tolist() if isinstance(target, Classes) else [0] * len(pool)
    indices = split_indices(
        name, [contents[i] for i in left], [labels[i] for i in left],
        seed=seed, validation=validation, test=None if fixed_test is not None else test,
    )  # fmt: skip
    splits = {which: take(pool, _index([left[i] for i in part])) for which, part in indices.items()}
    if fixed_test is not None:
        splits["test"] = fixed_test
    return ordered(splits), left_out_note(len(pool) - len(left))


def without_leaks(
    name: str, splits: Mapping[str, Split], ports: Mapping[str, Port]
) -> tuple[dict[str, Split], str]:
    """The splits without samples that stand in two: test keeps them, else validation does.

    Args:
        name: the task's name, for errors.
        splits: the splits by name.
        ports: the port of each input.

    Returns:
        The splits, and a note that is empty where nothing was left out.

    Raises:
        DataError: nothing is left of a split.
    """
    kept: dict[str, Split] = {}
    taken: set[bytes] = set()
    dropped = 0
    for which in reversed(SPLITS):
        if which in splits:
            contents = sample_digests(splits[which].inputs, ports)
            stay = [i for i, content in enumerate(contents) if content not in taken]
            if contents and not stay:
                raise DataError(
                    f"all {len(contents)} samples of {which!r} of task {name!r} also stand in another split: "
                    "say `allow_duplicates=True` if they are true repeats."
                )
            dropped += len(contents) - len(stay)
            taken |= set(contents)
            kept[which] = take(splits[which], _index(stay)) if len(stay) < len(contents) else splits[which]
    return ordered(kept), left_out_note(dropped)


def ordered(splits: Mapping[str, Split]) -> dict[str, Split]:
    """The splits in the order train, validation, test."""
    return {which: splits[which] for which in SPLITS if which in splits}


def left_out_note(count: int) -> str:
    """How a task's `source` says that samples were left out."""
    samples = "1 sample" if count == 1 else f"{count} samples"
    return f"; {samples} left out for standing in another split" if count else ""


def _index(places: list[int]) -> Tensor:
    return torch.tensor(places, dtype=torch.int64)

"""PathNet's genotypes: which modules of the grid a path uses, and how that mutates.

A genotype has N genes for each of L layers; a gene is the index of a cell of its layer.

Reference: Fernando et al. 2017, "PathNet", arXiv 1701.08734, section 2. Mutations are clamped to the grid by
the author's rule; some re-implementations wrap around, or never draw +2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Genotype = tuple[tuple[int, ...], ...]

REACH = 2  # mutations add an integer of [-2, 2] (section 2.2 of the paper)


def random_genotype(widths: Sequence[int], active: int, rng: np.random.Generator) -> Genotype:
    """Draw each gene uniformly from the cells of its layer.

    Args:
        widths: the number of cells of each layer.
        active: genes a layer, N.
        rng: where the draws come from.

    Example:
        >>> random_genotype((10, 10), 3, np.random.default_rng(0))
        ((8, 6, 5), (2, 3, 0))
    """
    return tuple(tuple(int(gene) for gene in rng.integers(width, size=active)) for width in widths)


def mutate(genotype: Genotype, widths: Sequence[int], rng: np.random.Generator) -> Genotype:
    """Change each gene with probability 1 / (L * N) by a uniform integer of [-2, 2], clamped to the layer.

    One gene is touched on average; the integer may be 0, so 0.8 genes change where no end is near.

    Args:
        genotype: what is copied; it stays as it is.
        widths: the number of cells of each layer.
        rng: where the draws come from.

    Example:
        >>> mutate(((0, 5, 9),), (10,), np.random.default_rng(1))
        ((0, 5, 8),)
    """
    size = sum(map(len, genotype))
    mutated = []
    for genes, width in zip(genotype, widths, strict=True):
        touched = rng.random(len(genes)) < 1.0 / size
        offsets = rng.integers(-REACH, REACH, size=len(genes), endpoint=True)
        moved = np.clip(np.asarray(genes) + np.where(touched, offsets, 0), 0, width - 1)
        mutated.append(tuple(int(gene) for gene in moved))
    return tuple(mutated)


def active_cells(genotype: Genotype) -> tuple[tuple[int, ...], ...]:
    """The cells that each layer uses, ascending; a cell drawn twice counts once.

    >>> active_cells(((7, 2, 7), (0, 0, 0)))
    ((2, 7), (0,))
    """
    return tuple(tuple(sorted(set(genes))) for genes in genotype)


def changes(before: Genotype, after: Genotype) -> list[list[int]]:
    """What a mutation changed, as [layer, gene, old cell, new cell] each.

    >>> changes(((1, 2),), ((1, 4),))
    [[0, 1, 2, 4]]
    """
    return [
        [layer, gene, old, new]
        for layer, (olds, news) in enumerate(zip(before, after, strict=True))
        for gene, (old, new) in enumerate(zip(olds, news, strict=True))
        if old != new
    ]

"""Genotypes: the mutation law of the paper."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.evolve.genotype import active_cells, changes, mutate, random_genotype

MIDDLE = tuple((50, 50, 50) for _ in range(3))
WIDTHS = (101, 101, 101)


def _mutants(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([mutate(MIDDLE, WIDTHS, rng) for _ in range(n)])


def test_one_gene_is_touched_on_average_and_four_fifths_of_one_change() -> None:
    n = 20_000
    changed = (_mutants(n) != 50).sum(axis=(1, 2))
    # touched ~ Binomial(9, 1/9), of which 4 in 5 draw a change: mean 0.8, variance 9 * (0.8/9) * (1 - 0.8/9)
    error = np.sqrt(0.8 * (1 - 0.8 / 9) / n)
    assert abs(changed.mean() - 0.8) < 4 * error


def test_offsets_are_uniform_with_both_ends() -> None:
    offsets = _mutants(20_000).ravel() - 50
    values, counts = np.unique(offsets, return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    moved = counts[[0, 1, 3, 4]]
    expected = moved.sum() / 4
    assert (np.abs(moved - expected) < 4 * np.sqrt(expected)).all()


def test_mutations_are_clamped_not_wrapped() -> None:
    rng = np.random.default_rng(0)
    seen = {gene for _ in range(2000) for gene in mutate(((0, 9),), (10,), rng)[0]}
    assert seen == {0, 1, 2, 7, 8, 9}
    low = [mutate(((0, 9),), (10,), rng)[0][0] for _ in range(4000)]
    # touched with probability 1/2; 0, -1 and -2 of five offsets stay at the end
    assert abs(np.mean(np.array(low) == 0) - 0.8) < 4 * np.sqrt(0.16 / 4000)


def test_the_parent_is_not_changed_and_seeds_decide() -> None:
    assert (_mutants(50, seed=3) == _mutants(50, seed=3)).all()
    assert not (_mutants(50, seed=3) == _mutants(50, seed=4)).all()
    assert MIDDLE == ((50, 50, 50),) * 3


def test_a_cell_drawn_twice_counts_once() -> None:
    assert active_cells(((7, 2, 7), (0, 0, 0))) == ((2, 7), (0,))


def test_random_genotypes_cover_each_layer_evenly() -> None:
    rng = np.random.default_rng(1)
    drawn = np.array([random_genotype((4, 10), 3, rng)[1] for _ in range(2000)]).ravel()
    counts = np.bincount(drawn, minlength=10)
    assert (np.abs(counts - 600) < 5 * np.sqrt(600)).all()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 6), st.integers(0, 999))
def test_mutants_stay_in_the_grid(widths: list[int], active: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genotype = random_genotype(widths, active, rng)
    for _ in range(20):
        mutant = mutate(genotype, widths, rng)
        assert [len(genes) for genes in mutant] == [active] * len(widths)
        assert all(0 <= gene < width for genes, width in zip(mutant, widths, strict=True) for gene in genes)
        assert (np.abs(np.array(mutant) - np.array(genotype)) <= 2).all()
        rebuilt = [list(genes) for genes in genotype]
        for layer, gene, old, new in changes(genotype, mutant):
            assert rebuilt[layer][gene] == old
            rebuilt[layer][gene] = new
        assert tuple(map(tuple, rebuilt)) == mutant
        genotype = mutant

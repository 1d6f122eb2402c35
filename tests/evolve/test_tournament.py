"""The null tournament, on the real trainer: identical contestants tie to the bit, exchangeable ones win half the time.

Every statistical check is an exact, two-sided binomial test that refuses at p <= 0.001: of a thousand fair
implementations one would be refused. The seeds are fixed, so a check that passed once passes always.
"""

from dataclasses import replace
from pathlib import Path as FilePath

import pytest
import torch
from scipy.stats import binomtest

from pathways.candidate import Candidate, Result, Training
from pathways.evolve import PathNet
from pathways.evolve.paths import with_head
from pathways.modules import Draft, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.seeds import seed_of, torch_generator
from pathways.strategy import TaskInfo, View
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer

TOURNAMENTS = 120
FALSE_POSITIVES = 0.001


def make_task() -> Task:
    """Two overlapping clouds in four dimensions: hard enough that a few steps leave luck a part."""
    generator = torch_generator("null tournament")
    splits = {}
    for name, n in (("train", 96), ("validation", 64), ("test", 8)):
        targets = torch.arange(n) % 2
        x = torch.randn(n, 4, generator=generator) + 0.8 * targets[:, None]
        splits[name] = Split({"x": x}, targets)
    return Task("clouds", {"x": Vector(4)}, Classes(2), splits)


TASK = make_task()
VIEW = View(0, (TaskInfo("clouds", TASK.inputs, TASK.target, TASK.fingerprint, 96),), {}, None, Training())
SMALL = {
    "layers": 2, "modules": 4, "active": 1, "population": 2, "steps": 6, "batch": 8, "lr": 0.1,
    "module": ModuleSpec("linear", {"dim": 5, "activation": "relu"}), "threshold": None, "generations": 1,
}
ONE, OTHER = ((0,), (1,)), ((2,), (3,))


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A real trainer with a real pool."""
    made = Trainer(Pool(FilePath(tmp_path_factory.mktemp("null") / "pool")))
    made.provide(TASK.without_test())
    return made


def play(trainer: Trainer, run: int, genotypes: list[object], **settings: object) -> list[tuple[Candidate, Result]]:
    """One tournament between two genotypes; the contestants in the order of training, then the winner."""
    search = PathNet(**{**SMALL, **settings}).begin(replace(VIEW, run=run))  # type: ignore[arg-type]
    search.population = list(genotypes)  # type: ignore[arg-type]
    told: list[tuple[Candidate, Result]] = []
    while candidates := search.ask():
        # Each is trained, even where hashes are equal: a tie must come from training, not from a look-up.
        pairs = [(candidate, trainer.run([candidate])[0]) for candidate in candidates]
        search.tell(pairs)
        told += pairs
    winner = search.best()
    assert winner is not None
    return [*told, (winner.candidate, winner.result)]


def winners(trainer: Trainer, genotypes: list[object], **settings: object) -> list[Candidate]:
    """The winner of each tournament."""
    return [play(trainer, run, genotypes, **settings)[-1][0] for run in range(TOURNAMENTS)]


def slot_0(candidate: Candidate) -> bool:
    return bool(candidate.labels["slot"] == 0)


def trained_second(candidate: Candidate) -> bool:
    return bool(candidate.labels["number"] == 1)


def fair(count: int, trials: int = TOURNAMENTS) -> bool:
    return bool(binomtest(count, trials, 0.5).pvalue > FALSE_POSITIVES)


def untimed(result: Result) -> Result:
    return replace(result, seconds=0.0, cpu_seconds=0.0)


# -- identical genotypes ------------------------------------------------------------------------------------


def test_identical_genotypes_tie_to_the_bit(trainer: Trainer) -> None:
    for run in range(5):
        (first, one), (second, other), _ = play(trainer, run, [ONE, ONE])
        assert first.labels["slot"] != second.labels["slot"]
        assert first.hash == second.hash
        assert one.ok
        assert one.blobs == other.blobs, "equal weights, to the bit"
        assert untimed(one) == untimed(other)


def test_a_seeded_coin_decides_ties(trainer: Trainer) -> None:
    found = winners(trainer, [ONE, ONE], steps=1)
    for kind in (slot_0, trained_second):
        assert fair(sum(map(kind, found)))
    for run in range(8):
        assert play(trainer, run, [ONE, ONE], steps=1)[-1][0].labels == found[run].labels


def test_contestants_that_share_a_cell_start_it_from_the_same_weights(trainer: Trainer) -> None:
    (_, first), (_, second), _ = play(trainer, 0, [((0,), (1,)), ((0,), (2,))], lr=0.0)
    one, other = first.blobs, second.blobs  # at a learning rate of 0, so still as they started
    assert (one["l0m0"], one["head"]) == (other["l0m0"], other["head"])
    assert ({**one, **other}["l1m1"]) != {**one, **other}["l1m2"]


# -- exchangeable genotypes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fitness", ["training", "validation"])
def test_genotypes_that_differ_only_by_their_init_win_half_the_time(trainer: Trainer, fitness: str) -> None:
    played = [play(trainer, run, [ONE, OTHER], fitness=fitness) for run in range(TOURNAMENTS)]
    for kind in (slot_0, trained_second, lambda c: c.labels["genotype"] == [[0], [1]]):
        assert fair(sum(kind(winner) for *_, (winner, _) in played))
    decided = sum(one.fitness != other.fitness for (_, one), (_, other), _ in played)
    assert decided > TOURNAMENTS / 2, "most are won by training, not by the coin"
    assert all(result.fitness == max(one.fitness, other.fitness) for (_, one), (_, other), (_, result) in played)


def test_drafts_of_different_seeds_win_half_the_time(trainer: Trainer) -> None:
    def candidate(run: int, side: int) -> Candidate:
        spec = ModuleSpec("linear", {"dim": 5, "activation": "relu"})
        draft = Draft("a", spec, Init(seed_of("side", run, side)))
        path = with_head(Path(TASK.inputs, {"a": Step((draft,), ("x",))}, "a"), TASK.target, start=Init(run))
        return Candidate({"clouds": path}, Training(steps=8, batch=8), {"clouds": TASK.fingerprint}, run=run)

    better = worse = 0
    for run in range(TOURNAMENTS):
        first, second = (trainer.run([candidate(run, side)])[0] for side in (0, 1))
        difference = first.measures["clouds"].loss - second.measures["clouds"].loss
        better, worse = better + (difference < 0), worse + (difference > 0)
    assert better + worse == TOURNAMENTS, "losses of different seeds are never equal"
    assert fair(better)


def test_the_place_in_a_batch_of_candidates_changes_nothing(trainer: Trainer) -> None:
    candidates = [play(trainer, run, [ONE, OTHER])[0][0] for run in range(4)]
    together = trainer.run(candidates)
    backwards = trainer.run(candidates[::-1])[::-1]
    alone = [trainer.run([candidate])[0] for candidate in candidates]
    assert [untimed(r) for r in together] == [untimed(r) for r in backwards] == [untimed(r) for r in alone]


# -- what the tests can see ---------------------------------------------------------------------------------


def test_the_papers_sequential_tournament_favours_the_second_and_the_test_sees_it(trainer: Trainer) -> None:
    """The second contestant goes on from weights that the first has just trained: the fault that `fair` is without."""
    second = sum(map(trained_second, winners(trainer, [ONE, ONE], tournament="sequential", steps=20)))
    assert second > TOURNAMENTS / 2
    assert not fair(second)


def test_more_training_is_seen(trainer: Trainer) -> None:
    def winner_trained_longer(run: int) -> bool:
        short, long = (play(trainer, run, [ONE, OTHER], steps=steps, fitness="validation")[0][1] for steps in (1, 40))
        return long.fitness > short.fitness

    assert not fair(sum(winner_trained_longer(run) for run in range(24)), 24)


def test_global_random_state_plays_no_part(trainer: Trainer) -> None:
    torch.manual_seed(1)
    once = [untimed(result) for _, result in play(trainer, 3, [ONE, OTHER])]
    torch.manual_seed(2)
    assert [untimed(result) for _, result in play(trainer, 3, [ONE, OTHER])] == once

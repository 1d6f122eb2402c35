"""PathNet: tournaments, freezing, growth, presets, driven by a fake engine."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scipy.stats import binomtest

from pathways.candidate import Candidate, Measures, Result, Training
from pathways.evolve.pathnet import PathNet
from pathways.modules import Draft, Init, Vector, Warm
from pathways.strategy import View
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_view, failed, fake_result

VIEW = example_view()
SMALL: dict[str, Any] = {
    "layers": 2, "modules": 5, "active": 2, "population": 6, "generations": 12, "threshold": None,
}


class TestFair(StrategySuite):
    strategy = PathNet(**SMALL)


class TestSequential(StrategySuite):
    strategy = PathNet(**SMALL, tournament="sequential")


class TestPopulation(StrategySuite):
    strategy = PathNet(**{**SMALL, "generations": 4, "population": 7}, tournament="population")


class TestAuthorPreset(StrategySuite):
    strategy = PathNet.preset("pathnet-2017-author", generations=5)


class TestConvolutions(StrategySuite):
    strategy = PathNet(**SMALL, module={"family": "conv", "config": {"channels": 4, "stride": 2}})


def _scored(score: Callable[[Candidate], float]) -> Callable[[Candidate], Result]:
    def answer(candidate: Candidate) -> Result:
        (task,) = candidate.paths
        value = score(candidate)
        return replace(fake_result(candidate), measures={task: Measures(value, value, 0.0, value, 10)})

    return answer


def _modules(candidate: Candidate, layer: int) -> tuple[Any, ...]:
    (path,) = candidate.paths.values()
    return path.steps[f"layer{layer}"].modules


# -- candidates ---------------------------------------------------------------------------------------------


def test_a_candidate_trains_the_set_of_drawn_modules_for_one_generation() -> None:
    search = PathNet(**SMALL).begin(VIEW)
    search.population = [((4, 4), (3, 1))] * 6
    candidate = search.ask()[0]
    assert [m.name for m in _modules(candidate, 0)] == ["l0m4"]
    assert [m.name for m in _modules(candidate, 1)] == ["l1m1", "l1m3"]
    (path,) = candidate.paths.values()
    assert list(path.steps) == ["flatten0", "layer0", "layer1", "head"]
    assert path.ports()["layer1"] == Vector(20)
    training = candidate.training
    assert training == Training(optimizer="sgd", lr=0.01, steps=50, batch=16, schedule="constant", warmup=0.0,
                                keep="last", fitness="training")


def test_contestants_share_starts_and_batches() -> None:
    for tournament, count in (("fair", 2), ("population", 6)):
        run = drive(PathNet(**SMALL, tournament=tournament), VIEW)
        for generation, candidates in enumerate(run.asked):
            assert len(candidates) == count
            assert {c.order for c in candidates} == {generation}
            drafts: dict[str, Draft] = {}
            for candidate in candidates:
                for name, draft in candidate.drafts().items():
                    assert drafts.setdefault(name, draft) == draft


def test_starts_derive_from_run_task_and_cell() -> None:
    def starts(view: View) -> dict[str, Any]:
        return _starts(PathNet(**SMALL).begin(view).ask())

    first = starts(VIEW)
    assert all(isinstance(start, Init) for start in first.values())
    assert len(set(first.values())) == len(first)
    assert first == starts(VIEW)
    other_run = starts(replace(VIEW, run=1))
    assert not set(first.values()) & set(other_run.values())


def _starts(candidates: list[Candidate]) -> dict[str, Any]:
    """How the modules that have weights start, by draft name."""
    drafts = {name: draft for candidate in candidates for name, draft in candidate.drafts().items()}
    return {name: draft.start for name, draft in drafts.items() if draft.spec.family != "flatten"}


# -- tournaments --------------------------------------------------------------------------------------------


def test_fair_keeps_only_the_winners_weights() -> None:
    search = PathNet(**SMALL).begin(VIEW)
    search.population = [((slot % 5, 0), (slot % 5, 0)) for slot in range(6)]
    before = list(search.population)
    first, second = search.ask()
    search.tell([(first, _scored(lambda c: 0.2)(first)), (second, _scored(lambda c: 0.8)(second))])
    blobs = fake_result(second).blobs
    cells = search.grid.cells(_genotype(second))
    assert search.grid.weights == {(layer, cell): blobs[f"l{layer}m{cell}"] for layer, cell in cells}
    assert search.grid.head == Warm(fake_result(second).blobs["head"])
    assert all(search.population[s] == before[s] for s in range(6) if s != first.labels["slot"])


def _genotype(candidate: Candidate) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, candidate.labels["genotype"]))


def test_losers_become_copies_of_winners_that_differ_by_the_labelled_mutations() -> None:
    search = PathNet(**SMALL).begin(VIEW)
    while pair := search.ask():
        results = [(c, fake_result(c)) for c in pair]
        winner, loser = sorted(pair, key=lambda c: -fake_result(c).fitness)
        search.tell(results)
        child = [list(genes) for genes in _genotype(winner)]
        for layer, gene, old, new in search._mutations[loser.labels["slot"]]:
            assert child[layer][gene] == old
            child[layer][gene] = new
        assert search.population[loser.labels["slot"]] == tuple(map(tuple, child))
        assert search.population[winner.labels["slot"]] == _genotype(winner)


def test_sequential_lets_the_second_start_from_what_the_first_trained() -> None:
    search = PathNet(**SMALL, tournament="sequential").begin(VIEW)
    search.population = [((0, 1), (2, 3))] * 6
    (first,) = search.ask()
    search.tell([(first, fake_result(first))])
    (second,) = search.ask()
    blobs = fake_result(first).blobs
    for name in ("l0m0", "l0m1", "l1m2", "l1m3", "head"):
        assert second.drafts()[name].start == Warm(blobs[name])
    assert second.order != first.order
    assert search.generation == 0
    search.tell([(second, fake_result(second))])
    assert search.generation == 1
    (third,) = search.ask()
    assert third.drafts()["l0m0"].start == Warm(fake_result(second).blobs["l0m0"])


def test_population_lets_the_fittest_user_of_a_cell_write_back() -> None:
    search = PathNet(**SMALL, tournament="population").begin(VIEW)
    candidates = search.ask()
    search.tell([(c, fake_result(c)) for c in candidates])
    users: dict[tuple[int, int], list[Candidate]] = {}
    for candidate in candidates:
        for cell in search.grid.cells(_genotype(candidate)):
            users.setdefault(cell, []).append(candidate)
    assert set(search.grid.weights) == set(users)
    for (layer, index), by in users.items():
        fittest = max(by, key=lambda c: fake_result(c).fitness)
        assert search.grid.weights[layer, index] == fake_result(fittest).blobs[f"l{layer}m{index}"]
    top = max(candidates, key=lambda c: fake_result(c).fitness)
    assert search.grid.head == Warm(fake_result(top).blobs["head"])


def test_population_replaces_half_of_an_even_population() -> None:
    search = PathNet(**{**SMALL, "population": 20}, tournament="population").begin(VIEW)
    candidates = search.ask()
    before = {c.labels["slot"]: _genotype(c) for c in candidates}
    assert sorted(before) == list(range(20))
    search.tell([(c, fake_result(c)) for c in candidates])
    kept = [slot for slot in range(20) if search.population[slot] == before[slot]]
    assert len(kept) >= 10
    fitness = {c.labels["slot"]: fake_result(c).fitness for c in candidates}
    assert max(fitness, key=fitness.__getitem__) in kept


# -- the null tournament ------------------------------------------------------------------------------------


DIFFERENT: list[Any] = [((0, 1), (2, 2)), ((3, 1), (4, 0))]
TRIALS = 400


def _wins(
    genotypes: list[Any], answer: Callable[[Candidate], Result], kind: Callable[[Candidate], bool]
) -> int:
    """In how many of `TRIALS` runs the first tournament's winner, in a population of two, is of a kind."""
    wins = 0
    for run in range(TRIALS):
        search = PathNet(layers=2, modules=5, active=2, population=2).begin(replace(VIEW, run=run))
        search.population = list(genotypes)
        search.tell([(candidate, answer(candidate)) for candidate in search.ask()])
        winner = search.best()
        assert winner is not None
        wins += kind(winner.candidate)
    return wins


def _slot_0(candidate: Candidate) -> bool:
    return bool(candidate.labels["slot"] == 0)


def _second_contestant(candidate: Candidate) -> bool:
    return bool(candidate.labels["number"] == 1)


def test_identical_genotypes_tie_exactly_and_the_coin_is_fair() -> None:
    search = PathNet(layers=2, modules=5, active=2, population=2).begin(VIEW)
    search.population = [DIFFERENT[0], ((1, 0), (2, 2))]
    first, second = search.ask()
    assert first.hash == second.hash, "the same set of modules, drawn in another order"
    assert fake_result(first) == fake_result(second)
    for kind in (_slot_0, _second_contestant):
        assert binomtest(_wins([DIFFERENT[0]] * 2, fake_result, kind), TRIALS).pvalue > 0.001


def test_exchangeable_genotypes_win_half_the_time() -> None:
    for kind in (_slot_0, _second_contestant):
        assert binomtest(_wins(DIFFERENT, fake_result, kind), TRIALS).pvalue > 0.001


def test_the_null_test_would_see_an_unfair_advantage() -> None:
    def unfair(candidate: Candidate) -> Result:
        """As where the second contestant gets more training than the first."""
        return _scored(lambda c: fake_result(c).fitness + 0.15 * c.labels["number"])(candidate)

    assert binomtest(_wins(DIFFERENT, unfair, _second_contestant), TRIALS).pvalue < 0.001


# -- the end of a search ------------------------------------------------------------------------------------


def test_it_stops_at_the_threshold_with_the_winner_that_reached_it() -> None:
    rising = _scored(lambda c: min(1.0, 0.3 + 0.1 * c.order))
    run = drive(PathNet(**{**SMALL, "threshold": 0.75}), VIEW, rising)
    assert len(run.asked) == 6
    assert run.winner is not None
    assert run.winner.result.fitness >= 0.75
    assert (run.winner.extra["generations"], run.winner.extra["reached"]) == (6, True)
    never = drive(PathNet(**{**SMALL, "threshold": 2.0}), VIEW, rising)
    assert len(never.asked) == SMALL["generations"]
    assert never.winner is not None
    assert never.winner.extra["reached"] is False


def test_of_equally_fit_winners_the_latest_is_frozen() -> None:
    run = drive(PathNet(**SMALL), VIEW, _scored(lambda c: 0.5))
    assert run.winner is not None
    assert run.winner.candidate.labels["generation"] == SMALL["generations"] - 1


def test_failed_contestants_lose_and_leave_no_weights() -> None:
    search = PathNet(**SMALL).begin(VIEW)
    first, second = search.ask()
    search.tell([(first, fake_result(first)), (second, failed(second))])
    assert search.population[first.labels["slot"]] == _genotype(first)
    assert set(search.grid.weights) == set(search.grid.cells(_genotype(first)))
    search = PathNet(**SMALL).begin(VIEW)
    search.tell([(c, failed(c)) for c in search.ask()])
    assert (search.grid.weights, search.best()) == ({}, None)

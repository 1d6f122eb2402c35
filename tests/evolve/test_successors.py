"""muNet and its successors mu2Net, mu3Net, mu4Net: presets, rates, visits, populations. Rows H2 and H3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

import pytest
from helpers_munet import OFTEN, VIEW, after, member, only, quality, told
from scipy.stats import chisquare

from pathways.candidate import Candidate, Result, Training
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.munet_search import MuNetSearch
from pathways.evolve.offspring import _mutated
from pathways.evolve.population import survivors
from pathways.modules import content_hash
from pathways.seeds import numpy_generator
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_root, example_view, fake_result, later_view

PRESETS = ("munet-2022", "mu2net-2022", "mu3net-2022", "mu4net-2023")


class TestMu2Net(StrategySuite):
    strategy = MuNet.preset("mu2net-2022", generations=3)


class TestMu2NetFromScratch(StrategySuite):
    strategy = MuNet.preset("mu2net-2022", generations=2, rates=OFTEN, steady=True)
    view = example_view(root=example_root(frozen=False))


class TestMu2NetOfSeveralTasks(StrategySuite):
    strategy = MuNet.preset("mu2net-2022", generations=2, rates=OFTEN, guard=True, racing="paired")
    view = example_view(3)


class TestMu3Net(StrategySuite):
    strategy = MuNet.preset("mu3net-2022", generations=4, rates={**OFTEN, "optimizer": 0.3})


class TestMu4Net(StrategySuite):
    strategy = MuNet.preset("mu4net-2023", generations=5)


class TestMu4NetThatMutatesMuch(StrategySuite):
    strategy = MuNet.preset("mu4net-2023", generations=4, steady=True, rates={**OFTEN, "paths": 1.0})
    view = after(2)


# -- what was there before --------------------------------------------------------------------------------------------

EARLIER: Mapping[str, tuple[MuNet, str]] = {
    "munet-2022": (MuNet.preset("munet-2022"), "2de7cebf5d25b186"),
    "rates": (MuNet(generations=3, children=6, rates=OFTEN, size=0.9, compute=0.9), "34a7254f7aa4b04c"),
    "steady": (MuNet(generations=3, children=6, rates=OFTEN, steady=True), "e7c3cf050a4c5cd3"),
    "prior": (MuNet(generations=2, children=4, parents="prior"), "9b814001ad91d6c0"),
}


@pytest.mark.parametrize(("settings", "expected"), EARLIER.values(), ids=list(EARLIER))
def test_h2_settings_from_before_the_successors_ask_for_the_same_candidates(settings: MuNet, expected: str) -> None:
    """These digests are of the release before mu2Net: a run that goes on must find its candidates in the ledger."""
    view, found = VIEW, []
    for _ in range(3):
        run = drive(settings, view)
        assert run.winner is not None
        found.append([candidate.hash for candidate in run.candidates])
        view = later_view(view, run.winner)
    assert content_hash(found)[:16] == expected


# -- presets ----------------------------------------------------------------------------------------------------------


def test_h3_presets_are_what_was_published() -> None:
    mu2, mu3, mu4 = (MuNet.preset(name) for name in PRESETS[1:])
    tens = [0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3]
    assert (mu2.mutable_rates, list(mu2.rate_steps), mu2.first_rate) == ("one", tens, 0.1)
    assert (mu2.visits, mu2.optimizer_state, mu2.population) == ("all", "cloned", None)
    assert max(mu2.space["lr"]) == 0.5
    assert (mu3.mutable_rates, list(mu3.rate_steps)) == (True, [0.02, 0.04, 0.06, 0.08, *tens])
    assert (mu3.visits, mu3.optimizer_state, mu3.population, mu3.size, mu3.compute) == ("own", "mutable", 7, 0.99, 0.99)
    assert max(mu3.space["lr"]) == 0.1
    assert (mu4.population, mu4.survivors, mu4.adapter, mu4.optimizer_state) == (4, "decay", None, "fresh")
    assert mu4.multipath.to_json() == {"paths": [2, 3], "main": 0.8, "lr_mult": 0.05}
    assert isinstance(mu4.training, Training)
    assert (mu4.training.lr, mu4.training.momentum, mu4.training.nesterov) == (0.02, 0.8, True)
    assert max(mu4.space["lr"]) == 1.0
    for made in (mu2, mu3, mu4):
        assert made.probes == 0
        assert "schedule" not in made.space, "not mutated from mu2Net's second version on"
        assert isinstance(made.training, Training)
        assert (made.training.optimizer, made.training.clip, made.training.schedule) == ("sgd", 1.0, "cosine")
        for name, values in made.space.items():
            assert getattr(made.training, name) in values
            assert sorted(values) == list(values) or name == "nesterov", "a list is stepped along"


@pytest.mark.parametrize(("wrong", "message"), [
    ({"mutable_rates": "some"}, "`mutable_rates` must be one of .*found 'some'"),
    ({"mutable_rates": "one", "rates": {"clone": 0.1, "layers": 0.2}}, r"`rates` must be equal.*found \[0.1, 0.2\]"),
    ({"mutable_rates": "one", "rates": {"clone": 0}}, r"`rates` must be equal, or 0.*found \[\]"),
    ({"rate_steps": []}, "`rate_steps` must be probabilities in rising order"),
    ({"rate_steps": [0.2, 0.1]}, "`rate_steps` must be probabilities in rising order"),
    ({"rate_steps": [0.2, 2]}, "`rate_steps` must be probabilities in rising order"),
    ({"visits": "none"}, "`visits` must be one of .*found 'none'"),
    ({"population": 0}, "`population` must be a whole number of at least 1, found 0"),
    ({"survivors": "worst"}, "`survivors` must be one of .*found 'worst'"),
    ({"optimizer_state": True}, "`optimizer_state` must be one of .*found True"),
    ({"probes": 0, "generations": 0}, "`probes` and `generations` must not both be 0"),
    ({"multipath": [2]}, "`multipath` must be true or a mapping of"),
    ({"multipath": {"path": [2]}}, "`multipath` must be true or a mapping of"),
    ({"multipath": {"paths": []}}, "`paths` of `multipath` must be a list"),
    ({"multipath": {"paths": [1]}}, "`paths` must be a whole number of at least 2, found 1"),
    ({"multipath": {"main": 1}}, "`main` of `multipath` must be a number"),
    ({"multipath": {"lr_mult": -1}}, "`lr_mult` of `multipath` must be a number from 0 to 1"),
])
def test_bad_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MuNet(**wrong)


def test_without_probes_children_come_first_and_a_child_of_a_seed_lives() -> None:
    search = MuNet(probes=0, generations=2, children=5, rates=OFTEN).begin(after(2))
    asked = told(search, quality(lambda c: 0.1))
    assert {c.labels["generation"] for c in asked} == {1}
    assert len(asked) == 5
    assert "probe" not in {word for c in asked for word in c.labels["mutations"]}
    assert [m.key for m in search.population] == list(dict.fromkeys(c.hash for c in asked))
    assert len(search.ask()) == 5


@pytest.mark.parametrize("steady", [False, True])
def test_an_untrained_root_is_probed_even_without_probes(steady: bool) -> None:
    settings = MuNet.preset("mu3net-2022", steady=steady, scratch_training={"steps": 3})
    search = settings.begin(example_view(root=example_root(frozen=False)))
    (first,) = search.ask()
    assert (first.labels["mutations"], first.training.steps) == (["probe"], 3)


# -- one rate ---------------------------------------------------------------------------------------------------------


def test_h3_mu2_one_rate_is_inherited_and_moves_by_one_step_as_often_as_it_says() -> None:
    settings = MuNet.preset("mu2net-2022", generations=5, children=12)
    steps = list(settings.rate_steps)
    moved: Counter[int] = Counter()
    for run in range(6):
        search = settings.begin(example_view(run=run))
        known: dict[str, float] = {}
        while asked := search.ask():
            for candidate in asked:
                assert set(candidate.labels["rates"]) == {"mu"}
                before = known.get(candidate.labels["parent"], 0.1)
                moved[steps.index(candidate.labels["rates"]["mu"]) - steps.index(before)] += 1
            search.tell([(c, fake_result(c)) for c in asked])
            known |= {m.key: m.rates["mu"] for m in search.population}
    assert set(moved) == {-1, 0, 1}
    assert moved[1] + moved[-1] < 0.3 * sum(moved.values())


def test_h3_mu2_mutations_happen_with_the_rate_of_the_path() -> None:
    """Of all that may happen in a child, the share that does is its parent's rate, or that with which it began."""
    settings = MuNet(mutable_rates="one", rates={"clone": 0.2, "hyperparameter": 0.0}, rate_steps=[0.2], adapter=None)
    search = settings.begin(VIEW)
    told(search)
    search.population[:] = []
    drawn = [replace(search.seeds[0], key=str(i)) for i in range(400)]
    rng = numpy_generator("share")
    happened = [_mutated(parent, settings, search.seeds, VIEW.families, rng, None)[0].mutations for parent in drawn]
    clones = sum(len(words) for words in happened)
    assert abs(clones / (2 * len(drawn)) - 0.2) < 0.05, "two layers, each cloned with probability 0.2, nothing else"


FRACTIONS = ("lr", "weight_decay", "beta2", "momentum", "warmup", "clip", "label_smoothing", "head_lr")
NUMBERS = ("score_views", "evaluate_every", "steps", "batch")


def simulated(answer: Any, run: int) -> float:
    """The mean rate of the last paths that lived in a search of twelve hyperparameters whose qualities are made up."""
    space = {name: [0.01 * i for i in range(1, 41)] for name in FRACTIONS} | {name: range(1, 41) for name in NUMBERS}
    settings = MuNet.preset(
        "mu2net-2022", generations=40, children=8, rates={"hyperparameter": START}, adapter=None, space=space,
        training={name: values[19] for name, values in space.items()},
    )
    search = drive(settings, example_view(run=run), answer()).search
    assert isinstance(search, MuNetSearch)
    return mean(member.rates["mu"] for member in search.population[-8:])


START = 0.2


def better_where(gain: Any) -> Any:
    """A fake engine: a child is as good as its parent, and better by what its mutations gain."""
    def engine() -> Any:
        known: dict[str, float] = {}

        def answer(candidate: Candidate) -> Result:
            noise = 1e-3 * fake_result(candidate).quality
            value = known.get(candidate.labels["parent"], 0.1) + gain(len(candidate.labels["mutations"])) + noise
            known[candidate.hash] = value
            return quality(lambda c: value)(candidate)

        return answer

    return engine


def test_h3_mu2_the_rate_moves_towards_a_better_one() -> None:
    """Where children gain by many mutations it rises, where they lose by them it falls, from the same start."""
    many = [simulated(better_where(lambda n: 0.01 * (n - 2.5)), run) for run in range(6)]
    few = [simulated(better_where(lambda n: 0.01 * (2.5 - n)), run) for run in range(6)]
    assert mean(many) > START + 0.05
    assert mean(few) < START - 0.02
    assert min(many) > mean(few)


# -- own rates --------------------------------------------------------------------------------------------------------


def test_h3_mu3_each_mutation_has_a_rate_of_its_own_that_moves_along_the_list() -> None:
    settings = MuNet.preset("mu3net-2022", generations=6)
    winner = drive(settings, VIEW).winner
    assert winner is not None
    rates = winner.extra["rates"]
    assert {"lr", "clone:a", "clone:b", "drop-top"} <= set(rates)
    assert set(rates.values()) <= set(settings.rate_steps)
    assert len(set(rates.values())) > 1
    seed = settings.begin(later_view(VIEW, winner)).seeds[1]
    assert seed.rates == rates


def test_h2_mu3_a_smaller_size_or_compute_factor_gives_smaller_paths_per_task() -> None:
    """Where each trained layer helps a little, a lower factor makes champions train or run less."""
    gain = quality(lambda c: 0.5 + 0.01 * len(only(c).canonical_order) + 0.01 * len(c.drafts()))

    def learned(**factors: float) -> tuple[float, float]:
        view, parameters, flops = VIEW, [], []
        for _ in range(3):
            winner = drive(MuNet.preset("mu3net-2022", **factors), view, gain).winner
            assert winner is not None
            (path,) = winner.paths.values()
            costs = path.costs()
            shared = {blob for champion in view.champions.values() for blob in champion.path.frozen()}
            shared |= set(view.root.frozen() if view.root else ())
            parameters.append(sum(n for blob, n in costs.sizes.items() if blob not in shared))
            flops.append(costs.flops)
            view = later_view(view, winner)
        return mean(parameters), mean(flops)

    assert learned(size=1.0)[0] > learned(size=0.3)[0]
    assert learned(compute=1.0)[1] > learned(compute=0.3)[1]


# -- visits -----------------------------------------------------------------------------------------------------------


def picks(visits: str, offspring: dict[str, int], draws: int = 4000) -> Iterator[str]:
    """Whom a search with members `a`, `b` and three seeds draws as parents."""
    search = MuNet(visits=visits).begin(VIEW)
    search.population = [member("b", 0.8), member("a", 0.9)]
    search.seeds = [member(key, None) for key in "stu"]
    rng = numpy_generator("visits", *offspring.values())
    for _ in range(draws):
        search.offspring = dict(offspring)
        yield search._parent(rng).key


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_h2_mu2_seeds_are_accepted_by_half_to_the_number_of_their_children(n: int) -> None:
    """Behind two members that are never accepted (0.5 ** 60). Chi-squared at a false-positive rate of 0.001."""
    worn = {"a": 60, "b": 60}
    found = Counter(picks("all", {**worn, **dict.fromkeys("stu", n)}))
    if n == 0:
        assert set(found) == set("stu"), "the first in turn is accepted"
        assert max(found.values()) - min(found.values()) <= 1, "whoever was visited goes last"
        return
    none = (1 - 0.5**n) ** 3  # any of five then
    expected = {key: 4000 * ((1 - none) / 3 + none / 5) for key in "stu"} | {key: 4000 * none / 5 for key in "ab"}
    keys = [key for key, share in expected.items() if share > 5]
    assert chisquare([found[k] for k in keys], [expected[k] * sum(found[k] for k in keys) /
                                                sum(expected[k] for k in keys) for k in keys]).pvalue > 0.001
    if n == 1:  # without turns, each of five is drawn as often
        plain = Counter(picks("own", {**worn, **dict.fromkeys("stu", n)}))
        assert plain["a"] > 2 * found["a"]


def test_h2_mu2_before_anything_lives_every_seed_is_asked_once_in_a_shuffled_order() -> None:
    view = after(5)
    settings = MuNet.preset("mu2net-2022", generations=1, children=6)
    orders = []
    for run in range(4):
        asked = settings.begin(replace(view, run=run)).ask()
        assert sorted(c.labels["parent"] for c in asked) == sorted(["root", *view.champions])
        orders.append([c.labels["parent"] for c in asked])
    assert len({tuple(order) for order in orders}) > 1


def test_h2_mu3_what_is_not_of_the_own_paths_is_drawn_evenly_from_all() -> None:
    found = Counter(picks("own", {"a": 60, "b": 60, "s": 9}))
    assert chisquare([found[key] for key in "abstu"]).pvalue > 0.001


# -- room in the population -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("mu3net-2022", 7), ("mu4net-2023", 4)])
@pytest.mark.parametrize("steady", [False, True])
def test_mu3_mu4_the_population_is_limited_and_holds_the_best(name: str, most: int, steady: bool) -> None:
    search = MuNet.preset(name, steady=steady).begin(after(2))
    best = float("-inf")
    sizes = []
    while asked := search.ask():
        search.tell([(c, fake_result(c)) for c in asked])
        sizes.append(len(search.population))
        best = max(best, *(m.score for m in search.population if m.score is not None))
        assert max(m.score for m in search.population if m.score is not None) == best
    assert max(sizes) == most
    winner = search.best()
    assert winner is not None
    assert winner.extra["score"] == best


def test_mu3_the_highest_scores_stay_and_mu4_draws_by_decay() -> None:
    population = [member(key, score) for key, score in [("d", 0.6), ("a", 0.9), ("c", 0.7), ("b", 0.8)]]
    rng = numpy_generator("survivors")
    assert [m.key for m in survivors(population, 2, "best", {"b": 9}, rng)] == ["a", "b"]
    assert survivors(population, 4, "decay", {}, rng) == population
    assert [m.key for m in survivors(population, 3, "decay", {}, rng)] == ["a", "c", "b"], "none has children yet"
    found: Counter[str] = Counter()
    for _ in range(3000):
        best, other = sorted(survivors(population, 2, "decay", {"a": 50, "b": 1, "c": 2, "d": 50}, rng),
                             key=lambda m: -(m.score or 0))
        assert best.key == "a", "the best always stays"
        found[other.key] += 1
    rest = (1 - 0.5) * (1 - 0.25) / 3  # none is accepted: any of the three
    expected = [0.5 + rest, 0.5 * 0.25 + rest, rest]
    assert chisquare([found[k] for k in "bcd"], [3000 * share for share in expected]).pvalue > 0.001


def test_h2_mu2_mu3_locked_modules_are_copied_and_never_trained() -> None:
    """Whatever a champion holds is in later candidates as it is, or as the start of a copy."""
    for name in PRESETS[1:]:
        view = after(2, MuNet.preset(name, generations=3))
        locked = {blob for champion in view.champions.values() for blob in champion.path.frozen()}
        assert view.root is not None
        locked |= set(view.root.frozen())
        run = drive(MuNet.preset(name, generations=3), view)
        for candidate in run.candidates:
            trained = {result.blobs[d] for c, result in run.told if c.hash == candidate.hash for d in result.blobs}
            assert not trained & locked
        assert run.winner is not None
        assert {c: view.champions[c] for c in view.champions} == {
            c: later_view(view, run.winner).champions[c] for c in view.champions}

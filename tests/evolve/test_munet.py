"""muNet: who is probed, who is asked for children, and which children live."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from helpers_munet import OFTEN, ROOT, VIEW, after, member, only, quality, told
from scipy.stats import chisquare

from pathways.candidate import Measures, Training
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.munet_search import MuNetSearch
from pathways.modules import Frozen, Image, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.seeds import numpy_generator
from pathways.strategy import Champion
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_root, example_view, failed, fake_result, later_view, sha


class TestMuNet(StrategySuite):
    strategy = MuNet(generations=3, children=6)


class TestMuNetThatMutatesMuch(StrategySuite):
    strategy = MuNet(generations=4, children=6, rates=OFTEN, size=0.7, compute=0.9)


class TestMuNetFromScratch(StrategySuite):
    strategy = MuNet(generations=2, children=5, rates=OFTEN, scratch=True)
    view = example_view(root=example_root(frozen=False))


class TestMuNetOfSeveralTasks(StrategySuite):
    strategy = MuNet(generations=3, children=6, rates=OFTEN, size=0.8, sampler="proportional")
    view = example_view(3)


class TestMuNetPreset(StrategySuite):
    strategy = MuNet.preset("munet-2022", generations=3)


# -- probes -------------------------------------------------------------------------------------------------


def test_probes_come_first_the_root_and_then_champions_newest_first() -> None:
    view = after(3)
    probes = MuNet().begin(view).ask()
    assert [c.labels["parent"] for c in probes] == ["root", *reversed(view.champions)]
    trunks = [view.root, *(c.path for c in reversed(list(view.champions.values())))]
    for probe, trunk in zip(probes, trunks, strict=True):
        assert trunk is not None
        sizes = only(probe).costs().sizes
        assert [name for name in probe.drafts() if sizes[name]] == ["head"], "all else is frozen"
        heads = {trunk.steps["head"].modules[0].id} if "head" in trunk.steps else set()  # type: ignore[union-attr]
        assert set(only(probe).frozen()) == set(trunk.frozen()) - heads
        assert probe.drafts()["head"].start == Init()
        assert probe.labels["mutations"] == ["probe"]


@pytest.mark.parametrize(("probes", "expected"), [("all", 4), (1, 1), (3, 3), (9, 4)])
def test_as_many_are_probed_as_asked_for_and_all_stay_parents(probes: Any, expected: int) -> None:
    search = MuNet(probes=probes).begin(after(3))
    assert len(search.ask()) == expected
    assert len(search.seeds) == 4


def test_equal_trunks_are_probed_once() -> None:
    view = after(2, MuNet(generations=0))  # every task ends with the root and a head
    assert len(view.champions) == 2
    search = MuNet(probes=2).begin(view)
    assert [c.labels["parent"] for c in told(search)] == ["root"]
    assert len({seed.score for seed in search.seeds}) == 1, "its score is that of all of them"
    assert search.seeds[0].score is not None


def test_probes_may_be_trained_otherwise() -> None:
    settings = MuNet(generations=1, probe_training={"steps": 3}, training={"steps": 50})
    run = drive(settings, VIEW)
    assert [c.training.steps for c in run.asked[0]] == [3]
    assert {c.training.steps for c in run.asked[1]} == {50}


def test_an_untrained_root_may_be_trained_otherwise_than_probes_are() -> None:
    settings = MuNet(generations=1, probe_training={"steps": 3}, scratch_training={"steps": 70}, training={"steps": 50})
    first = drive(settings, example_view(root=example_root(frozen=False)))
    assert [c.training.steps for c in first.asked[0]] == [70]
    assert {c.training.steps for c in first.asked[1]} == {50}
    assert first.winner is not None
    second = drive(settings, later_view(example_view(root=example_root(frozen=False)), first.winner))
    assert [c.training.steps for c in second.asked[0]] == [3], "there is a champion to probe"


def test_rounds_after_an_untrained_root_may_be_others() -> None:
    untrained = example_view(root=example_root(frozen=False))
    settings = MuNet(generations=2, children=3, scratch_generations=0)
    first = drive(settings, untrained)
    assert [len(asked) for asked in first.asked] == [1]
    assert first.winner is not None
    assert [len(asked) for asked in drive(settings, later_view(untrained, first.winner)).asked] == [1, 3, 3]
    assert [len(asked) for asked in drive(MuNet(generations=2, children=3), untrained).asked] == [1, 3, 3]


def test_an_untrained_root_is_a_parent_only_where_nothing_came_of_it() -> None:
    untrained = example_view(root=example_root(frozen=False))
    run = drive(MuNet(generations=3, children=8), untrained)
    parents = {c.labels["parent"] for c in run.candidates[1:]}
    assert run.candidates[0].hash in parents
    assert "root" not in parents
    search = MuNet(generations=1, children=2).begin(untrained)
    search.tell([(candidate, failed(candidate)) for candidate in search.ask()])
    assert {c.labels["parent"] for c in search.ask()} == {"root"}


def test_the_asked_are_the_probes_and_the_generations_counted() -> None:
    run = drive(MuNet(generations=3, children=5), after(2))
    assert [len(asked) for asked in run.asked] == [3, 5, 5, 5]
    assert [c.labels["number"] for c in run.candidates] == list(range(18))
    assert [c.order for c in run.candidates] == [0] * 3 + [1] * 5 + [2] * 5 + [3] * 5


# -- seeds --------------------------------------------------------------------------------------------------


def champion(task: str, path: Path) -> Champion:
    return Champion(task, path, Training(), Measures(1, 1, 0, 1, 9), sha(task))


OTHER_HEAD = Frozen(sha("head"), ModuleSpec("classifier", {"classes": 2}))
OTHER = Path({"x": Vector(4)}, {
    "a": Step((Frozen(sha("a"), ModuleSpec("linear", {"dim": 3})),), ("x",)), "head": Step((OTHER_HEAD,), ("a",)),
}, "head")


def test_champions_with_other_inputs_are_not_offered() -> None:
    renamed = Path({"pixels": Image(1, 8, 8)}, {
        "f": Step((Frozen(sha("f"), ModuleSpec("flatten")),), ("pixels",)), "head": Step((OTHER_HEAD,), ("f",)),
    }, "head")
    bare = Path({"x": Vector(4)}, {"head": Step((OTHER_HEAD,), ("x",))}, "head")
    view = replace(VIEW, champions={n: champion(n, p) for n, p in [("o", OTHER), ("r", renamed), ("b", bare)]})
    search = MuNet().begin(view)
    assert [seed.key for seed in search.seeds] == ["root", "r"]
    assert list(only(search.ask()[1]).inputs) == ["image"], "an equal port of another name is read by its own name"


def test_where_no_seed_fits_it_says_so() -> None:
    for root in (None, Path({"x": Vector(2)}, {"a": Step((Frozen(sha("d"), ModuleSpec("detach")),), ("x",))}, "a")):
        with pytest.raises(ConfigError, match=r"reads the inputs of what it learns \(task 'task0'.* found none"):
            MuNet().begin(replace(VIEW, root=root))


def test_an_untrained_root_competes_only_where_it_is_told_or_needed() -> None:
    first = example_view(root=example_root(frozen=False))
    assert [s.key for s in MuNet().begin(first).seeds] == ["root"]
    later = after(1, view=first)
    assert [s.key for s in MuNet().begin(later).seeds] == ["task0"]
    assert [s.key for s in MuNet(scratch=True).begin(later).seeds] == ["root", "task0"]
    # A champion that cannot be a parent here does not stand in for the root.
    view = replace(first, champions={"o": champion("o", OTHER)})
    assert [s.key for s in MuNet().begin(view).seeds] == ["root"]


def test_a_root_from_scratch_is_trained_whole() -> None:
    view = example_view(root=example_root(frozen=False))
    (probe,) = MuNet(scratch=True).begin(view).ask()
    assert set(probe.drafts()) == {"flat", "a", "b", "head"}
    assert all(draft.start == Init() for name, draft in probe.drafts().items() if name != "flat")


def test_settings_and_rates_are_inherited_from_champions_but_budgets_are_not() -> None:
    winner = drive(MuNet(generations=3, children=6, rates=OFTEN), VIEW).winner
    assert winner is not None
    view = later_view(VIEW, winner)
    settings = MuNet(training={"steps": 77, "momentum": 0.5})
    root, seed = settings.begin(view).seeds
    assert {name: getattr(seed.training, name) for name in settings.space} == winner.extra["training"]
    assert (seed.training.steps, seed.training.momentum) == (77, 0.5)
    assert (seed.rates, seed.adapter_dim) == (winner.extra["rates"], winner.extra["adapter_dim"])
    assert seed.rates
    assert root.rates == {}
    assert settings.begin(view).seeds[1] == seed
    assert replace(settings, mutable_rates=False).begin(view).seeds[1].rates == {}


# -- parents ------------------------------------------------------------------------------------------------


def picks(offspring: dict[str, int], draws: int = 4000) -> Counter[str]:
    """Who is drawn as a parent from members `a`, `b` (scores .9, .8) and seed `s`, with so many children."""
    search = MuNet().begin(VIEW)
    search.population = [member("b", 0.8), member("a", 0.9)]
    search.seeds = [member("s", None)]
    rng = numpy_generator("acceptance", *offspring.values())
    found: Counter[str] = Counter()
    for _ in range(draws):
        search.offspring = dict(offspring)
        found[search._parent(rng).key] += 1
    return found


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 0), (1, 1), (2, 1), (3, 5)])
def test_parents_are_accepted_by_half_to_the_number_of_their_children(a: int, b: int) -> None:
    """Chi-squared at a false-positive rate of 0.001."""
    first = 0.5**a
    second = (1 - first) * 0.5**b
    rest = (1 - first - second) / 3
    expected = {"a": first + rest, "b": second + rest, "s": rest}
    found, draws = picks({"a": a, "b": b}), 4000
    for key, share in expected.items():
        assert (found[key] > 0) == (share > 0)
    keys = [key for key, share in expected.items() if share > 0]
    if len(keys) > 1:
        assert chisquare([found[k] for k in keys], [draws * expected[k] for k in keys]).pvalue > 0.001
    if (a, b) == (2, 1):  # the test would see a rate of 0.6
        wrong = {"a": 0.6**2 + 0.64 * 0.4 / 3, "b": 0.64 * 0.6 + 0.64 * 0.4 / 3, "s": 0.64 * 0.4 / 3}
        assert chisquare([found[k] for k in keys], [draws * wrong[k] for k in keys]).pvalue < 0.001


def test_children_are_counted_as_they_are_asked_for() -> None:
    search = MuNet(children=40).begin(VIEW)
    told(search)
    (probe,) = search.population
    asked = search.ask()
    parents = Counter(c.labels["parent"] for c in asked)
    assert search.offspring == parents
    assert set(parents) == {"root", probe.key}, "with one member, its visits are soon refused"


# -- who lives ----------------------------------------------------------------------------------------------


def test_a_child_lives_only_if_it_beats_its_parent() -> None:
    search = MuNet(generations=6, children=8, rates=OFTEN).begin(after(1))
    scores: dict[str, float | None] = {}
    lived = died = 0
    while asked := search.ask():
        search.tell([(c, fake_result(c)) for c in asked])
        alive = {m.key: m for m in search.population}
        for candidate in asked:
            score = fake_result(candidate).quality
            beaten = scores.get(candidate.labels["parent"])
            lives = search.generation == 0 or beaten is None or score > beaten
            assert (candidate.hash in alive) == lives
            lived, died = lived + lives, died + (not lives)
        scores = {m.key: m.score for m in [*search.population, *search.seeds]}
        assert None not in scores.values(), "a seed counts as good as its probe"
    assert lived > 2
    assert died > 2


def test_equal_is_not_better() -> None:
    search = MuNet(generations=2).begin(VIEW)
    for _ in range(3):
        told(search, quality(lambda c: 0.5))
    assert len(search.population) == 1
    winner = search.best()
    assert winner is not None
    assert winner.candidate.labels["mutations"] == ["probe"]


def test_a_child_of_an_unprobed_seed_lives() -> None:
    search = MuNet(probes=1, children=60, rates=OFTEN).begin(after(1))
    told(search, quality(lambda c: 0.9))
    asked = told(search, quality(lambda c: 0.1))
    unprobed = [c.hash for c in asked if c.labels["parent"] == "task0"]
    assert unprobed
    assert [m.key for m in search.population[1:]] == list(dict.fromkeys(unprobed))


def test_the_best_is_by_score_and_of_equals_the_first() -> None:
    earlier = 0
    for run in range(8):
        coarse = quality(lambda c: round(fake_result(c).quality, 1))
        done = drive(MuNet(generations=2, children=8, rates=OFTEN, mutable_rates=False), example_view(run=run), coarse)
        assert done.winner is not None
        assert isinstance(done.search, MuNetSearch)
        population = done.search.population
        best = max(m.score for m in population if m.score is not None)
        assert done.winner.extra["score"] == best
        first = next(m.key for m in population if m.score == best)
        assert done.winner.candidate.hash == first
        earlier += first != population[-1].key
    assert earlier > 0


def test_size_decides_between_equal_qualities() -> None:
    def grown(size: float) -> int:
        """The parameters of the winner where training more of the path always helps a little."""
        gain = quality(lambda c: 0.5 + 0.01 * len(c.drafts()))
        winner = drive(MuNet(generations=4, children=8, rates=OFTEN, size=size), VIEW, gain).winner
        assert winner is not None
        (path,) = winner.paths.values()
        return sum(n for blob, n in path.costs().sizes.items() if blob not in ROOT.frozen())

    assert grown(1.0) > grown(0.3)


def test_failed_children_and_probes_are_survived() -> None:
    run = drive(MuNet(generations=3), VIEW, lambda c: failed(c) if c.order != 2 else fake_result(c))
    assert run.winner is not None
    assert run.winner.candidate.order == 2


def test_equal_children_of_a_generation_are_one_member() -> None:
    settings = MuNet(generations=1, children=30, mutable_rates=False, rates={"clone:b": 1.0})
    search = settings.begin(VIEW)
    told(search, quality(lambda c: 0.1))
    asked = told(search, quality(lambda c: 0.9))
    assert len({c.hash for c in asked}) < len(asked)
    assert Counter(m.key for m in search.population) == Counter({m.key for m in search.population})

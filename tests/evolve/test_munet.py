"""muNet: who is asked for children, what a child shares and trains, and which of them live."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import binomtest, chisquare

from pathways.candidate import Candidate, Measures, Result, Training
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.member import Member
from pathways.evolve.munet import KINDS
from pathways.evolve.munet_search import MuNetSearch
from pathways.evolve.offspring import RATES
from pathways.evolve.outline import layers
from pathways.evolve.presets import MUNET_PRESETS
from pathways.modules import Draft, Frozen, Image, Init, ModuleSpec, Vector, Warm
from pathways.path import Path, Step
from pathways.seeds import numpy_generator
from pathways.strategy import Champion, View
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_root, example_view, failed, fake_result, later_view, sha

VIEW = example_view()
ROOT = example_root()
NEVER: dict[str, float] = dict.fromkeys(KINDS, 0.0)
OFTEN: dict[str, float] = dict.fromkeys(KINDS, 0.4)


class TestMuNet(StrategySuite):
    strategy = MuNet(generations=3, children=6)


class TestMuNetThatMutatesMuch(StrategySuite):
    strategy = MuNet(generations=4, children=6, rates=OFTEN, size=0.7, compute=0.9)


class TestMuNetFromScratch(StrategySuite):
    strategy = MuNet(generations=2, children=5, rates=OFTEN, scratch=True)
    view = example_view(root=example_root(frozen=False))


class TestMuNetPreset(StrategySuite):
    strategy = MuNet.preset("munet-2022", generations=3)


def quality(value: Callable[[Candidate], float]) -> Callable[[Candidate], Result]:
    """A fake engine whose qualities are told."""
    def answer(candidate: Candidate) -> Result:
        made = fake_result(candidate)
        q = value(candidate)
        return replace(made, measures={task: Measures(q, q, 1 - q, q, 100) for task in made.measures})

    return answer


def after(tasks: int, settings: MuNet | None = None, view: View = VIEW) -> View:
    """The view of a task that comes after so many others, each with modules of its own where no settings are given."""
    copies = MuNet(generations=2, children=4, rates={**OFTEN, "clone": 1.0}, mutable_rates=False)
    for _ in range(tasks):
        more_is_better = quality(lambda c: 0.5 + 0.01 * len(c.drafts()) + 0.001 * fake_result(c).quality)
        winner = drive(settings or copies, view, more_is_better).winner
        assert winner is not None
        view = later_view(view, winner)
    return view


def only(candidate: Candidate) -> Path:
    (path,) = candidate.paths.values()
    return path


def families_of(path: Path) -> dict[str, Any]:
    return {name: step.modules[0] for name, step in path.steps.items()}


def told(search: MuNetSearch, answer: Callable[[Candidate], Result] = fake_result) -> list[Candidate]:
    """One round: ask, answer, tell."""
    asked = search.ask()
    search.tell([(candidate, answer(candidate)) for candidate in asked])
    return asked


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
        with pytest.raises(ConfigError, match="needs a root or a champion that reads the inputs of task 'task0'"):
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


def member(key: str, score: float | None) -> Member:
    return Member(key, ROOT, None, frozenset(), Training(), {}, 16, score)


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


# -- children -----------------------------------------------------------------------------------------------


def parent_of(candidate: Candidate, members: dict[str, Member]) -> Member:
    return members[candidate.labels["parent"]]


def walk(settings: MuNet, view: View) -> list[tuple[Candidate, Member]]:
    """Every child of a search, with its parent as it was."""
    search = settings.begin(view)
    children = []
    members: dict[str, Member] = {}
    while asked := search.ask():
        if search.generation:
            children += [(c, parent_of(c, members)) for c in asked]
        search.tell([(c, fake_result(c)) for c in asked])
        members |= {m.key: m for m in [*search.seeds, *search.population]}
    return children


CHILDREN = [pair for run in range(6) for pair in walk(
    MuNet(generations=5, children=6, rates=OFTEN), after(2, view=example_view(run=run)))]


def test_a_child_shares_what_is_frozen_by_reference_and_copies_what_it_clones() -> None:
    shared = 0
    for candidate, parent in CHILDREN:
        words = candidate.labels["mutations"]
        path = only(candidate)
        for name, step in parent.trunk.steps.items():
            if name not in path.steps:
                continue
            old, new = step.modules[0], path.steps[name].modules[0]
            assert isinstance(old, Frozen)
            if old.id in parent.own or f"clone {name}" in words:
                assert new == Draft(name, old.spec, Warm(old.id)), "a copy, never the blob itself"
            elif f"add {name}" not in words:
                assert new == old
                shared += 1
    assert shared > 100


def test_own_modules_are_trained_on_from_the_parents_blobs() -> None:
    seen = 0
    for candidate, parent in CHILDREN:
        frozen = set(only(candidate).frozen())
        assert not frozen & parent.own
        added = [word.removeprefix("add ") for word in candidate.labels["mutations"] if word.startswith("add ")]
        for name, draft in candidate.drafts().items():
            if isinstance(draft.start, Warm) and name not in added:
                known = {*parent.trunk.frozen(), parent.head.id if parent.head else ""}
                assert draft.start.blob in known
                seen += draft.start.blob in parent.own
    assert seen > 20


def test_a_head_goes_on_where_the_outline_of_the_trunk_is_the_same() -> None:
    starts = Counter()
    for candidate, parent in CHILDREN:
        path = only(candidate)
        trunk = Path(path.inputs, {n: s for n, s in path.steps.items() if n != "head"}, path.steps["head"].reads[0])
        same = layers(trunk) == layers(parent.trunk)
        start = candidate.drafts()["head"].start
        if parent.head is not None and same:
            assert start == Warm(parent.head.id)
        else:
            assert start == Init()
        starts[same, type(start)] += 1
    assert set(starts) == {(True, Warm), (True, Init), (False, Init)}, starts


def test_labels_say_what_was_done_and_nothing_else() -> None:
    seen: Counter[str] = Counter()
    for candidate, parent in CHILDREN:
        words, path = list(candidate.labels["mutations"]), only(candidate)
        assert words
        expected = []
        for name in MuNet().space:
            old, new = getattr(parent.training, name), getattr(candidate.training, name)
            expected += [f"{name} {old} -> {new}"] if old != new else []
        before, now = layers(parent.trunk), [n for n in layers(path) if n != "head"]
        expected += [f"drop {before[-1]}"] if len(now) < len(before) else []
        expected += [f"add {now[-1]}"] if len(now) > len(before) else []
        for name, step in path.steps.items():
            module = step.modules[0]
            old_step = parent.trunk.steps.get(name)
            if old_step is None and name.endswith(".adapter"):
                expected.append(f"adapter {module.spec.config['dim']} after {name.removesuffix('.adapter')}")
                assert module == Draft(name, ModuleSpec("adapter", {"dim": module.spec.config["dim"]}), Init())
            started = isinstance(module, Draft) and isinstance(module.start, Warm) and name != "head"
            if started and module.start.blob not in parent.own:  # type: ignore[union-attr]
                expected.append(f"clone {name}")
        noted = [w for w in words if w.startswith("adapter_dim")]
        assert sorted(words) == sorted(expected + noted)
        seen.update(w.split()[0] for w in words)
    assert {"clone", "adapter", "drop", "add", "lr", "warmup", "adapter_dim"} <= set(seen)


def test_hyperparameters_move_one_step_on_their_lists() -> None:
    space = MuNet().space
    moved: Counter[int] = Counter()
    for candidate, parent in CHILDREN:
        for name, values in space.items():
            step = values.index(getattr(candidate.training, name)) - values.index(getattr(parent.training, name))
            assert step in (-1, 0, 1)
            moved[step] += 1
    assert moved[-1] > 20
    assert moved[1] > 20


def test_rates_are_inherited_and_move_one_step_along_the_list() -> None:
    moved: Counter[int] = Counter()
    for candidate, parent in CHILDREN:
        rates = candidate.labels["rates"]
        assert set(parent.rates) <= set(rates)
        for name, rate in rates.items():
            if name not in parent.rates:
                assert rate in (0.4, RATES[-1])
            elif parent.rates[name] in RATES:
                step = RATES.index(rate) - RATES.index(parent.rates[name])
                assert step in (-1, 0, 1)
                moved[step] += 1
    assert moved[-1] > 2
    assert moved[1] > 2


def test_fixed_rates_stay() -> None:
    run = drive(MuNet(generations=3, rates=OFTEN, mutable_rates=False), VIEW)
    assert all(c.labels["rates"] == {} for c in run.candidates)


def test_a_rate_of_a_name_stands_before_that_of_its_kind() -> None:
    settings = MuNet(generations=1, children=12, rates={**NEVER, "clone:b": 1.0, "adapter": 0.5, "adapter:b": 0},
                     mutable_rates=False)
    mutations = {w for c in drive(settings, VIEW).asked[1] for w in c.labels["mutations"]}
    assert mutations == {"clone b", "adapter 16 after a"}


def test_mutations_happen_as_often_as_their_rates_say() -> None:
    """Binomial at a false-positive rate of 0.001."""
    settings = MuNet(generations=1, children=1500, mutable_rates=False,
                     rates={"clone:a": 1.0, "clone:b": 0.1, "adapter:a": 0.3})
    children = drive(settings, VIEW).asked[1]
    seeds = [c for c in children if c.labels["parent"] == "root"]
    for word, rate in (("clone b", 0.1), ("adapter 16 after a", 0.3)):
        times = sum(word in c.labels["mutations"] for c in seeds)
        assert binomtest(times, len(seeds), rate).pvalue > 0.001
    assert all("clone a" in c.labels["mutations"] for c in seeds)


def test_where_nothing_may_mutate_a_child_is_its_parent_trained_on() -> None:
    run = drive(MuNet(generations=1, children=3, rates=NEVER), VIEW)
    assert all(c.labels["mutations"] == [] for c in run.asked[1])
    assert all(set(c.drafts()) == {"head"} for c in run.asked[1])


def test_adapters_take_the_width_of_their_path() -> None:
    settings = MuNet(generations=6, rates={**NEVER, "adapter": 0.3, "adapter_dim": 0.5}, adapter_dims=(4, 8, 16),
                     adapter={"family": "adapter", "config": {"dim": 8, "activation": "gelu"}}, mutable_rates=False)
    run = drive(settings, VIEW)
    specs = [ref.spec.config for c in run.candidates for ref in only(c).refs() if ref.spec.family == "adapter"]
    assert {spec["dim"] for spec in specs} == {4, 8, 16}
    assert {spec["activation"] for spec in specs} == {"gelu"}
    none = drive(MuNet(generations=3, adapter=None, rates={**NEVER, "adapter": 1.0}), VIEW)
    assert {tuple(c.labels["mutations"]) for c in none.candidates} == {("probe",), ()}


def test_a_path_that_takes_a_layer_from_a_model_says_so() -> None:
    grown = after(3, MuNet(generations=3, children=6, rates={**NEVER, "layers": 0.5, "clone": 0.5}))
    checked = 0
    for candidate, _ in walk(MuNet(generations=3, children=8, rates=OFTEN), grown):
        owners = {"root": set(ROOT.frozen())} | {n: set(c.path.frozen()) for n, c in grown.champions.items()}
        parents = candidate.labels["parents"]
        reachable = set().union(*(owners[name] for name in parents))
        drafts = candidate.drafts().values()
        used = {*only(candidate).frozen(), *(d.start.blob for d in drafts if isinstance(d.start, Warm))}
        known = set().union(*owners.values())
        assert used & known <= reachable
        checked += len(parents) > 1
    assert checked > 0


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
    settings = MuNet(generations=3, children=6, rates=OFTEN, size=0.5)
    run = drive(settings, VIEW, quality(lambda c: 0.5 + 0.1 * (len(c.drafts()) > 1)))
    assert run.winner is not None
    assert isinstance(run.search, MuNetSearch)
    best = max(m.score for m in run.search.population if m.score is not None)
    assert run.winner.extra["score"] == best
    assert next(m.key for m in run.search.population if m.score == best) == run.winner.candidate.hash


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


# -- settings -----------------------------------------------------------------------------------------------


def test_presets_are_what_was_published() -> None:
    made = MuNet.preset("munet-2022")
    assert (made.generations, made.children, made.probes, made.size, made.mutable_rates) == (8, 8, "all", 1.0, False)
    assert set(made.rates.values()) == {0.1}
    assert (list(made.adapter_dims), made.first_adapter_dim) == ([8, 16, 32, 64, 128], 32)
    assert isinstance(made.training, Training)
    assert (made.training.optimizer, made.training.lr, made.training.momentum, made.training.clip) == (
        "sgd", 0.01, 0.9, 1.0)
    for name, values in made.space.items():
        assert getattr(made.training, name) in values
    assert MuNet.preset("munet-2022", size=0.9).size == 0.9
    with pytest.raises(ConfigError, match="'munet-2022'"):
        MuNet.preset("munet")


@pytest.mark.parametrize("made", [
    MuNet(), MuNet(probes=3, adapter=None), *(MuNet.preset(name) for name in MUNET_PRESETS),
])
def test_settings_survive_plain_data(made: MuNet) -> None:
    again = MuNet(**json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()
    once, twice = (drive(replace(m, generations=1), VIEW) for m in (made, again))
    assert [c.hash for c in once.candidates] == [c.hash for c in twice.candidates]


@pytest.mark.parametrize(("wrong", "message"), [
    ({"generations": -1}, "`generations` must be a whole number of at least 0"),
    ({"children": 0}, "`children` must be a whole number of at least 1"),
    ({"probes": "some"}, "`probes` must be 'all' or a whole number"),
    ({"probes": True}, "`probes` must be 'all' or a whole number"),
    ({"rates": {"clone": 1.5}}, "rate `clone` must be a probability, found 1.5"),
    ({"rates": {"clnoe": 0.5}}, "`rates` must name mutations or their kinds.*found 'clnoe'"),
    ({"size": 1.5}, "`size` must be above 0 and at most 1"),
    ({"compute": 0}, "`compute` must be above 0"),
    ({"space": {"speed": [1]}}, "`space` must give non-empty lists for fields of `training`, found 'speed'"),
    ({"space": {"lr": []}}, "`space` must give non-empty lists"),
    ({"space": {"lr": [0.1, -1]}}, "`lr` must be a number"),
    ({"space": {"schedule": ["cosine", "restarts"]}}, "`schedule` must be one of"),
    ({"adapter_dims": []}, "`adapter_dims`"),
    ({"adapter_dims": [0]}, "`adapter_dims` must be a whole number of at least 1"),
    ({"probe_training": {"stepz": 1}}, "`probe_training` must name fields of `training`, found"),
])
def test_bad_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MuNet(**wrong)

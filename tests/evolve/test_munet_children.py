"""muNet: what a child shares, copies, trains and inherits, and what its labels say."""

from collections import Counter
from dataclasses import replace
from functools import cache

from helpers_munet import NEVER, OFTEN, ROOT, VIEW, after, member, only
from scipy.stats import binomtest

from pathways.candidate import Candidate
from pathways.evolve import MuNet
from pathways.evolve.member import Member
from pathways.evolve.offspring import RATES, make_child
from pathways.evolve.outline import layers
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Warm
from pathways.path import Path, Step
from pathways.seeds import numpy_generator
from pathways.strategy import View
from pathways.testing.fake import drive, example_view, fake_result, sha


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


@cache
def all_children() -> list[tuple[Candidate, Member]]:
    """Those of six searches."""
    settings = MuNet(generations=4, children=12, rates=OFTEN)
    return [pair for run in range(6) for pair in walk(settings, after(2, view=example_view(run=run)))]


def test_a_child_shares_what_is_frozen_by_reference_and_copies_what_it_clones() -> None:
    shared = 0
    for candidate, parent in all_children():
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
    for candidate, parent in all_children():
        frozen = set(only(candidate).frozen())
        assert not frozen & parent.own
        added = [word.removeprefix("add ") for word in candidate.labels["mutations"] if word.startswith("add ")]
        for name, draft in candidate.drafts().items():
            if isinstance(draft.start, Warm) and name not in added:
                known = {*parent.trunk.frozen(), *(head.id for head in parent.heads.values())}
                assert draft.start.blob in known
                seen += draft.start.blob in parent.own
    assert seen > 20


def test_of_a_step_that_mixes_own_and_shared_modules_only_the_own_are_trained() -> None:
    spec = ModuleSpec("linear", {"dim": 16})
    shared, own = Frozen(sha("shared"), spec), Frozen(sha("own"), spec)
    trunk = Path(ROOT.inputs, {**ROOT.steps, "a": Step((shared, own), ("flat",))}, "b")
    parent = replace(member("parent", 0.5), trunk=trunk, own=frozenset({own.id}))
    child = make_child(parent, MuNet(rates=NEVER), [], VIEW.families, numpy_generator("child"))
    assert child.mutations == ()
    assert child.trunk.steps["a"].modules == (shared, Draft("a.1", spec, Warm(own.id)))
    assert {name: step for name, step in child.trunk.steps.items() if name != "a"} == {
        name: step for name, step in trunk.steps.items() if name != "a"}


def test_a_head_goes_on_where_the_outline_of_the_trunk_is_the_same() -> None:
    starts = Counter()
    for candidate, parent in all_children():
        path = only(candidate)
        trunk = Path(path.inputs, {n: s for n, s in path.steps.items() if n != "head"}, path.steps["head"].reads[0])
        same = layers(trunk) == layers(parent.trunk)
        start = candidate.drafts()["head"].start
        if parent.heads and same:
            assert start == Warm(next(iter(parent.heads.values())).id)
        else:
            assert start == Init()
        starts[same, type(start)] += 1
    assert set(starts) == {(True, Warm), (True, Init), (False, Init)}, starts


def test_labels_say_what_was_done_and_nothing_else() -> None:
    seen: Counter[str] = Counter()
    for candidate, parent in all_children():
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
            assert not name.endswith(".adapter.adapter"), "adapters have no adapters"
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
    for candidate, parent in all_children():
        for name, values in space.items():
            step = values.index(getattr(candidate.training, name)) - values.index(getattr(parent.training, name))
            assert step in (-1, 0, 1)
            moved[step] += 1
    assert moved[-1] > 20
    assert moved[1] > 20


def test_rates_are_inherited_and_move_one_step_along_the_list() -> None:
    moved: Counter[int] = Counter()
    for candidate, parent in all_children():
        rates = candidate.labels["rates"]
        assert set(parent.rates) <= set(rates)
        for name, rate in rates.items():
            step = RATES.index(rate) - RATES.index(parent.rates.get(name, 0.28))
            assert step in (-1, 0, 1)
            moved[step] += 1
    assert moved[-1] > 20
    assert moved[1] > 20


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

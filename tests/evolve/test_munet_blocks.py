"""muNet with modules of any family: what it draws, what its settings refuse, and a run on digits with all of it."""

import json
import re

import numpy as np
import pytest
import torch
from helpers_blocks import CHAINS, Bench, as_frozen, families_of, headed, paths
from helpers_munet import NEVER, VIEW, told
from helpers_tiny import Counting, interrupt_after
from torch import nn

from pathways.candidate import Training
from pathways.data import digits_tasks
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.evolve.change_blocks import BLOCK_KINDS, CHOICES, change_blocks, resolved
from pathways.experiments.config import config_from
from pathways.modules import BUILT_IN, FAMILIES, Delta, Draft, Families, Image, Module, ModuleSpec
from pathways.path import Path, Step
from pathways.system import System
from pathways.testing.fake import drive, example_view, fake_result, later_view

ALL = dict.fromkeys(CHOICES, "all")
SOME = {"blocks": ("adapter", "linear", "transformer"), "deltas": ("lora",), "routers": ("topk_router",)}


class Always:
    """Everything of these kinds happens, or a share of it."""

    def __init__(self, *kinds, seed=0, share=1.0):
        self.kinds, self.share, self.rng, self.asked = kinds, share, np.random.default_rng(seed), []

    def happens(self, name, kind):
        self.asked.append(name)
        return kind in self.kinds and (self.share == 1 or self.rng.random() < self.share)


# -- what is drawn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "words"), [
    ("insert", "insert (adapter|linear|transformer) after (a|b)"), ("delta", "delta lora in (a|b)"),
    ("replace", "replace (a|b) by (adapter|linear|transformer)"), ("drop", "drop (a|b)"),
    ("branch", "branch (adapter|linear|transformer) beside (a|b)( by topk_router)?"),
])  # fmt: skip
def test_each_kind_changes_every_step_that_it_fits(kind, words):
    path, said = change_blocks(as_frozen(CHAINS["vectors"]), SOME, BUILT_IN, draws := Always(kind))
    assert path.hash != as_frozen(CHAINS["vectors"]).hash
    assert all(re.fullmatch(words, each) for each in said), said
    assert len(said) == (1 if kind == "drop" else 2), "one layer stays"
    assert draws.asked == [f"{each}:{step}" for step in ("a", "b") for each in BLOCK_KINDS]


def test_a_step_is_not_replaced_by_its_own_family():
    only = {**SOME, "blocks": ("linear",)}
    assert change_blocks(as_frozen(CHAINS["vectors"]), only, BUILT_IN, Always("replace"))[1] == []


def test_deltas_and_modules_beside_others_are_taken_out_again():
    taken = set()
    for seed in range(12):
        path, draws = as_frozen(CHAINS["vectors"]), Always("delta", "branch", "drop", seed=seed)
        for _ in range(3):
            path, words = change_blocks(path, SOME, BUILT_IN, draws)
            path = path.trained({name: "0" * 63 + str(i) for i, name in enumerate(path.drafts())})
            taken |= {word.rstrip("0123456789 ").rsplit(" ", 1)[0].rstrip(" 0123456789") for word in words}
    assert {"drop delta 0 of", "drop module 0 of", "drop module 1 of"} <= taken


def test_equal_draws_give_equal_children():
    one, two = (change_blocks(as_frozen(CHAINS["images"]), SOME, BUILT_IN, Always("insert", "branch")) for _ in "ab")
    assert one == two


# -- settings ---------------------------------------------------------------------------------------------------------


def test_without_these_settings_a_search_is_what_it_was():
    said = MuNet().to_json()
    assert not set(CHOICES) & set(said)
    with_choices = MuNet(blocks=["linear"], rates={**MuNet().rates, "insert": 0.5})
    assert MuNet(**json.loads(json.dumps(with_choices.to_json()))).to_json() == with_choices.to_json()
    never = MuNet(generations=2, rates={**MuNet().rates, **dict.fromkeys(BLOCK_KINDS, 0.0)})
    once, twice = (drive(made, VIEW) for made in (MuNet(generations=2), never))
    assert [c.hash for c in once.candidates] == [c.hash for c in twice.candidates]


def test_all_is_every_family_of_that_use():
    found = {name: set(resolved(name, "all", BUILT_IN)) for name in CHOICES}
    heads = {name for name in FAMILIES if getattr(BUILT_IN[name], "head", False)}
    assert found["blocks"] | found["deltas"] | heads == set(FAMILIES)
    assert {"transformer", "conv", "learned_tokens"} <= found["blocks"]
    assert all(issubclass(BUILT_IN[name], Delta) for name in found["deltas"])
    assert "topk_router" in found["routers"]
    assert not {"linear", "flatten", *heads} & found["routers"]


@pytest.mark.parametrize(("wrong", "message"), [
    ({"blocks": "some"}, "`blocks` must be 'all' or a list of families and module specs, found 'some'"),
    ({"blocks": [{"famly": "linear"}]}, "`module` must be a module spec"),
    ({"blocks": "all"}, r"`rates` must be above 0 for one of \('insert', 'replace', 'branch'\) where `blocks` is"),
    ({"deltas": ["lora"]}, r"`rates` must be above 0 for one of \('delta',\) where `deltas` is given"),
    ({"rates": {"insert": 0.1}}, "`blocks` must name families where rate `insert` is above 0, found none: say 'all'"),
    ({"rates": {"delta:a": 0.1}}, "`deltas` must name families where rate `delta` is above 0, found none"),
    ({"rates": {"inserts": 0.1}}, "`rates` must name mutations or their kinds"),
])  # fmt: skip
def test_settings_that_do_nothing_or_are_none_are_named(wrong, message):
    with pytest.raises(ConfigError, match=message):
        MuNet(**wrong)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"blocks": ["transfromer"], "rates": {"insert": 0.1}}, "`blocks` must name families, some of .*'transfromer'"),
    ({"blocks": ["lora"], "rates": {"insert": 0.1}}, "`blocks` must name families that are neither a head nor a delta"),
    ({"deltas": ["linear"], "rates": {"delta": 0.1}}, "`deltas` must name families that are deltas, found 'linear'"),
    ({"blocks": ["linear"], "routers": ["linear"], "rates": {"branch": 0.1}},
     "`routers` must name families that are routers of a step's modules, found 'linear'"),
])  # fmt: skip
def test_families_of_another_use_are_refused_when_a_search_begins(wrong, message):
    with pytest.raises(ConfigError, match=message):
        MuNet(**wrong).begin(VIEW)


def test_configurations_say_it():
    config = config_from({
        "name": "any", "tasks": [{"source": "digits"}],
        "strategy": {"munet": {
            "blocks": ["transformer", {"family": "linear", "config": {"dim": 8}}], "deltas": "all",
            "rates": {"insert": 0.2, "delta:block1": 0.1, "drop": 0.1},
        }},
    }, "any.yaml")  # fmt: skip
    munet = config.strategy.strategy
    assert munet.blocks == ("transformer", ModuleSpec("linear", {"dim": 8}))
    assert (munet.deltas, munet.routers) == ("all", ())


class Shifted(Module):
    """A user's block."""

    family = "shifted"

    def __init__(self, ports):
        super().__init__()
        self.output = ports[0]
        self.by = nn.Parameter(torch.empty(()))

    def initialise(self, generator):
        nn.init.zeros_(self.by)

    def forward(self, *inputs, context):
        return inputs[0] + self.by

    @classmethod
    def fitting(cls, ports):
        return {} if len(ports) == 1 and not ports[0].integer else None


def test_a_user_s_own_family_is_one_of_all():
    families = Families([Shifted])
    assert "shifted" in resolved("blocks", "all", families)
    only = {**SOME, "blocks": ("shifted",)}
    path, said = change_blocks(as_frozen(CHAINS["images"]), only, families, Always("insert"))
    assert said == ["insert shifted after a", "insert shifted after b", "insert shifted after c"]
    assert families_of(path).count("shifted") == 3


# -- searches ---------------------------------------------------------------------------------------------------------


def test_children_of_children_keep_what_was_put_into_them_and_their_heads():
    rates = {**NEVER, "insert": 0.5, "delta": 0.3, "branch": 0.2}
    settings = MuNet(generations=4, children=6, rates=rates, **SOME, mutable_rates=False)
    search, view = settings.begin(VIEW), VIEW
    while told(search):
        pass
    grown = [m for m in search.population if any("+" in name for name in m.trunk.steps)]
    assert len(grown) > 2
    best = max(grown, key=lambda m: len(m.trunk.steps))
    assert best.heads
    view = later_view(view, drive(settings, view).winner)
    for candidate in drive(settings, view).candidates:
        for path in candidate.paths.values():
            path.ports()
            assert Path.from_json(path.to_json()) == path


def test_rates_of_a_step_s_own_name_are_inherited():
    rates = {**NEVER, "insert:a": 0.28}
    search = MuNet(generations=3, children=8, rates=rates, blocks=["linear"]).begin(example_view())
    said = {word for _ in range(4) for c in told(search, fake_result) for word in c.labels["mutations"]}
    assert said <= {"probe", "insert linear after a"}
    assert "insert linear after a" in said


@pytest.mark.parametrize("name", ["images", "masked tokens", "mixture-of-mlps", "text-encoder", "progressive"])
def test_what_all_of_it_makes_of_a_path_trains(name, tmp_path):
    bench = Bench(tmp_path)
    path = bench.frozen(paths()[name])
    every = {use: resolved(use, "all", BUILT_IN) for use in CHOICES}
    for seed in range(2):
        path, words = change_blocks(path, every, BUILT_IN, Always(*BLOCK_KINDS, share=0.4, seed=seed))
        result = bench.train(headed(path))
        assert result.ok, (words, result.failure)
        path = path.trained(result.blobs)


# -- a run ------------------------------------------------------------------------------------------------------------

ROOT = Path({"image": Image(1, 8, 8)}, {
    "conv": Step((Draft("conv", ModuleSpec("conv", {"channels": 4, "pool": 2})),), ("image",)),
    "mixed": Step((Draft("mixed", ModuleSpec("conv", {"channels": 4, "norm": "group", "groups": 1})),), ("conv",)),
    "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("mixed",)),
    "dense": Step((Draft("dense", ModuleSpec("linear", {"dim": 8, "activation": "relu"})),), ("flat",)),
}, "dense")  # fmt: skip
MUNET = MuNet(
    generations=2, children=8, mutable_rates=False, **ALL,
    rates={"clone": 0.1, "lr": 0.1, "insert": 0.25, "replace": 0.1, "drop": 0.1, "delta": 0.25, "branch": 0.15},
)  # fmt: skip
TASKS = digits_tasks(((0, 1), (2, 3)))


def learn(directory, engine, **options):
    system = System.create(directory, root=ROOT, seed=0, training=Training(steps=2, batch=8))
    with system:
        for task in TASKS:
            system.learn(task, MUNET, engine, **options)
        system.verify()
        results = system.ledger.known(engine.trained)
        tried = [(system.ledger.candidate(key), results[key]) for key in engine.trained]
        return champions_of(system), tried


def champions_of(system):
    return {name: record.path.hash for name, record in system.records.items()}


def test_a_run_with_all_families_uses_each_kind_and_replays(tmp_path):
    engine = Counting()
    champions, tried = learn(tmp_path / "run", engine)
    said = {word.split(" ")[0] for candidate, _ in tried for word in candidate.labels["mutations"]}
    assert {"insert", "replace", "drop", "delta", "branch", "clone"} <= said
    assert [result.failure for _, result in tried if not result.ok] == []
    families = {ref.spec.family for candidate, _ in tried for path in candidate.paths.values() for ref in path.refs()}
    assert len(families) > 15
    other = tmp_path / "killed"
    again = Counting()
    with pytest.raises(KeyboardInterrupt):
        learn(other, again, progress=interrupt_after(12))
    with System.open(other) as system:
        for task in TASKS:
            system.learn(task, MUNET, again)
        system.verify()
        assert champions_of(system) == champions
    assert len(again.trained) == len(set(again.trained)), "nothing is trained twice"
    assert set(again.trained) == set(engine.trained)

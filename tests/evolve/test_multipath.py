"""Multipath: frozen paths of other tasks mixed into a task's own by a router that is trained, as mu4Net does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_munet import OFTEN, VIEW, after, only, quality
from helpers_tiny import DIM, interrupt_after, task_of, tiny_root

from pathways.assemble import PathModule
from pathways.brief import sketch_of
from pathways.candidate import Candidate, Training
from pathways.evolve import MuNet
from pathways.evolve.member import Member, seeds_of
from pathways.evolve.multipath import Extra, Multipath, can_mix, gives_features, mixed, trained
from pathways.evolve.paths import without_head
from pathways.modules import BUILT_IN, Draft, Frozen, Ids, Image, Init, ModuleSpec, Vector, Warm, build
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.prefix import frozen_prefix
from pathways.system import System
from pathways.testing.fake import drive, example_view, fake_result, later_view
from pathways.trainer.train import Trainer

ALWAYS = MuNet.preset(
    "mu4net-2023", generations=3, children=6, mutable_rates=False, rates={**OFTEN, "paths": 1.0},
)
TRAINING: dict[str, Any] = {
    "optimizer": "sgd", "lr": 0.1, "momentum": 0.8, "nesterov": True, "clip": 1.0, "steps": 12, "batch": 8,
}


def paths_of(candidate: Candidate) -> list[str]:
    return list(candidate.labels.get("paths", []))


# -- the mixture ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path: FilePath) -> Pool:
    return Pool(tmp_path / "pool")


def frozen(pool: Pool, family: str, reads: Any, seed: int, **config: Any) -> Frozen:
    spec = ModuleSpec(family, config)
    return Frozen(pool.put(spec, build(spec, (reads,), torch.Generator().manual_seed(seed)).state_dict()), spec)


def trunk_of(pool: Pool, below: int, above: int) -> Path:
    """Two linear layers of these seeds: equal seeds are equal blobs."""
    x = Vector(DIM)
    refs = [frozen(pool, "linear", x, below, dim=8), frozen(pool, "linear", Vector(8), above, dim=8)]
    return Path({"x": x}, {"a": Step((refs[0],), ("x",)), "b": Step((refs[1],), ("a",))}, "b")


def example(pool: Pool) -> tuple[Member, Frozen]:
    """A path of its own and two others, the first of which has the lower layer in common with it."""
    head = frozen(pool, "classifier", Vector(8), 9, classes=3)
    own = Member("own", trunk_of(pool, 1, 2), {"t": head}, frozenset(), Training(), {}, 16)
    return replace(own, extras=(Extra("u", trunk_of(pool, 1, 3)), Extra("v", trunk_of(pool, 4, 5)))), head


def assembled(path: Path, pool: Pool, seed: int = 0) -> PathModule:
    def weights(ref: Any) -> Any:
        if isinstance(ref, Frozen):
            return pool.get(ref.id)
        return torch.Generator().manual_seed(seed) if isinstance(ref.start, Init) else pool.get(ref.start.blob)

    return PathModule(path, weights, BUILT_IN).eval()


def test_h3_mu4_all_is_frozen_but_connectors_and_router_and_shared_steps_are_one(pool: Pool) -> None:
    member, head = example(pool)
    path = mixed(member, head, Multipath())
    assert list(path.drafts()) == ["connector1", "connector2", "router"]
    assert path.output == "head"
    assert path.head == "logits"
    assert sorted(name for name in path.steps if name.startswith("path")) == ["path1.b", "path2.a", "path2.b"]
    prefix, boundary = frozen_prefix(path)
    assert prefix == {"a", "b", "logits", "path1.b", "path2.a", "path2.b"}
    assert set(boundary) == {"logits", "path1.b", "path2.b"}, "with a cache, frozen paths are computed once"
    assert path.ports()["head"] == Vector(3)
    assert {d.spec.family: d.start for d in path.drafts().values()} == {"connector": Init(), "path_router": Init()}


def test_h3_mu4_it_starts_with_four_fifths_of_the_own_path_and_nothing_of_the_others(pool: Pool) -> None:
    member, head = example(pool)
    model = assembled(mixed(member, head, Multipath()), pool)
    x = torch.randn(20, DIM)
    with torch.no_grad():
        values = model.compute({"x": x}, ("logits", "connector1", "connector2", "head"))
        router = model.module_of(model.path.drafts()["router"])
        weights = router.weights(values["logits"])  # type: ignore[operator]
    torch.testing.assert_close(weights, torch.tensor([[0.8, 0.1, 0.1]]).expand(20, 3))
    assert not values["connector1"].any()  # type: ignore[union-attr]
    assert not values["connector2"].any()  # type: ignore[union-attr]
    torch.testing.assert_close(values["head"], 0.8 * values["logits"])  # type: ignore[operator]
    assert torch.equal(values["head"].argmax(1), values["logits"].argmax(1))  # type: ignore[union-attr]


def test_h3_mu4_training_changes_connectors_and_router_and_nothing_else(pool: Pool) -> None:
    member, head = example(pool)
    path, task = mixed(member, head, Multipath()), task_of("one")
    before = {blob: bytes(pool.raw(blob)) for blob in path.frozen()}
    candidate = Candidate({"one": path}, Training(**TRAINING), {"one": task.fingerprint})
    trainer = Trainer(pool)
    trainer.provide(task)
    (result,) = trainer.run([candidate])
    assert not result.failure
    assert set(result.blobs) == {"connector1", "connector2", "router"}
    trained_weights = [pool.get(result.blobs[name]) for name in ("connector1", "connector2")]
    assert all(tensor.any() for tensors in trained_weights for tensor in tensors.values())
    assert pool.get(result.blobs["router"])["gate.weight"].any()
    assert {blob: bytes(pool.raw(blob)) for blob in before} == before
    # What was trained is found again, and trained on.
    again = trained(member, candidate, result)
    later = mixed(again, head, Multipath())
    assert {name: draft.start for name, draft in later.drafts().items()} == {
        name: Warm(blob) for name, blob in result.blobs.items()}
    whole = path.trained(result.blobs)
    outputs = [assembled(p, pool)({"x": torch.ones(1, DIM)}) for p in (whole, later)]
    assert torch.equal(*outputs)  # type: ignore[arg-type]


def test_a_closed_form_for_heads_leaves_the_mixture_as_it_is(pool: Pool) -> None:
    member, head = example(pool)
    task = task_of("one")
    trainer = Trainer(pool)
    trainer.provide(task)
    blobs = []
    for settings in ({}, {"head_init": "zeros"}, {"head_init": "class_means", "head_refit": "class_means"}):
        training = Training(steps=0, **settings)
        candidate = Candidate({"one": mixed(member, head, Multipath())}, training, {"one": task.fingerprint})
        (result,) = trainer.run([candidate])
        assert not result.failure
        blobs.append(pool.get(result.blobs["router"])["norm.weight"].tolist())
    assert blobs == [[1.0] * 3] * 3, "its head is frozen"


def test_paths_that_end_in_images_and_read_other_names_are_mixed(pool: Pool) -> None:
    conv = frozen(pool, "conv", Image(1, 6, 6), 1, channels=2)
    image = Path({"image": Image(1, 6, 6)}, {"c": Step((conv,), ("image",))}, "c")
    dim = image.ports()["c"].shape
    head = frozen(pool, "classifier", Vector(dim[0] * dim[1] * dim[2]), 2, classes=4)  # type: ignore[operator]
    other = frozen(pool, "conv", Image(1, 6, 6), 3, channels=2)
    extra = Path(image.inputs, {"c": Step((other,), ("image",))}, "c")
    member = Member("own", image, {"t": head}, frozenset(), Training(), {}, 16, extras=(Extra("u", extra),))
    path = mixed(member, head, Multipath())
    assert {name for name, step in path.steps.items() if step.modules[0].spec.family == "flatten"} == {
        "c.flatten", "path1.c.flatten"}
    assert path.ports()["head"] == Vector(4)


# -- the search -------------------------------------------------------------------------------------------------------


def test_h3_mu4_paths_are_added_replaced_and_dropped_within_their_numbers() -> None:
    done: Counter[str] = Counter()
    for run in range(4):
        view = after(4, view=example_view(run=run))
        search = replace(ALWAYS, generations=6, population=None).begin(view)
        known: dict[str, Member] = {}
        while asked := search.ask():
            for candidate in asked:
                keys, parent = paths_of(candidate), known.get(candidate.labels["parent"])
                words = candidate.labels["mutations"]
                assert len(keys) in (0, 1, 2)
                if not keys:
                    assert parent is None, "what is mixed once stays so, and own paths are always mixed here"
                    continue
                assert parent is not None
                before = [extra.key for extra in parent.extras]
                new, gone = len(set(keys) - set(before)), len(set(before) - set(keys))
                done["first" if not before else f"{'+' * new}{'-' * gone}"] += 1
                said = [word for word in words if word.startswith("path of")]
                assert said == [f"path of {key}" for key in keys if key not in before]
                path = only(candidate)
                trunks = {blob for extra in (parent.trunk, *(view.champions[k].path for k in keys if k != "root"))
                          for blob in extra.frozen()}
                assert set(path.frozen()) <= trunks | {h.id for h in parent.heads.values()} | set(VIEW.root.frozen())  # type: ignore[union-attr]
                assert without_head(path) == parent.trunk
                kept = {extra.key: extra.connector for extra in parent.extras}
                for i, key in enumerate(keys, 1):
                    start = path.drafts()[f"connector{i}"].start
                    assert start == (Warm(kept[key].id) if key in kept else Init())  # type: ignore[union-attr]
                same = len(before) == len(keys)
                assert isinstance(path.drafts()["router"].start, Warm if same else Init)
            search.tell([(c, fake_result(c)) for c in asked])
            known |= {m.key: m for m in search.population}
    assert {"first", "+", "-", "+-"} <= set(done), done


def test_h3_mu4_extra_paths_differ_from_the_own_one_and_from_each_other() -> None:
    seen = 0
    view = after(3, ALWAYS)
    search = ALWAYS.begin(view)
    while asked := search.ask():
        search.tell([(c, fake_result(c)) for c in asked])
        for member in search.population:
            trunks = [member.trunk.hash, *(extra.trunk.hash for extra in member.extras)]
            assert len(set(trunks)) == len(trunks)
            seen += len(trunks) > 1
    assert seen


def test_where_there_is_no_other_path_or_several_tasks_are_learned_nothing_is_mixed() -> None:
    lonely = replace(ALWAYS, rates={"hyperparameter": 0.3, "paths": 1.0})  # each path has the root's trunk
    assert not any(paths_of(c) for c in drive(lonely, VIEW).candidates)
    group = replace(after(2), tasks=example_view(5).tasks[3:])
    assert not any(paths_of(c) for c in drive(ALWAYS, group).candidates)
    assert not any(paths_of(c) for c in drive(replace(ALWAYS, multipath=None), after(2)).candidates)


def test_three_paths_need_two_others() -> None:
    settings = replace(ALWAYS, multipath={"paths": [3]}, rates={"paths": 1.0, "clone": 0.3}, generations=4)
    assert {len(paths_of(c)) for c in drive(settings, VIEW).candidates} == {0}, "there is the root alone"
    assert {len(paths_of(c)) for c in drive(settings, after(3)).candidates} == {0, 2}


def test_h3_mu4_later_tasks_build_on_the_first_path_of_a_mixture_which_is_its_own() -> None:
    view = after(2)
    more = quality(lambda c: 0.3 + 0.2 * len(paths_of(c)) + 0.01 * fake_result(c).quality)
    winner = drive(replace(ALWAYS, size=1.0, compute=1.0), view, more).winner
    assert winner is not None
    assert winner.extra["paths"]
    (path,) = winner.paths.values()
    assert not path.drafts()
    later = later_view(view, winner)
    own = without_head(path)
    assert path.head == "logits"
    assert own.canonical_order == Path(path.inputs, path.steps, "logits").canonical_order[:-1]
    sketch = sketch_of(path, BUILT_IN)
    assert sketch.trunk == own.hash
    assert list(sketch.steps) == list(own.canonical_order)
    assert set(sketch.sizes) == set(path.frozen()), "all of it is kept and accounted for"
    seeds = seeds_of(ALWAYS, later)
    assert seeds[1].key == view.task.name
    assert seeds[1].trunk == own
    assert seeds[1].extras == ()
    probes = MuNet().begin(later).ask()
    assert probes[1].labels["parent"] == view.task.name
    assert set(only(probes[1]).frozen()) == set(own.frozen())
    assert set(winner.parents) >= set(winner.extra["paths"])


# -- runs -------------------------------------------------------------------------------------------------------------

RUN = replace(ALWAYS, generations=4, children=3, training=TRAINING, rates={"clone": 0.5, "paths": 1.0}, size=1.0,
              compute=1.0, space={})


def learn(directory: FilePath, cut: bool = False) -> str:
    with System.create(directory, root=tiny_root()) as made:
        for name in ("one", "two", "three"):
            made.learn(task_of(name), RUN)
        if cut:
            with pytest.raises(KeyboardInterrupt):
                made.learn(task_of("four"), RUN, progress=interrupt_after(4))
    with System.open(directory) as made:
        made.learn(task_of("four"), RUN)
        return made.fingerprint


def test_h2_mu4_a_run_forgets_nothing_and_accounts_for_every_parameter(tmp_path: FilePath) -> None:
    learn(tmp_path)
    with System.open(tmp_path) as system:
        assert system.verify().ok
        assert set(system.pool) == system.reachable()
        mixtures = [name for name, c in system.champions.items() if c.extra.get("paths")]
        assert mixtures, "a mixture was best"
        users = system.champions.users
        distinct: dict[str, int] = {}
        accounted = 0.0
        for champion in system.champions.values():
            sizes = champion.path.costs().sizes
            distinct |= sizes
            accounted += sum(size / len(users[blob]) for blob, size in sizes.items())
        assert round(accounted, 6) == sum(distinct.values())
        assert system.forget("one") is None
        assert system.verify().ok, "what a mixture uses of a forgotten task stays"


def test_mu4_a_run_that_was_cut_short_ends_as_one_that_was_not(tmp_path: FilePath) -> None:
    assert learn(tmp_path / "cut", cut=True) == learn(tmp_path / "whole")


def test_a_mixture_is_predicted_with_and_its_trunk_exported(tmp_path: FilePath) -> None:
    learn(tmp_path)
    with System.open(tmp_path) as system:
        name = next(name for name, c in system.champions.items() if c.extra.get("paths"))
        task = task_of(name)
        found = system.predict(name, {"x": task.splits["test"].inputs["x"][:4]})  # type: ignore[index]
        assert found is not None
        system.export(name, "root", tmp_path / "root")
        own = without_head(system.champions[name].path)
        assert {file.stem for file in (tmp_path / "root").glob("*.safetensors")} == set(own.frozen())
        assert isinstance(next(iter(own.steps.values())).modules[0], Frozen)
        assert not [ref for ref in own.refs() if isinstance(ref, Draft)]


def test_heads_that_score_each_place_and_trunks_that_give_ids_are_not_mixed() -> None:
    sequence = Frozen("a" * 64, ModuleSpec("sequence", {"classes": 3}))
    classifier = Frozen("b" * 64, ModuleSpec("classifier", {"classes": 3}))
    assert can_mix([classifier])
    assert not can_mix([classifier, classifier])
    assert not can_mix([sequence])
    assert not can_mix([])
    ids = Path({"x": Ids(4, 10)}, {"d": Step((Frozen("c" * 64, ModuleSpec("detach")),), ("x",))}, "d")
    assert not gives_features(ids)
    assert gives_features(VIEW.root)  # type: ignore[arg-type]

"""Optimizer states that clones inherit, mu2Net and mu3Net: row H3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_munet import OFTEN, VIEW, after, member
from helpers_tiny import Counting, interrupt_after, task_of, tiny_root

from pathways.candidate import Candidate
from pathways.errors import ForgettingError
from pathways.evolve import MuNet
from pathways.evolve.offspring import make_child
from pathways.modules import Draft, Frozen, Warm
from pathways.pool import same
from pathways.seeds import numpy_generator
from pathways.strategy import Champion
from pathways.system import System
from pathways.testing.fake import drive, fake_result, sha
from pathways.trainer.train import Trainer

STEPS: dict[str, Any] = {
    "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": "constant", "warmup": 0.0, "steps": 12, "batch": 8,
}
CLONES = MuNet.preset(
    "mu2net-2022", generations=2, children=3, training=STEPS, space={}, adapter=None, rates={"clone": 0.3},
    rate_steps=[0.3, 0.9],
)


@pytest.fixture
def system(tmp_path: FilePath) -> Iterator[System]:
    with System.create(tmp_path / "run", root=tiny_root()) as made:
        made.learn(task_of("one"), CLONES)
        yield made


def warm(candidate: Candidate) -> list[Draft]:
    """What a candidate copies with its optimizer state."""
    return [d for d in candidate.drafts().values() if isinstance(d.start, Warm) and d.start.optimizer]


def asked(settings: MuNet, champion: Champion) -> list[Candidate]:
    """All candidates of a search after one champion, on a fake engine."""
    view = replace(VIEW, champions={champion.task: champion})
    return drive(settings, view).candidates


# -- which states clones name -----------------------------------------------------------------------------------------


def test_h3_mu2_every_clone_of_a_component_with_a_state_names_it() -> None:
    settings = MuNet.preset("mu2net-2022", generations=4, rates=OFTEN)
    view = after(2, settings)
    states: dict[str, str] = {}
    for champion in view.champions.values():
        assert champion.optimizers, "a champion names the states of its modules"
        assert set(champion.optimizers) <= set(champion.path.frozen())
        states |= champion.optimizers
    seen = 0
    for candidate, result in drive(settings, view).told:
        assert candidate.optimizer_state
        for draft in candidate.drafts().values():
            if isinstance(draft.start, Warm):
                assert draft.start.optimizer == states.get(draft.start.blob), "a copy of both, or of what has none"
                seen += draft.start.optimizer is not None
        states |= {result.blobs[name]: state for name, state in result.optimizers.items()}
    assert seen > 50


def test_h3_mu3_a_mutation_decides_whether_a_clone_inherits_the_state() -> None:
    settings = MuNet.preset("mu3net-2022", rates={**OFTEN, "optimizer": 0.3}, mutable_rates=False)
    states = {"a" * 64: "1" * 64, "b" * 64: "2" * 64}
    parent = member("p", 0.5)
    blobs = dict(zip(("a", "b"), states, strict=True))
    steps = {
        name: step.map_refs(lambda ref, name=name: replace(ref, id=blobs[name])) if name in blobs else step  # type: ignore[misc]
        for name, step in parent.trunk.steps.items()
    }
    trunk = replace(parent.trunk, steps=steps)
    parent = replace(parent, trunk=trunk, own=frozenset(states), optimizers=states)
    inherited = []
    for i in range(300):
        child = make_child(parent, settings, [], VIEW.families, numpy_generator("inherits", i))
        drafts = {name: draft for name, draft in child.trunk.drafts().items() if name in blobs}
        for name, draft in drafts.items():
            assert isinstance(draft.start, Warm)
            assert draft.start.optimizer in (None, states[blobs[name]])
            assert (f"optimizer of {name}" in child.mutations) == (draft.start.optimizer is not None)
            inherited.append(draft.start.optimizer is not None)
    assert abs(sum(inherited) / len(inherited) - 0.3) < 0.06


@pytest.mark.parametrize("name", ["munet-2022", "mu4net-2023"])
def test_h3_other_presets_start_clones_afresh(name: str) -> None:
    run = drive(MuNet.preset(name, generations=2), after(1, CLONES))
    assert not any(warm(c) or c.optimizer_state for c in run.candidates)
    assert run.winner is not None
    assert "optimizers" not in run.winner.extra


def test_what_another_kind_of_optimizer_has_kept_is_not_inherited() -> None:
    view = after(1, CLONES)
    (champion,) = view.champions.values()
    assert any(warm(c) for c in asked(CLONES, champion))
    adamw = replace(CLONES, training={**STEPS, "optimizer": "adamw"})
    assert champion.training.optimizer == "sgd"
    states = set(champion.optimizers.values())
    assert not any(d.start.optimizer in states for c in asked(adamw, champion) for d in warm(c))  # type: ignore[union-attr]
    both = replace(CLONES, space={"optimizer": ["adamw", "sgd"]}, rates={"clone": 0.9, "hyperparameter": 0.9})
    kinds: dict[str, str] = {}  # of states, by what kept them
    for candidate, result in drive(both, view).told:
        kind = candidate.training.optimizer
        assert all(kinds.get(d.start.optimizer, "sgd") == kind for d in warm(candidate))  # type: ignore[union-attr,arg-type]
        kinds |= dict.fromkeys(result.optimizers.values(), kind)


def test_a_layer_that_is_taken_from_another_model_brings_its_state() -> None:
    """`add-top` shares another champion's layer; a clone of it in a later child begins with what trained it there."""
    settings = MuNet.preset(
        "mu2net-2022", generations=3, rates={"layers": 0.3, "clone": 0.3}, rate_steps=[0.3], adapter=None,
    )
    view = after(4, settings)
    states: dict[str, str] = {}
    for champion in view.champions.values():
        states |= champion.optimizers
    taken = 0
    search = settings.begin(view)
    while found := search.ask():
        search.tell([(c, fake_result(c)) for c in found])
        for one in search.population:
            parent = {*view.champions[one.parents[0]].path.frozen()} if one.parents[0] in view.champions else set()
            for blob in set(one.trunk.frozen()) & set(states) - parent:
                assert one.optimizers[blob] == states[blob]
                taken += 1
    assert taken


# -- in a run ---------------------------------------------------------------------------------------------------------


def test_h3_mu2_a_clones_state_is_its_parents_to_the_bit_and_is_used_by_the_first_step(system: System) -> None:
    champion = system.champions["one"]
    blob, state = next(iter(champion.optimizers.items()))
    kept = system.pool.get(state)
    assert kept, "momentum of each parameter"
    assert all(value.abs().sum() > 0 for value in kept.values())
    path = champion.path
    step = next(name for name, s in path.steps.items() if s.modules[0] == path.frozen()[blob])

    def trained(optimizer: str | None, steps: int) -> tuple[Any, Any]:
        spec = path.frozen()[blob].spec
        changed = path.map_refs(
            lambda ref: Draft(step, spec, Warm(blob, optimizer)) if ref == Frozen(blob, spec) else ref)
        training = replace(champion.training, steps=steps)
        task = task_of("two")
        candidate = Candidate({"two": changed}, training, {"two": task.fingerprint}, optimizer_state=True)
        trainer = Trainer(system.pool)
        trainer.provide(task)
        (result,) = trainer.run([candidate])
        assert not result.failure
        return system.pool.get(result.blobs[step]), system.pool.get(result.optimizers[step])

    weights, states = trained(state, 0)
    assert same(states, kept), "the clone's state is the parent's"
    assert same(weights, system.pool.get(blob)), "and so are its weights"
    with_state, momentum = trained(state, 1)
    without, gradient = trained(None, 1)
    lr, beta = champion.training.lr, champion.training.momentum
    for name, before in kept.items():
        weight = name.removesuffix("::momentum_buffer")
        start = system.pool.get(blob)[weight]
        torch.testing.assert_close(momentum[name], beta * before + gradient[name])
        torch.testing.assert_close(with_state[weight], start - lr * momentum[name])
        torch.testing.assert_close(without[weight], start - lr * gradient[name])
        assert not torch.equal(with_state[weight], without[weight])


def test_h3_mu2_champions_keep_their_states_and_later_clones_start_with_them(system: System) -> None:
    states = set(system.champions["one"].optimizers.values())
    assert states
    assert {system.pool.kind(blob) for blob in states} == {"optimizer"}
    system.collect()
    assert set(system.pool) == system.reachable() >= states
    before = {blob: bytes(system.pool.raw(blob)) for blob in system.pool}
    engine = Counting()
    for name in ("two", "three"):
        system.learn(task_of(name), CLONES, engine)
        assert set(system.pool) == system.reachable(), "a search leaves nothing but its champion and its states"
    clones = [draft for key in engine.trained for draft in warm(system.ledger.candidate(key))]
    assert states & {draft.start.optimizer for draft in clones}  # type: ignore[union-attr]
    assert {blob: bytes(system.pool.raw(blob)) for blob in before} == before
    assert system.verify().ok
    opened = System.open(system.directory)
    with opened:
        assert opened.champions["one"].optimizers == system.champions["one"].optimizers
        opened.forget("one")
        assert set(opened.pool) == opened.reachable()
        assert opened.verify().ok


@pytest.mark.parametrize("training", [
    {"optimizer": "adamw", "lr": 0.01, "steps": 12, "batch": 8}, {**STEPS, "momentum": 0.0}, {**STEPS, "steps": 0},
], ids=["adamw", "without momentum", "without steps"])
def test_h3_other_optimizers_carry_what_they_have(tmp_path: FilePath, training: dict[str, Any]) -> None:
    """Of a child some modules begin with a state and others without, such as a new head; none fails for it."""
    settings = replace(CLONES, training=training, space={"momentum": [0.0, 0.9]} if "momentum" in training else {},
                       rates={"clone": 0.9, "hyperparameter": 0.9}, scratch_training={"steps": 12})
    engine = Counting()
    with System.create(tmp_path / "run", root=tiny_root()) as system:
        for name in ("one", "two"):
            system.learn(task_of(name), settings, engine)
        clones = [draft for key in engine.trained for draft in warm(system.ledger.candidate(key))]
        assert clones
        failures = [found.failure for found in system.ledger.known(engine.trained).values()]
        assert not any(failures), failures
        assert set(system.pool) == system.reachable()
        assert system.verify().ok


def test_a_damaged_state_is_found_and_names_its_task(system: System) -> None:
    state = next(iter(system.champions["one"].optimizers.values()))
    system.pool.path(state).write_bytes(b"other")
    system.pool.forget([state])
    with pytest.raises(ForgettingError, match="'one'"):
        system.verify()


def test_a_search_with_states_that_was_cut_short_goes_on_to_the_same_end(tmp_path: FilePath) -> None:
    def learned(cut: bool) -> tuple[str, dict[str, Any]]:
        with System.create(tmp_path / f"cut-{cut}", root=tiny_root()) as made:
            made.learn(task_of("one"), CLONES)
            if cut:
                with pytest.raises(KeyboardInterrupt):
                    made.learn(task_of("two"), CLONES, progress=interrupt_after(3))
        with System.open(tmp_path / f"cut-{cut}") as made:
            champion = made.learn(task_of("two"), CLONES)
            assert isinstance(champion, Champion)
            return made.fingerprint, dict(champion.extra)

    assert learned(True) == learned(False)


def test_made_up_states_do_not_count(system: System) -> None:
    """Only text is a blob's id; a champion of another strategy may leave anything under that name."""
    champion = replace(system.champions["one"], extra={"optimizers": {"a": 1, "b": sha("b")}})
    assert champion.optimizers == {"b": sha("b")}
    assert replace(champion, extra={"optimizers": 3}).optimizers == {}

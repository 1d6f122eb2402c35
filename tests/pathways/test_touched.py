"""Experts that several tasks share: in joint training, in what a task needs to load, and without what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from tiny import candidate, clusters, head, linear, seeded

from pathways.assemble import PathModule
from pathways.candidate import Candidate, Result
from pathways.modules import Context, Draft, Frozen, Init, ModuleRef, ModuleSpec, Vector, build
from pathways.path import Path, Step
from pathways.pool import Pool, same
from pathways.task import Task
from pathways.touched import loaded_bytes, touched, without_idle_experts
from pathways.trainer import Trainer

TASKS = [clusters(name, seed=i, n=48) for i, name in enumerate("abc")]
LINEAR = ModuleSpec("linear", {"dim": 8, "activation": "relu"})
EXPERT_BYTES = 4 * (8 * 8 + 8)


def expert(e: int) -> Draft:
    """An expert that all tasks share."""
    return Draft(f"expert{e}", LINEAR, Init(e))


def own_gate(task: str, family: str = "topk_router", experts: int = 4, shared: Any = expert, **config: Any) -> Path:
    """A task's path: a shared layer, experts that all tasks share behind a gate of the task's own, its head."""
    router = Draft(f"gate_{task}", ModuleSpec(family, {"experts": experts, "k": 1, **config}), Init(7))
    parts = {"router": router, **{f"expert{e}": shared(e) for e in range(experts)}}
    return Path({"x": Vector(4)}, {
        "trunk": Step((linear("trunk", 8),), ("x",)),
        "experts": Step((Draft(f"mixture_{task}", ModuleSpec("moe", {"residual": True}, parts=parts)),), ("trunk",)),
        "head": Step((head(3, f"head_{task}"),), ("experts",)),
    }, "head")  # fmt: skip


def assembled(paths: dict[str, Path], pool: Pool | None = None) -> dict[str, PathModule]:
    """The paths of one candidate, with shared drafts; all drafts are moved off their start."""
    shared: dict[Any, Any] = {}

    def weights(ref: ModuleRef) -> Any:
        return pool.get(ref.id) if isinstance(ref, Frozen) and pool else seeded(len(shared))

    modules = {name: PathModule(path, weights, shared=shared) for name, path in paths.items()}
    with torch.no_grad():
        for i, (_, module) in enumerate(sorted((str(k), m) for k, m in shared.items())):
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=seeded(60 + i)), alpha=0.5)
    return modules


def run(pool: Pool, wanted: Candidate, tasks: list[Task]) -> Result:
    trainer = Trainer(pool)
    for task in tasks:
        trainer.provide(task.without_test())
    [result] = trainer.run([wanted])
    assert result.ok, result.failure
    return result


@pytest.fixture
def pool(tmp_path: FilePath) -> Pool:
    return Pool(tmp_path)


# -- gates of their own -------------------------------------------------------------------------------------


def test_r4_a_tasks_gate_gets_no_gradient_from_other_tasks() -> None:
    models = assembled({t: own_gate(t, balance=1.0) for t in "ab"})
    x, context = torch.randn(9, 4, generator=seeded(1)), Context(generator=seeded(2))
    loss = models["a"].train()(x, context).square().sum()
    (loss + context.total_loss()).backward()  # type: ignore[operator]
    drafts = {name: module for model in models.values() for name, module in model.drafts().items()}
    touched_by_a = {name for name, module in drafts.items() if any(p.grad is not None for p in module.parameters())}
    assert {"gate_a", "head_a", "trunk"} <= touched_by_a
    assert not touched_by_a & {"gate_b", "head_b", "mixture_b"}
    assert any(name.startswith("expert") for name in touched_by_a)


def test_r4_a_task_alone_touches_only_its_experts() -> None:
    model = assembled({"a": own_gate("a")})["a"]
    gate = model.drafts()["gate_a"]
    with torch.no_grad():  # of equal scores the first expert's counts: experts 1 and 3 are never chosen
        gate.gate.weight[[1, 3]] = gate.gate.weight[0].clone()
    x = torch.randn(40, 4, generator=seeded(1))
    found = touched(model, x)
    assert found["expert1"].rows == found["expert3"].rows == 0
    assert found["expert0"].rows + found["expert2"].rows == 40  # k = 1: one expert a sample
    assert found["trunk"].rows == found["gate_a"].rows == 40
    ran = sum(found[f"expert{e}"].rows > 0 for e in range(4))
    everything = sum(4 * p.numel() for p in model.parameters())
    assert loaded_bytes(found) == everything - (4 - ran) * EXPERT_BYTES
    assert model.training  # as it was


def test_r4_a_step_of_whole_modules_is_counted_too() -> None:
    router = Draft("r", ModuleSpec("topk_router", {"experts": 3, "k": 1}))
    step = Step(tuple(linear(f"m{i}", 4) for i in range(3)), ("x",), router)
    model = PathModule(Path({"x": Vector(4)}, {"out": step}, "out"), lambda ref: seeded())
    found = touched(model, torch.randn(6, 4, generator=seeded(1)))
    assert [found[f"m{i}"].rows for i in range(3)] == [6, 0, 0]  # a fresh gate: equal scores go to the first


def test_r4_r6_one_gate_on_token_and_task_code() -> None:
    """The second form: tasks share the gate, which reads the code of each."""
    def path(task: str) -> Path:
        code = Draft(f"code_{task}", ModuleSpec("learned_tokens", {"length": 1, "dim": 3}), Init(hash_of(task)))
        mixture = Draft("mixture", ModuleSpec("moe", {"experts": 4, "k": 1, "gate": "both"}))
        return Path({"x": Vector(4)}, {
            "code": Step((code,), ()),
            "experts": Step((mixture,), ("x", "code")),
            "head": Step((head(3, f"head_{task}"),), ("experts",)),
        }, "head")  # fmt: skip

    models = assembled({t: path(t) for t in "ab"})
    x = torch.randn(60, 4, generator=seeded(1))
    shares = {}
    for task, model in models.items():
        with torch.no_grad():
            code = model.drafts()[f"code_{task}"]
            code.tokens.mul_(20)
            values = model.eval().compute({"x": x}, ("code",))
            shares[task] = model.drafts()["mixture"].weights(x, values["code"], context=Context()).mean(0)
    assert not torch.allclose(shares["a"], shares["b"], atol=0.1)


def hash_of(task: str) -> int:
    return ord(task)


# -- training -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [
    {"optimizer": "adamw"},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"optimizer": "sgd", "momentum": 0.9, "clip": 1.0, "sampler": "proportional"},
    {"workers": 3},
], ids=["adamw", "sgd", "one task a step", "divided"])
def test_sparse_candidates_train(pool: Pool, training: dict[str, Any]) -> None:
    """Experts that got no sample in a step have no gradient: every trainer bears it, and trains the same twice."""
    paths = {t: own_gate(t, balance=0.1) for t in "ab"}
    workers = training.get("workers", 1)
    options = {name: value for name, value in training.items() if name != "workers"}
    wanted = replace(candidate(paths, *TASKS[:2], steps=12, lr=0.02, **options), workers=workers)
    first, second = (run(pool, wanted, TASKS[:2]) for _ in range(2))
    assert set(first.blobs) == {draft for path in paths.values() for draft in path.drafts()}
    assert first.blobs == second.blobs


def test_a_routed_step_trains_in_every_trainer(pool: Pool) -> None:
    router = Draft("r", ModuleSpec("topk_router", {"experts": 3, "k": 1}), Init(0))
    steps = {
        "experts": Step(tuple(linear(f"m{i}", 6, seed=i) for i in range(3)), ("x",), router),
        "head": Step((head(),), ("experts",)),
    }
    path = Path({"x": Vector(4)}, steps, "head")
    for options in ({"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adamw"}):
        for workers in (1, 2):
            wanted = replace(candidate(path, TASKS[0], steps=40, lr=0.05, **options), workers=workers)
            assert run(pool, wanted, TASKS[:1]).measures["a"].validation > 0.6


def test_r5_the_joint_trainer_raises_the_information(pool: Pool) -> None:
    """I(task; expert) of two tasks with gates of their own, after 60 joint steps: higher with the loss than without."""
    from pathways.modules.routing.gating import mutual_information

    found = {}
    for weight in (0.0, 1.0):
        paths = {t: own_gate(t, "mutual_router", k=2, weight=weight) for t in "ab"}
        result = run(pool, candidate(paths, *TASKS[:2], steps=60, lr=0.02), TASKS[:2])
        rows = []
        for task in TASKS[:2]:
            path = paths[task.name].trained(result.blobs)
            model = PathModule(path, lambda ref: pool.get(ref.id)).eval()
            gate = build(ModuleSpec("mutual_router", {"experts": 4, "k": 2}), [Vector(8)])
            gate.load_state_dict(pool.get(result.blobs[f"gate_{task.name}"]), assign=True)
            trunk = model.compute(task.splits["test"].inputs, ("trunk",))["trunk"]
            normed = torch.nn.functional.layer_norm(trunk, (8,))
            rows.append(gate.gate(normed).softmax(1).mean(0).detach())
        found[weight] = float(mutual_information(torch.stack(rows)))
    assert found[1.0] > found[0.0] + 0.05, found


# -- extract, prune, extend ---------------------------------------------------------------------------------


def grown(pool: Pool) -> tuple[dict[str, Path], Result]:
    paths = {t: own_gate(t, "mutual_router", k=1, weight=0.5) for t in "ab"}
    result = run(pool, candidate(paths, *TASKS[:2], steps=30, lr=0.02), TASKS[:2])
    return {t: path.trained(result.blobs) for t, path in paths.items()}, result


def loaded(path: Path, pool: Pool) -> PathModule:
    def weights(ref: ModuleRef) -> Any:
        return pool.get(ref.id if isinstance(ref, Frozen) else ref.start.blob)  # type: ignore[union-attr]

    return PathModule(path, weights).eval()


def test_r5_experts_that_a_task_never_uses_can_be_removed(pool: Pool) -> None:
    paths, _ = grown(pool)
    x, removed = TASKS[0].splits["test"].inputs["x"], 0
    for path in paths.values():
        module = loaded(path, pool)
        found = touched(module, x)
        smaller = without_idle_experts(path, found)
        names = {name for name, one in found.items() if one.rows == 0}
        removed += len(names)
        assert not names & {ref.id for ref in smaller.refs() if isinstance(ref, Frozen)}
        assert torch.equal(loaded(smaller, pool)(x), module(x))
        assert loaded_bytes(touched(loaded(smaller, pool), x)) == loaded_bytes(found)
    assert removed > 0
    [draft] = smaller.drafts().values()
    result = run(pool, candidate({"b": smaller}, TASKS[1], steps=0), TASKS[1:2])
    assert same(pool.get(result.blobs[draft.name]), pool.get(draft.start.blob))  # type: ignore[union-attr]


def test_r5_a_draft_without_idle_experts_stays_that_draft() -> None:
    path = own_gate("a")
    model = assembled({"a": path})["a"]
    found = touched(model, torch.randn(3, 4, generator=seeded(1)))
    smaller = without_idle_experts(path, found)
    kept = {name for name in smaller.drafts() if name.startswith("expert")}
    assert kept == {name for name, one in found.items() if one.rows and name.startswith("expert")}
    assert smaller.drafts()["mixture_a"].spec.config["experts"] == 4


def test_r5_a_new_task_on_frozen_experts_leaves_the_others_bitwise(pool: Pool) -> None:
    paths, first = grown(pool)
    x = TASKS[0].splits["test"].inputs["x"]
    before = {t: loaded(path, pool)(x) for t, path in paths.items()}
    frozen = [Frozen(first.blobs[f"expert{e}"], LINEAR) for e in range(4)]
    new = own_gate("c", "mutual_router", k=1, experts=5, shared=lambda e: frozen[e] if e < 4 else expert(e))
    trunk = Frozen(first.blobs["trunk"], linear("trunk", 8).spec)
    new = new.map_refs(lambda ref: trunk if isinstance(ref, Draft) and ref.name == "trunk" else ref)
    result = run(pool, candidate({"c": new}, TASKS[2], steps=20), TASKS[2:])
    assert set(result.blobs) == {"gate_c", "expert4", "mixture_c", "head_c"}
    for t, path in paths.items():
        assert torch.equal(loaded(path, pool)(x), before[t])

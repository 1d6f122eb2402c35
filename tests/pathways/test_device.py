"""Trainers compute where they are told to and give the same there: on a pretended GPU, and on a real one, if any."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pretend_cuda import MixedError, pretended
from test_stack import OPTIMIZERS, grid_path
from tiny import candidate, chain, clusters, frozen, head, images, linear, plane

from pathways.candidate import Augment, Candidate, Result
from pathways.devices import device_here, kind_of, of_worker
from pathways.errors import ConfigError
from pathways.modules import Draft, Image, Init, ModuleSpec, Vector, Warm
from pathways.path import DeltaRef, Path, Step
from pathways.pool import Pool
from pathways.racing import Paired, Race, Rival, pack
from pathways.task import Task
from pathways.trainer import Trainer, graphs, numerics
from pathways.trainer.numerics import on_host, repeatable
from pathways.trainer.prefix_cache import PrefixCache

TASK, PICTURES, NUMBERS = clusters(n=40), images(n=32), plane()
RELU = ModuleSpec("linear", {"dim": 6, "activation": "relu"})


@pytest.fixture(autouse=True)
def captured(caplog, request):
    """No stack goes on without a graph unless a test is about that."""
    yield
    said = " ".join(record.getMessage() for record in caplog.get_records("call"))
    assert "not captured" not in said or "cannot_be_captured" in request.node.name


def trained(folder: Any, asked: list[Candidate], *tasks: Task, device: str = "cpu", stacked: bool = False,
            graphs: bool = True, cache: str = "") -> tuple[list[Result], Pool]:
    """The results of candidates in a pool that may hold what they start from, trained on a device."""
    pool = Pool(folder / "pool")
    prefixes = PrefixCache(folder / (cache or device.partition(":")[0]))
    trainer = Trainer(pool, prefixes=prefixes, device=device, graphs=graphs)
    for task in tasks:
        trainer.provide(task)
    return trainer.run(asked, stacked=stacked), pool


def assert_same(
    here: list[Result], there: list[Result], tolerance: float | None = None, pool: Pool | None = None
) -> None:
    """Assert that two sides have the same results: to the bit, or to a tolerance."""
    for one, other in zip(here, there, strict=True):
        assert not one.failure and not other.failure, (one.failure, other.failure)  # noqa: PT018
        assert (one.stack, one.alone, one.stopped) == (other.stack, other.alone, other.stopped)
        if tolerance is None:
            assert one.measures == other.measures
            assert (one.blobs, one.optimizers, one.curve) == (other.blobs, other.optimizers, other.curve)
            continue
        assert pool is not None
        for draft, blob in one.blobs.items():
            for name, tensor in pool.get(blob).items():
                assert torch.allclose(tensor, pool.get(other.blobs[draft])[name], atol=tolerance, rtol=tolerance)


def alone_shapes(pool: Pool) -> dict[str, list[Candidate]]:
    """Candidates of every kind that trains one by one."""
    body = frozen(pool, RELU, Vector(4))
    conv = ModuleSpec("conv", {"channels": 4, "norm": "batch", "pool": 2, "residual": True})
    trunk = frozen(pool, conv, Image(1, 6, 6))
    flat = Draft("flat", ModuleSpec("flatten"))
    router = Draft("gate", ModuleSpec("topk_router", {"experts": 2, "k": 1}), Init(3))
    routed = Path({"x": Vector(4)}, {
        "mix": Step((linear("a", 6), linear("b", 6, seed=1)), ("x",), router), "head": Step((head(),), ("mix",)),
    }, "head")  # fmt: skip
    lora = Draft("lora", ModuleSpec("lora", {"rank": 2}), Init(4))
    changed = Path({"x": Vector(4)}, {
        "a": Step((body,), ("x",), deltas=(DeltaRef(0, lora),)), "head": Step((head(),), ("a",)),
    }, "head")  # fmt: skip
    read = Draft("read", ModuleSpec("regressor", {"values": 2}), Init(1))
    both = {TASK.name: chain(Vector(4), linear("a", 6), head(name="one")),
            NUMBERS.name: chain(Vector(4), linear("a", 6), read)}
    picture = chain(Image(1, 6, 6), Draft("c", conv, Init(1)), flat, head(2))
    return {
        "prefix": [candidate(chain(Vector(4), body, linear("b", 6), head()), TASK, clip=0.5)],
        "conv": [candidate(picture, PICTURES, keep="best", evaluate_every=5)],
        "conv prefix": [candidate(chain(Image(1, 6, 6), trunk, flat, head(2)), PICTURES, head_init="discriminant")],
        "views": [candidate(picture, PICTURES, augment=Augment(rotate=9, noise=0.1, views=3), score_views=2)],
        "changes": [candidate(picture, PICTURES, augment=Augment(rotate=9, noise=0.1, views=0))],
        "router": [candidate(routed, TASK, optimizer="adamw")],
        "delta": [candidate(changed, TASK, optimizer="adamw", weight_decay=0.1)],
        "several tasks": [candidate(both, TASK, NUMBERS, sampler=s, fitness="training")
                          for s in ("joint", "proportional")],
        "refit": [candidate(chain(Vector(4), linear("a", 6), head()), TASK, head_refit="class_means",
                            label_smoothing=0.1)],
        "divided": [replace(candidate(both, TASK, NUMBERS, fitness="training", clip=0.5), workers=3),
                    replace(candidate(routed, TASK), workers=2),
                    replace(candidate(picture, PICTURES, augment=Augment(rotate=9, noise=0.1, views=0)), workers=2)],
    }


SHAPES = ("prefix", "conv", "conv prefix", "views", "changes", "router", "delta", "several tasks", "refit", "divided")


@pytest.mark.parametrize("name", SHAPES)
def test_one_by_one(tmp_path, name):
    """The second time, activations come from disk, also those that the other side has put there."""
    asked = alone_shapes(Pool(tmp_path / "pool"))[name]
    here, _ = trained(tmp_path, asked, TASK, PICTURES, NUMBERS)
    for cache in ("cuda", "cuda", "cpu"):
        with pretended():
            there, _ = trained(tmp_path, asked, TASK, PICTURES, NUMBERS, device="cuda", cache=cache)
        assert_same(here, there)
    again, _ = trained(tmp_path, asked, TASK, PICTURES, NUMBERS, cache="cuda")
    assert_same(here, again)


@pytest.mark.parametrize("name", ["momentum", "adamw"])
def test_optimizer_state_goes_and_comes(tmp_path, name):
    first = candidate(chain(Vector(4), linear("a", 6), head()), TASK, optimizer_state=True, **OPTIMIZERS[name])
    results = {}
    for device in ("cpu", "cuda"):
        with pretended():
            [result], _ = trained(tmp_path, [first], TASK, device=device)
            start = Warm(result.blobs["a"], result.optimizers["a"])
            warm = chain(Vector(4), Draft("a", RELU, start), head())
            again, _ = trained(tmp_path, [candidate(warm, TASK, optimizer_state=True, **OPTIMIZERS[name])], TASK,
                               device=device)
        results[device] = [result, *again]
    assert_same(results["cpu"], results["cuda"])


def stack_of(pool: Pool, **settings: Any) -> list[Candidate]:
    """Paths through a grid with a frozen module behind trained ones, each with its own rate and smoothing."""
    cells = [[[0, 1], [2], [1, 3]], [[1], [0, 2], [3]], [[2, 3], [1, 4], [0]]]
    return [
        candidate(grid_path(pool, own, frozen_cells={(1, 2)}), TASK, **{**settings, "lr": settings["lr"] * (1 + i),
                                                                      "label_smoothing": 0.1 * i})
        for i, own in enumerate(cells)
    ]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stacks_and_their_graphs(tmp_path, name):
    """To the bit: on the processor, on the GPU step by step, and as a graph that is captured once."""
    asked = stack_of(Pool(tmp_path / "pool"), **OPTIMIZERS[name], schedule="cosine", warmup=0.2, fitness="training",
                     evaluate_every=6)
    here, _ = trained(tmp_path, asked, TASK, stacked=True)
    for with_graphs in (False, True):
        with pretended() as gpu:
            there, _ = trained(tmp_path, asked, TASK, device="cuda", stacked=True, graphs=with_graphs)
        assert_same(here, there)
        assert [graph.replays for graph in gpu.graphs] == ([20 - graphs.WARM] if with_graphs else [])


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
def test_convolutions_stack_on_a_gpu(tmp_path, norm):
    """On a processor they train one by one; there they make one program, whose statistics move in a graph, too."""
    spec = ModuleSpec("conv", {"channels": 4, "norm": norm, "groups": 2, "pool": 2, "residual": True})
    flat = Draft("flat", ModuleSpec("flatten"))
    asked = [
        candidate(chain(Image(1, 6, 6), Draft("c", spec, Init(k)), flat, head(2, seed=k)), PICTURES, lr=0.02)
        for k in range(3)
    ]
    here, pool = trained(tmp_path, asked, PICTURES, stacked=True)
    with pretended() as gpu:
        there, _ = trained(tmp_path, asked, PICTURES, device="cuda", stacked=True)
    assert [graph.replays for graph in gpu.graphs] == [20 - graphs.WARM]
    assert_same(here, there)
    one_by_one, _ = trained(tmp_path, asked, PICTURES)
    for result, other in zip(there, one_by_one, strict=True):
        found, expected = pool.get(result.blobs["c"]), pool.get(other.blobs["c"])
        assert all(torch.allclose(found[n], expected[n], atol=2e-4, rtol=2e-4) for n in expected)


@pytest.mark.parametrize("settings", [
    {"steps": 0, "head_init": "class_means"}, {"steps": 0}, {"head_init": "discriminant", "head_refit": "discriminant"},
    {"keep": "best", "evaluate_every": 3, "lr": 0.3}, {"optimizer": "adamw", "keep": "best", "evaluate_every": 4},
], ids=str)
def test_heads_measures_and_kept_weights_of_stacks(tmp_path, settings):
    pool = Pool(tmp_path / "pool")
    body = [frozen(pool, RELU, Vector(4), seed=i % 2) for i in range(4)]
    asked = [candidate(chain(Vector(4), body[i], linear("b", 6, seed=i), head(seed=None)), TASK, **settings)
             for i in range(4)]
    here, _ = trained(tmp_path, asked, TASK, stacked=True)
    with pretended():
        there, _ = trained(tmp_path, asked, TASK, device="cuda", stacked=True)
    assert_same(here, there)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adamw-clip"])
def test_a_graph_is_captured_anew_when_candidates_stop(tmp_path, name):
    """Three of five lose their races, so that the others go on without them."""
    perfect = Rival("r" * 64, factors={TASK.name: 1.0}, merits={TASK.name: (pack(np.ones(40)),) * 3})
    hopeless, noted = (Race(Paired(), {TASK.name: 1.0}, rivals) for rivals in ((perfect,), ()))
    settings = {**OPTIMIZERS[name], "steps": 40}
    asked = [
        replace(candidate(chain(Vector(4), linear("a", 6, seed=k), head(seed=k)), TASK,
                          **{**settings, "lr": 1e-5 if k < 3 else 0.05}), race=hopeless if k < 3 else noted)
        for k in range(5)
    ]  # fmt: skip
    here, _ = trained(tmp_path, asked, TASK, stacked=True)
    assert [bool(result.stopped) for result in here] == [True, True, True, False, False]
    with pretended() as gpu:
        there, _ = trained(tmp_path, asked, TASK, device="cuda", stacked=True)
    assert_same(here, there)
    assert len(gpu.graphs) == 2
    assert all(graph.replays for graph in gpu.graphs)


def test_the_memory_of_a_stack_is_free_when_it_is_trained(tmp_path):
    """At once, not when Python next looks for cycles: on a GPU that may be too late for the next stack."""
    asked = stack_of(Pool(tmp_path / "pool"), **OPTIMIZERS["adamw"])
    gc.collect()
    gc.disable()
    try:
        with pretended() as gpu:
            trained(tmp_path, asked, TASK, device="cuda", stacked=True)
            [graph] = gpu.graphs
            gpu.graphs.clear()
            left = weakref.ref(graph)
            del graph
            assert left() is None
    finally:
        gc.enable()


class _Asking:
    """Work that asks the GPU for a number, which a capture does not allow."""

    def __init__(self) -> None:
        self.value = torch.zeros(3, device="cuda")

    def __call__(self) -> None:
        self.value += 1
        float(self.value.sum())


def test_what_cannot_be_captured_runs_as_it_is(caplog):
    with pretended():
        work = _Asking()
        replayed = graphs.Replayed(torch.device("cuda"))
        for _ in range(8):
            replayed(work)
        assert work.value.tolist() == [8.0] * 3
    assert caplog.text.count("not captured as a CUDA graph") == 1


def test_the_pretended_gpu_finds_what_a_real_one_would_refuse():
    with pretended() as gpu:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        for wrong in (lambda: there + here, lambda: torch.stack([there, here]), there.numpy,
                      lambda: torch.rand(3, generator=torch.Generator(), device="cuda")):
            with pytest.raises(MixedError):
                wrong()
        assert (there + here.to("cuda")).device.type == (there * torch.tensor(2.0)).device.type == "cuda"
        assert there.cpu().device.type == (there.cpu() + here).device.type == "cpu"
        step, graph = torch.zeros(1, dtype=torch.long, device="cuda"), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=None):
            step += 1
            with pytest.raises(MixedError, match="capturing"):
                there.to("cpu")
        assert int(step) == 0
        for _ in range(3):
            graph.replay()
        assert int(step) == 3
        assert gpu.graphs == [graph]


# -- which devices there are ------------------------------------------------------------------------------


def test_names_of_devices():
    assert [kind_of(name) for name in ("cpu", "cuda", "cuda:3")] == ["cpu", "cuda", "cuda"]
    with pretended(count=2):
        assert [device_here(name) for name in ("auto", "cuda:1", "cpu")] == ["cuda", "cuda:1", "cpu"]
        assert [of_worker("cuda", i) for i in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
        assert [of_worker("cuda:1", i) for i in range(2)] == ["cuda:1", "cuda:1"]
        with pytest.raises(ConfigError, match=r"found 'cuda:2', here is `cpu`, `cuda:0` \(Pretended GPU\), `cuda:1`"):
            device_here("cuda:2")
    with pretended(count=0):
        assert device_here("auto") == "cpu"
        with pytest.raises(ConfigError, match=r"found 'cuda', here is `cpu`: torch"):
            Trainer(Pool("nowhere"), device="cuda")
    for wrong in ("tpu", "cuda:", "cuda:-1", "CUDA", 0, None):
        with pytest.raises(ConfigError, match=r"must be `cpu`, `cuda`, `cuda:N` or `auto`, found"):
            device_here(wrong)


def test_numerics_name_the_gpu_and_its_host():
    here = numerics()
    with pretended(count=2):
        there = numerics("cuda:1", stack=256)
    assert (there["device"], there["capability"], there["host"]) == ("cuda", "Pretended GPU", here["capability"])
    assert on_host(there) == {**here, "stack": {"dispatch": 1, "size": 256}}
    assert on_host(here) == here


def test_repeatable_choices_are_put_back():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def choices() -> list[Any]:
        return [cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32,
                torch.utils.deterministic.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()]

    before, threads = choices(), torch.get_num_threads()
    with pretended(), repeatable("cuda"):
        assert choices() == [True, False, False, False, False, True]
        assert torch.get_num_threads() == 1
    assert (choices(), torch.get_num_threads()) == (before, threads)


# -- on a real GPU ----------------------------------------------------------------------------------------

real = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: torch finds none here")


@real
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stacks_on_a_real_gpu(tmp_path, name):
    """With graphs as without, again as before, and as on the processor to rounding."""
    asked = stack_of(Pool(tmp_path / "pool"), **OPTIMIZERS[name], schedule="cosine", evaluate_every=6)
    plain, pool = trained(tmp_path, asked, TASK, device="cuda", stacked=True, graphs=False)
    for _ in range(2):
        replayed, _ = trained(tmp_path, asked, TASK, device="cuda", stacked=True)
        assert_same(plain, replayed)
    here, _ = trained(tmp_path, asked, TASK, stacked=True)
    assert_same(here, plain, 1e-3, pool)


@real
@pytest.mark.parametrize("name", SHAPES)
def test_one_by_one_on_a_real_gpu(tmp_path, name):
    """Again as before, and as on the processor to rounding."""
    asked = alone_shapes(Pool(tmp_path / "pool"))[name]
    here, pool = trained(tmp_path, asked, TASK, PICTURES, NUMBERS)
    there, _ = trained(tmp_path, asked, TASK, PICTURES, NUMBERS, device="cuda")
    again, _ = trained(tmp_path, asked, TASK, PICTURES, NUMBERS, device="cuda")
    assert_same(there, again)
    assert_same(here, there, 5e-3, pool)

"""Taskonomy end to end: planted relations, orders, and studies that grow."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import TRAINING, FixedPath, chain, head, linear
from helpers_tiny import task_of as tiny
from helpers_transfer import PARTS, Part, encoders, mlp, task_of
from safetensors.torch import save
from torch import nn

from pathways.affinity import Readout, add_target, gain, quality, transfer, transfer_from_losses, transfer_losses
from pathways.affinity.transfer_target import higher_orders
from pathways.errors import ConfigError, DataError
from pathways.modules import Image
from pathways.system import System

QUICK = Readout(steps=60, batch=32)
TASKS = [task_of("l1"), task_of("r1", "right"), task_of("lv", values=True)]


def test_each_target_is_served_by_what_sees_its_part() -> None:
    found = transfer(TASKS, encoders(), readout=QUICK)
    assert (found.kind, found.affected) == ("transfer", ("l1", "r1", "lv"))
    assert found.sources == ("left", "right", "left|right", "random")
    for task, good, bad in (("l1", "left", "right"), ("r1", "right", "left"), ("lv", "left", "right")):
        assert found[task, good] > 5 * found[task, bad]
        assert found[task, "left|right"] > 5 * found[task, bad]
    assert np.abs(found.values.sum(1) - 1).max() < 1e-12


def test_the_matrix_is_what_its_losses_give() -> None:
    losses = transfer_losses(TASKS, encoders(), readout=QUICK, seeds=(0, 1))
    found = transfer(TASKS, encoders(), readout=QUICK, seeds=(0, 1))
    assert np.array_equal(transfer_from_losses(*losses).readings, found.readings)
    assert found.repeats == 2
    assert np.isfinite(found.standard_error).all()
    assert {each.shape for row in losses[0].values() for each in row.values()} == {(80,)}
    assert gain(*losses)["l1", "left"] > gain(*losses)["l1", "right"] + 0.2


def test_it_repeats_draws_nothing_and_changes_no_encoder() -> None:
    nets: dict[str, nn.Module] = {"a": mlp(seed=1), "b": mlp(seed=2)}
    before, state = [save(net.state_dict()) for net in nets.values()], torch.get_rng_state()
    one = transfer_losses(TASKS[:1], nets, readout=QUICK)
    two = transfer_losses(TASKS[:1], nets, readout=QUICK)
    assert all(np.array_equal(one[0]["l1"][s], two[0]["l1"][s]) for s in one[0]["l1"])
    assert [save(net.state_dict()) for net in nets.values()] == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.requires_grad and p.grad is None for net in nets.values() for p in net.parameters())


def test_what_stands_beside_a_source_does_not_change_it() -> None:
    """The same batches for all readouts of a target; other sources and targets move nothing."""
    alone = transfer_losses(TASKS[:1], {"left": Part(PARTS["left"])}, readout=QUICK, pixels=False)[0]["l1"]["left"]
    among = transfer_losses(TASKS[::-1], encoders(), readout=QUICK)[0]["l1"]["left"]
    assert np.array_equal(alone, among)


def test_features_are_computed_once_for_each_source() -> None:
    sources = encoders()
    transfer(TASKS[:1], sources, readout=replace(QUICK, steps=2), orders=(2,), seeds=(0, 1, 2))
    # one pass over training and one over held-out samples; the untrained encoders are copies
    assert [encoder.calls for encoder in sources.values()] == [2, 2]


def test_test_data_is_never_read() -> None:
    expected = transfer(TASKS, encoders(), readout=replace(QUICK, steps=5))
    found = transfer([task.without_test() for task in TASKS], encoders(), readout=replace(QUICK, steps=5))
    assert np.array_equal(found.values, expected.values)


def test_a_new_target_leaves_the_others_alone() -> None:
    study, sources = transfer(TASKS[:2], encoders(), readout=QUICK), encoders()
    found = add_target(study, TASKS[2], sources, readout=QUICK)
    assert np.array_equal(found.readings[:, :, :2], study.readings)
    whole = transfer(TASKS, encoders(), readout=QUICK)
    assert found.sources == whole.sources
    assert np.array_equal(found.readings, whole.readings)
    assert [encoder.calls for encoder in sources.values()] == [2, 2]
    with pytest.raises(DataError, match="`task` must be new to the study, found 'l1'"):
        add_target(study, TASKS[0], encoders())


def test_own_networks_stand_beside_transfers() -> None:
    class Perfect(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = x[:, PARTS["left"]].sum(1, keepdim=True)
            return 1e4 * torch.cat([-total, total], 1)

    found = transfer(TASKS[:2], encoders(), own={"l1": Perfect()}, readout=QUICK)
    row = dict(zip(found.sources, found.values[0], strict=True))
    assert max(row, key=row.__getitem__) == "self"
    assert np.isnan(found["r1", "self"])
    losses = transfer_losses(TASKS[:1], encoders(), own={"l1": Perfect()}, readout=QUICK)
    assert quality(*losses)["l1", "left"] < 0.1


def test_the_untrained_encoder_may_be_given() -> None:
    constant = nn.Sequential(nn.Linear(6, 2)).requires_grad_(False)
    nn.init.zeros_(constant[0].weight)  # type: ignore[arg-type]
    before = save(constant.state_dict())
    found = transfer_losses(TASKS[:1], encoders(), random=constant, readout=replace(QUICK, pixels_lr=0.03))[0]["l1"]
    assert found["random"].mean() == pytest.approx(np.log(2), abs=0.05)  # it can only learn how frequent classes are
    assert found["pixels"].mean() < 0.6  # the same network, trained whole
    assert save(constant.state_dict()) == before


def test_dropout_and_batch_norm_train_from_their_own_seed() -> None:
    sources = {"a": nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))}
    state = torch.get_rng_state()
    one, two = (transfer_losses(TASKS[:1], sources, readout=QUICK)[0]["l1"]["pixels"] for _ in range(2))
    assert np.array_equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("sources", "orders", "counts"), [
    (8, (2,), {2: 10}),
    (8, (2, 3, 4, 5, 6, 8), {2: 10, 3: 10, 4: 5, 5: 1, 6: 1, 8: 1}),
    (3, (2, 3, 4), {2: 3, 3: 1}),
    (1, (2,), {}),
])
def test_orders_are_taskonomys(sources: int, orders: tuple[int, ...], counts: dict[int, int]) -> None:
    """10, 10, 5 and 1 subsets of five, then the best so many: as the released counts of 220 for 22 targets."""
    ranked = list("abcdefgh"[:sources])
    found = list(higher_orders(ranked, orders))
    assert Counter(map(len, found)) == counts
    assert all(set(group) <= set(ranked[: max(5, len(group))]) for group in found)


def test_a_targets_own_encoder_takes_no_part_in_higher_orders() -> None:
    sources = {"l1": Part(PARTS["left"]), **encoders()}
    found = transfer(TASKS[:1], sources, readout=replace(QUICK, steps=5))
    assert found.sources == ("l1", "left", "right", "left|right", "random")


# -- champions of a system ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def build(view: Any) -> dict[str, Any]:
        flat = [linear("a"), head()]
        return {view.task.name: chain(view.task.inputs, *flat)}

    with System.create(tmp_path_factory.mktemp("runs") / "run", training=TRAINING) as made:
        for name in ("one", "two", "three"):
            made.learn(tiny(name), FixedPath(build, rounds=1, repeats=1))
        yield made


def test_champions_are_sources_and_own_networks(system: System) -> None:
    before = system.fingerprint
    found = transfer([tiny("one"), tiny("new")], system, readout=QUICK)
    assert found.sources[:3] == ("one", "two", "three")
    assert found.sources[-2:] == ("random", "self")
    assert not np.isnan(found["one", "self"])
    assert np.isnan(found["new", "self"])
    assert np.isnan(found["one", "one|two"])
    assert found["one", "two|three"] > 0
    assert found["one", "one"] > found["one", "random"]
    assert system.fingerprint == before
    assert system.verify()


def test_a_champion_that_cannot_read_the_inputs_is_not_measured(system: System) -> None:
    image = tiny("image", {"x": Image(1, 2, 3)}, lambda split, x: {"x": x.reshape(-1, 1, 2, 3)})
    with pytest.raises(ConfigError, match="at least one encoder must read the inputs of task 'image'"):
        transfer([image], system)
    mixed = {"one": system.module("one"), "flat": nn.Flatten()}
    found = transfer([tiny("new"), image], mixed, readout=replace(QUICK, steps=5))
    assert np.isnan(found["image", "one"])
    assert found["image", "flat"] > 0


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match=r"must name each target once, found \['l1', 'l1'\]"):
        transfer([TASKS[0], TASKS[0]], encoders())
    with pytest.raises(ConfigError, match=r"`orders` must be at least 2.*found \[1\]"):
        transfer(TASKS, encoders(), orders=(1,))
    with pytest.raises(ConfigError, match="`seeds` must hold one number"):
        transfer(TASKS, encoders(), seeds=())
    broken = {"nan": nn.Sequential(nn.Linear(6, 2))}
    nn.init.constant_(broken["nan"][0].weight, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="losses of target 'l1' from 'nan' must be numbers"):
        transfer(TASKS[:1], broken, readout=replace(QUICK, steps=2))

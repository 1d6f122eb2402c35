"""Groups whose members attend to one another: one member is the base, several agree on what they share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from wired import SMALL, assembled, values

from pathways.assemble import PathModule
from pathways.modules import Image, Tokens
from pathways.seeds import torch_generator
from pathways.wiring.fusion import early
from pathways.wiring.group import group

N, COUNT = 3, 2
MEMBERS = {f"m{i}": Tokens(COUNT, 4) for i in range(N)}


def test_t40_one_member_is_the_base() -> None:
    ports = {"m": Tokens(4, 4)}
    one = assembled(group(ports, layers=2, encoders={"member": []}, **{**SMALL, "dim": 4})).eval()
    base = assembled(early(ports, layers=2, **{**SMALL, "dim": 4})).eval()
    given = values(ports)
    assert torch.equal(one(given), base(given))
    cut = assembled(group(ports, members=1, layers=2, encoders={"member": []}, **{**SMALL, "dim": 4})).eval()
    assert torch.equal(cut(given), base(given))


def test_t40_members_share_all_modules_with_the_base() -> None:
    sizes = [group({f"m{i}": Tokens(2, 4) for i in range(n)}, **SMALL).costs().parameters for n in (1, 3)]
    assert sizes[0] == sizes[1]


def test_t40_members_in_one_input_are_members_in_several() -> None:
    several = assembled(group(MEMBERS, **SMALL)).eval()
    one = assembled(group({"all": Tokens(N * COUNT, 4)}, members=N, **SMALL)).eval()
    given = values(MEMBERS)
    joined = torch.cat([split for split in given.values()], 1)  # type: ignore[misc]
    assert torch.equal(several(given), one({"all": joined}))


def test_t40_members_see_one_another_and_without_joint_attention_they_do_not() -> None:
    for joint in (True, False):
        module, given = assembled(group(MEMBERS, joint=joint, **SMALL)).eval(), values(MEMBERS)
        other = {**given, "m0": given["m0"] + 1}  # type: ignore[operator]
        before, after = (module(each).split(8, 1) for each in (given, other))
        assert torch.equal(before[1], after[1]) is not joint
        assert not torch.allclose(before[0], after[0])


def consistency(joint: bool, steps: int = 100) -> tuple[float, float]:
    """How often the members' answers are all alike, and how often a member's is right, on new groups.

    The members share one bit; each shows it as one number under so much noise that alone it is often wrong.
    """
    module = assembled(group(MEMBERS, layers=1, joint=joint, **SMALL))
    readout = torch.nn.Linear(8, 2)
    with torch.no_grad():
        torch.nn.init.normal_(readout.weight, std=0.3, generator=torch_generator("readout"))
        torch.nn.init.zeros_(readout.bias)
    optimizer = torch.optim.AdamW([*module.parameters(), *readout.parameters()], lr=1e-2)

    def answers(module: PathModule, seed: int, n: int) -> tuple[Any, Any]:
        generator = torch_generator("groups", seed)
        bit = torch.randint(0, 2, (n,), generator=generator)
        given = {name: torch.randn(n, COUNT, 4, generator=generator) for name in MEMBERS}
        for value in given.values():
            value[:, 0, 0] += 2.0 * bit - 1.0
        return torch.stack([readout(part) for part in module(given).split(8, 1)], 1), bit

    for step in range(steps):
        scores, bit = answers(module.train(), step, 32)
        loss = F.cross_entropy(scores.flatten(0, 1), bit.repeat_interleave(N))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores, bit = answers(module.eval(), -1, 500)
    said = scores.argmax(2)
    alike = (said == said[:, :1]).all(1)
    return float(alike.float().mean()), float((said == bit[:, None]).float().mean())


def test_t40_a_shared_attribute_is_more_consistent_in_a_group() -> None:
    (together, right), (apart, alone) = consistency(True), consistency(False)
    assert together >= apart + 0.15
    assert right > alone


@pytest.mark.parametrize(
    ("ports", "config", "message"),
    [
        ({"a": Tokens(4, 4), "b": Tokens(3, 4)}, {}, "`inputs` must be members of one port, found"),
        ({"a": Tokens(5, 4)}, {"members": 2}, "`members` must divide the length 5 of 'a', found 2"),
        ({"a": Image(1, 4, 4)}, {"members": 2}, "`members` must be left out unless one input of tokens holds them"),
        ({"a": Tokens(None, 4)}, {}, "must give a fixed number of tokens, found Tokens"),
    ],
)
def test_bad_settings_are_named(ports: Any, config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group(ports, **SMALL, **config)

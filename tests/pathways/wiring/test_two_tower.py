"""Two towers, and one for both: matching pairs are found."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from wired import SMALL, assembled

from pathways.assemble import PathModule
from pathways.modules import Context, Tokens, Vector
from pathways.seeds import torch_generator
from pathways.wiring.two_tower import two_tower

BITS, DIM = 5, 8
PORTS = {"image": Tokens(3, DIM), "prompt": Vector(BITS)}


def codes(numbers: Tensor) -> Tensor:
    """The code (n, BITS) of each class, of -1 and 1: what its prompt says."""
    return 2.0 * (numbers[:, None] >> torch.arange(BITS) & 1) - 1.0


def images(numbers: Tensor, seed: int) -> Tensor:
    """Noisy views of classes: their codes, spread over three tokens by fixed maps."""
    maps = torch.randn(3, BITS, DIM, generator=torch_generator("maps"))
    clean = torch.einsum("nb,tbd->ntd", codes(numbers), maps)
    return clean + 0.5 * torch.randn(clean.shape, generator=torch_generator("noise", seed))


def pairs(n: int, seed: int, classes: Tensor) -> dict[str, Tensor]:
    drawn = classes[torch.randperm(len(classes), generator=torch_generator("pairs", seed))[:n]]
    return {"image": images(drawn, seed), "prompt": codes(drawn)}


def contrastive(module: PathModule, given: dict[str, Tensor]) -> Tensor:
    context = Context()
    module.train()(given, context)
    found = context.total_loss()
    assert found is not None
    return found


def trained(shared: bool, classes: Tensor, steps: int = 200) -> PathModule:
    module = assembled(two_tower(PORTS, layers=1, shared=shared, **SMALL))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for step in range(steps):
        loss = contrastive(module, pairs(16, step, classes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.eval()


def similar(module: PathModule, given: dict[str, Tensor]) -> Tensor:
    """The cosine of every image with every prompt."""
    with torch.no_grad():
        found = module.compute(given, ("image.embedded", "prompt.embedded"))
    image, prompt = (F.normalize(value, dim=1) for value in found.values())  # type: ignore[arg-type]
    return image @ prompt.t()


@pytest.mark.parametrize("shared", [False, True])
def test_t18_and_t19_retrieval_both_ways_and_zero_shot(shared: bool) -> None:
    every = torch.randperm(2**BITS, generator=torch_generator("classes"))
    known, held_out = every[:24], every[24:]
    before = assembled(two_tower(PORTS, layers=1, shared=shared, **SMALL))
    batch = pairs(24, -1, known)
    assert float(contrastive(before, batch).detach()) > 0.6 * log(24)  # near chance
    module = trained(shared, known)
    assert float(contrastive(module, batch).detach()) < 0.2 * log(24)
    scores, own = similar(module.eval(), batch), torch.arange(24)
    recall = [float((each.argmax(1) == own).float().mean()) for each in (scores, scores.t())]
    assert min(recall) >= 0.8  # chance is 1 of 24
    # Zero-shot: classes that were never seen are told by the prompt that is nearest.
    unseen = similar(module, {"image": images(held_out, -2), "prompt": codes(held_out)})
    assert float((unseen.argmax(1) == torch.arange(8)).float().mean()) >= 0.5  # chance is 1 of 8


def test_t18_in_evaluation_samples_do_not_see_one_another() -> None:
    module = assembled(two_tower(PORTS, layers=1, **SMALL)).eval()
    given = pairs(6, 0, torch.arange(32))
    together = module(given)
    alone = torch.cat([module({name: value[i : i + 1] for name, value in given.items()}) for i in range(6)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    scores = similar(module, given).diagonal()
    torch.testing.assert_close(together[:, 0], scores / 0.07, atol=1e-4, rtol=1e-4)


def test_t19_one_tower_has_the_parameters_of_one() -> None:
    two, one = (two_tower(PORTS, layers=2, shared=shared, **SMALL) for shared in (False, True))
    sizes = two.costs().sizes
    tower = sum(size for name, size in sizes.items() if name.startswith(("image.layer", "image.embedded")))
    assert tower > 0
    assert two.costs().parameters - one.costs().parameters == tower
    assert [len(set(path.drafts()) & {"tower1", "tower2", "embedded"}) for path in (two, one)] == [0, 3]
    module = assembled(one)
    held = [name for name, _ in module.named_parameters()]
    assert sum(p.numel() for p in module.parameters()) == one.costs().parameters
    assert len(held) == len(set(held))


@pytest.mark.parametrize(
    ("ports", "config", "message"),
    [
        ({"image": Tokens(3, 8)}, {}, r"`inputs` must be two, which are compared, found \['image'\]"),
        (PORTS, {"match": {"temperature": 0.0}}, "`temperature` must be at least 0.01, found 0.0"),
    ],
)
def test_bad_settings_are_named(ports: Any, config: Any, message: str) -> None:
    with pytest.raises(Exception, match=message):
        two_tower(ports, **config).ports()

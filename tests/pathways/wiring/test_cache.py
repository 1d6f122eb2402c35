"""Caches in time and space: what inputs leave there, and how it is read."""

from __future__ import annotations

from typing import Any

import torch
from wired import SMALL, assembled, values

from pathways.assemble import PathModule
from pathways.modules import Ids, Image, Tokens
from pathways.seeds import torch_generator
from pathways.wiring.cache import cache

IMAGE, PHOTO, TEXT = Image(1, 6, 6), Image(2, 4, 4), Ids(5, 11)
PORTS = {"image": IMAGE, "text": TEXT, "photo": PHOTO}


def test_t12_an_image_alone_is_one_step_in_time() -> None:
    path = cache({"image": IMAGE}, **SMALL)
    found = assembled(path).eval().compute(values(path), ("temporal", "spatial"))
    assert found["temporal"].shape == (3, 1, 8)  # type: ignore[union-attr]
    assert found["spatial"].shape == (3, 4, 8)  # type: ignore[union-attr]
    torch.testing.assert_close(found["temporal"][:, 0], found["spatial"].mean(1))  # type: ignore[call-overload,union-attr]


def test_t12_text_alone_has_no_places_in_space() -> None:
    path = cache({"text": TEXT}, **SMALL)
    assert "spatial" not in path.steps
    assert path.ports()["temporal"] == Tokens(5, 8)
    assert bool(assembled(path)(values(path)).isfinite().all())


def contents(module: PathModule, name: str) -> list[bytes]:
    """What a cache holds, in no order."""
    value = module.compute(values(PORTS), (name,))[name]
    return sorted(row.numpy().tobytes() for row in value[0].detach())  # type: ignore[index]


def test_t12_the_order_of_inputs_does_not_matter_to_what_is_stored() -> None:
    orders = [list(PORTS), list(reversed(PORTS)), ["photo", "image", "text"]]
    modules = [assembled(cache({name: PORTS[name] for name in order}, **SMALL)).eval() for order in orders]
    for name in ("temporal", "spatial"):
        first, *others = (contents(module, name) for module in modules)
        assert others == [first, first]
    assert modules[0].path.steps["temporal"].reads != modules[1].path.steps["temporal"].reads


def test_t12_the_order_of_inputs_does_not_matter_to_what_is_read() -> None:
    # Images of one number of places, so that the modules that read are the same.
    ports = {"one": IMAGE, "text": TEXT, "two": IMAGE}
    given = values(ports)
    first, second = (
        assembled(cache({name: ports[name] for name in order}, **SMALL)).eval()(given)
        for order in (["one", "text", "two"], ["two", "one", "text"])
    )
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_tasks_of_other_words_share_what_reads() -> None:
    paths = [cache({"image": IMAGE, f"text of {n}": Ids(n, 11)}, task=f"of {n}", **SMALL) for n in (5, 9)]
    shared: dict[Any, torch.nn.Module] = {}
    modules = [PathModule(path, lambda ref: torch_generator(ref.spec.family), shared=shared) for path in paths]
    held = [{id(p) for p in module.parameters()} for module in modules]
    own = [len(each - held[1 - i]) for i, each in enumerate(held)]
    assert own == [3, 3]  # a task's query, and the vectors of its words and of their places
    assert [bool(module(values(module.path)).isfinite().all()) for module in modules] == [True, True]

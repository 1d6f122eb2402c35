"""Every preset: a path that ships is valid, trains, is frozen, read back, and grown by a mutation."""

import re
from collections.abc import Iterator

import pytest
import torch
from tiny import candidate, seeded

from pathways.assemble import PathModule
from pathways.errors import ConfigError
from pathways.evolve.mutations import clone
from pathways.evolve.paths import with_head
from pathways.modules import BUILT_IN, FAMILIES, Ids, Image, Masked, Tokens, Vector
from pathways.modules.ports import example
from pathways.path import Path
from pathways.pool import Pool
from pathways.preset import path_from, preset, presets, reference_of
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer

CITATION = re.compile(r"\d{4}\.\d{4,5}|\b(19|20)\d\d\b")
MOST = 100_000  # parameters: presets are small enough to be looked at on any machine


def task_for(path: Path, n: int = 12) -> Task:
    """A task of random samples of a path's inputs."""
    generator = seeded(1)

    def split() -> Split:
        values = {name: example(port, n, generator) for name, port in path.inputs.items()}
        return Split(values, torch.arange(n) % 3)

    return Task("random", path.inputs, Classes(3), {s: split() for s in ("train", "validation", "test")},
                allow_duplicates=True)


def families_of(path: Path) -> set[str]:
    return {ref.spec.family for ref in path.refs()}


@pytest.mark.parametrize("name", presets())
def test_a_preset_is_valid_and_says_where_it_is_from(name: str) -> None:
    path = preset(name)
    assert path.ports()
    assert path.costs().parameters <= MOST
    assert CITATION.search(reference_of(name)), f"preset {name} cites nothing"
    assert Path.from_json(path.to_json()) == path


@pytest.mark.parametrize("name", presets())
def test_a_preset_trains_freezes_and_grows(name: str, tmp_path) -> None:
    trunk = preset(name)
    path = with_head(trunk, Classes(3))
    task = task_for(trunk)
    pool = Pool(tmp_path / "pool")
    trainer = Trainer(pool)
    trainer.provide(task.without_test())
    first = candidate(path, task, steps=2, batch=4)
    [result] = trainer.run([first])
    assert result.ok, result.error
    trained = path.trained(result.blobs)
    frozen = PathModule(trained, lambda ref: pool.get(ref.id))
    value = frozen.train()(task.splits["test"].inputs)
    tensor = value.value if isinstance(value, Masked) else value
    assert bool(tensor.isfinite().all())
    again = PathModule(trained, lambda ref: pool.get(ref.id))(task.splits["test"].inputs)
    assert torch.equal(tensor, again.value if isinstance(again, Masked) else again)
    # A step is copied and trained on; what is frozen stays as it is.
    step = next(s for s in trained.canonical_order if any(pool.get(r.id) for r in trained.steps[s].refs()))
    child = clone(trained, step)
    [grown] = trainer.run([candidate(child, task, steps=2, batch=4)])
    assert grown.ok, grown.error
    assert torch.equal(tensor, PathModule(trained, lambda ref: pool.get(ref.id))(task.splits["test"].inputs))


def used() -> Iterator[str]:
    for name in presets():
        yield from families_of(preset(name))


def test_every_family_is_used_by_a_path_that_ships() -> None:
    heads = {name for name in FAMILIES if getattr(BUILT_IN[name], "head", False)}
    assert set(FAMILIES) - heads - set(used()) == set()


def test_inputs_are_those_of_the_task() -> None:
    assert preset("mlp", {"features": Vector(7)}).inputs == {"x": Vector(7)}
    with pytest.raises(ConfigError, match=r"preset 'mlp' reads \(x: Vector\(dim=16\)\), found inputs \(x: Image"):
        preset("mlp", {"x": Image(1, 4, 4)})


LINEAR = {"family": "linear", "config": {"dim": 4}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"steps": {}}, "`steps` must name at least one step, found {}"),
        ({"inputs": {}}, r"must have `steps` or a `wiring`, found \['inputs'\]"),
        ({"inputs": {"x": {"port": "matrix"}}, "steps": {"a": {"module": LINEAR}}}, "`inputs` must give a port"),
        ({"steps": {"a": {"modul": LINEAR}}}, "step 'a' must have a `module` or `modules`"),
        ({"steps": {"a": {"module": LINEAR, "reeds": []}}}, r"found \['reeds'\] beside them"),
        ({"steps": {"a": {"module": {"config": {}}}}}, "a module must have a `family`"),
        ({"steps": {"a": {"modules": LINEAR}}}, "`modules` must be a list"),
        ({"wiring": {"none": {}}}, "`wiring` must name one of"),
        ({"wiring": {}, "stepps": 1}, r"found \['stepps'\] beside them"),
    ],
)
def test_what_does_not_fit_is_named(data: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        path_from(data, source="file.yaml")


def test_unknown_presets_are_named() -> None:
    with pytest.raises(ConfigError, match=r"`preset` must be one of .*'mlp'.* found 'mpl'"):
        preset("mpl")


def test_modules_of_one_name_are_one_module() -> None:
    path = path_from({
        "inputs": {"x": {"port": "vector", "dim": 4}},
        "steps": {
            "a": {"module": {**LINEAR, "name": "same"}},
            "b": {"module": {**LINEAR, "name": "same"}},
            "c": {"modules": [LINEAR, LINEAR], "combine": {"family": "topk_router", "config": {"experts": 2, "k": 1}},
                  "gate": ["x"], "deltas": [{"host": 1, "module": {"family": "lora", "config": {"rank": 1}}}]},
        },
    })
    assert list(path.drafts()) == ["same", "c.0", "c.1", "c.delta0", "c.router"]
    assert path.steps["c"].gate == ("x",)
    assert path.steps["c"].deltas[0].host == 1
    assert path.costs().parameters == 20 + 2 * 20 + 8 + 16


def test_values_of_all_kinds_have_examples() -> None:
    for port in (Vector(3), Image(1, 4, 4), Tokens(None, 3), Ids(4, 9)):
        assert example(port, 2, seeded()) is not None

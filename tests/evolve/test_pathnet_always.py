"""PathNet with all frozen modules active in every path."""

from typing import Any

from pathways.evolve.pathnet import PathNet
from pathways.evolve.pathnet_always import PathNetAlways
from pathways.modules import Frozen
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_view, later_view

VIEW = example_view()
SMALL: dict[str, Any] = {
    "layers": 2, "modules": 5, "active": 2, "population": 6, "generations": 12, "threshold": None,
}


class TestPathNetAlways(StrategySuite):
    strategy = PathNetAlways(**SMALL)


def test_a_first_task_is_learned_as_by_pathnet() -> None:
    one, other = drive(PathNetAlways(**SMALL, name="pathnet"), VIEW), drive(PathNet(**SMALL), VIEW)
    assert [c.hash for c in one.candidates] == [c.hash for c in other.candidates]


def test_later_paths_hold_every_frozen_module_and_those_of_their_genes() -> None:
    settings, view = PathNetAlways(**SMALL), VIEW
    frozen: dict[int, set[str]] = {0: set(), 1: set()}
    for _ in range(3):
        run = drive(settings, view)
        assert run.winner is not None
        for candidate in run.candidates:
            (path,) = candidate.paths.values()
            for layer, genes in enumerate(candidate.labels["genotype"]):
                modules = path.steps[f"layer{layer}"].modules
                assert {m.id for m in modules if isinstance(m, Frozen)} == frozen[layer]
                assert len(modules) <= len(frozen[layer]) + len(set(genes))
                assert len(modules) > 0
            assert set(candidate.labels["parents"]) == set(view.champions)
        (path,) = run.winner.paths.values()
        for layer in frozen:
            now = {m.id for m in path.steps[f"layer{layer}"].modules if isinstance(m, Frozen)}
            assert frozen[layer] <= now
            frozen[layer] = now
        view = later_view(view, run.winner)
    assert all(len(modules) > 2 for modules in frozen.values())

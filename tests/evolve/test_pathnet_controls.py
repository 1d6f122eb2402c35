"""PathNet's controls: one path, trained in generations that compare with PathNet's."""

from dataclasses import replace
from typing import Any

from pathways.candidate import Candidate, Measures, Result
from pathways.evolve.pathnet import PathNet
from pathways.evolve.pathnet_controls import PathNetFineTune, RandomPath
from pathways.evolve.paths import without_head
from pathways.modules import Draft, Frozen, Init, Warm
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_view, failed, fake_result, later_view

VIEW = example_view()
SMALL: dict[str, Any] = {"layers": 2, "modules": 5, "active": 2, "generations": 6, "threshold": None}


class TestRandomPath(StrategySuite):
    strategy = RandomPath(**SMALL)


class TestRandomPathThroughTheGrownGrid(StrategySuite):
    strategy = RandomPath(**SMALL, reuse=True)


class TestPathNetFineTune(StrategySuite):
    strategy = PathNetFineTune(**SMALL)


def _rising(candidate: Candidate) -> Result:
    (task,) = candidate.paths
    value = 0.2 * (candidate.order + 1)
    return replace(fake_result(candidate), measures={task: Measures(value, value, 0.0, value, 10)})


def test_one_path_trains_on_from_generation_to_generation() -> None:
    run = drive(RandomPath(**{**SMALL, "threshold": 0.75}), VIEW, _rising)
    assert [len(candidates) for candidates in run.asked] == [1, 1, 1, 1]
    assert [c.order for c in run.candidates] == [0, 1, 2, 3]
    assert len({str(c.labels["genotype"]) for c in run.candidates}) == 1
    for before, after in zip(run.candidates, run.candidates[1:], strict=False):
        blobs = fake_result(before).blobs
        for name, draft in after.drafts().items():
            if name != "flatten0":
                assert draft.start == Warm(blobs[name])
    assert run.winner is not None
    assert (run.winner.extra["generations"], run.winner.extra["reached"]) == (4, True)


def test_a_failed_generation_is_tried_again_on_other_batches() -> None:
    run = drive(RandomPath(**SMALL), VIEW, lambda c: failed(c) if c.order == 0 else fake_result(c))
    first, second = run.candidates[:2]
    assert first.paths == second.paths
    assert first.order != second.order


def test_random_paths_differ_between_runs_and_tasks() -> None:
    drawn = {
        str(RandomPath(**SMALL).begin(view).ask()[0].labels["genotype"])
        for run in range(4)
        for name in ("one", "another")
        for view in [replace(VIEW, run=run, tasks=(replace(VIEW.task, name=name),))]
    }
    assert len(drawn) >= 7


def test_random_paths_start_from_nothing_unless_they_reuse() -> None:
    evolved = drive(PathNet(**SMALL, population=4), VIEW).winner
    assert evolved is not None
    view = later_view(VIEW, evolved)
    assert not RandomPath(**SMALL).begin(view).grid.frozen
    grid = RandomPath(**SMALL, reuse=True).begin(view).grid
    assert {ref.id for ref in grid.frozen.values()} == set(evolved.extra["grid"].values())
    # champions of the task itself and of later ones are not there to be reused
    assert not RandomPath(**SMALL, reuse=True).begin(replace(view, tasks=VIEW.tasks)).grid.frozen


def test_fine_tune_goes_on_with_the_same_modules_and_a_new_head() -> None:
    strategy = PathNetFineTune(**SMALL)
    first = drive(strategy, VIEW).winner
    assert first is not None
    view = later_view(VIEW, first)
    search = strategy.begin(view)
    (candidate,) = search.ask()
    assert candidate.labels["genotype"] == first.extra["genotype"]
    for name, draft in candidate.drafts().items():
        if name == "head":
            assert isinstance(draft.start, Init)
        elif name != "flatten0":
            layer, cell = name[1:].split("m")
            assert draft.start == Warm(first.extra["grid"][f"{layer},{cell}"])
    second = drive(strategy, view).winner
    assert second is not None
    revised, path = second.revised["task0"], second.paths["task0'"]
    assert revised.steps["head"].modules == first.paths["task0"].steps["head"].modules
    assert without_head(revised) == without_head(path)
    assert all(isinstance(ref, Frozen) for ref in revised.refs())
    assert not any(isinstance(ref, Draft) for ref in path.refs())


def test_settings_come_back_from_plain_data() -> None:
    for strategy in (RandomPath(**SMALL, reuse=True), PathNetFineTune(**SMALL, combine=["sum", "mean"])):
        assert type(strategy)(**strategy.to_json()) == strategy

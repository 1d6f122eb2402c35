"""Controls: what each trains, and what it leaves to the next task."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from pathways.assemble import PathModule
from pathways.candidate import Training
from pathways.errors import ConfigError, PathError
from pathways.evolve.controls import Control, FineTune, FineTuneAll, HeadOnly, Independent, Joint
from pathways.evolve.paths import fit_inputs, fresh, head_spec, warm, with_head, without_head
from pathways.modules import Draft, Frozen, Image, Init, ModuleSpec, Signal, Tokens, Vector, Warm
from pathways.path import Path, Step
from pathways.task import Classes, Values
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_root, example_view, failed, fake_result, later_view, sha

ROOT = example_root()
VIEW = example_view()
SCRATCH = example_view(root=example_root(frozen=False))


class TestIndependent(StrategySuite):
    strategy = Independent(repeats=3)


class TestIndependentOnAnArchitecture(StrategySuite):
    strategy = Independent()
    view = SCRATCH


class TestFineTuneAll(StrategySuite):
    strategy = FineTuneAll()


class TestHeadOnly(StrategySuite):
    strategy = HeadOnly(repeats=2)


class TestFineTune(StrategySuite):
    strategy = FineTune()


class TestFineTuneFromScratch(StrategySuite):
    strategy = FineTune(repeats=2)
    view = SCRATCH


class TestJoint(StrategySuite):
    strategy = Joint()
    view = example_view(tasks=3)


class TestJointFromScratch(StrategySuite):
    strategy = Joint(scratch=True)
    view = example_view(tasks=2)


def _trunk(path: Path) -> dict[str, Any]:
    return {name: step.modules[0] for name, step in path.steps.items() if name != "head"}


def _only(strategy: Any, view: Any = VIEW) -> Path:
    (candidate,) = strategy.begin(view).ask()
    (path,) = candidate.paths.values()
    return path


def test_independent_has_the_roots_architecture_and_random_weights() -> None:
    path = _only(Independent())
    assert [ref.spec for ref in _trunk(path).values()] == [ref.spec for ref in _trunk(ROOT).values()]
    assert all(isinstance(ref, Draft) and ref.start == Init() for ref in path.refs())
    assert path.steps["head"].modules[0].spec == ModuleSpec("classifier", {"classes": 3})


def test_fine_tune_all_starts_from_the_roots_blobs() -> None:
    path = _only(FineTuneAll())
    starts = [ref.start for ref in _trunk(path).values() if isinstance(ref, Draft)]
    assert starts == [Warm(blob) for blob in ROOT.frozen()]


def test_head_only_trains_the_head_of_a_frozen_root() -> None:
    path = _only(HeadOnly())
    assert _trunk(path) == _trunk(ROOT)
    assert list(path.drafts()) == ["head"]
    with pytest.raises(ConfigError, match=r"must be frozen for strategy `head-only`.*modules \['a', 'b'\]"):
        HeadOnly().begin(SCRATCH)


def test_fine_tune_goes_on_with_one_trunk_and_revises_earlier_paths() -> None:
    strategy = FineTune()
    view, winners = VIEW, []
    for _ in range(3):
        run = drive(strategy, view)
        assert run.winner is not None
        winners.append(run.winner)
        view = later_view(view, run.winner)
    first, second, third = winners
    assert (first.revised, first.parents) == ({}, ("root",))
    second_path, third_path = second.paths["task0'"], third.paths["task0''"]
    starts = [d.start.blob for d in second.candidate.drafts().values() if isinstance(d.start, Warm)]
    assert starts == [ref.id for ref in _trunk(first.paths["task0"]).values()]
    assert set(third.revised) == {"task0", "task0'"}
    assert _trunk(third.revised["task0"]) == _trunk(third_path) != _trunk(second_path)
    assert third.revised["task0"].steps["head"].modules == first.paths["task0"].steps["head"].modules
    assert third.revised["task0'"].steps["head"].modules == second_path.steps["head"].modules


def test_joint_shares_its_trunk_by_name_and_has_a_head_for_each_task() -> None:
    (candidate,) = Joint().begin(example_view(tasks=3)).ask()
    assert set(candidate.paths) == {"task0", "task1", "task2"}
    heads = {f"head/task{i}" for i in range(3)}
    assert set(candidate.drafts()) == {"flat", "a", "b"} | heads
    first, *others = candidate.paths.values()
    assert all(_trunk(path) == _trunk(first) for path in others)
    assert {path.ports()["head"].dim for path in candidate.paths.values()} == {3, 4, 5}  # type: ignore[attr-defined]


def test_joint_trains_data_parallel_where_there_are_several_tasks_to_train() -> None:
    (alone,), (together,) = (Joint().begin(example_view(tasks=3)).ask(), Joint(workers=2).begin(example_view(3)).ask())
    assert (alone.workers, together.workers) == (1, 2)
    assert alone.hash != together.hash
    assert [c.workers for c in Joint(workers=2).begin(example_view(tasks=1)).ask()] == [1]
    assert [c.workers for c in Joint(workers=2, steps=0).begin(example_view(tasks=2)).ask()] == [1]
    with pytest.raises(ConfigError, match="`workers` must be a whole number of at least 1, found 0"):
        Joint(workers=0)


def test_the_best_repeat_wins_by_quality() -> None:
    run = drive(Independent(repeats=5), VIEW)
    assert [c.repeat for c in run.candidates] == [0, 1, 2, 3, 4]
    assert len({c.hash for c in run.candidates}) == 5
    assert run.winner is not None
    assert run.winner.result.quality == max(result.quality for _, result in run.told)
    best = drive(Independent(repeats=5), VIEW, lambda c: failed(c) if c.repeat else fake_result(c)).winner
    assert best is not None
    assert best.candidate.repeat == 0


def test_training_is_the_runs_unless_told() -> None:
    def training(strategy: Control) -> Training:
        return strategy.begin(VIEW).ask()[0].training  # type: ignore[attr-defined]

    assert training(Independent()) == VIEW.training
    assert training(Independent(steps=33)) == replace(VIEW.training, steps=33)
    own = Training(lr=0.5, steps=7)
    assert training(FineTuneAll(training=own)) == own
    made = Independent(training=own.to_json(), steps=9)
    assert training(made) == replace(own, steps=9)
    assert Independent(**made.to_json()) == made


@pytest.mark.parametrize("strategy", [Independent(), FineTuneAll(), HeadOnly(), FineTune(), Joint()])
def test_a_missing_root_is_named(strategy: Any) -> None:
    with pytest.raises(ConfigError, match=f"`root` must be a headless path for strategy `{strategy.name}`"):
        strategy.begin(replace(VIEW, root=None))


def test_bad_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="`repeats` must be a whole number of at least 1, found 0"):
        Independent(repeats=0)
    with pytest.raises(ConfigError, match="`steps`"):
        HeadOnly(steps=-1)


# -- paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "converter"), [
    (Vector(4), None), (Image(2, 3, 3), "flatten"), (Tokens(5, 4), "pool"), (Signal(3, 9), "pool"),
])
def test_heads_read_vectors(port: Any, converter: str | None) -> None:
    module = Frozen(sha("d"), ModuleSpec("detach"))
    path = with_head(Path({"x": port}, {"d": Step((module,), ("x",))}, "d"), Values(2))
    assert path.ports()["head"] == Vector(2)
    families = [step.modules[0].spec.family for step in path.steps.values()]
    assert families == ["detach", *([converter] if converter else []), "regressor"]


def test_head_specs_follow_the_target() -> None:
    assert head_spec(Classes(7)) == ModuleSpec("classifier", {"classes": 7})
    assert head_spec(Values(2)) == ModuleSpec("regressor", {"values": 2})


def test_inputs_are_renamed_where_only_the_name_differs() -> None:
    path = fit_inputs(ROOT, {"pixels": Image(1, 8, 8)})
    assert list(path.inputs) == ["pixels"]
    assert path.ports()["b"] == Vector(8)
    assert fit_inputs(ROOT, {"image": Image(1, 8, 8)}) is ROOT
    with pytest.raises(PathError, match=r"the root reads \(image: .*\) and the task has \(image: "):
        fit_inputs(ROOT, {"image": Image(1, 9, 9)})


def test_heads_are_put_only_on_headless_paths() -> None:
    path = with_head(ROOT, Classes(2))
    with pytest.raises(PathError, match="headless"):
        with_head(path, Classes(2))
    assert without_head(path) == ROOT
    module = Draft("only", ModuleSpec("linear", {"dim": 2}))
    with pytest.raises(PathError, match="headless"):
        without_head(Path({"x": Vector(2)}, {"only": Step((module,), ("x",))}, "only"))


def test_a_module_used_twice_stays_one_module() -> None:
    twice = Frozen(sha("m"), ModuleSpec("linear", {"dim": 4}))
    other = Frozen(sha("o"), ModuleSpec("linear", {"dim": 4}))
    root = Path({"x": Vector(4)}, {"a": Step((twice, other), ("x",)), "b": Step((twice,), ("a",))}, "b")
    for made in (fresh(root), warm(root)):
        drafts = list(made.drafts_in_order())
        assert [d.name for d in drafts] == ["a.0", "a.1", "a.0"]
        made.ports()
    assert warm(root).drafts()["a.1"].start == Warm(other.id)
    assert fresh(warm(root)) == fresh(root)


def test_a_control_sees_some_inputs_only() -> None:
    """The network is the same; what it must do without is zeros."""
    spec = ModuleSpec("concat")
    both = Step((Draft("both", spec, Init(0)),), ("image", "audio"))
    root = Path({"image": Vector(3), "audio": Vector(2)}, {"both": both}, "both")
    view = replace(SCRATCH, root=root, tasks=(replace(SCRATCH.tasks[0], inputs=root.inputs),))
    control = Independent(name="image-only", inputs=["image"])
    [candidate] = control.begin(view).ask()
    [path] = candidate.paths.values()
    assert path.steps["both"].reads == ("image", "audio.blank")
    assert path.inputs == root.inputs
    module = PathModule(path, lambda ref: torch.Generator().manual_seed(0))
    image, audio = torch.randn(2, 3), torch.randn(2, 2)
    alike = [module({"image": image, "audio": each}) for each in (audio, audio + 1)]
    assert torch.equal(*alike)
    assert not torch.equal(alike[0], module({"image": image + 1, "audio": audio}))


def test_a_control_of_some_inputs_leaves_other_tasks_out() -> None:
    control = Independent(inputs=["image"])
    assert control.serves({"image": Vector(3), "audio": Vector(2)})
    assert not control.serves({"image": Vector(3)})  # there is nothing to do without
    assert not control.serves({"text": Vector(3), "audio": Vector(2)})
    assert Independent().serves({"text": Vector(3)})
    assert "inputs" not in Independent().to_json()
    assert control.to_json()["inputs"] == ["image"]
    with pytest.raises(ConfigError, match="`inputs` must be a list of names of inputs, found 'image'"):
        Independent(inputs="image")

"""Candidates: the hash changes exactly when the result could."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.candidate import Augment, Candidate, Measures, Result, Training
from pathways.errors import ConfigError, PathError
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Vector, Warm
from pathways.path import Path, Step

LINEAR = ModuleSpec("linear", {"dim": 4})
HEAD = ModuleSpec("classifier", {"classes": 3})
ADAMW = Training()
SGD = Training(optimizer="sgd", momentum=0.5, nesterov=True)


def path_of(trunk: Draft | Frozen, head: str = "head", start: Init | Warm | None = None) -> Path:
    """A trunk and a fresh head."""
    steps = {"trunk": Step((trunk,), ("x",)), "head": Step((Draft(head, HEAD, start or Init()),), ("trunk",))}
    return Path({"x": Vector(4)}, steps, "head")


def single(training: Training = ADAMW, **changes: Any) -> Candidate:
    """A candidate for one task."""
    return replace(Candidate({"a": path_of(Draft("trunk", LINEAR))}, training, {"a": "data"}), **changes)


def joint(**changes: Any) -> Candidate:
    """A candidate for two tasks that share a trunk."""
    trunk = Draft("trunk", LINEAR)
    paths = {"a": path_of(trunk, "one"), "b": path_of(trunk, "two")}
    return replace(Candidate(paths, ADAMW, {"a": "data", "b": "more"}), **changes)


# -- training -------------------------------------------------------------------------------------------------

OTHER: dict[str, Any] = {
    "optimizer": "sgd", "lr": 0.5, "head_lr": 2.0, "weight_decay": 0.1, "beta2": 0.9, "momentum": 0.9, "nesterov": True,
    "schedule": "constant", "warmup": 0.5, "clip": 1.0, "steps": 77, "batch": 7, "label_smoothing": 0.1,
    "head_init": "zeros", "head_refit": "discriminant", "evaluate_every": 10, "keep": "last", "fitness": "training",
    "augment": Augment(rotate=5.0, views=2), "score_views": 3, "precision": "bfloat16",
}
DURING_TRAINING = set(OTHER) - {"steps", "head_init", "head_refit"}

# What each setting ignores: everything else must change the hash.
IGNORED: list[tuple[Training, set[str]]] = [
    (ADAMW, {"momentum", "nesterov", "keep", "score_views"}),
    (replace(ADAMW, evaluate_every=50), {"momentum", "nesterov", "score_views"}),
    (Training(optimizer="sgd"), {"optimizer", "beta2", "nesterov", "keep", "score_views"}),
    (SGD, {"optimizer", "beta2", "nesterov", "keep", "score_views"}),
    (replace(ADAMW, augment=Augment(rotate=9.0, views=3)), {"momentum", "nesterov", "keep"}),
    (replace(SGD, evaluate_every=20, nesterov=False), {"optimizer", "beta2", "score_views"}),
    (Training(steps=0), DURING_TRAINING),
    (replace(SGD, steps=0, augment=Augment(noise=0.5)), DURING_TRAINING - {"score_views"}),
    (Training(steps=5, evaluate_every=5), {"momentum", "nesterov", "keep", "evaluate_every", "score_views"}),
]


def test_the_table_of_other_values_names_every_field() -> None:
    assert set(OTHER) == {field.name for field in fields(Training)}


@pytest.mark.parametrize(("training", "ignored"), IGNORED)
def test_a_field_changes_the_hash_exactly_when_the_setting_uses_it(training: Training, ignored: set[str]) -> None:
    before = single(training)
    for name, value in OTHER.items():
        after = single(replace(training, **{name: value}))
        assert (after.hash == before.hash) == (name in ignored), name


def test_all_that_is_used_gives_different_hashes() -> None:
    base = replace(ADAMW, evaluate_every=3)
    used = [single(replace(base, **{n: value})).hash for n, value in OTHER.items() if n not in ("momentum", "nesterov")]
    assert len(set(used)) == len(OTHER) - 2


def test_evaluating_at_the_end_or_later_is_evaluating_at_the_end() -> None:
    hashes = {single(Training(steps=10, evaluate_every=every)).hash for every in (0, 10, 11, 1000)}
    assert hashes == {single(Training(steps=10)).hash}
    assert single(Training(steps=10, evaluate_every=9)).hash not in hashes


def test_whole_and_decimal_numbers_are_one_setting() -> None:
    assert single(Training(lr=1, warmup=0, clip=2)).hash == single(Training(lr=1.0, warmup=0.0, clip=2.0)).hash
    assert Augment(rotate=10) == Augment(rotate=10.0)
    one, two = (single(Training(augment=Augment(rotate=angle, views=2))) for angle in (10, 10.0))
    assert one.hash == two.hash


def augmented(**changes: Any) -> str:
    """The hash of a candidate with augmentation."""
    return single(Training(augment=Augment(**changes))).hash


def test_augmentation_that_changes_nothing_is_none() -> None:
    none = single().hash
    assert augmented() == none
    assert augmented(rotate=10, views=1, clean=True) == none  # the one view is the sample itself
    assert augmented(views=1, clean=False) == none
    assert augmented(rotate=10, views=1, clean=False) != none
    assert augmented(views=2) != none  # another draw of views is another order of the data
    assert augmented(rotate=10, views=0, clean=True) == augmented(rotate=10, views=0, clean=False) != none
    assert augmented(rotate=10, views=2, clean=True) != augmented(rotate=10, views=2, clean=False)


def test_every_bound_of_an_augmentation_counts() -> None:
    names = ("rotate", "shear", "scale", "translate", "noise")
    hashes = {augmented(views=3), *(augmented(views=3, **{name: 0.5}) for name in names), augmented(views=4)}
    assert len(hashes) == len(names) + 2


NUMBER = st.floats(0, 0.9)
TRAININGS = st.builds(
    Training, optimizer=st.sampled_from(["adamw", "sgd"]), lr=NUMBER, head_lr=NUMBER, weight_decay=NUMBER, beta2=NUMBER,
    momentum=NUMBER, nesterov=st.booleans(), schedule=st.sampled_from(["constant", "cosine"]), warmup=NUMBER,
    clip=NUMBER, steps=st.integers(0, 50), batch=st.integers(1, 9), label_smoothing=NUMBER,
    evaluate_every=st.integers(0, 60), keep=st.sampled_from(["best", "last"]),
    fitness=st.sampled_from(["validation", "training"]),
    augment=st.none() | st.builds(Augment, rotate=NUMBER, noise=NUMBER, views=st.integers(0, 3), clean=st.booleans()),
)


@settings(deadline=None, max_examples=80)
@given(TRAININGS)
def test_training_survives_json_and_keeps_its_identity(training: Training) -> None:
    again = Training.from_json(json.loads(json.dumps(training.to_json())))
    assert again == training
    assert single(again).hash == single(training).hash
    assert set(training.identity()) <= {field.name for field in fields(Training)}


@settings(deadline=None, max_examples=80)
@given(TRAININGS, TRAININGS)
def test_equal_identities_and_equal_hashes_are_the_same(one: Training, two: Training) -> None:
    assert (single(one).hash == single(two).hash) == (one.identity() == two.identity())


# -- candidates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [
    {"data": {"a": "other"}}, {"run": 1}, {"order": 1}, {"repeat": 1}, {"optimizer_state": True},
    {"paths": {"a": path_of(Frozen("a" * 64, LINEAR))}},
    {"paths": {"a": path_of(Draft("trunk", LINEAR, Init(0)))}},
    {"paths": {"a": path_of(Draft("trunk", LINEAR, Warm("b" * 64)))}},
    {"paths": {"a": path_of(Draft("trunk", LINEAR, Warm("b" * 64, "c" * 64)))}},
    {"paths": {"a": path_of(Draft("trunk", LINEAR), start=Init(1))}},
    {"paths": {"z": path_of(Draft("trunk", LINEAR))}, "data": {"z": "data"}},
])
def test_what_decides_the_result_changes_the_hash(changes: dict[str, Any]) -> None:
    assert single(**changes).hash != single().hash


def test_what_does_not_decide_the_result_leaves_the_hash() -> None:
    before = single()
    assert single(labels={"number": 3, "parents": ["root"]}).hash == before.hash
    assert single(labels={"number": 3}) == before
    assert single(sampler="proportional").hash == before.hash  # with one task there is nothing to alternate
    assert single(paths={"a": path_of(Draft("body", LINEAR), "top")}).hash == before.hash
    assert single(Training(steps=0), order=1).hash == single(Training(steps=0), order=2).hash
    assert joint(training=Training(steps=0), sampler="proportional").hash == joint(training=Training(steps=0)).hash


def test_a_joint_candidate_depends_on_its_sampler_and_on_what_is_shared() -> None:
    apart = {"a": path_of(Draft("one's", LINEAR), "one"), "b": path_of(Draft("two's", LINEAR), "two")}
    all_shared = {name: path_of(Draft("trunk", LINEAR), "head") for name in "ab"}
    crossed = {"a": path_of(Draft("trunk", LINEAR), "one"), "b": path_of(Draft("two", LINEAR), "three")}
    candidates = [joint(), joint(sampler="proportional"), joint(paths=apart), joint(paths=all_shared)]
    assert len({candidate.hash for candidate in candidates}) == 4
    assert joint(paths=crossed).hash == joint(paths=apart).hash


def test_neither_the_order_of_tasks_nor_names_of_drafts_matter() -> None:
    trunk = Draft("t", LINEAR)
    paths = {"b": path_of(trunk, "y"), "a": path_of(trunk, "x")}
    other = Candidate(paths, ADAMW, {"b": "more", "a": "data"})
    assert other.hash == joint().hash
    assert list(other.paths) == list(joint().paths)
    assert list(other.drafts()) == ["t", "x", "y"]


@pytest.mark.parametrize("make", [single, joint])
def test_candidates_survive_json_and_pickle(make: Callable[..., Candidate]) -> None:
    candidate = make(training=SGD, run=3, order=2, repeat=1, optimizer_state=True, labels={"number": 1})
    again = Candidate.from_json(json.loads(json.dumps(candidate.to_json())))
    assert again == candidate
    assert again.labels == candidate.labels
    assert again.hash == candidate.hash == pickle.loads(pickle.dumps(candidate)).hash
    assert again.to_json() == candidate.to_json()


def test_trained_paths_hold_the_blobs_of_the_result() -> None:
    candidate = joint()
    result = Result(candidate.hash, blobs={name: f"{i:064x}" for i, name in enumerate(candidate.drafts())})
    one, two = candidate.trained_paths(result).values()
    assert one.steps["trunk"] == two.steps["trunk"]
    assert set(one.frozen()) == {result.blobs["trunk"], result.blobs["one"]}


@pytest.mark.parametrize(("build", "message"), [
    (lambda: Training(lr=-1), r"`lr` must be a number in \[0, 100\], found -1"),
    (lambda: Training(lr=float("nan")), "`lr` must be a number"),
    (lambda: Training(lr="fast"), "`lr` must be a number .* found 'fast'"),  # type: ignore[arg-type]
    (lambda: Training(steps=True), "`steps` must be a number"),
    (lambda: Training(steps=1.5), "`steps` must be a whole number, found 1.5"),  # type: ignore[arg-type]
    (lambda: Training(nesterov=1), "`nesterov` must be true or false, found 1"),  # type: ignore[arg-type]
    (lambda: Training(optimizer="lion"), "`optimizer` must be one of .* found 'lion'"),
    (lambda: Training(precision="half"), r"`precision` must be one of \('float32', 'bfloat16'\), found 'half'"),
    (lambda: Augment(rotate=-1.0), "`rotate` of `augment` must be a number of at least 0"),
    (lambda: Augment(views=1.5), "`views` of `augment` must be a whole number"),  # type: ignore[arg-type]
    (lambda: Augment(clean=1), "`clean` of `augment` must be true or false"),  # type: ignore[arg-type]
    (lambda: single(sampler="random"), "`sampler` must be one of"),
    (lambda: single(data={"b": "data"}), r"`data` must name the tasks \['a'\], found \['b'\]"),
])
def test_settings_that_are_not_valid_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_drafts_of_one_name_must_be_one_module_across_paths() -> None:
    with pytest.raises(PathError, match=r"drafts named 'trunk' must be equal .* task 'a'"):
        joint(paths={"a": path_of(Draft("trunk", LINEAR), "one"), "b": path_of(Draft("trunk", LINEAR, Init(1)), "two")})


# -- results --------------------------------------------------------------------------------------------------


def test_results_survive_json_and_average_over_tasks() -> None:
    measures = {"a": Measures(0.5, 0.5, 1.0, 0.25, 10), "b": Measures(3.0, 0.25, 9.0, 0.75, 10)}
    result = Result("c", "", measures, ((1, "a", 0.5),), 1, 2, 3, 4.0, 5.0, {"x": "y"}, {"x": "z"})
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert (result.ok, result.quality, result.fitness) == (True, 0.375, 0.5)


def test_a_failure_is_worse_than_anything() -> None:
    failed = Result("c", "the loss became nan at step 3")
    assert not failed.ok
    assert failed.quality == failed.fitness == float("-inf")

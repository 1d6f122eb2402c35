from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import assembled, candidate, chain, clusters, frozen, head, images, linear, plane, seeded

from pathways.candidate import Augment
from pathways.errors import ConfigError
from pathways.modules import Draft, Ids, Image, Masked, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.task import Affine, Classes, Split, Task
from pathways.trainer import samples
from pathways.trainer.fit import Work, batch_order, task_order
from pathways.trainer.samples import (
    EVALUATION_BATCH,
    IMAGE_BATCH,
    Recent,
    count,
    evaluation_batch,
    prepare,
    rows,
    through,
)
from pathways.trainer.stored import Stored, size


def mixed(n: int = 6) -> Task:
    """Two inputs: bytes of an image, and masked ids."""
    generator = seeded(4)

    def split() -> Split:
        x = torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
        ids = torch.randint(0, 9, (n, 3), generator=generator)
        mask = torch.arange(3).expand(n, 3) < torch.randint(1, 4, (n, 1), generator=generator)
        return Split({"x": x, "ids": Masked(ids, mask)}, torch.arange(n) % 2)

    return Task("mixed", {"x": Image(1, 4, 4), "ids": Ids(None, 9)}, Classes(2),
                {name: split() for name in ("train", "validation")}, transform={"x": Affine(1 / 255, -0.5)})


def work_of(task: Task, augment: Augment | None = None) -> Work:
    path = chain(task.inputs["x"], Draft("flat", ModuleSpec("detach")))
    return Work(task.name, task, assembled(path), prepare(task, "train", augment), prepare(task, "validation"))


# -- preparing ----------------------------------------------------------------------------------------------


def test_stored_values_are_transformed_and_ids_left_alone() -> None:
    task = mixed()
    samples = prepare(task, "train")
    x, ids = samples.values["x"], samples.values["ids"]
    stored, stored_ids = task.splits["train"].inputs["x"], task.splits["train"].inputs["ids"]
    assert isinstance(x, Stored)
    assert x.tensor is stored  # no second copy of a task's bytes
    torch.testing.assert_close(x[:], stored.float() / 255 - 0.5)
    assert ids is stored_ids
    assert (samples.views, len(samples), count(samples.values)) == (1, 6, 6)


def test_views_stand_view_by_view_in_all_inputs() -> None:
    task = mixed()
    plain, samples = prepare(task, "train"), prepare(task, "train", Augment(rotate=30, views=3))
    assert (samples.views, len(samples), count(samples.values)) == (3, 6, 18)
    ids, x = samples.values["ids"], samples.values["x"]
    assert isinstance(ids, Masked)
    for view in range(3):
        of_view = rows(samples.values, slice(6 * view, 6 * view + 6))
        assert all(torch.equal(a, b) for a, b in zip(of_view["ids"], plain.values["ids"], strict=True))
    assert isinstance(x, torch.Tensor)
    assert torch.equal(x[:6], rows(plain.values, slice(None))["x"])


def test_keys_tell_data_split_and_augmentation_apart() -> None:
    task, augment = images(), Augment(rotate=10, views=2)
    prepared = [prepare(task, "train"), prepare(task, "validation"), prepare(task, "train", augment),
                prepare(task, "train", Augment(rotate=11, views=2)), prepare(images(seed=1), "train")]
    assert len({samples.key for samples in prepared}) == len(prepared)
    assert prepare(images(), "train", augment).key == prepared[2].key


@pytest.mark.parametrize("views", [0, 2])
def test_augmentation_without_an_image_is_refused(views: int) -> None:
    with pytest.raises(ConfigError, match="task 'clusters' has none among its inputs \\['x'\\]"):
        prepare(clusters(), "train", Augment(rotate=10, views=views))


# -- passing through ----------------------------------------------------------------------------------------


def test_passing_through_is_one_forward_in_evaluation_mode() -> None:
    n = EVALUATION_BATCH + 37
    norm = Draft("conv", ModuleSpec("conv", {"channels": 2, "norm": "batch"}))
    model = assembled(chain(Image(1, 3, 3), norm, Draft("flat", ModuleSpec("flatten")), head(2)))
    x = torch.randn(n, 1, 3, 3, generator=seeded(1))
    model.train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    values = through(model, {"x": x}, ("x", "s1", "s2"))
    assert model.training
    assert model.drafts()["conv"].training
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(values["s2"], model(x))
    assert torch.equal(values["x"], x)
    assert count({"s1": values["s1"]}) == n
    assert not values["s2"].requires_grad


def test_images_pass_through_in_smaller_batches_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution = Draft("conv", ModuleSpec("conv", {"channels": 8, "norm": "batch", "pool": 2}))
    model = assembled(chain(Image(1, 8, 8), convolution, Draft("flat", ModuleSpec("flatten")), head(2)))
    x = torch.randn(2 * IMAGE_BATCH + 37, 1, 8, 8, generator=seeded(1))
    assert evaluation_batch({"x": x}) == IMAGE_BATCH < EVALUATION_BATCH == evaluation_batch({"x": x.flatten(1)})
    assert evaluation_batch({"x": Stored(x.byte())}) == IMAGE_BATCH
    small = through(model, {"x": x}, ("s2",))["s2"]
    monkeypatch.setattr(samples, "IMAGE_BATCH", EVALUATION_BATCH)
    torch.testing.assert_close(small, through(model, {"x": x}, ("s2",))["s2"])


def test_masks_pass_through() -> None:
    model = assembled(chain(Ids(None, 9), Draft("embed", ModuleSpec("embed", {"dim": 4}))))
    ids = prepare(mixed(), "train").values["ids"]
    value = through(model, {"x": ids}, ("s0",))["s0"]
    assert isinstance(value, Masked)
    assert isinstance(ids, Masked)
    assert torch.equal(value.mask, ids.mask)


# -- keeping ------------------------------------------------------------------------------------------------


def test_what_was_used_last_is_kept() -> None:
    recent, made = Recent(limit=100), []

    def get(key: str, numbers: int = 10) -> None:
        if recent.get(key) is None:
            made.append(key)
            recent.put(key, numbers, 4 * numbers)

    for key in ("a", "b", "a", "c", "a", "b", "c"):
        get(key)
    assert made == ["a", "b", "c", "b", "c"]  # "c" put out "b", whose return put out "c", not "a"
    get("large", 1000)
    get("large", 1000)
    assert made[5:] == ["large"]  # what exceeds the limit alone is kept alone
    get("a")
    assert made[6:] == ["a"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_kept_bytes_stay_within_the_limit(uses: list[tuple[int, int]]) -> None:
    recent = Recent(limit=120)
    for key, numbers in uses:
        recent.put(str(key), numbers, 4 * numbers)
        assert recent.get(str(key)) == numbers
        assert sum(size for _, size in recent._held.values()) == recent._bytes <= 120


def test_the_size_of_a_masked_value_counts_its_mask() -> None:
    assert size(torch.zeros(3, 2)) == 24
    assert size(Masked(torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool))) == 30


# -- batches ------------------------------------------------------------------------------------------------


@given(st.integers(3, 20), st.integers(1, 50), st.integers(1, 12), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_batches_run_through_permutations_of_all_samples(n: int, batch: int, steps: int, views: int) -> None:
    task = images(n=n, side=2)
    work = work_of(task, Augment(rotate=10, views=views))
    order = batch_order(candidate(work.model.path, task, batch=batch, steps=steps), work)
    assert order.shape == (steps, batch)
    flat = order.flatten()
    assert int(flat.min()) >= 0
    assert int(flat.max()) < n * views
    for start in range(0, len(flat) - n + 1, n):
        assert sorted((flat[start : start + n] % n).tolist()) == list(range(n))


def test_all_views_are_seen_alike() -> None:
    task = images(n=20, side=2)
    work = work_of(task, Augment(rotate=10, views=4))
    order = batch_order(candidate(work.model.path, task, batch=20, steps=200), work)
    share = torch.bincount((order // 20).flatten(), minlength=4) / order.numel()
    assert share.tolist() == pytest.approx([0.25] * 4, abs=0.03)


def test_contestants_see_the_same_batches() -> None:
    """The order depends on run, task and the candidate's order, and on nothing that contestants differ in."""
    task = clusters()
    work = work_of(task)
    path = work.model.path

    def order(w: Work = work, p: Path = path, **changes: object) -> torch.Tensor:
        return batch_order(candidate(p, w.task, **{"steps": 9, **changes}), w)

    base = order()
    other = chain(Vector(4), linear("a", 5), head())
    for same in (order(p=other), order(lr=0.5), order(optimizer="sgd"), order(repeat=3), order(head_init="zeros")):
        assert torch.equal(same, base)
    # Longer training begins with the same batches.
    assert torch.equal(order(steps=20)[:9], base)
    for different in (order(run=1), order(order=1), order(w=work_of(clusters("other")))):
        assert not torch.equal(different, base)


def test_without_steps_there_are_no_batches() -> None:
    task = clusters()
    work = work_of(task)
    assert len(batch_order(candidate(work.model.path, task, steps=0), work)) == 0


# -- several tasks ------------------------------------------------------------------------------------------


def test_joint_training_takes_every_task_in_every_step() -> None:
    tasks = [clusters("a"), clusters("b"), plane("c")]
    works = [work_of(task) for task in tasks]
    together = candidate({w.name: w.model.path for w in works}, *tasks, steps=5)
    assert task_order(together, works) == [[0, 1, 2]] * 5


def test_proportional_sampling_follows_the_sizes() -> None:
    """4000 draws at shares 1/6, 2/6, 3/6: the shares stand within 4 standard deviations (3.2%), wrong once in 5000."""
    tasks = [clusters("a", n=30), clusters("b", n=60), clusters("c", n=90)]
    works = [work_of(task) for task in tasks]
    paths = {w.name: w.model.path for w in works}
    turns = task_order(candidate(paths, *tasks, steps=4000, sampler="proportional"), works)
    assert {len(turn) for turn in turns} == {1}
    share = torch.bincount(torch.tensor(turns).flatten(), minlength=3) / 4000
    assert share.tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.032)
    assert turns == task_order(candidate(paths, *tasks, steps=4000, sampler="proportional", lr=0.5), works)
    assert turns != task_order(candidate(paths, *tasks, steps=4000, sampler="proportional", order=1), works)
    assert task_order(candidate(paths, *tasks, steps=0, sampler="proportional"), works) == []


def test_a_prefix_of_two_inputs_passes_what_is_read_later(tmp_path_factory: pytest.TempPathFactory) -> None:
    pool = Pool(tmp_path_factory.mktemp("pool"))
    kept = frozen(pool, ModuleSpec("linear", {"dim": 3}), Vector(4))
    path = Path({"x": Vector(4), "y": Vector(2)}, {
        "kept": Step((kept,), ("x",)), "both": Step((Draft("both", ModuleSpec("concat")),), ("kept", "y")),
    }, "both")
    model = assembled(path, pool)
    x, y = torch.randn(5, 4, generator=seeded()), torch.randn(5, 2, generator=seeded(1))
    values = through(model, {"x": x, "y": y}, ("y", "kept"))
    torch.testing.assert_close(model(values), model({"x": x, "y": y}))

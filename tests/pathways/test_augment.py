from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from tiny import images, seeded
from torch import Tensor

from pathways.candidate import Augment
from pathways.trainer import augment as augment_file
from pathways.trainer.augment import change, views_of
from pathways.trainer.samples import prepare

BATCH = torch.rand(5, 2, 6, 6, generator=seeded(1)) + 0.1


@pytest.fixture
def at_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every uniform draw is at its upper bound."""
    monkeypatch.setattr(augment_file.torch, "rand", lambda *shape, generator: torch.ones(*shape))


def test_the_first_view_is_the_image_itself() -> None:
    augment = Augment(rotate=20, shear=5, scale=0.1, translate=1, noise=0.1, views=3)
    views = views_of(BATCH, augment, seeded())
    assert views.shape == (15, 2, 6, 6)
    assert torch.equal(views[:5], BATCH)
    assert not torch.equal(views[5:10], BATCH)
    assert not torch.equal(views[5:10], views[10:])


def test_without_a_clean_view_all_are_changed() -> None:
    views = views_of(BATCH, Augment(rotate=20, views=2, clean=False), seeded())
    assert views.shape == (10, 2, 6, 6)
    for view in views.split(5):
        assert not any(torch.equal(a, b) for a, b in zip(view, BATCH, strict=True))


def test_zero_settings_are_the_identity() -> None:
    assert torch.equal(change(BATCH, Augment(), seeded()), BATCH)
    assert torch.equal(views_of(BATCH, Augment(views=3), seeded()), torch.cat([BATCH] * 3))


def test_a_change_depends_on_the_generator_only() -> None:
    augment = Augment(rotate=20, noise=0.2)
    state = torch.get_rng_state()
    assert torch.equal(change(BATCH, augment, seeded(1)), change(BATCH, augment, seeded(1)))
    assert not torch.equal(change(BATCH, augment, seeded(1)), change(BATCH, augment, seeded(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_every_image_has_a_change_of_its_own() -> None:
    changed = change(BATCH[:1].expand(5, -1, -1, -1).contiguous(), Augment(rotate=30), seeded())
    assert all(not torch.equal(changed[0], other) for other in changed[1:])


@pytest.mark.usefixtures("at_bounds")
@pytest.mark.parametrize("shape", [(6, 6), (5, 7), (8, 3)])
def test_half_a_turn_flips_both_axes(shape: tuple[int, int]) -> None:
    x = torch.rand(3, 1, *shape, generator=seeded())
    torch.testing.assert_close(change(x, Augment(rotate=180), seeded()), x.flip(2, 3), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("at_bounds")
def test_a_quarter_turn_is_a_quarter_turn() -> None:
    """The output's x axis runs along the input's y axis: clockwise or not, it is one and the same everywhere."""
    turned = change(BATCH, Augment(rotate=90), seeded())
    torch.testing.assert_close(turned, torch.rot90(BATCH, 1, (2, 3)), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("at_bounds")
def test_a_quarter_turn_of_a_wide_image_keeps_its_scale() -> None:
    wide = torch.zeros(1, 1, 5, 9)
    wide[..., 1:4, 3:6] = torch.rand(3, 3, generator=seeded())
    turned = change(wide, Augment(rotate=90), seeded())
    torch.testing.assert_close(turned[..., 1:4, 3:6], torch.rot90(wide[..., 1:4, 3:6], 1, (2, 3)), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("at_bounds")
def test_translation_is_in_pixels() -> None:
    moved = change(BATCH, Augment(translate=2), seeded())
    torch.testing.assert_close(moved[..., :-2, :-2], BATCH[..., 2:, 2:], rtol=0, atol=1e-4)
    assert moved[..., -2:, :].abs().max() < 1e-4
    assert moved[..., -2:].abs().max() < 1e-4


@pytest.mark.usefixtures("at_bounds")
def test_scale_is_relative() -> None:
    """At 1.5, every third of 9 output pixels lies on an input pixel (the middle one on itself)."""
    x = torch.rand(1, 1, 9, 9, generator=seeded())
    zoomed = change(x, Augment(scale=0.5), seeded())
    torch.testing.assert_close(zoomed[..., 2:7:2, 2:7:2], x[..., 1:8:3, 1:8:3], rtol=0, atol=1e-4)


@given(st.floats(0, 180), st.floats(0, 40), st.floats(0, 0.5), st.floats(0, 3), st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=30)
def test_changes_equal_those_of_another_library(
    rotate: float, shear: float, scale: float, translate: float, seed: int, wide: bool
) -> None:
    """Against scipy's affine transform in pixel coordinates, with the numbers drawn as documented."""
    height, width = (7, 11) if wide else (8, 8)
    x = torch.zeros(1, 1, height, width)
    x[..., 2:-2, 2:-2] = torch.rand(1, 1, height - 4, width - 4, generator=seeded(5))  # the rim is zero, as outside
    augment = Augment(rotate=rotate, shear=shear, scale=scale, translate=translate)
    ours = change(x, augment, seeded(seed))[0, 0].numpy()
    if not (rotate or shear or scale or translate):
        assert np.array_equal(ours, x[0, 0].numpy())
        return
    generator = seeded(seed)
    angle, tilt, zoom_x, zoom_y, shift_x, shift_y = (
        float(torch.rand(1, generator=generator) * 2 - 1) * bound
        for bound in (math.radians(rotate), math.radians(shear), scale, scale, translate, translate)
    )
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = rotation @ np.array([[1, math.tan(tilt)], [0, 1]]) @ np.diag([1 + zoom_x, 1 + zoom_y])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre + np.array([shift_x, shift_y]) - matrix @ centre
    theirs = affine_transform(x[0, 0].numpy(), matrix[::-1, ::-1], offset[::-1], order=1, mode="constant")
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@given(st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_changed_pixels_stay_in_range(noise: float, seed: int) -> None:
    augment = Augment(rotate=45, shear=10, scale=0.3, translate=2, noise=noise)
    changed = change(BATCH, augment, seeded(seed))
    assert changed.min() >= 0
    assert changed.max() <= BATCH.max() + 1e-6


def test_noise_is_the_share_of_pixels_at_both_ends() -> None:
    x = torch.full((4, 1, 50, 50), 0.5)
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    changed = change(x, Augment(noise=0.4), seeded())
    for value in (0.0, 1.0):
        assert float((changed == value).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float((changed == 0.5).float().mean()) == pytest.approx(0.6, abs=0.02)
    assert torch.equal(change(x, Augment(noise=1.0), seeded()).unique(), torch.tensor([0.0, 1.0]))


def test_views_are_made_once_for_a_task_and_setting() -> None:
    """They depend on the data and the setting alone, so that all candidates train on the same views."""
    task, augment = images(), Augment(rotate=20, views=3)
    first, again = (prepare(images(), "train", augment) for _ in range(2))
    assert torch.equal(stored(first.values["x"]), stored(again.values["x"]))
    assert first.key == again.key
    other = prepare(task, "train", Augment(rotate=21, views=3))
    assert other.key != first.key
    assert not torch.equal(stored(other.values["x"])[24:], stored(first.values["x"])[24:])


def stored(value: object) -> Tensor:
    assert isinstance(value, Tensor)
    return value

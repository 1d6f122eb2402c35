"""Random changes of images, made once: a fixed number of views of each training sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pathways.candidate import Augment


def views_of(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """All views of a set of images.

    Args:
        images: float (N, channels, height, width), after the task's transform.
        augment: the bounds of the changes and the number of views V.
        generator: the source of all randomness.

    Returns:
        (V * N, channels, height, width), view by view; with `augment.clean` the first is `images` itself.
    """
    views = [images] if augment.clean else []
    while len(views) < augment.views:
        views.append(change(images, augment, generator))
    return torch.cat(views)


@dataclass(frozen=True, eq=False)
class Changes:
    """The random numbers of one change of each of n images, drawn for all of them whichever are then changed.

    Args:
        uniforms: (6, n) in [-1, 1], of angle, shear, both zooms, both shifts; none where nothing moves.
        noise: (n, channels, height, width) in [0, 1], or none.
    """

    uniforms: Tensor | None
    noise: Tensor | None

    @classmethod
    def draw(cls, shape: Sequence[int], augment: Augment, generator: torch.Generator) -> Changes:
        """Draw for images of that shape, (n, channels, height, width)."""
        moves = augment.rotate or augment.shear or augment.scale or augment.translate
        uniforms = torch.stack([torch.rand(shape[0], generator=generator) * 2 - 1 for _ in range(6)]) if moves else None
        return cls(uniforms, torch.rand(tuple(shape), generator=generator) if augment.noise else None)

    def of(self, cut: slice) -> Changes:
        """Those of some of the images."""
        uniforms = None if self.uniforms is None else self.uniforms[:, cut]
        return Changes(uniforms, None if self.noise is None else self.noise[cut])


def change(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """One random affine change of each image, bilinear with zeros outside, then salt-and-pepper noise."""
    return changed(images, augment, Changes.draw(images.shape, augment, generator))


def changed(images: Tensor, augment: Augment, drawn: Changes) -> Tensor:
    """The images as those random numbers change them."""
    _, _, height, width = images.shape
    if drawn.uniforms is not None:
        units = drawn.uniforms
        angle, shear = units[0] * math.radians(augment.rotate), units[1] * math.radians(augment.shear)
        zoom_x, zoom_y = 1 + units[2] * augment.scale, 1 + units[3] * augment.scale
        shift_x, shift_y = units[4] * (2 * augment.translate / width), units[5] * (2 * augment.translate / height)
        cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
        # theta maps output coordinates to input coordinates: rotation @ shear @ zoom, then the shift. Both axes run
        # from -1 to 1, so that what crosses over from one to the other is scaled by the ratio of the sides.
        rows = [
            torch.stack([cos * zoom_x, (cos * tan - sin) * zoom_y * (height / width), shift_x], 1),
            torch.stack([sin * zoom_x * (width / height), (sin * tan + cos) * zoom_y, shift_y], 1),
        ]
        theta = torch.stack(rows, 1).to(images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if drawn.noise is not None:
        low, high = images.amin(), images.amax()
        draw = drawn.noise.to(images.device)
        images = torch.where(draw < augment.noise / 2, low, torch.where(draw < augment.noise, high, images))
    return images

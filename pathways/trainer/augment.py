"""Random changes of images, made once: a fixed number of views of each training sample."""

from __future__ import annotations

import math

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


def change(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """One random affine change of each image, bilinear with zeros outside, then salt-and-pepper noise."""
    n, _, height, width = images.shape
    if augment.rotate or augment.shear or augment.scale or augment.translate:
        def uniform(bound: float) -> Tensor:
            return (torch.rand(n, generator=generator) * 2 - 1) * bound

        angle, shear = uniform(math.radians(augment.rotate)), uniform(math.radians(augment.shear))
        zoom_x, zoom_y = 1 + uniform(augment.scale), 1 + uniform(augment.scale)
        shift_x, shift_y = uniform(2 * augment.translate / width), uniform(2 * augment.translate / height)
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
    if augment.noise:
        low, high = images.amin(), images.amax()
        draw = torch.rand(images.shape, generator=generator).to(images.device)
        images = torch.where(draw < augment.noise / 2, low, torch.where(draw < augment.noise, high, images))
    return images

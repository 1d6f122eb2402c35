"""Image files as bytes of one shape: whatever their size, mode, depth, orientation and transparency."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Picture
from PIL import ImageOps
from torch import Tensor

from pathways.errors import DataError
from pathways.pictures import Pictures

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
"""What image files are recognised by in folders, in small or capital letters."""

BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    MemoryError, struct.error, zlib.error, Picture.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises for a file that is not what it says: each decoder has its own way to fail."""

_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")

Array = np.ndarray[Any, Any]


def read_images(files: Sequence[str | Path], pictures: Pictures) -> Tensor:
    """Image files, in order, as uint8 (N, channels, height, width).

    An image is turned as its camera says (EXIF), then brought to 8 bits a channel (16-bit grey by its upper byte),
    palettes to their colours, and what is transparent is seen over the background; of several frames or pages the
    first counts. Then it becomes grey (ITU-R 601 luma) or coloured, and last it is fitted in size, by area-weighted
    bilinear filtering.

    Args:
        files: at least one.
        pictures: the shape, and how other sizes become it; of a task that was learned,
            `system.records[task].pictures[input]`.

    Raises:
        DataError: a file is no image, or cut off; or of another size where sizes must fit exactly. It is named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Picture.new("L", (20, 10), 7).save(f"{folder}/grey.png")
        ...     read_images([f"{folder}/grey.png"], Pictures(3, 4, 4))[0, :, :, 0].tolist()
        [[255, 7, 7, 255], [255, 7, 7, 255], [255, 7, 7, 255]]
    """
    if not files:
        raise DataError("`files` must name at least one image, found none.")
    stored = np.empty((len(files), *pictures.shape), dtype=np.uint8)
    for place, file in enumerate(files):
        stored[place] = _pixels(file, pictures)
    return torch.from_numpy(stored)


def image_size(file: str | Path) -> tuple[int, int]:
    """Height and width of an image file, turned as its camera says.

    Raises:
        DataError: it is no image.
    """
    try:
        with Picture.open(file) as picture:
            width, height = _upright(picture).size
    except BROKEN as error:
        raise no_image(file, error) from None
    return height, width


def bytes_of(picture: Picture.Image, pictures: Pictures, where: str) -> Array:
    """An opened image as uint8 (channels, height, width); see `read_images`.

    Args:
        picture: as Pillow opens it.
        pictures: what it becomes.
        where: how errors name it.

    Raises:
        DataError: it has another size where sizes must fit exactly, or a depth that says no brightness.
    """
    plain = _plain(_upright(picture), pictures, where)
    if plain.size != (pictures.width, pictures.height):
        plain = _fitted(plain, pictures, where)
    pixels = np.asarray(plain, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _pixels(file: str | Path, pictures: Pictures) -> Array:
    try:
        with Picture.open(file) as picture:
            return bytes_of(picture, pictures, str(file))
    except DataError:
        raise
    except BROKEN as error:
        raise no_image(file, error) from None


def no_image(file: str | Path, error: BaseException) -> DataError:
    """What is said of a file that Pillow could not read."""
    said = str(error).replace(repr(str(file)), "it").replace(str(file), "it") or type(error).__name__
    said = " ".join(said.split()).rstrip(".")
    return DataError(f"{str(file)!r} must be a whole image file, found: {said}: copy it again or remove it.")


def _upright(picture: Picture.Image) -> Picture.Image:
    turned = ImageOps.exif_transpose(picture)
    return picture if turned is None else turned


def _plain(picture: Picture.Image, pictures: Pictures, where: str) -> Picture.Image:
    """The first frame in mode `L` or `RGB`."""
    mode = "L" if pictures.channels == 1 else "RGB"
    if picture.mode in _DEEP or picture.mode == "I":
        picture = _eight_bits(picture, where)
    elif picture.mode == "F":
        raise DataError(f"{where!r} must hold whole numbers, found floats, whose white is not known: save it as PNG.")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Picture.new("RGBA", picture.size, (pictures.background,) * 3 + (255,))
        picture = Picture.alpha_composite(paper, picture).convert("RGB")
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(picture: Picture.Image, where: str) -> Picture.Image:
    """A grey image of 16 bits by its upper byte."""
    deep = np.asarray(picture).astype(np.int64)
    if deep.min() < 0 or deep.max() > 0xFFFF:
        raise DataError(
            f"{where!r} must hold 8 or 16 bits a pixel, found values from {deep.min()} to {deep.max()}: save it so."
        )
    return Picture.fromarray((deep >> 8).astype(np.uint8))


def _fitted(picture: Picture.Image, pictures: Pictures, where: str) -> Picture.Image:
    width, height = picture.size
    size = (pictures.width, pictures.height)
    by = Picture.Resampling.BILINEAR
    if pictures.fit == "exact":
        raise DataError(
            f"{where!r} must be {size[0]} pixels wide and {size[1]} high, as all images of its task, found {width} "
            f"and {height}: resize it, or learn the task with a `size`, which fits images of any size."
        )
    if pictures.fit == "stretch":
        return picture.resize(size, by)
    if pictures.fit == "crop":
        share = min(width / size[0], height / size[1])
        # 19 * (21 / 19) is a little more than 21: the side that is kept whole would be cut by less than nothing.
        cut = max(0.0, width - size[0] * share) / 2, max(0.0, height - size[1] * share) / 2
        return picture.resize(size, by, box=(cut[0], cut[1], width - cut[0], height - cut[1]))
    share = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * share)), max(1, round(height * share))
    paper = Picture.new(picture.mode, size, pictures.background if picture.mode == "L" else (pictures.background,) * 3)
    paper.paste(picture.resize(inner, by), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return paper


__all__ = ["BROKEN", "ENDINGS", "bytes_of", "image_size", "no_image", "read_images"]

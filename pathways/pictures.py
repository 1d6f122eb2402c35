"""How image files become one input, as plain data that stays with a champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import DataError

FITS = ("pad", "crop", "stretch", "exact")


@dataclass(frozen=True)
class Pictures:
    """What is done to an image file of any size and mode, so that it becomes `channels` planes of bytes.

    Args:
        channels: 1 for grey, 3 for colours.
        height: in pixels.
        width: in pixels.
        fit: how another size becomes this one: `pad` scales the whole image into it and fills the rest with
            `background`; `crop` scales until it is filled and cuts off what stands out on both sides alike; `stretch`
            scales each side by itself; `exact` refuses another size.
        background: from 0 (black) to 255 (white): what is seen through transparent pixels, and beside a padded image.

    Raises:
        DataError: an argument is out of range.

    Example:
        >>> Pictures(1, 8, 8).shape
        (1, 8, 8)
    """

    channels: int
    height: int
    width: int
    fit: str = "pad"
    background: int = 255

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise DataError(f"`channels` must be 1 (grey) or 3 (colours), found {self.channels!r}: choose one.")
        for name in ("height", "width"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise DataError(
                    f"`{name}` of images must be a whole number of pixels of at least 1, found "
                    f"{getattr(self, name)!r}: give for example 32."
                )
        if self.fit not in FITS:
            raise DataError(f"`fit` must be one of {list(FITS)}, found {self.fit!r}: choose one.")
        if type(self.background) is not int or not 0 <= self.background <= 255:
            raise DataError(
                f"`background` must be a whole number from 0 (black) to 255 (white), found {self.background!r}."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what an image becomes."""
        return self.channels, self.height, self.width

    def to_json(self) -> dict[str, Any]:
        """The rule as plain data."""
        return {
            "channels": self.channels, "height": self.height, "width": self.width, "fit": self.fit,
            "background": self.background,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pictures:
        """The rule that `to_json` wrote."""
        return cls(data["channels"], data["height"], data["width"], data["fit"], data["background"])


__all__ = ["FITS", "Pictures"]

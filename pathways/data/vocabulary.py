"""One vocabulary for all that a model reads and writes: text, codes, places, numbers, and what separates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pathways.errors import ConfigError
from pathways.modules import Masked
from pathways.modules.io.mu_law import bins_of, values_of
from pathways.task import IGNORED

from .text import BYTES, encode, padded, refused

KINDS = ("text", "codes", "box", "numbers", "discrete", "actions")


@dataclass(frozen=True)
class Vocabulary:
    """Ids of bytes, then of codes, of location bins, of values, then the separator.

    Every task is then a sequence of these ids with one cross-entropy: a caption is text, a box four location bins, a
    class its name, an image the codes of `quantise`, an action bins of values. So `Sequences(vocabulary.size)` is the
    target of each.

    Args:
        text: ids of text; bytes when not given.
        codes: of a quantised image or sound.
        places: location bins along each side of an image.
        values: bins of numbers, by the mu-law, and as many discrete ones.

    Raises:
        ConfigError: a number is below 0.

    Example:
        >>> vocabulary = Vocabulary(places=1000)
        >>> vocabulary.ids("box", [0.0, 0.25, 0.5, 1.0]), vocabulary.size
        ([256, 506, 756, 1255], 1257)

    Reference: unified vocabulary: Wang et al. 2022, OFA (2202.03052), section 3.1; numbers, separator and masked
    loss: Reed et al. 2022, Gato (2205.06175), sections 2.1 and 2.3
    """

    text: int = BYTES
    codes: int = 0
    places: int = 0
    values: int = 0

    def __post_init__(self) -> None:
        for name in ("text", "codes", "places", "values"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 0:
                raise ConfigError(f"`{name}` of a vocabulary must be at least 0, found {getattr(self, name)!r}.")

    @property
    def separator(self) -> int:
        """The id that stands before actions."""
        return self.text + self.codes + self.places + self.values

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self.separator + 1

    def first(self, kind: str) -> int:
        """The first id of a kind."""
        before = {"text": 0, "codes": self.text, "box": self.text + self.codes}
        return before.get(kind, self.text + self.codes + self.places)

    def room(self, kind: str) -> int:
        """How many ids a kind has."""
        return {"text": self.text, "codes": self.codes, "box": self.places}.get(kind, self.values)

    def ids(self, kind: str, content: Any) -> list[int]:
        """The ids of one part of a sample.

        Args:
            kind: `text` (a string, or ids of it); `codes` and `discrete` (whole numbers from 0); `box` (numbers from 0
                to 1); `numbers` and `actions` (numbers of any size).
            content: what it holds.

        Raises:
            ValueError: the content is not of this kind; one clause that says what it must be.
        """
        if kind not in KINDS:
            raise ValueError(f"must be of a kind among {list(KINDS)}, found {kind!r}")
        found = encode(content) if kind == "text" and isinstance(content, str) else self._numbered(kind, content)
        if self.room(kind) == 0 or not all(0 <= i < self.room(kind) for i in found):
            raise ValueError(f"must have ids of {kind} from 0 to {self.room(kind) - 1}, found {content!r:.60}")
        return [self.first(kind) + i for i in found]

    def _numbered(self, kind: str, content: Any) -> list[int]:
        try:
            numbers = torch.as_tensor(content, dtype=torch.float64).flatten()
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"must hold numbers, found {content!r:.60}") from None
        if not bool(numbers.isfinite().all()):
            raise ValueError(f"must hold finite numbers, found {content!r:.60}")
        if kind in ("numbers", "actions"):
            return list(map(int, bins_of(numbers, bins=max(self.values, 1))))
        if kind == "box":
            if not bool(((numbers >= 0) & (numbers <= 1)).all()):
                raise ValueError(f"must hold numbers from 0 to 1, found {content!r:.60}")
            return list(map(int, (numbers * self.places).long().clamp_max(self.places - 1)))
        if bool((numbers != numbers.round()).any()):
            raise ValueError(f"must hold whole numbers, found {content!r:.60}")
        return list(map(int, numbers))

    def boxes(self, ids: Tensor) -> Tensor:
        """The numbers in the middle of location bins: within half a bin of those that were encoded."""
        return (ids - self.first("box") + 0.5) / self.places

    def numbers(self, ids: Tensor) -> Tensor:
        """The numbers in the middle of bins of values."""
        return values_of(ids - self.first("numbers"), bins=self.values)

    def sequences(
        self, samples: Sequence[Mapping[str, Any]], *, before: int = 0, learned: Sequence[str] = ("text", "actions")
    ) -> tuple[Masked, Tensor]:
        """Samples as sequences to read, and at each place the id to say next.

        The parts of a sample stand in the order in which it names them, a separator before its actions. What is said
        next counts where it is of a learned kind; at places of an image, in front, nothing is asked for.

        Args:
            samples: for each, by kind, its parts.
            before: how many places of an image's patches a path puts in front of the ids.
            learned: the kinds that have a loss.

        Returns:
            Ids (N, length), and targets (N, before + length) with -100 where nothing is learned.

        Raises:
            DataError: a part that cannot be encoded; sample and field are named.
        """
        rows, wanted = [], []
        for number, sample in enumerate(samples):
            row: list[int] = []
            counts: list[bool] = []
            for kind, content in sample.items():
                try:
                    ids = self.ids(kind, content)
                except ValueError as error:
                    raise refused(number, kind, str(error)) from None
                part = [self.separator, *ids] if kind == "actions" else ids
                row += part
                counts += [kind in learned and i != self.separator for i in part]
            rows.append(row)
            nothing = [IGNORED] * before
            wanted.append(nothing + [i if c else IGNORED for i, c in zip(row[1:], counts[1:], strict=True)] + [IGNORED])
        value = padded(rows)
        longest = before + value.value.shape[1]
        return value, torch.tensor([[*row, *[IGNORED] * (longest - len(row))] for row in wanted])


__all__ = ["Vocabulary"]

"""What a candidate's trainer measures beside quality, as plain data that the candidate carries."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pathways.modules import FrozenDict, content_hash

from .affinity.table import CO_TRAINING, TRANSFERABILITY
from .errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Record:
    """An affinity estimator that rides on a candidate: its trainer measures, the ledger keeps what it found.

    What is measured changes nothing: weights and measures are those of the candidate without it, to the bit. The
    record is part of the candidate's hash, but not of what its seeds derive from.

    Args:
        estimator: a name of `pathways.affinity.table`: of `CO_TRAINING`, measured while the candidate's tasks train
            jointly, or of `TRANSFERABILITY`, measured once, on the features that heads read of the training samples
            when training has ended.
        every: steps between co-training measurements, the first before the first step.
        options: keyword arguments of the estimator, plain data.

    Raises:
        ConfigError: no such estimator, or a setting out of range.

    Example:
        >>> Record("lookahead", every=10).to_json()
        {'estimator': 'lookahead', 'every': 10, 'options': {}}
    """

    estimator: str
    every: int = 10
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [*CO_TRAINING, *TRANSFERABILITY]
        if self.estimator not in known:
            raise ConfigError(f"`estimator` must be one that trainers can measure, {known}, found {self.estimator!r}.")
        if type(self.every) is not int or self.every < 1:
            raise ConfigError(f"`every` must be a whole number of at least 1, found {self.every!r}.")
        object.__setattr__(self, "options", plain_options(self.options))

    @property
    def while_training(self) -> bool:
        """Whether it is measured while the candidate trains."""
        return self.estimator in CO_TRAINING

    @property
    def hash(self) -> str:
        """Its identity: what can change what is found."""
        data = self.to_json()
        return content_hash(data if self.while_training else {**data, "every": None})

    def to_json(self) -> dict[str, Any]:
        """The record as plain data."""
        return {"estimator": self.estimator, "every": self.every, "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_json` wrote."""
        return cls(**data)


def plain_options(options: Mapping[str, Any]) -> FrozenDict:
    """Keyword arguments of an estimator as immutable plain data, equal to what a file of them reads back to.

    Raises:
        ConfigError: they are none.

    >>> plain_options({"orders": (2, 3)})["orders"]
    [2, 3]
    """
    try:
        return FrozenDict(json.loads(json.dumps(dict(options), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`options` must be plain data, found {options!r:.80}: {error}.") from None


def pack_reading(reading: Any) -> str:
    """A reading as text: its shape, and 64-bit numbers, compressed, in base 64.

    >>> import numpy as np
    >>> unpack_reading(pack_reading(np.array([[1.0, np.nan]])))
    array([[ 1., nan]])
    """
    import numpy as np

    numbers = np.ascontiguousarray(reading, dtype="<f8")
    text = base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode()
    return f"{'x'.join(map(str, numbers.shape))}:{text}"


def unpack_reading(text: str) -> NDArray[Any]:
    """The reading that `pack_reading` wrote."""
    import numpy as np

    shape, _, data = text.partition(":")
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(data)), dtype="<f8").astype(np.float64)
    return numbers.reshape([int(side) for side in shape.split("x") if side])


__all__ = ["Record", "pack_reading", "plain_options", "unpack_reading"]

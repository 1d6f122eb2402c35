"""An estimator by name, with its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pathways.affinity.matrix import Affinity, Kind
from pathways.errors import ConfigError
from pathways.modules import FrozenDict
from pathways.modules.near import did_you_mean
from pathways.recording import plain_options

from .options import settings
from .table import KINDS, MEASURED

if TYPE_CHECKING:
    from ..study import Session


@dataclass(frozen=True)
class Measured:
    """An estimator that a study measures with trainings of its own, or from networks that were trained.

    Args:
        estimator: a name of `MEASURED`.
        options: its settings as plain data, keyword arguments of its function.

    Raises:
        ConfigError: no such estimator, or a setting that it does not have; found before anything is trained.

    Example:
        >>> Measured("transfer", {"orders": [2], "readout": {"steps": 100}}).kind
        'transfer'
    """

    estimator: str
    options: Mapping[str, Any] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        if self.estimator not in MEASURED:
            near = did_you_mean(self.estimator, MEASURED, ".")
            raise ConfigError(f"`estimator` must be one of {sorted(MEASURED)}, found {self.estimator!r}{near}")
        if not isinstance(self.options, Mapping):
            raise ConfigError(f"`options` of `{self.estimator}` must be a mapping, found {self.options!r:.80}.")
        object.__setattr__(self, "options", plain_options(self.options))
        self._arguments()

    @property
    def kind(self) -> Kind:
        """Of the matrix that it finds."""
        return KINDS.get(self.estimator, "transfer")

    def measure(self, session: Session) -> Affinity:
        """What it finds for a session's tasks."""
        found: Affinity = self._function()(session, **self._arguments())
        return found

    def to_json(self) -> dict[str, Any]:
        """The estimator as plain data."""
        return {"estimator": self.estimator, "options": dict(self.options)}

    def _function(self) -> Any:
        file, name = MEASURED[self.estimator].split(":")
        return getattr(import_module(f"{__package__}.{file}"), name)

    def _arguments(self) -> dict[str, Any]:
        return settings(self._function(), self.options, self.estimator)


__all__ = ["Measured"]

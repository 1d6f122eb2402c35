"""A run's numbers as TensorBoard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from .errors import ConfigError


class TensorBoard:
    """A logger that writes TensorBoard's event files; `tensorboard --logdir DIRECTORY` shows them while a run goes on.

    Args:
        directory: where the files go; those of earlier sessions of a run stay beside them.

    Raises:
        ConfigError: TensorBoard is not installed.

    Example:
        >>> import pathways
        >>> system = pathways.System.open("runs/letters")  # doctest: +SKIP
        >>> system.loggers.add(pathways.TensorBoard("runs/letters/tensorboard"))  # doctest: +SKIP
    """

    def __init__(self, directory: str | FilePath) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "a log for TensorBoard needs the package tensorboard, which is not installed: "
                "`pip install 'evolving-pathways[tensorboard]'`."
            ) from None
        self._writer: Any = SummaryWriter(str(directory))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curve of each name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # what is watched is watched now

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


__all__ = ["TensorBoard"]

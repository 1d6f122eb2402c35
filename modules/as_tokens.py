"""Images, signals and vectors as tokens, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .context import Context
from .module import Module, one_port
from .ports import Image, Port, Signal, Tokens, Value, Vector, like, split


class AsTokens(Module):
    """The pixels of an image, row by row, the places of a signal, or a vector, as tokens: the same numbers.

    | port | tokens |
    |---|---|
    | `Image(channels, height, width)` | (height * width, channels), the first row from left to right, then the next |
    | `Signal(channels, length)` | (length, channels); a mask passes through |
    | `Vector(dim)` | (1, dim) |

    Args:
        ports: one `Image`, `Signal` or `Vector`.

    Raises:
        PortError: another port.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("as_tokens"), [Image(8, 7, 7)]).output
        Tokens(length=49, dim=8)
    """

    family = "as_tokens"
    reference = "pixels as a sequence: Chen et al. 2020, Generative pretraining from pixels, ICML, section 2"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image, Signal, Vector)
        if isinstance(port, Image):
            self.output = Tokens(port.height * port.width, port.channels)
        else:
            self.output = Tokens(1, port.dim) if isinstance(port, Vector) else Tokens(port.length, port.channels)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, channels, height, width), (B, channels, length) or (B, dim) to (B, length, dim)."""
        x, _ = split(inputs[0])
        tokens: Tensor = x[:, None] if x.ndim == 2 else x.flatten(2).transpose(1, 2)
        return like(inputs[0], tokens)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Nothing to set."""
        return {} if len(ports) == 1 and isinstance(ports[0], (Image, Signal, Vector)) else None

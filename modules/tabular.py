"""The tabular family: a block for task tokens and feature tokens, in which tasks cannot disturb each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Attention, draw_residual, fitting_heads
from .checks import flag, number, whole
from .context import Context
from .flops import NOMINAL_LENGTH, nominal, product
from .module import Module, PortError, one_port
from .ports import Port, Tokens, Value, like, split


class Tabular(Module):
    """`h = x + attend(norm(x))` under masks `[; h = h + attend_rows(norm(h))]; h + down(gelu(up(norm(h))))`.

    The first `tasks` tokens stand for one task each, whose heads read them; the others are the features of a sample.
    With both masks, as by default, no task's token sees another's, neither directly nor through the features: to
    leave a task out changes nothing for the others.

    With `rows`, each place also attends to the same place of all samples of the batch, in evaluation too. What it
    gives then depends on who is in the batch, so that batches must be whole tables, such as a task's context rows;
    do not use it where samples come one by one or where activations are kept.

    Args:
        ports: one `Tokens`, the task tokens joined in front of the features.
        tasks: how many of the first tokens are task tokens.
        heads: attention heads; must divide the dim.
        ff: width of the feed-forward part, in multiples of the dim.
        features_read_tasks: whether the mask from features to task tokens is off.
        tasks_read_tasks: whether the mask from one task token to another is off.
        rows: whether samples attend to one another.
        residual_scale: factor on the initial weights that write into the residual stream; at 0 the block starts as
            the identity.

    Raises:
        PortError: another port, or one with no more tokens than tasks.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("tabular", {"tasks": 2, "heads": 4}), [Tokens(12, 16)]).output
        Tokens(length=12, dim=16)
    """

    family = "tabular"
    reference = (
        "MultiTab-Net 2025 (2511.09970), masked attention of task tokens; "
        "attention between rows: Somepalli et al. 2021, SAINT (2106.01342), section 3"
    )

    def __init__(
        self, ports: tuple[Port, ...], *, tasks: int, heads: int, ff: int = 4, features_read_tasks: bool = False,
        tasks_read_tasks: bool = False, rows: bool = False, residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        dim = port.dim
        self.tasks = whole("tasks", tasks, low=0)
        if port.length is not None and port.length <= tasks:
            raise PortError(f"family `tabular` reads {tasks} task tokens and features behind them, found {port}")
        if dim % whole("heads", heads):
            raise ValueError(f"`heads` must divide the dim {dim} of the tokens, found {heads}.")
        self.features_read_tasks = flag("features_read_tasks", features_read_tasks)
        self.tasks_read_tasks = flag("tasks_read_tasks", tasks_read_tasks)
        self.residual_scale = number("residual_scale", residual_scale)
        self.norm = nn.LayerNorm(dim)
        self.attend = Attention(dim, dim, heads)
        self.norm_rows = nn.LayerNorm(dim) if flag("rows", rows) else None
        self.attend_rows = Attention(dim, dim, heads) if rows else None
        self.norm_ff = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, whole("ff", ff) * dim)
        self.down = nn.Linear(ff * dim, dim)
        self.output = port
        places = nominal(port.length)
        self._flops = self.attend.flops(places, places) + 2 * product(places, dim, ff * dim)
        if self.attend_rows is not None:
            # One sample's share of a nominal batch.
            self._flops += places * self.attend_rows.flops(NOMINAL_LENGTH, NOMINAL_LENGTH) // NOMINAL_LENGTH

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in, scaled where they write into the residual stream."""
        writers = [self.attend.project, self.down]
        if self.attend_rows is not None:
            writers.append(self.attend_rows.project)
        draw_residual(self, tuple(writers), self.residual_scale, generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) to the same; masks pass through."""
        (value,) = inputs
        x, real = split(value)
        normed = self.norm(x)
        x = x + self.attend(normed, normed, self._allowed(x, real))
        if self.attend_rows is not None and self.norm_rows is not None:
            across = self.norm_rows(x).transpose(0, 1)
            readable = None
            if real is not None:
                readable = (real.t()[:, None] | torch.eye(len(x), dtype=torch.bool, device=x.device))[:, None]
            x = x + self.attend_rows(across, across, readable).transpose(0, 1)
        return like(value, x + self.down(F.gelu(self.up(self.norm_ff(x)))))

    def _allowed(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(1 or B, 1, length, length), true where the token of a row may read that of a column."""
        places = torch.arange(x.shape[1], device=x.device)
        task = places < self.tasks
        asks = task if self.tasks_read_tasks else torch.zeros_like(task)
        asks = asks | ~task if self.features_read_tasks else asks
        allowed = (~task | asks[:, None])[None]
        if real is not None:
            allowed = allowed & real[:, None]
        return (allowed | (places[:, None] == places))[:, None]

    def flops(self) -> int:
        """Projections, attention and the feed-forward part."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block for features only that starts as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], Tokens):
            return None
        return {"tasks": 0, "heads": fitting_heads(ports[0].dim), "residual_scale": 0.0}

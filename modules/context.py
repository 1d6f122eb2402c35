"""What travels with a forward pass beside its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass
class Context:
    """The condition (task, modality, noise level), a generator for noise, and the auxiliary losses a pass collects.

    Attributes:
        condition: what the pass is conditioned on, by name.
        generator: the source of all noise in the pass (dropout, noisy gates); `None` in evaluation.
        losses: named scalar losses that modules added during the pass, already weighted.
        changes: by module and site, what deltas do to values inside the module; see `Module.sites`.
        gathered: by name, values of several passes (the tasks of a joint batch) of which one loss is made at the end.

    Example:
        >>> context = Context()
        >>> context.add_loss("balance", torch.tensor(0.5))
        >>> float(context.total_loss())
        0.5
    """

    condition: Mapping[str, Any] = field(default_factory=dict)
    generator: torch.Generator | None = None
    losses: list[tuple[str, Tensor]] = field(default_factory=list)
    changes: Mapping[int, Mapping[str, Sequence[Callable[[Any], Any]]]] = field(default_factory=dict)
    gathered: dict[str, tuple[list[Tensor], Callable[[list[Tensor]], Tensor]]] = field(default_factory=dict)

    def at(self, module: object, site: str, value: Any) -> Any:
        """`value` as the deltas of `module` change it at one of its sites; itself where there are none."""
        for change in self.changes.get(id(module), {}).get(site, ()):
            value = change(value)
        return value

    def changed(self, module: object, changes: Mapping[str, Sequence[Callable[[Any], Any]]]) -> Context:
        """This context with changes inside `module`; losses go to the same list."""
        return replace(self, changes={**self.changes, id(module): changes}) if changes else self

    def add_loss(self, name: str, value: Tensor) -> None:
        """Add a scalar loss, already weighted, to the objective of this pass."""
        self.losses.append((name, value))

    def gather(self, name: str, value: Tensor, loss: Callable[[list[Tensor]], Tensor]) -> None:
        """Keep `value` with those that other passes of this context give; `loss` makes one loss, weighted, of them all.

        A joint batch runs the path of each task in turn with one context: so a loss may be of all its tasks.
        """
        self.gathered.setdefault(name, ([], loss))[0].append(value)

    def total_loss(self) -> Tensor | None:
        """The sum of the losses collected so far; `None` where no module added one."""
        found = [value for _, value in self.losses] + [loss(values) for values, loss in self.gathered.values()]
        return torch.stack(found).sum() if found else None

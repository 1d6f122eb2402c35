"""Poly: a task's own mixture of an inventory of low-rank changes that many tasks share."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number, whole
from ..context import Context
from ..module import Delta, Module
from ..routing.gating import uniform


class LoRAInventory(Delta):
    """`skills` low-rank changes of one weight; by itself, their average: `target + alpha / rank mean(up) mean(down)`.

    It is what tasks share: the part `inventory` of their `poly` deltas. As a delta it is the average of its adapters,
    with which a new task may start, to tune them all (or `averaged`, one adapter). Its neutral condition is `up` = 0.

    Args:
        host: the module it changes.
        skills: how many.
        rank: of each, at most that of the target.
        target: the host's parameter to change, at least two-dimensional; see `lora`.
        alpha: scale of the change.

    Raises:
        ValueError: the host has no parameter `target`, it is not a matrix, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> host = (ModuleSpec("linear", {"dim": 3}), (Vector(5),))
        >>> facts(ModuleSpec("lora_inventory", {"skills": 4, "rank": 2}), [], host=host).parameters
        64
    """

    family = "lora_inventory"
    reference = "Ponti et al. 2022 (2202.13914), section 2.2; average: Caccia et al. 2022 (2211.03831), MHR-mu"

    def __init__(
        self, host: Module, *, skills: int, rank: int, target: str = "linear.weight", alpha: float = 1.0,
    ) -> None:
        super().__init__()
        shapes = {name: tuple(parameter.shape) for name, parameter in host.named_parameters()}
        if target not in shapes or len(shapes[target]) < 2:
            known = sorted(name for name, shape in shapes.items() if len(shape) > 1)
            raise ValueError(f"`target` must be a matrix of the host, one of {known}, found {target!r}.")
        rows, columns = shapes[target][0], prod(shapes[target][1:])
        greatest = min(rows, columns)
        if whole("rank", rank) > greatest:
            raise ValueError(f"`rank` must be at most {greatest} for the target's {shapes[target]}, found {rank}.")
        self.target, self.scale = target, number("alpha", alpha) / rank
        self.down = nn.Parameter(torch.empty(whole("skills", skills), rank, columns))
        self.up = nn.Parameter(torch.empty(skills, rows, rank))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw each `down` from a normal distribution of variance 1/columns; set each `up` to zero."""
        nn.init.normal_(self.down, std=self.down.shape[2] ** -0.5, generator=generator)
        nn.init.zeros_(self.up)

    def mixed(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """`down` (rank, columns) and `up` (rows, rank) mixed by shares (splits, skills), each block by its own."""
        splits = len(shares)
        down = self.down.unflatten(2, (splits, -1))  # (skills, rank, splits, columns of one)
        up = self.up.unflatten(1, (splits, -1))  # (skills, splits, rows of one, rank)
        return (
            torch.einsum("ps,srpc->rpc", shares, down).flatten(1),
            torch.einsum("ps,spir->pir", shares, up).flatten(0, 1),
        )

    def changed(self, host: Mapping[str, Tensor], shares: Tensor) -> dict[str, Tensor]:
        """The host's parameters, `target` changed by the mixture."""
        down, up = self.mixed(shares)
        weight = host[self.target]
        return {**host, self.target: weight + self.scale * (up @ down).reshape(weight.shape)}

    def average(self) -> Tensor:
        """Equal shares (1, skills)."""
        return self.down.new_full((1, len(self.down)), 1 / len(self.down))

    def averaged(self) -> dict[str, Tensor]:
        """The tensors of a `lora` of that rank, target and alpha that does the same as the average."""
        down, up = self.mixed(self.average())
        return {"down": down.detach(), "up": up.detach()}

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, changed by the average of all."""
        return self.changed(host, self.average())

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """Four changes of rank 2 of the host's first matrix."""
        target = first_matrix(host)
        return None if target is None else {"skills": 4, "rank": 2, "target": target}


class Poly(Delta):
    """`A = sum_s w_s A_s`, `B = sum_s w_s B_s`, and `target + alpha / rank B A`: A and B are mixed, not their products.

    `w = z / sum z` for each of `splits` blocks of A's columns and B's rows, by logits of its own that are the task's:
    `z = sigmoid(logits)` in evaluation; in training mode `sigmoid(logits + log u - log(1 - u))`, a relaxed Bernoulli
    draw of temperature 1, with u uniform from the context's generator. Logits of zero, as at the start, are the
    average. Its neutral condition is the inventory's: every `up` zero.

    Tasks share the inventory by the part of that name; each has a `poly` of its own, which holds nothing but
    splits * skills logits. With a frozen inventory, only these are trained (MHR-z).

    Args:
        host: the module it changes.
        skills, rank, target, alpha: of an inventory of its own, see `lora_inventory`; left out with the part.
        splits: how many blocks have logits of their own; must divide the target's rows and columns.

    Raises:
        ValueError: the inventory does not fit the host, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> host = (ModuleSpec("linear", {"dim": 4}), (Vector(6),))
        >>> facts(ModuleSpec("poly", {"skills": 3, "rank": 2, "splits": 2}), [], host=host).parameters  # 60 + 2 * 3
        66
    """

    family = "poly"
    reference = "Ponti et al. 2022 (2202.13914), section 2.2; splits: Caccia et al. 2022 (2211.03831), section 3"

    def __init__(
        self, host: Module, *, splits: int = 1, parts: Mapping[str, Any] | None = None, **inventory: Any,
    ) -> None:
        super().__init__()
        self.parts: dict[str, Any] = dict(parts or {})
        shared = self.parts.get("inventory")
        if self.parts and (set(self.parts) != {"inventory"} or not isinstance(shared, LoRAInventory)):
            raise ValueError(f"`parts` must be an `inventory` of family `lora_inventory`, found {sorted(self.parts)}.")
        if self.parts and inventory:
            raise ValueError(f"{sorted(inventory)} must be left out with a part `inventory`, which says them.")
        self.own = None if self.parts else LoRAInventory(host, **inventory)
        skills, _, columns = self.inventory.down.shape
        rows = self.inventory.up.shape[1]
        if rows % whole("splits", splits) or columns % splits:
            raise ValueError(f"`splits` must divide the target's {rows} rows and {columns} columns, found {splits}.")
        self.logits = nn.Parameter(torch.empty(splits, skills))

    @property
    def inventory(self) -> LoRAInventory:
        """Its own, or the shared one."""
        return self.parts["inventory"] if self.own is None else self.own

    def initialise(self, generator: torch.Generator) -> None:
        """Set the logits to zero; draw an inventory of its own."""
        nn.init.zeros_(self.logits)
        if self.own is not None:
            self.own.initialise(generator)

    def shares(self, context: Context | None = None) -> Tensor:
        """The weights of the skills (splits, skills); each row sums to 1. Noise only in training, from the context."""
        logits: Tensor = self.logits
        if self.training and context is not None and context.generator is not None:
            u = uniform(logits, context.generator)
            logits = logits + u.log() - (-u).log1p()
        z = logits.sigmoid()
        return z / (z.sum(1, keepdim=True) + 1e-12)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, changed by the mixture as it is in evaluation."""
        return self.inventory.changed(host, self.shares())

    def weights_in(self, host: Mapping[str, Tensor], context: Context) -> dict[str, Tensor]:
        """The host's parameters, changed by the mixture that is drawn in training mode."""
        return self.inventory.changed(host, self.shares(context))

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """An inventory of its own, of four changes of rank 2 of the host's first matrix."""
        return LoRAInventory.fitting(host)


def first_matrix(host: Module) -> str | None:
    """The name of the host's first parameter that has a low-rank change of rank 2."""
    for name, parameter in host.named_parameters():
        if parameter.ndim > 1 and min(parameter.shape[0], prod(parameter.shape[1:])) > 1:
            return name
    return None

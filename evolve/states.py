"""Which optimizer states the clones of a child begin with: a component carries its own, and both are cloned.

Reference: Gesmundo & Dean 2022, mu2Net, arXiv 2205.12755; that inheriting it is a mutation of its own is mu3Net's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from pathways.candidate import Training
from pathways.modules import Frozen
from pathways.path import Path

from .member import FRESH, MUTABLE, Member

if TYPE_CHECKING:
    from .munet import MuNet


class States:
    """The optimizer states of one child.

    Args:
        parent: whose components it clones.
        training: the child's; what another kind of optimizer has kept says nothing to its own.
        settings: whether states are cloned, always or where a mutation says so.
        happens: draws whether a mutation happens, by its name and kind.
    """

    def __init__(
        self, parent: Member, training: Training, settings: MuNet, happens: Callable[[str, str], bool]
    ) -> None:
        self.parent, self.settings, self.happens = parent, settings, happens
        self.on = settings.optimizer_state != FRESH and training.optimizer == parent.training.optimizer
        self.words: list[str] = []

    def of(self, step: str, trunk: Path, only: Collection[str] | None = None) -> dict[str, str]:
        """By blob of a step's modules, the state that its clone begins with; of those in `only`, where it is given."""
        blobs = [ref.id for ref in trunk.steps[step].refs() if isinstance(ref, Frozen)]
        return self._drawn(step, [blob for blob in blobs if only is None or blob in only])

    def after(self, trunk: Path, giver: Callable[[str], Member]) -> dict[str, str]:
        """What the child knows before it is trained: the states of what it shares, and of heads that it trains on.

        Args:
            trunk: the child's.
            giver: the model that a blob was taken from which the parent does not have.
        """
        if not self.on:
            return {}
        shared = self.parent.trunk.frozen()
        said = {blob: (self.parent if blob in shared else giver(blob)).optimizers.get(blob) for blob in trunk.frozen()}
        known = {blob: state for blob, state in said.items() if state}
        return known | self._drawn("head", [head.id for head in self.parent.heads.values()])

    def _drawn(self, step: str, blobs: list[str]) -> dict[str, str]:
        if not self.on:
            return {}
        found = {blob: state for blob in blobs if (state := self.parent.optimizers.get(blob))}
        if found and self.settings.optimizer_state == MUTABLE:
            if not self.happens(f"optimizer:{step}", "optimizer"):
                return {}
            self.words.append(f"optimizer of {step}")
        return found


__all__ = ["States"]

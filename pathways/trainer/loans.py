"""Frozen weights that candidates read in place: who wrote to them is found and named."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from pathways.assemble import PathModule
from pathways.modules import Frozen


class Written(Exception):  # noqa: N818
    """A frozen module wrote to its own weights or buffers.

    Args:
        refs: the modules that did.
    """

    def __init__(self, refs: Iterable[Frozen]) -> None:
        self.refs = tuple(refs)
        names = ", ".join(f"{ref.id[:12]} (family `{ref.spec.family}`)" for ref in self.refs)
        super().__init__(
            f"frozen modules must not change, found that {names} wrote to its weights or buffers: let it compute with "
            f"copies, and change buffers in training mode only"
        )


class Loans:
    """The tensors of frozen modules that were lent, each with torch's count of the writes to it.

    The count tells of every write in place through torch, views included; it does not see writes through `.data` or
    NumPy, which a checksum does (`pathways.evolve.far_worker`).

    Example:
        >>> Loans().check()
    """

    def __init__(self) -> None:
        self._lent: list[tuple[Frozen, Tensor, int]] = []

    def note(self, model: PathModule) -> PathModule:
        """Note the frozen tensors of a model that was just assembled; gives the model back."""
        for ref, module in model.frozen():
            for tensor in (*module.parameters(), *module.buffers()):
                self._lent.append((ref, tensor, tensor._version))
        return model

    def check(self) -> None:
        """Raise `Written` where one was written to since it was lent; what was lent stays noted."""
        written = {ref.id: ref for ref, tensor, version in self._lent if tensor._version != version}
        if written:
            raise Written(written.values())

    def clear(self) -> None:
        """Forget what was lent."""
        self._lent.clear()


__all__ = ["Loans", "Written"]

"""Training and measuring candidates on one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .numerics import numerics, one_thread

if TYPE_CHECKING:
    from .train import Trainer

__all__ = ["Trainer", "numerics", "one_thread"]


def __getattr__(name: str) -> Any:
    """Import the trainer, and torch with it, when it is first used."""
    if name == "Trainer":
        from .train import Trainer

        return Trainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

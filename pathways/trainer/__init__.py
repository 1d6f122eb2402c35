"""Training and measuring candidates on one device."""

from .numerics import numerics, one_thread
from .train import Trainer

__all__ = ["Trainer", "numerics", "one_thread"]

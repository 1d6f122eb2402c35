"""Runs and strategies side by side: `compare(arms)` says what differs, by paired tests."""

from .arms import Arm, Repeat, read_arm
from .compared import Comparison, Difference, compare

__all__ = ["Arm", "Comparison", "Difference", "Repeat", "compare", "read_arm"]

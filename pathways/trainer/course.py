"""Where one candidate stands in its race: at which steps it is measured, what was measured, whether it stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from pathways.candidate import Candidate
from pathways.racing import pack


class Course:
    """A candidate's way through its race, for whichever loop trains it; one without a race has no points.

    Args:
        candidate: whose race it is.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.race = candidate.race
        self.points = candidate.race.points(candidate.training.steps) if candidate.race else ()
        self._seen: list[dict[str, np.ndarray[Any, Any]]] = []

    def stops(self, merits: Mapping[str, Tensor]) -> bool:
        """Take what was measured at the next point, by task, (N,); whether the candidate stops here."""
        self._seen.append({task: m.cpu().numpy() for task, m in merits.items()})
        return self.race is not None and self.race.stops(self._seen)

    def record(self) -> dict[str, tuple[str, ...]]:
        """What was measured, by task and point, as results keep it."""
        tasks = self._seen[0] if self._seen else ()
        return {task: tuple(pack(seen[task]) for seen in self._seen) for task in tasks}

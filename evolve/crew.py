"""The workers of a Ray engine: how many there are to be, who is there, who could not be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pathways.errors import EngineError

from .cluster import Cluster, WorkerFailedError, WorkerLostError, room, said_of

_log = logging.getLogger("pathways.ray")

STARTS = 5
"""So many workers in a row that die before they are ready are no accident."""


@dataclass
class Worker:
    """An actor, and where it is, once it is ready."""

    actor: Any
    pid: int = 0
    node: str = ""


class Crew:
    """Workers that come and go.

    Args:
        cluster: where they are.
        needs: what each reserves.
        asked: how many there are to be; as many as the nodes have room for, also as these change, when not given.
        patience: seconds to wait for resources, for what errors say.
        autoscaling: whether the cluster may grow.
        setting: gives what workers are opened with.
    """

    def __init__(
        self, cluster: Cluster, needs: dict[str, float], asked: int | None, patience: float, autoscaling: bool,
        setting: Callable[[], Any],
    ) -> None:
        self.cluster, self.needs, self.asked, self.patience = cluster, needs, asked, patience
        self.autoscaling = autoscaling
        self.setting = setting
        self.target = asked or 1
        self.workers: dict[int, Worker] = {}
        self.starting: dict[Any, int] = {}
        self._numbers = self._refused = self._bad_starts = 0

    def number(self) -> int:
        """A number that no other worker has or had."""
        self._numbers += 1
        return self._numbers - 1

    def fill(self) -> None:
        """Ask for workers up to the target; those that find no room wait in Ray, where an autoscaler sees them."""
        if self.asked is None:
            self.target = max(1, room(self.cluster.nodes(), self.needs))
        for _ in range(self.target - self._refused - len(self.workers)):
            number = self.number()
            actor, greeting = self.cluster.start(self.setting(), self.needs)
            self.workers[number] = Worker(actor)
            self.starting[greeting] = number

    def greeted(self, ref: Any) -> int | None:
        """Take what a starting worker says: its number where it is ready, `None` where it is none.

        One that computes otherwise than the run is left out; in place of one that died another begins.

        Raises:
            EngineError: all compute otherwise, or one after another dies.
        """
        number = self.starting.pop(ref)
        try:
            greeting = self.cluster.get(ref)
        except (WorkerLostError, WorkerFailedError) as error:
            self.cluster.kill([self.workers.pop(number).actor])
            if isinstance(error.__cause__, EngineError):
                self._refused += 1
                _log.warning("a worker is left out: %s", error.__cause__)
                if self._refused >= self.target:
                    raise error.__cause__ from None
                return None
            self._bad_starts += 1
            if self._bad_starts >= STARTS:
                raise EngineError(
                    f"workers must stay alive, found that {STARTS} in a row died as they began: {error}."
                ) from None
            return None
        self._bad_starts = 0
        self.workers[number].pid, self.workers[number].node = greeting["pid"], greeting["node"]
        return number

    def end(self, number: int) -> Worker | None:
        """End a worker; `None` where it is gone already."""
        worker = self.workers.pop(number, None)
        if worker is not None:
            self.cluster.kill([worker.actor])
            self.starting = {ref: other for ref, other in self.starting.items() if other != number}
        return worker

    def end_all(self) -> None:
        """End all workers, and wait until they are gone."""
        if self.workers:
            self.cluster.kill([worker.actor for worker in self.workers.values()], wait=10.0)
        self.workers.clear()
        self.starting.clear()

    def pids(self) -> list[int]:
        """The processes of those that are ready."""
        return [worker.pid for worker in self.workers.values() if worker.pid]

    def refuse_what_never_fits(self, count: int) -> None:
        """Raise an `EngineError` where so many workers at once do not fit the nodes, however idle they are."""
        nodes = self.cluster.nodes()
        if self.autoscaling or (found := room(nodes, self.needs)) >= count:
            return
        what = "a worker needs" if count == 1 else f"a candidate asks for {count} workers at once, each with"
        raise EngineError(
            f"{what} {said_of(self.needs)}, found nodes of {'; '.join(map(said_of, nodes)) or 'nothing'}, which have "
            f"room for {found}: ask for less, or join a larger cluster."
        )

    def no_room(self, count: int) -> EngineError:
        """The error that so many workers found no room in time."""
        what = "a worker needs" if count == 1 else f"a candidate asks for {count} workers at once, each with"
        nodes = "; ".join(map(said_of, self.cluster.nodes()))
        return EngineError(
            f"{what} {said_of(self.needs)}, found {said_of(self.cluster.free())} free on nodes of {nodes} after "
            f"{self.patience:g} s: free some, ask for less, or join a larger cluster."
        )


__all__ = ["STARTS", "Crew", "Worker"]

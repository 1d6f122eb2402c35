"""All that this package asks of Ray Core: connect, actors, the object store, placement groups."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pathways.errors import EngineError

from .scheduler import DIED

_log = logging.getLogger("pathways.ray.session")

NODE_LOST = "its node was lost"
UNREACHABLE = "its worker could not be reached"
"""Why work failed that is not to blame for it."""

NODE_SECONDS = 0.2
"""How often to look whether the node that this process has joined is there."""

Resources = Mapping[str, float]
"""Amounts by the names that Ray uses, `CPU` and `GPU`."""


class WorkerLostError(Exception):
    """A worker is gone; the message says why, in a few words."""


class WorkerFailedError(Exception):
    """Something was raised in a worker, outside of training: its `__cause__`."""


class Cluster:
    """A connection to Ray.

    Args:
        address: `local` starts Ray on this machine; `auto` or HOST:PORT joins a cluster.
        cores: with `local`, how many it is told that there are.

    Raises:
        EngineError: the address is none that can be joined; `connect` says where it cannot be reached.
    """

    def __init__(self, address: str, cores: int) -> None:
        if address.startswith("ray://"):
            raise EngineError(
                f"`address` must be `local`, `auto` or HOST:PORT, found {address!r}: run inside the cluster, or use "
                f"`ray job submit`."
            )
        self.address, self.cores = address, cores
        self._started = False
        self._looked = 0.0

    # -- the session ----------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Start or join Ray; where this process is connected already, that connection is used, and left as it is."""
        import ray

        if ray.is_initialized():
            return
        _no_usage_statistics()
        options: dict[str, Any] = {"num_cpus": self.cores} if self.address == "local" else {}
        try:
            context: Any = ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[-1]
            hint = (
                "look into Ray's logs" if self.address == "local" else
                "start one with `ray start --head`, or set RAY_AUTH_MODE=token where the cluster asks for a token"
            )  # fmt: skip
            raise EngineError(
                f"`address` must be `local`, or a Ray cluster that can be reached, found {self.address!r}: {said}: "
                f"{hint}."
            ) from None
        self._started = True
        _messages_to_log()
        info = context.address_info
        where = "Ray on this machine" if self.address == "local" else f"the Ray cluster at {info['gcs_address']}"
        _log.info("%s, %s; logs in %s", where, "; ".join(map(said_of, self.nodes())), info.get("session_dir", "?"))

    def disconnect(self) -> None:
        """Leave Ray, where this has joined it; what was started here ends."""
        import ray

        if self._started:
            ray.shutdown()
            self._started = False

    def reachable(self) -> bool:
        """Whether the cluster's head can be reached; to ask Ray while it cannot ends this process after a minute."""
        import ray

        host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
        except OSError:
            return False
        return True

    def _look_at_node(self) -> None:
        """Raise where the object store of this process's node does not answer any more."""
        try:
            from ray._private import worker
        except ImportError:  # another version keeps it elsewhere: then Ray itself says, later, what is wrong
            return
        now = time.monotonic()
        node = getattr(worker, "_global_node", None)
        store = str(getattr(node, "plasma_store_socket_name", None) or "")
        if not store or now - self._looked < NODE_SECONDS:
            return
        self._looked = now
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(store)
        except OSError as error:
            raise EngineError(
                f"the node of Ray that this process has joined must be alive, found that it is gone "
                f"({error.strerror}): what is recorded is safe; `pathways resume` goes on, on another cluster or with "
                f"`--engine local`."
            ) from None

    def nodes(self) -> list[Resources]:
        """What each node that is alive has in all."""
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def free(self) -> Resources:
        """What nobody has reserved, over all nodes."""
        import ray

        return dict(ray.available_resources())

    # -- workers --------------------------------------------------------------------------------------------------

    def start(self, setting: Any, needs: Resources, place: tuple[Any, int] | None = None) -> tuple[Any, Any]:
        """Ask for a worker; it begins when there is room.

        Args:
            setting: a `far_worker.Setting`.
            needs: what it reserves.
            place: a reserved group and which of its bundles; anywhere when not given.

        Returns:
            The worker, and a reference to its greeting: `{pid, node}`.
        """
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        options: dict[str, Any] = {"num_cpus": needs.get("CPU", 0), "num_gpus": needs.get("GPU", 0)}
        if place is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(*place)
        worker: Any = ray.remote(max_restarts=0, max_task_retries=0, **options)(_Actor).remote()
        return worker, worker.open.remote(setting)

    def send(self, worker: Any, body: bytes, parcel: Any) -> Any:
        """Send a dispatch, pickled, and the rest of its parcel; gives a reference to the reply."""
        return worker.take.remote(body, parcel)

    def send_rank(self, worker: Any, body: bytes, parcel: Any, rank: int, size: int, address: str) -> Any:
        """The same for one rank of a gang of `size`, which meets the others at `address`."""
        return worker.take.remote(body, parcel, rank, size, address)

    def meeting_place(self, worker: Any) -> Any:
        """A reference to an address on this worker's machine at which the ranks of a gang can meet."""
        return worker.meeting_place.remote()

    def kill(self, workers: Sequence[Any], wait: float = 0.0) -> None:
        """End workers at once, and wait so long at most until they are gone."""
        import ray

        last: list[Any] = []
        for worker in workers if self.reachable() else ():
            with suppress(Exception):
                ray.kill(worker)
                last.append(worker.node.remote())
        if wait and last:
            with suppress(Exception):
                ray.wait(last, num_returns=len(last), timeout=wait)

    # -- gangs ----------------------------------------------------------------------------------------------------

    def reserve(self, count: int, needs: Resources) -> tuple[Any, Any]:
        """Ask for room for so many workers, all or none, close together where that can be.

        Returns:
            The group, and a reference that is there when all is reserved.
        """
        from ray.util.placement_group import placement_group

        group = placement_group([{name: need for name, need in needs.items() if need}] * count, strategy="PACK")
        return group, group.ready()

    def release(self, group: Any) -> None:
        """Give a group back."""
        from ray.util.placement_group import remove_placement_group

        with suppress(Exception):
            remove_placement_group(group)

    # -- objects --------------------------------------------------------------------------------------------------

    def put(self, value: Any) -> Any:
        """Put a value into the object store; gives its reference."""
        import ray

        return ray.put(value)

    def wait(self, refs: Sequence[Any], seconds: float) -> list[Any]:
        """Those of the references that are there, after waiting for the first of them.

        Raises:
            EngineError: the node that this process has joined is gone: what else is asked of it would end this process.
        """
        import ray

        self._look_at_node()
        ready, rest = ray.wait(list(refs), timeout=max(0.0, seconds))
        if ready and rest:  # what else is there is taken at once
            more, _ = ray.wait(rest, num_returns=len(rest), timeout=0)
            ready += more
        return list(ready)

    def get(self, ref: Any) -> Any:
        """What a reference refers to.

        Raises:
            WorkerLostError: whoever was to make it is gone.
            WorkerFailedError: it raised an error instead.
        """
        import ray

        try:
            return ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            raise WorkerFailedError(str(error.cause)) from error.cause
        except ray.exceptions.RayError as error:
            raise WorkerLostError(_why(error)) from None


class _Actor:
    """What Ray runs: a `FarWorker`."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        with suppress(RuntimeError):  # where something has computed already
            torch.set_num_interop_threads(1)

    def open(self, setting: Any) -> dict[str, Any]:
        """Make ready; says where this is."""
        import ray

        from .far_worker import FarWorker

        self.worker = FarWorker(setting, lambda refs: ray.get(list(refs)), ray.put)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: else each full collection walks all of torch, 60 ms
        return {"pid": os.getpid(), "node": self.node()}

    def node(self) -> str:
        """The address of this machine."""
        import ray

        return str(ray.util.get_node_ip_address())

    def meeting_place(self) -> str:
        """An address of this machine at which the ranks of a gang can meet."""
        from pathways.trainer.rank import free_address

        return free_address(self.node())

    def take(self, dispatch: bytes, parcel: Any, rank: int = 0, size: int = 1, address: str = "") -> Any:
        """Train a dispatch, or be one rank of a gang that does."""
        return self.worker.take(replace(parcel, dispatch=pickle.loads(dispatch)), rank, size, address)


def said_of(resources: Resources) -> str:
    """Resources as people read them.

    >>> said_of({"CPU": 2.0, "GPU": 0.5, "memory": 1e9})
    '2 CPU, 0.5 GPU'
    """
    found = [f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if resources.get(name)]
    return ", ".join(found) or "nothing"


def room(nodes: Sequence[Resources], needs: Resources) -> int:
    """How many workers fit the nodes, each on one node.

    >>> room([{"CPU": 4}, {"CPU": 3, "GPU": 1}], {"CPU": 2, "GPU": 0})
    3
    """
    wanted = [(name, need) for name, need in needs.items() if need]
    return sum(min(int(node.get(name, 0.0) / need + 1e-9) for name, need in wanted) for node in nodes)


def _why(error: Exception) -> str:
    """Why a worker is gone, in a few words.

    By its kind: the text of an error that says no more than that a process is gone names lack of memory, too, as one
    of the reasons there could be. A node that loses its power is first a worker that cannot be reached; that its
    node is dead, Ray knows some ten seconds later.
    """
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return "its worker was stopped for lack of memory"
    if isinstance(error, ray.exceptions.NodeDiedError) or "its node has died" in str(error):
        return NODE_LOST
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return UNREACHABLE
    return DIED


def _messages_to_log() -> None:
    """Log what Ray tells a driver of its workers: it would print it on standard output, where results go.

    Its thread looks this function up each time; where another version has none of this name, its messages are printed.
    """
    try:
        from ray._private import worker
    except ImportError:
        return

    def log(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
        for line in data.get("lines", ()):
            _log.debug("%s: %s", data.get("pid"), str(line).strip())

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = log


def _no_usage_statistics() -> None:
    """Turn Ray's usage statistics off, unless the user turned them on, by a variable or `ray enable-usage-stats`."""
    chosen = False
    with suppress(OSError, ValueError):
        file = os.environ.get("RAY_USAGE_STATS_CONFIG_PATH", os.path.expanduser("~/.ray/config.json"))
        chosen = json.loads(Path(file).read_text()).get("usage_stats") is True
    if not chosen:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


__all__ = [
    "NODE_LOST", "UNREACHABLE", "Cluster", "Resources", "WorkerFailedError", "WorkerLostError", "room", "said_of",
]

"""`python -m pathways.experiments.benchmarks.scale_calls`: what Ray's calls cost a driver, on two cores."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from pathways.evolve.cluster import Cluster

from .scale_cluster import Calls

MEASURED = Calls(
    send=230e-6, wait=200e-6, wait_ref=1.8e-6, get=15e-6, put=400e-6, put_byte=0.2e-9, there=0.5e-3, back=0.5e-3
)
"""As measured on two cores of an Intel Xeon with Ray 2.60; `docs/performance.md` has what it was made of."""

BODY = 50_000
"""Bytes of a packed dispatch, about what muNet's candidates take."""

REFS = (100, 1000, 10_000)


@contextmanager
def session() -> Iterator[Any]:
    """A Ray session of two cores of this machine."""
    import ray

    cluster = Cluster("local", 2)
    cluster.connect()
    try:
        yield ray
    finally:
        cluster.disconnect()


def cost_of_calls(refs: Sequence[int] = REFS, actors: int = 4) -> Iterator[dict[str, float]]:
    """What calls take while so many references are pending: of actors that are busy, with calls that wait behind.

    Yields:
        `refs`; `send`, `get`, `put` of `BODY` bytes and `put_byte` beyond, in seconds a call; `wait`, a look through
        `Cluster.wait` while none of them is there, and `wait_one` while one is, in seconds.
    """
    with session() as ray:
        cluster = Cluster("local", 2)

        class Plain:
            def nap(self, seconds: float) -> None:
                time.sleep(seconds)

            def take(self, body: bytes) -> Any:
                return len(body)

        workers = [ray.remote(num_cpus=0.1)(Plain).remote() for _ in range(actors)]
        ray.get([worker.nap.remote(0.0) for worker in workers])
        done = ray.put(0)
        body = b"x" * BODY
        for n in refs:
            naps = [worker.nap.remote(3.0 + n / 1500) for worker in workers]
            begun = time.perf_counter()
            pending = [workers[i % actors].take.remote(body) for i in range(n)]
            send = (time.perf_counter() - begun) / n
            none = median(_seconds(partial(cluster.wait, pending, 0.0)) for _ in range(7))
            one = median(_seconds(partial(cluster.wait, [*pending, done], 0.0)) for _ in range(7))
            ray.wait([*naps, *pending], num_returns=actors + n)
            begun = time.perf_counter()
            for ref in pending[:500]:
                cluster.get(ref)
            get = (time.perf_counter() - begun) / min(n, 500)
            small, large = np.zeros(BODY, np.uint8), np.zeros(50_000_000, np.uint8)
            put = median(_seconds(partial(ray.put, small)) for _ in range(9))
            byte = (median(_seconds(partial(ray.put, large)) for _ in range(5)) - put) / large.nbytes
            yield {"refs": n, "send": send, "wait": none, "wait_one": one, "get": get, "put": put, "put_byte": byte}


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> int:
    """Print a JSON line for each number of references, and what the simulator takes for it."""
    for row in cost_of_calls():
        print(json.dumps(row), flush=True)
    print(json.dumps({"taken": asdict(MEASURED)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

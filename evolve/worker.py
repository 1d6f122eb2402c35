"""A worker process: a trainer that takes dispatches from a connection until it closes."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path as FilePath
from typing import Any

from pathways.errors import EngineError, PathwaysError
from pathways.modules import Families
from pathways.pool import Pool
from pathways.trace import LOAD, Span
from pathways.trainer import Trainer, numerics
from pathways.trainer.prefix_cache import prefixes_of

from .importable import imported


def serve(connection: Connection[Any, Any], since: float | None = None) -> None:
    """Answer messages until the other side closes: `open`, `task`, `dispatch`.

    Each dispatch gets one answer: `results` (with the trainer's spans, when the dispatch was received and when it was
    answered), or `error`. What went wrong before it, so that it cannot be trained, is its answer too. What it took to
    get ready for a dispatch is loading: to start, from `since` on, to open the pool, to take data.
    """
    trainer: Trainer | None = None
    broken: PathwaysError | str = ""
    while True:
        try:
            kind, packed = connection.recv()
        except (EOFError, OSError):
            return
        since = time.time() if since is None else since
        answer: tuple[str, Any] = ("error", broken)
        if not broken:
            try:
                payload = pickle.loads(packed)
                if kind == "open":
                    trainer = _open(*payload)
                elif trainer is None:
                    raise EngineError(f"a worker must be opened first, found {kind!r}.")
                elif kind == "task":
                    trainer.provide(payload)
                else:
                    ready = time.time()
                    results = trainer.run(payload.candidates, payload.stacked, payload.slots)
                    spans = (Span(LOAD, "", since, ready - since), *trainer.spans)
                    answer = ("results", (results, spans, since, time.time()))
            except Exception as error:
                found = error if isinstance(error, PathwaysError) else traceback.format_exc(limit=8)
                answer = ("error", found)
                broken = "" if kind == "dispatch" else found
        if kind == "dispatch":
            since = None
            try:
                connection.send(answer)
            except OSError:
                return


def _open(pool: str, path: list[str], families: list[tuple[str, str]], expected: dict[str, Any],
          cache_bytes: int, device: str) -> Trainer:
    sys.path[:] = path
    found = numerics(device)
    if found != expected:
        raise EngineError(
            f"a worker must compute as the run does ({expected}), found {found}: install the same torch everywhere, "
            f"and train on GPUs of one kind."
        )
    known = Families([imported(*family) for family in families])
    return Trainer(Pool(FilePath(pool)), known, prefixes=prefixes_of(FilePath(pool), cache_bytes), device=device)


def _end_with(parent: int) -> None:
    """End this process soon after its parent has gone, even in the middle of training."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def main() -> None:
    """Serve the connection whose file descriptor is the first argument; the second is the parent's process id."""
    began = time.time() - time.process_time()  # about when the process started: it has done nothing but import
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)  # no variable sets these
    serve(Connection(int(sys.argv[1])), began)


if __name__ == "__main__":
    main()

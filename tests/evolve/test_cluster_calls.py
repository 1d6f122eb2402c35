"""What this package asks of Ray, as far as it can be told without a session: reasons, and where messages go."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pathways.evolve import cluster
from pathways.evolve.cluster import Cluster, WorkerLostError

ray = pytest.importorskip("ray")

KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker "
    "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was "
    "killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) the worker crashed"
)
NODE = (
    "The actor died because its node has died. Node Id: 89b93e\n"
    "\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats"
)


def died(text: str) -> Exception:
    error: Exception = ray.exceptions.ActorDiedError()
    error.error_msg = text  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(("error", "why"), [
    (died(KILLED), "its worker died"),
    (died(NODE), "its node was lost"),
    (ray.exceptions.ActorUnavailableError("RPC error: Socket closed", None), "its worker could not be reached"),
    (ray.exceptions.OutOfMemoryError("1 worker was killed"), "its worker was stopped for lack of memory"),
    (ray.exceptions.WorkerCrashedError(), "its worker died"),
])  # fmt: skip
def test_why_a_worker_is_gone_is_told_in_the_words_of_what_happened(
    error: Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(ref: Any) -> Any:
        raise error

    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(WorkerLostError) as lost:
        Cluster("local", 1).get(None)
    assert str(lost.value) == why


def test_what_ray_prints_of_workers_goes_to_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from ray._private import worker

    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)
    cluster._messages_to_log()
    with caplog.at_level(logging.DEBUG, "pathways.ray.session"):
        worker.print_to_stdstream({"lines": ["A worker died"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert capsys.readouterr().out == ""
    assert "raylet: A worker died" in caplog.text

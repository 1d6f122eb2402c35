"""A task's path behind Ray Serve: replicas on the nodes of a cluster, requests that come together run as one batch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathways.errors import EngineError

if TYPE_CHECKING:
    from torch import Tensor

    from .serving import Asked

NAME = "pathways"
"""What the application is called on its cluster."""


def application(
    directory: str | Path, task: str, *, replicas: int = 1, batch: int = 64, wait: float = 0.005, families: Any = ()
) -> Any:
    """A Ray Serve application that answers as `pathways.experiments.serving` says; hand it to `ray.serve.run`.

    Args:
        directory: the run, or its URL on storage, as every replica can read it.
        task: its name; each replica loads this task's path and nothing else.
        replicas: how many processes answer.
        batch: the most requests that run as one.
        wait: for how many seconds a request waits for others to run with.
        families: module families of your own that the path needs.

    Raises:
        EngineError: Ray Serve is not installed.
    """
    _need_serve()
    from ray import serve

    from pathways.storage import is_url

    # Replicas have another working directory.
    where = directory if is_url(str(directory)) else Path(directory).resolve()

    @serve.deployment(name="task", num_replicas=replicas, max_ongoing_requests=4 * batch)
    class Replica:
        """One process that answers."""

        def __init__(self) -> None:
            from .serving import Served

            self.served = Served.load(where, task, families)

        @serve.batch(max_batch_size=batch, batch_wait_timeout_s=wait)
        async def computed(self, many: list[Asked]) -> list[Tensor]:
            """What several requests ask for, as one batch."""
            return self.served.computed(many)

        async def __call__(self, request: Any) -> Any:
            """Answer one request."""
            from starlette.responses import Response

            from .serving import Reply

            reply = self.served.routed(request.method, request.url.path, await request.body())
            if not isinstance(reply, Reply):
                reply = self.served.replied(reply, await self.computed(reply))
            return Response(reply.body, reply.status, media_type="application/json")

    deployed: Any = Replica  # what the decorator has made of it
    return deployed.bind()


def started(app: Any, host: str = "127.0.0.1", port: int = 8000, address: str = "local", cores: int = 2) -> None:
    """Run an application and return when it answers, on a cluster that is joined or started.

    Args:
        app: what `application` gave.
        host: where its proxy listens; nobody is asked who they are, so let only those reach it who may.
        port: likewise.
        address: `local`, or that of a cluster: see `pathways.evolve.Ray`.
        cores: with `local`, how many there are.

    Raises:
        EngineError: there is no such cluster, or Ray Serve is not installed.
    """
    _need_serve()
    from ray import serve

    from pathways.evolve.cluster import Cluster

    Cluster(address, cores).connect()
    serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
    serve.run(app, name=NAME, route_prefix="/")


def stopped() -> None:
    """Take the application off the cluster again; others that Ray Serve runs there stay."""
    from ray import serve

    serve.delete(NAME)


def _need_serve() -> None:
    if not (find_spec("starlette") and find_spec("fastapi") and find_spec("uvicorn")):
        raise EngineError("`--ray` needs Ray Serve: pip install 'evolving-pathways[serve]', or leave `--ray` out.")


__all__ = ["application", "started", "stopped"]

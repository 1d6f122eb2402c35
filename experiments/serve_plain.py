"""A task's path behind the HTTP server of the standard library: for one machine, and for trying out."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pathways.errors import ConfigError

from .serving import MOST_BYTES, Reply, Served, reply_to

SECONDS = 30
"""How long a client may be silent."""


def plain_server(served: Served, host: str = "127.0.0.1", port: int = 8000) -> ThreadingHTTPServer:
    """A server that is bound and not yet running: call `serve_forever()`, and `shutdown()` from another thread.

    A thread for each connection reads and writes; paths run one request at a time.

    Args:
        served: what answers.
        host: where it listens; nobody is asked who they are, so let only those reach it who may.
        port: 0 takes any that is free, which is `server_address[1]`.

    Raises:
        ConfigError: it cannot listen there.
    """
    busy = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"
        server_version = "pathways"
        sys_version = ""
        timeout = SECONDS

        def do_GET(self) -> None:
            """Answer `/healthz` and `/task`."""
            self._reply()

        def do_POST(self) -> None:
            """Answer `/predict`."""
            self._reply()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

        def _reply(self) -> None:
            length = self.headers.get("Content-Length", "0")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                self.close_connection = True
                self._send(Reply(413, {"error": f"a request must have at most {MOST_BYTES:,} bytes, found {length}."}))
                self._drain()
                return
            body = self.rfile.read(int(length))
            try:
                with busy:
                    reply = reply_to(served, self.command, self.path.partition("?")[0], body)
            except Exception as error:  # a server answers whatever happens
                reply = Reply(500, {"error": f"{type(error).__name__}: {error}"})
            self._send(reply)

        def _drain(self) -> None:
            """Read on for a moment: closing with unread bytes would take the reply away from its reader."""
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(1)
                for _ in range(64):
                    if not self.connection.recv(1 << 16):
                        break

        def _send(self, reply: Reply) -> None:
            body = reply.body
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError(f"`--host` and `--port` must be free to listen at, found {host}:{port}: {said}.") from None


__all__ = ["plain_server"]

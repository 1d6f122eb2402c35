"""Database servers for tests: one that is given, else one of our own, on loopback and gone with the tests.

`PATHWAYS_TEST_POSTGRESQL=postgresql://...` and `PATHWAYS_TEST_MYSQL=mysql://...` name a server whose user may make
schemas or databases. Without them the programs of Debian's packages are started, where they are installed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import needs
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from pathways.ledger_url import url_of


class Server:
    """A database server.

    Args:
        url: of a database whose user may make others.
        start, stop: of a server of our own; stopping drops all connections at once.
    """

    def __init__(
        self, url: str, start: Callable[[], None] | None = None, stop: Callable[[], None] | None = None
    ) -> None:
        self.url, self.start, self.stop = url, start, stop

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a place that holds nothing yet: a schema in PostgreSQL, a database in MySQL."""
        name = f"t{secrets.token_hex(6)}"
        if self.url.startswith("postgresql"):
            url = make_url(self.url).update_query_dict({"options": f"-csearch_path={name}"})
            gone = f'DROP SCHEMA "{name}" CASCADE'
            self.run(f'CREATE SCHEMA "{name}"')
        else:
            url, gone = make_url(self.url).set(database=name), f"DROP DATABASE {name}"
            self.run(f"CREATE DATABASE {name}")
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            self.run(gone)

    def run(self, statement: str) -> Any:
        """Carry out one statement, and give what it returns."""
        engine = create_engine(url_of(self.url), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.execute(text(statement))
                return found.fetchall() if found.returns_rows else None
        finally:
            engine.dispose()

    def drop_connections(self) -> None:
        """End all other connections, as a server does that is started again."""
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = "
                 "current_user AND backend_type = 'client backend'")  # fmt: skip


@contextmanager
def postgresql(own: bool = False) -> Iterator[Server]:
    """A PostgreSQL server; with `own` one that can be stopped. The test is skipped where there is none."""
    given = os.environ.get("PATHWAYS_TEST_POSTGRESQL")
    if given and not own:
        yield Server(given)
        return
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not places:
        needs.lack("postgresql", "no server is named in PATHWAYS_TEST_POSTGRESQL, nor installed")
    programs, port = places[-1].parent, free_port()
    with folder_of("postgres") as (folder, as_user):
        made = [*as_user, programs / "initdb", "-D", folder / "data", "-U", "tests", "-A", "trust", "--no-sync"]
        called(made, folder)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_user, programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log"]

        def start() -> None:
            called([*control, "-o", options, "start"], folder)

        def stop() -> None:
            called([*control, "-m", "immediate", "stop"], folder)

        start()
        try:
            yield Server(f"postgresql://tests@127.0.0.1:{port}/postgres", start, stop)
        finally:
            with suppress(AssertionError):  # a test may have stopped it
                stop()


@contextmanager
def mysql() -> Iterator[Server]:
    """A MySQL or MariaDB server. The test is skipped where there is none."""
    given = os.environ.get("PATHWAYS_TEST_MYSQL")
    if given:
        yield Server(given)
        return
    install, daemon = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if install is None or daemon is None:
        needs.lack("mysql", "no server is named in PATHWAYS_TEST_MYSQL, nor is MariaDB installed")
    port = free_port()
    with folder_of("mysql") as (folder, as_user):
        called(
            [*as_user, install, "--no-defaults", f"--datadir={folder}/data", "--skip-test-db",
             "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M"], folder,
        )  # fmt: skip
        process = subprocess.Popen(
            [*as_user, daemon, "--no-defaults", f"--datadir={folder}/data", f"--port={port}",
             "--bind-address=127.0.0.1", f"--socket={folder}/s", f"--pid-file={folder}/pid",
             "--innodb-flush-log-at-trx-commit=0", f"--log-error={folder}/log"], cwd=folder,
        )  # fmt: skip
        server = Server(f"mysql://root@127.0.0.1:{port}/mysql")
        try:
            answers(server)
            yield server
        finally:
            process.terminate()
            process.wait()


def answers(server: Server) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + 30
    while True:
        try:
            server.run("SELECT 1")
            return
        except SQLAlchemyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@contextmanager
def folder_of(user: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder that a user may write, and what a command begins with to be run as that user.

    Servers refuse to be root: then it is their own user. The folder's name is short, as a socket's has to be.
    """
    folder = Path(tempfile.mkdtemp(prefix="pw-", dir="/tmp"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        as_user = ["runuser", "-u", user, "--"]
    try:
        yield folder, as_user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def called(command: list[Any], folder: Path) -> None:
    """Run a command in a folder; what it says is shown where it fails."""
    with (folder / "said").open("w+") as said:
        done = subprocess.run([str(word) for word in command], cwd=folder, stdout=said, stderr=said, check=False)
        said.seek(0)
        assert done.returncode == 0, f"{command}: {said.read()}"


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port

"""Where a run's ledger is when it is not in the run directory: database URLs, their drivers, what of them is shown."""

from __future__ import annotations

import os
from importlib.util import find_spec

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import LedgerError

VARIABLE = "PATHWAYS_LEDGER"
"""The environment variable that says where the ledger of a run with a database is, with its password."""

SECRET = ("password", "passwd", "sslpassword")
"""What may stand in a URL behind its question mark and must not be shown."""

# By database: the driver that SQLAlchemy takes by itself, the one we take where that is not installed, and our extra.
_DRIVERS = {
    "postgresql": ("psycopg2", "psycopg", "postgresql"),
    "mysql": ("MySQLdb", "pymysql", "mysql"),
    "mariadb": ("MySQLdb", "pymysql", "mysql"),
}


def url_of(url_or_path: str) -> URL:
    """The URL of a ledger, with a driver that is installed; a text without `://` is a SQLite file.

    Raises:
        LedgerError: it is no URL, or its driver is not installed; nothing that may be a password is repeated.

    Example:
        >>> url_of("runs/a/ledger.db").drivername
        'sqlite'
    """
    if "://" not in url_or_path:
        return URL.create("sqlite", database=url_or_path)
    url = _parsed(url_or_path)
    if url.drivername not in _DRIVERS:
        return url
    usual, ours, extra = _DRIVERS[url.drivername]
    if find_spec(usual) is not None:
        return url
    if find_spec(ours) is None:
        raise LedgerError(
            f"`ledger` needs a driver for {url.drivername}, found none: install `evolving-pathways[{extra}]`."
        )
    return url.set(drivername=f"{url.drivername}+{ours}")


def without_password(url: str) -> str:
    """The URL as it is kept and shown: without password.

    >>> without_password("postgresql://me:secret@host/runs?password=secret&sslmode=require")
    'postgresql://me@host/runs?sslmode=require'
    """
    full = _parsed(url)
    bare = URL.create(full.drivername, full.username, None, full.host, full.port, full.database, full.query)
    return bare.difference_update_query(SECRET).render_as_string(hide_password=False)


def server_url(url: str) -> str:
    """`url` where it is that of a server database, as several drivers need; else a `LedgerError`."""
    kind = _parsed(url).get_backend_name() if "://" in url else "a file"
    if kind not in _DRIVERS:
        raise LedgerError(
            f"`ledger` must be the URL of a server database, such as postgresql://USER@HOST/DATABASE, found {kind}: "
            f"leave it out to keep the ledger in the run directory."
        )
    return url


def chosen_url(stated: str | None, given: str | None = None) -> str | None:
    """Where the ledger is: `given`, else what the environment says, else what is `stated`; `None` is the run directory.

    Args:
        stated: what the configuration or `system.json` says, which is without a password; without it the environment
            says nothing of this run.
        given: what a caller or the command line says; where the environment has the same with a password, that counts.
    """
    said = os.environ.get(VARIABLE)
    if given:
        return said if said and without_password(said) == without_password(given) else given
    return said or stated if stated else None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError(_UNREADABLE) from None
    if "@" in (parsed.host or ""):  # the rest of a password
        raise LedgerError(_UNREADABLE)
    return parsed


_UNREADABLE = (
    "`ledger` must be a URL such as postgresql://USER:PASSWORD@HOST:5432/DATABASE, found one that cannot be read: "
    "write special characters of a name or password percent-encoded (@ as %40, : as %3A)."
)

"""Where a run begins: opened where it is there, else made, by one driver of those that begin it together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from pathways.errors import ConfigError
from pathways.leases import held, lease_seconds, new_owner
from pathways.ledger import Ledger
from pathways.ledger_url import chosen_url, server_url
from pathways.storage import is_url
from pathways.system import System
from pathways.task import Task

from .config import Config
from .runner import existing, make_system

MAKING = "making the run"


def opened_or_made(
    out: FilePath | str, config: Config, tasks: Sequence[Task], families: Sequence[Any], ledger: str | None, share: bool
) -> System:
    """The run in `out`, made where it is not there.

    Args:
        out: the run directory, or its URL on storage.
        config: the run's.
        tasks: of all sources.
        families: module families that are not built in.
        ledger: the URL that the command line gives.
        share: whether other drivers may begin the same run at this moment: one makes it, the others wait.

    Raises:
        ConfigError: `out` holds something else, or is on storage and its ledger is a file.
        LedgerError: the ledger cannot be used.
    """
    url = chosen_url(config.ledger, ledger)
    if url is not None:
        server_url(url)  # what is no URL is told before anything is written
    there = existing(out, config, families, ledger)
    if there or not share:
        return there or make_system(out, config, tasks, families, url)
    if url is None:
        check_shared(out)
    with _making(out, url):
        return existing(out, config, families, ledger) or make_system(out, config, tasks, families, url)


def check_shared(place: FilePath | str) -> None:
    """Raise a `ConfigError` where drivers cannot share the run in `place`, whose ledger is a file, as it is a URL."""
    if is_url(place):
        raise ConfigError(
            f"`--share` needs a run whose ledger is in a database where the run is on storage, found {place} with its "
            f"ledger in a file: begin a run with `--ledger URL`."
        )


@contextmanager
def _making(out: FilePath | str, url: str | None) -> Iterator[None]:
    """Be the only process that makes this run."""
    if url is None:
        FilePath(out).mkdir(parents=True, exist_ok=True)
    place = url or FilePath(out) / "ledger.db"
    with Ledger(place) as opened, held(opened, [MAKING], new_owner(), lease_seconds(), patient=True):
        yield

"""Where a run begins: opened where it is there, else made, by one driver of those that begin it together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from pathways.leases import held, lease_seconds, new_owner
from pathways.ledger import Ledger
from pathways.ledger_url import chosen_url
from pathways.system import System
from pathways.task import Task

from .config import Config
from .runner import existing, make_system

MAKING = "making the run"


def opened_or_made(
    out: FilePath, config: Config, tasks: Sequence[Task], families: Sequence[Any], ledger: str | None, share: bool
) -> System:
    """The run in `out`, made where it is not there.

    Args:
        out: the run directory.
        config: the run's.
        tasks: of all sources.
        families: module families that are not built in.
        ledger: the URL that the command line gives.
        share: whether other drivers may begin the same run at this moment: one makes it, the others wait.

    Raises:
        ConfigError: `out` holds something else.
        LedgerError: the ledger cannot be used.
    """
    url = chosen_url(config.ledger, ledger)
    there = existing(out, config, families, ledger)
    if there or not share:
        return there or make_system(out, config, tasks, families, url)
    with _making(out, url):
        return existing(out, config, families, ledger) or make_system(out, config, tasks, families, url)


@contextmanager
def _making(out: FilePath, url: str | None) -> Iterator[None]:
    """Be the only process that makes this run."""
    if url is None:
        out.mkdir(parents=True, exist_ok=True)
    with Ledger(url or out / "ledger.db") as opened, held(opened, [MAKING], new_owner(), lease_seconds(), patient=True):
        yield

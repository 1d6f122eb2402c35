"""A run that is open: its records, its ledger, its pool and its trace, before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Self

from pathways.modules import Families

from .brief import Brief
from .champions import Champions
from .choose_root import ROOT, root_for
from .errors import LedgerError
from .leases import lease_seconds, new_owner
from .ledger import Ledger
from .ledger_url import chosen_url
from .logger import Loggers
from .path import Path
from .records import SystemRecord, TaskRecord
from .shelf import Records, Shelf
from .task import Task
from .trainer.numerics import numerics, on_host

if TYPE_CHECKING:
    from .mirror import Mirror
    from .pool import Pool
    from .trace_file import Trace
    from .trainer.samples import Recent


class OpenRun:
    """What a `System` works on; see there for its attributes.

    Args:
        directory: the run directory; of a run on storage its mirror on this machine.
        record: its `system.json`.
        families: the module families that its paths may use.
        ledger: the URL of the database that holds the ledger, such as one with a password.
        mirror: the way to the storage that the run is on.

    Raises:
        LedgerError: `ledger` is given though the run keeps its ledger itself.
    """

    def __init__(
        self, directory: FilePath, record: SystemRecord, families: Families, ledger: str | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.directory = directory
        self.mirror = mirror
        self.record = record
        if ledger and not record.ledger:
            raise LedgerError(f"`ledger` must be left out for {self.place}, which keeps its ledger itself.")
        self.ledger_url = chosen_url((record.ledger or {}).get("url"), ledger)
        self.lease_seconds = lease_seconds()
        self.families = families
        self.training = record.training
        self.shelf = Shelf(directory, families)
        self.records: Mapping[str, TaskRecord] = Records(self.shelf)
        self.shelf.refresh()
        self.tasks: dict[str, Task] = {}
        self.owner = new_owner()
        self.loggers = Loggers()
        self.tracing = True  # whether `learn` and `compare` write `trace.json`

    def refresh(self, *, whole: bool = False) -> None:
        """Look at the tasks' manifests again, as another process may have learned or forgotten some.

        Those that changed are read; `whole` reads every one, whatever the file system says of it.
        """
        if self.mirror is not None:
            self.mirror.pull_tasks(whole=whole)
        self.shelf.refresh(whole=whole)

    def close(self) -> None:
        """Close the ledger, the trace and the loggers; the system can be used again afterwards, without loggers."""
        self.loggers.close()
        if "trace" in self.__dict__:
            self.trace.close()
            del self.__dict__["trace"]
        if "ledger" in self.__dict__:
            self.ledger.close()
            del self.__dict__["ledger"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Be the only process that writes to a run on storage whose ledger is a file; elsewhere nothing is done.

        Methods that write do this by themselves. Around several of them it keeps other drivers out in between, and
        the ledger is pushed at its end. Drivers that share a ledger in a database are kept apart by its leases.

        Raises:
            StorageError: another driver is writing to the run.
        """
        if self.mirror is None:
            yield
            return
        with self.mirror.driving(alone=self.ledger_url is None):
            self.refresh()  # what others have learned up to now
            yield

    # -- what it holds ------------------------------------------------------------------------------------

    @cached_property
    def ledger(self) -> Ledger:
        """The record of every candidate that was tried."""
        if self.mirror is not None and self.ledger_url is None:
            self.mirror.pull_ledger()
        opened = Ledger(self.ledger_url or self.directory / "ledger.db")
        if self.record.ledger:
            try:
                opened.check_run(self.record.ledger["run"])
            except LedgerError:
                opened.close()
                raise
        return opened

    @cached_property
    def trace(self) -> Trace:
        """What takes down where the time goes while the system learns, unless `tracing` is false."""
        from .trace_file import Trace
        from .trace_read import trace_file

        return Trace(trace_file(self.directory))

    @cached_property
    def pool(self) -> Pool:
        """The store of all blobs."""
        from .pool import Pool

        return Pool(self.directory / "pool", needed_by=self.needing, source=self.mirror)

    @cached_property
    def used(self) -> Recent:
        """The champions that `predict` used last, assembled."""
        from .ready import READY_BYTES
        from .trainer.samples import Recent

        return Recent(READY_BYTES)

    @property
    def briefs(self) -> Mapping[str, Brief]:
        """By task name, in the order learned: what is known of each task without reading its path."""
        return self.shelf.briefs

    @property
    def unreadable(self) -> Mapping[str, str]:
        """By task name, what is wrong with the manifests that cannot be read."""
        return self.shelf.unreadable

    @property
    def champions(self) -> Champions:
        """The best path of each task, in the order learned, each read when it is looked at."""
        sketches = {name: brief.sketch for name, brief in self.briefs.items()}
        return Champions(sketches, lambda name: self.records[name].champion, self.shelf.users)

    def needing(self, blob: str) -> list[str]:
        """The tasks whose champions use a blob; `root` stands for the root path."""
        users = list(self.shelf.users(blob))
        return users + ([ROOT] if blob in self.root_blobs else [])

    # -- what it was made with ----------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """Where the run is: its directory, or its URL on storage."""
        return str(self.directory) if self.mirror is None else self.mirror.url

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record.seed

    @property
    def root(self) -> Path | None:
        """The headless path that first paths are built on; `None` where there is none, or several: see `roots`."""
        return self.record.root

    @property
    def roots(self) -> Mapping[str, Path]:
        """The headless paths that first paths are built on, by name; an only one is called `root`."""
        return self.record.roots or ({} if self.root is None else {ROOT: self.root})

    @cached_property
    def root_blobs(self) -> frozenset[str]:
        """The frozen modules of all roots."""
        return frozenset(blob for root in self.roots.values() for blob in root.frozen())

    def root_for(self, tasks: Sequence[Task]) -> Path | None:
        """The root that these tasks are built on together: the first that reads what they have, an only one always."""
        name = root_for(self.roots, [task.inputs for task in tasks])
        return None if name is None else self.roots[name]

    @property
    def dispatch(self) -> int:
        """Candidates in one dispatch, as the stack plan of the run's numerics says."""
        return int(self.record.numerics["stack"]["dispatch"])

    @property
    def stack(self) -> int:
        """The most candidates that train as one program, as the stack plan of the run's numerics says."""
        return int(self.record.numerics["stack"]["size"])

    @property
    def device(self) -> str:
        """What the run's trainers compute on, `cpu` or `cuda`, as its numerics say."""
        return str(self.record.numerics.get("device", "cpu"))

    def numerics_differ(self, device: str | None = None) -> str:
        """What differs between the numerics here and those of the run, as a phrase; empty where nothing does.

        Args:
            device: what trainers compute on here. Without it, only what processors compute is compared: probes are
                made, and `verify` and `predict` work, on the processor, whatever trains.
        """
        here = numerics(device=device or "cpu", dispatch=self.dispatch, stack=self.stack)
        run = self.record.numerics if device else on_host(self.record.numerics)
        return ", ".join(f"{key} is {here.get(key)} and was {run.get(key)}" for key in run if here.get(key) != run[key])


__all__ = ["OpenRun"]

"""The system: pool + champions + ledger, the grown multitask network in a run directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from pathways.modules import Draft, Families, Frozen
from pathways.modules.near import did_you_mean

from . import manifest, upkeep
from .candidate import Training
from .entry_points import classes
from .errors import PathwaysError
from .manifest import TaskRecord
from .mirror import opened
from .open_run import OpenRun
from .path import Path
from .records import fingerprint_of
from .storage import is_url
from .strategy import Champion, Strategy, Winner
from .task import Task

if TYPE_CHECKING:
    import networkx as nx
    from torch import Tensor

    from pathways.modules import Delta, Module, ModuleRef, Value

    from .assemble import PathModule
    from .engine import Engine
    from .progress import Progress
    from .root import Root
    from .verify import VerifyReport


class System(OpenRun):
    """One growing network: it learns task after task, reuses what it knows, and never changes what it has learned.

    Make one with `create` or `open`.

    Attributes:
        directory: the run directory; of a run on storage its mirror on this machine.
        mirror: the way to the storage that the run is on; `None` where it is in a directory of its own.
        owner: this process's name in the ledger's leases.
        record: run identity, seed, numerics and root, as written when the run was made.
        records: by task name, in the order learned: path, class names, measures, lineage; read when looked at.
        briefs: by task name, in the order learned: what is known of each task without reading its path.
        tasks: by name, the tasks whose data is at hand.
        training: default hyperparameters and budget of candidates.

    Example:
        >>> import pathways, tempfile                                              # doctest: +SKIP
        >>> system = pathways.System.create("runs/letters", root="omniglot")       # doctest: +SKIP
        >>> for task in pathways.data.omniglot(alphabets=["Greek", "Hebrew"]):     # doctest: +SKIP
        ...     system.learn(task, pathways.evolve.MuNet(generations=2, children=4))
    """

    # -- making and opening -------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        directory: str | FilePath,
        *,
        seed: int = 0,
        root: Path | Root | str | Mapping[str, Path | Root | str] | None = None,
        training: Training | None = None,
        families: Iterable[type[Module] | type[Delta] | str] = (),
        dispatch: int = 1,
        stack: int | str = "auto",
        device: str = "cpu",
        config: Mapping[str, Any] | None = None,
        ledger: str | None = None,
    ) -> System:
        """Make a new run directory.

        Args:
            directory: where; it must not hold a system. A URL such as `s3://bucket/run` is a folder on any
                filesystem that fsspec knows: see `pathways.mirror.Mirror`.
            seed: all randomness of the run derives from it.
            root: what first paths are built on: the name of a shipped root (`omniglot`) or a folder with one, a
                headless path of `Init` drafts (from scratch), a trained network that was split into modules
                (`pathways.pretrained`), or `None`. Several by name (`{"image": ..., "audio": ...}`) are for tasks of
                different inputs: each task builds on the first that reads what it has.
            training: default hyperparameters and budget.
            families: module families that are not built in: classes, or the names of installed packages that offer
                some (`pathways.entry_points`).
            dispatch: candidates that are sent to a worker and committed together; part of the run, so that
                results never depend on the number of workers.
            stack: the most candidates that train as one program; 1 trains each by itself, `auto` takes the size that
                was fastest when this machine was calibrated. Results with and without stacks agree to rounding.
            device: what the run's trainers compute on: `cpu`, `cuda` or `cuda:N`, or `auto`, which is resolved now.
                Engines that learn must compute on the same kind; without one, `learn` trains there.
            config: kept as `config.yaml`.
            ledger: the URL of an empty database, such as `postgresql://USER@HOST/DATABASE`, where the ledger is kept,
                for several drivers on several hosts; in the run directory when not given. The run keeps it without
                password.

        Raises:
            PathwaysError: the directory holds a system already, or the device is not here.
            LedgerError: the database cannot be reached, or holds the ledger of another run.
        """
        from .create import create_system, create_there

        known = Families(classes(families))
        settings = (seed, root, training or Training(), known, dispatch, stack, dict(config or {}), device, ledger)
        if is_url(directory):
            create_there(str(directory), *settings)
        else:
            create_system(FilePath(directory), *settings)
        return cls.open(directory, families=families, ledger=ledger)

    @classmethod
    def open(
        cls,
        directory: str | FilePath,
        *,
        families: Iterable[type[Module] | type[Delta] | str] = (),
        ledger: str | None = None,
    ) -> System:
        """Open a run directory.

        Args:
            directory: a directory or URL made by `create`. Of a URL the manifests are pulled now, blobs when they
                are used.
            families: the module families its paths use that are not built in, as in `create`; names found in files
                are looked up among these and the built-in ones only.
            ledger: the URL of the database that the run was made with, such as one with a password; else what the
                environment variable `PATHWAYS_LEDGER` says, else as `system.json` has it.

        A task whose manifest cannot be read does not keep the others from being used: `damaged` names it,
        `verify` reports it, and nothing is learned or collected until it is restored or forgotten.

        Raises:
            PathwaysError: there is no system, or its `system.json` is not valid; the message names file and key.
        """
        (found, mirror), known = opened(directory), Families(classes(families))
        return cls(found, manifest.read_system(found, known), known, ledger, mirror)

    # -- what it is ---------------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> str:
        """A hash over task names, paths and blob ids, without times: equal for equal systems.

        Raises:
            PathwaysError: a task's manifest is damaged.
        """
        self.refuse_damaged()
        return fingerprint_of((name, brief.sketch.path, brief.sizes) for name, brief in self.briefs.items())

    def damaged(self) -> dict[str, str]:
        """Tasks whose manifest cannot be read, or is gone though the ledger knows them, each with what is wrong."""
        return upkeep.damaged(self)

    def refuse_damaged(self, but: str = "") -> None:
        """Raise a `PathwaysError` where a task, other than `but`, is damaged."""
        upkeep.refuse_damaged(self, but)

    def collect(self) -> None:
        """Delete what nothing needs, unless another process is learning: what it needs is not known here.

        This looks at every file of the pool; `learn` ends by deleting what its own search has left.
        """
        with self.driving():
            upkeep.collect(self)

    def reachable(self) -> set[str]:
        """The blobs that must be kept: those of champions, of the root, and what controls carry from task to task."""
        return upkeep.reachable(self)

    # -- learning -----------------------------------------------------------------------------------------

    def learn(
        self,
        task: Task | Sequence[Task],
        strategy: Strategy,
        engine: Engine | None = None,
        *,
        progress: Progress | None = None,
    ) -> Champion | list[Champion]:
        """Learn a task, or several tasks jointly, and freeze the best path.

        Args:
            task: a task, or a list of tasks that one search learns together.
            strategy: what decides which candidates are tried, such as `pathways.evolve.MuNet()`.
            engine: where they are trained; in this process when not given.
            progress: called with a `pathways.progress.Event` after each result.

        Returns:
            The champion, or one for each task of a list.

        Raises:
            DataError: a task of this name, or with the same data, was learned already (`KnownError`).
            PathwaysError: no candidate could be trained.
            HeldError: another process is learning the task, or has taken it over as this one was silent.
        """
        from .freeze import freeze
        from .logger import report_ends
        from .search import refuse_known

        tasks = [task] if isinstance(task, Task) else list(task)
        self.refresh()
        self.refuse_damaged()
        refuse_known(self, tasks)
        names = [t.name for t in tasks]
        with self.leased(names):
            self.refresh()
            refuse_known(self, tasks)  # by a process that has just let it go
            self.ledger.remember(names)
            for _, winner in self.search([tasks], strategy, engine, progress, leases=names):
                freeze(self, tasks, strategy, winner)
            report_ends(self, names, progress)
            upkeep.tidy(self, names)
        learned = [self.records[t.name].champion for t in tasks]
        return learned[0] if isinstance(task, Task) else learned

    def learn_at_once(
        self,
        tasks: Sequence[Task | Sequence[Task]],
        strategy: Strategy,
        engine: Engine | None = None,
        *,
        progress: Progress | None = None,
    ) -> list[Champion]:
        """Learn several tasks at the same time that do not need each other's results, each by a search of its own.

        The searches go side by side on one engine. Each sees the champions from before, none of the others'. When all
        have ended their winners are frozen in the order given, so the result does not depend on who was first.

        Args:
            tasks: each a task, or a list of tasks that one search learns jointly. Those that a run which was killed
                between two freezes had frozen already are named again, and stay as they are.
            strategy: as in `learn`.
            engine: as in `learn`.
            progress: as in `learn`.

        Returns:
            The champions, one after another.

        Raises:
            DataError: all of the tasks were learned already, or one with the same data.
            PathwaysError: no candidate of a search could be trained; then none of the tasks is learned.
            LedgerError: another process is learning one of the tasks.
        """
        from .at_once import learn_at_once

        groups = [[task] if isinstance(task, Task) else list(task) for task in tasks]
        learn_at_once(self, groups, strategy, engine, progress)
        return [self.records[task.name].champion for group in groups for task in group]

    def compare(
        self,
        tasks: Sequence[Task],
        strategy: Strategy,
        engine: Engine | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        """Run a control on tasks: its winners are measured on test data and recorded, not frozen into the system.

        Args:
            tasks: in the order of the stream.
            strategy: the control, such as `pathways.evolve.Independent()`.
            engine: as in `learn`.
            progress: as in `learn`.
        """
        from .compare import compare

        with self.driving():
            compare(self, tasks, strategy, engine, progress)

    def attach(self, tasks: Iterable[Task]) -> None:
        """Make the data of learned tasks known again after opening, so that later learning re-measures them.

        Raises:
            DataError: a task's data is not what the champion was trained on; the message names it.
        """
        from .freeze import remeasure
        from .search import refuse_changed

        for task in tasks:
            refuse_changed(self, task)
            self.tasks[task.name] = task
        if self.tasks.keys() & self.briefs.keys() - set(self.ledger.learned()):
            with self.driving():
                remeasure(self)  # a run that was killed between freezing and measuring lacks a row

    def search(
        self,
        groups: Sequence[Sequence[Task]],
        strategy: Strategy,
        engine: Engine | None = None,
        progress: Progress | None = None,
        memory: Any = None,
        leases: Sequence[str] = (),
    ) -> Iterator[tuple[Sequence[Task], Winner]]:
        """Run one search for each group of tasks, side by side, and give each winner as its search ends.

        `learn` and `compare` are made of this; it neither freezes nor records winners.

        Args:
            groups: the tasks of each search.
            strategy: as in `learn`.
            engine: as in `learn`.
            progress: as in `learn`.
            memory: handed to the searches' views.
            leases: names of the leases that are renewed meanwhile.
        """
        from .search import search

        return search(self, groups, strategy, engine, progress, memory, leases)

    def leased(self, names: Sequence[str]) -> AbstractContextManager[None]:
        """Be the only process that learns these tasks."""
        return upkeep.leased(self, names)

    # -- using --------------------------------------------------------------------------------------------

    def module(self, task: str) -> PathModule:
        """The champion of a task as a plain `torch.nn.Module`, in evaluation mode.

        It maps inputs as their ports say (after the record's `transform`: uint8 images scaled, say) to scores
        before the softmax, or to values. `predict` and `export` take stored inputs and transform them.
        """
        from .assemble import PathModule

        record = self._record(task)

        def weights(ref: ModuleRef) -> Mapping[str, Tensor]:
            if isinstance(ref, Draft):
                raise PathwaysError(
                    f"the champion of task {task!r} holds a draft, {ref.name!r}: its manifest was edited."
                )
            return self.pool.get(ref.id)

        return PathModule(record.champion.path, weights, self.families).eval()

    def predict(self, task: str, inputs: Value | Mapping[str, Value]) -> Tensor:
        """Predict with a task's champion.

        Args:
            task: its name.
            inputs: stored values (such as uint8 images) with a batch axis, by input name or alone where there
                is one input; arrays are accepted too. The task's transform is applied.

        Returns:
            (batch, classes) probabilities, or (batch, values).
        """
        from .predict import predict

        return predict(self, task, inputs)

    def verify(self) -> VerifyReport:
        """Re-hash every blob and replay every probe, bit for bit.

        Raises:
            ForgettingError: something is not what it was; `differs` lists task, module and what.
        """
        from .verify import verify

        return verify(self)

    def graph(self) -> nx.MultiDiGraph:
        """The path graph: inputs, modules and heads; an edge for each read, labelled by task."""
        from .graph import path_graph

        return path_graph(self)

    def summary(self) -> dict[str, Any]:
        """What `pathways show --json` prints."""
        from .summary import summarise

        return summarise(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .notebook import system_html

        return system_html(self)

    def cite(self) -> str:
        """BibTeX of the methods, data and software that it used, as `pathways cite` prints it."""
        from .citing import cite

        return cite(self)

    def export(self, task: str, format: str, out: str | FilePath) -> FilePath:
        """Write one task's path, alone; a program is checked against the champion on stored samples.

        Args:
            task: its name.
            format: `pt2` (torch.export), `safetensors`, `onnx`, or `root` (headless, for new systems).
            out: the file, or for `root` the folder.

        Returns:
            `out`.
        """
        from .export import export

        return export(self, task, format, FilePath(out)).file

    def forget(self, task: str) -> None:
        """Remove a task: its manifest, probes, ledger rows, and the blobs that only it uses.

        All others verify unchanged.
        """
        from .forget import forget

        forget(self, task)

    def _record(self, task: str) -> TaskRecord:
        if task not in self.records:
            if task in self.damaged():
                raise PathwaysError(f"task {task!r} is damaged: {self.damaged()[task]}.")
            near = did_you_mean(task, self.records, ".")
            raise PathwaysError(f"`task` must be one that was learned, {list(self.records)}, found {task!r}{near}")
        return self.records[task]


__all__ = ["Frozen", "System"]

"""The ledger: the record of every candidate that was tried, in SQL."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update

from . import leases
from .candidate import Candidate, Result
from .errors import LedgerError
from .ledger_link import repeated
from .ledger_log import Line, forget_log, keep_log, read_log
from .ledger_owned import Owned
from .ledger_readings import forget_readings, keep_readings, with_readings
from .ledger_rows import (
    SYSTEM,
    Cost,
    Evaluation,
    Row,
    candidate_values,
    carried_on,
    evaluation_of,
    finite,
    result_of,
    row_of,
)
from .ledger_sql import (
    begun,
    blobs_tried,
    chosen,
    chunks,
    keeping,
    lost_among,
    note,
    note_begun,
    paid_for,
    upsert,
    where,
)
from .ledger_tables import candidates, controls, evaluations, meta, tried

Pairs = Sequence[tuple[Candidate, Result]]

_FORGOTTEN = "forgotten:"


class Ledger(Owned):
    """Candidates, results, evaluations, controls and leases of a run. Every write is one transaction.

    In a server database all of it may be done again: a connection that is lost is made anew, and what was under way
    is repeated, since it leaves what is recorded already as it is.

    Args:
        url_or_path: a SQLite file (made where it does not exist), or the URL of another database.

    Raises:
        LedgerError: it cannot be opened, is no ledger, or has another format.

    Example:
        >>> import tempfile, pathlib
        >>> from pathways.ledger import Ledger
        >>> with Ledger(pathlib.Path(tempfile.mkdtemp()) / "ledger.db") as ledger:
        ...     ledger.record_evaluation("munet", "a", "a", "test", "accuracy", 0.9, n=100)
        ...     ledger.evaluations("munet")[0].value
        0.9
    """

    # -- candidates ---------------------------------------------------------------------------------------

    @repeated
    def known(self, hashes: Iterable[str]) -> dict[str, Result]:
        """The results of those candidates that were tried already, by candidate hash."""
        with self._transaction() as connection:
            found = chosen(connection, candidates, candidates.c.keys(), hashes)
            return with_readings(connection, {row["hash"]: result_of(row) for row in found if not row["lost"]})

    @repeated
    def candidate(self, hash: str) -> Candidate:
        """The whole candidate of that hash, as first asked for; a `LedgerError` where there is none."""
        with self._transaction() as connection:
            query = select(candidates.c.candidate).where(candidates.c.hash == hash)
            data = connection.execute(query).scalar()
        if data is None:
            raise LedgerError(f"`hash` must be of a candidate in {self.where}, found {hash!r}: `rows()` lists them.")
        return Candidate.from_json(data)

    @repeated
    def commit(
        self, strategy: str, tasks: Sequence[str], dispatch: int, pairs: Pairs, log: Sequence[Line] = ()
    ) -> None:
        """Record a dispatch in one transaction; what is recorded already stays as it is and counts once.

        Args:
            strategy: who asked.
            tasks: the tasks it is learning.
            dispatch: the dispatch's number.
            pairs: each candidate with its result.
            log: lines of its search's log, where it is one without rounds, kept in the same transaction.

        Raises:
            LedgerError: a result belongs to another candidate, or labels are not plain data.
        """
        for candidate, result in pairs:
            if result.candidate != candidate.hash:
                raise LedgerError(
                    f"`pairs` must hold each candidate with its own result, found candidate {candidate.hash} "
                    f"with the result of {result.candidate}."
                )
        asked = [candidate for candidate, _ in pairs]
        now = time.time()

        with self._transaction(write=True) as connection:
            lost = lost_among(connection, asked)
            new = {c.hash: candidate_values(c, r, dispatch, now) for c, r in pairs if lost.get(c.hash, True)}
            if fresh := [values for hash, values in new.items() if hash not in lost]:
                connection.execute(insert(candidates), fresh)
            for hash in new.keys() & lost.keys():
                connection.execute(update(candidates).where(candidates.c.hash == hash).values(**new[hash]))
            keep_readings(connection, pairs, new)
            note(connection, strategy, tasks, asked, new)
            keep_log(connection, tasks, log)

    @repeated
    def reuse(self, strategy: str, tasks: Sequence[str], pairs: Pairs, log: Sequence[Line] = ()) -> None:
        """Note that a strategy asked for candidates whose results were known: they cost it nothing.

        What the same strategy had trained for the same task (a resumed run) stays noted as trained. `log` as in
        `commit`.
        """
        asked = [candidate for candidate, _ in pairs]

        with self._transaction(write=True) as connection:
            lost = lost_among(connection, asked)
            for candidate in asked:
                if lost.get(candidate.hash, True):
                    raise LedgerError(f"`pairs` must be in the ledger, found {candidate.hash} which is not: commit it.")
            note(connection, strategy, tasks, asked, ())
            keep_log(connection, tasks, log)

    @repeated
    def log(self, search: str) -> list[Line]:
        """What a search without rounds asked and was told, in that order; empty where nothing is kept of it."""
        with self._transaction() as connection:
            return read_log(connection, search)

    @repeated
    def drop(self, hashes: Iterable[str]) -> None:
        """Strike out candidates whose blobs are lost: no longer `known`, they are trained again if asked for.

        `rows` and `costs` still tell of them: who tried them did so, and paid for it.
        """
        with self._transaction(write=True) as connection:
            for some in chunks(hashes):
                connection.execute(update(candidates).where(candidates.c.hash.in_(some)).values(lost=True))

    @repeated
    def rows(self, task: str | None = None, strategy: str | None = None) -> list[Row]:
        """What was tried (for `task`, by `strategy`), in commit order; a joint candidate is one row."""
        query = (
            select(*tried.c["strategy", "number", "labels", "reused"], candidates)
            .join_from(tried, candidates)
            .where(*where(tried, task=task, strategy=strategy))
            .order_by(candidates.c.id, tried.c.id)
        )
        with self._transaction() as connection:
            found: dict[tuple[str, str], Row] = {}
            for row in connection.execute(query).mappings():
                key = (row["strategy"], row["hash"])
                if key not in found:
                    found[key] = row_of(dict(row))
            return list(found.values())

    @repeated
    def costs(self, task: str | None = None) -> dict[str, Cost]:
        """What each strategy paid, for `task` or in all; the tasks of a joint candidate share its cost."""
        query = paid_for().where(*where(tried, task=task))
        with self._transaction() as connection:
            return {name: Cost(*cost) for name, *cost in connection.execute(query)}

    @repeated
    def costs_by_task(self) -> dict[str, dict[str, Cost]]:
        """What `costs` gives for each task, by its name."""
        with self._transaction() as connection:
            found: dict[str, dict[str, Cost]] = {}
            for task, name, *cost in connection.execute(paid_for(tried.c.task)):
                found.setdefault(task, {})[name] = Cost(*cost)
            return found

    @repeated
    def trained_alone(self) -> dict[str, int]:
        """How many candidates were trained by themselves, by why; under an empty reason those that were stacked."""
        why = case((candidates.c.stack > 1, ""), else_=candidates.c.alone).label("why")
        query = select(why, func.count()).group_by(why).order_by(func.count().desc(), why)
        with self._transaction() as connection:
            return {reason: count for reason, count in connection.execute(query)}

    # -- evaluations and controls -------------------------------------------------------------------------

    @repeated
    def record_evaluation(
        self, strategy: str, after: str, task: str, split: str, metric: str, value: float, n: int
    ) -> None:
        """Record a metric of `task` as it is once `after` was learned; replaces an earlier record.

        Args:
            strategy: whose network it is.
            after: the task learned last; `""` before any.
            task: the task it was measured on.
            split: `test` or `validation`.
            metric: its name.
            value: in the metric's own unit.
            n: on how many samples.
        """
        key = {"strategy": strategy, "after": after, "task": task, "split": split}
        with self._transaction(write=True) as connection:
            upsert(connection, evaluations, key, {"metric": metric, "value": finite(value), "n": n})

    @repeated
    def record_learned(self, learned: Sequence[Evaluation]) -> None:
        """Record what champions reach on their own tasks, in the order learned, in one transaction.

        They are frozen, so that each counts for all later tasks too: see `evaluations`. What was recorded of one of
        them is replaced, and with it its place in the order.
        """
        with self._transaction(write=True) as connection:
            for e in learned:
                own = where(evaluations, strategy=SYSTEM, after=e.task, task=e.task, split=e.split)
                connection.execute(delete(evaluations).where(*own))
                connection.execute(insert(evaluations).values(**{**vars(e), "value": finite(e.value)}))

    @repeated
    def evaluations(self, strategy: str | None = None, *, carried: bool = True) -> list[Evaluation]:
        """The evaluations (of `strategy`), in the order first recorded; NaN where a metric was not finite.

        Args:
            strategy: whose; everybody's when not given.
            carried: whether those of the system hold, beside what was measured when a task was learned, the same
                value after each later task: its champion is the same path of the same blobs, which give the same
                outputs. There are as many of these as pairs of tasks.
        """
        query = select(evaluations).where(*where(evaluations, strategy=strategy)).order_by(evaluations.c.id)
        with self._transaction() as connection:
            found = [evaluation_of(dict(row)) for row in connection.execute(query).mappings()]
        return carried_on(found, SYSTEM) if carried else found

    @repeated
    def learned(self) -> list[str]:
        """The tasks that the system had learned when it was last measured, in order."""
        first = func.min(evaluations.c.id)
        query = (
            select(evaluations.c.after)
            .where(*where(evaluations, strategy=SYSTEM), evaluations.c.after != "")
            .group_by(evaluations.c.after)
            .order_by(first)
        )
        with self._transaction() as connection:
            return list(connection.execute(query).scalars())

    @repeated
    def record_control(self, strategy: str, task: str, data: dict[str, Any]) -> None:
        """Record what came of a control on `task`, as plain data; replaces an earlier record."""
        with self._transaction(write=True) as connection:
            upsert(connection, controls, {"strategy": strategy, "task": task}, {"data": data})

    def control(self, strategy: str, task: str) -> dict[str, Any] | None:
        """What was recorded of a control on `task`; `None` where nothing was."""
        return self.controls().get((strategy, task))

    @repeated
    def controls(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All controls, by (strategy, task), in the order they were first recorded."""
        with self._transaction() as connection:
            found = connection.execute(select(controls).order_by(controls.c.id)).mappings()
            return {(row["strategy"], row["task"]): row["data"] for row in found}

    @repeated
    def keeps(self) -> list[Any]:
        """The paths, as plain data, whose blobs controls carry on from task to task."""
        with self._transaction() as connection:
            found = connection.execute(select(controls.c.data).where(keeping()).order_by(controls.c.id)).scalars()
            return [path for data in found for path in data.get("keeps", ())]

    # -- leases, forgetting -------------------------------------------------------------------------------

    @repeated
    def lease(self, task: str, owner: str, seconds: float) -> None:
        """Become the one writer of `task` for `seconds`.

        The lease of a process that is gone, or silent for longer than its lease, is taken over.

        Raises:
            LedgerError: a live process holds it; the message names it and says for how long.
        """
        with self._transaction(write=True) as connection:
            leases.acquire(connection, task, owner, seconds)

    @repeated
    def renew(self, task: str, owner: str, seconds: float) -> None:
        """Hold the lease for `seconds` from now; a `LedgerError` where another process has taken it over."""
        with self._transaction(write=True) as connection:
            leases.renew(connection, task, owner, seconds)

    @repeated
    def release(self, task: str, owner: str) -> None:
        """Give the lease back; nothing happens where `owner` does not hold it."""
        with self._transaction(write=True) as connection:
            leases.release(connection, task, owner)

    @repeated
    def leased(self, except_by: str) -> list[str]:
        """The tasks that live processes other than the owner `except_by` hold."""
        with self._transaction() as connection:
            return leases.held_by_others(connection, except_by)

    @repeated
    def forgotten(self, tasks: Iterable[str]) -> set[str]:
        """Which of the tasks were forgotten on request and are not to be learned again."""
        keys = {_forgotten(task): task for task in tasks}
        with self._transaction() as connection:
            query = select(meta.c.key).where(meta.c.key.startswith(_FORGOTTEN, autoescape=True))
            return {keys[key] for key in connection.execute(query).scalars() if key in keys}

    @repeated
    def remember(self, tasks: Sequence[str]) -> None:
        """Note that tasks are to be learned, whether they were forgotten before or not."""
        with self._transaction(write=True) as connection:
            connection.execute(delete(meta).where(meta.c.key.in_([_forgotten(task) for task in tasks])))
            note_begun(connection, tasks)

    # -- what searches leave ------------------------------------------------------------------------------

    @repeated
    def begin(self, searches: Sequence[str]) -> None:
        """Note that searches of these names begin, which will leave blobs that nothing needs."""
        with self._transaction(write=True) as connection:
            note_begun(connection, searches)

    @repeated
    def unswept(self) -> dict[str, bool]:
        """Keys of the searches (`key_of_search`) that began and whose blobs were not collected since.

        With each stands whether it was cut short and began again: then there may be blobs that are not in the ledger.
        """
        with self._transaction() as connection:
            return begun(connection)

    @repeated
    def swept(self, searches: Iterable[str]) -> None:
        """Note that what searches have left is collected, by their keys."""
        with self._transaction(write=True) as connection:
            for some in chunks(searches):
                connection.execute(delete(meta).where(meta.c.key.in_(some)))

    @repeated
    def blobs_of(self, tasks: Sequence[str]) -> set[str]:
        """The blobs of all candidates that were tried for these tasks, optimizer states among them."""
        with self._transaction() as connection:
            return blobs_tried(connection, tasks)

    @repeated
    def forget(self, task: str) -> None:
        """Remove a task: what was tried for it, its evaluations (of it and after it) and its controls.

        A candidate that trained it together with other tasks is one experiment: its record stays whole while
        one of them is left, no longer listed under this task, and goes with the last of them. Leases stay.
        That the task was forgotten is kept, as a hash of its name, until it is learned anew.
        """
        with self._transaction(write=True) as connection:
            connection.execute(delete(meta).where(meta.c.key == _forgotten(task)))
            connection.execute(insert(meta).values(key=_forgotten(task), value="1"))
            connection.execute(delete(tried).where(tried.c.task == task))
            left = select(tried.c.hash).where(tried.c.hash == candidates.c.hash).exists()
            connection.execute(delete(candidates).where(~left))
            forget_readings(connection)
            forget_log(connection, task)
            about = (evaluations.c.task == task) | (evaluations.c.after == task)
            connection.execute(delete(evaluations).where(about))
            connection.execute(delete(controls).where(controls.c.task == task))


def _forgotten(task: str) -> str:
    """The key under which it stands that a task was forgotten: not its name, which is forgotten too."""
    return _FORGOTTEN + hashlib.sha256(task.encode()).hexdigest()[:40]

"""The loop that learns: ask, look up, train, commit, tell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from pathways.modules import BUILT_IN, Families

from . import stack_plan
from .candidate import Candidate, Result
from .devices import kind_of
from .engine import Answer, Dispatch, Engine, busy_of, ready_of
from .errors import PathwaysError
from .ledger_rows import Trained
from .logger import Loggers
from .paces import IN_FLIGHT, Pace, Rounds, Steady
from .progress import Event, Progress
from .strategy import Search, SteadySearch, Winner
from .whose_turn import Turns

if TYPE_CHECKING:
    from .ledger import Ledger
    from .pool import Pool
    from .trace_file import Trace

TOGETHER = 64
"""The most dispatches that are committed in one transaction: what is not committed when the driver dies is lost."""

More = Callable[[], Sequence[tuple["Work", Sequence[Candidate]]]]
_numbers = count()  # of dispatches in this process: an answer that an interrupted search left behind is not mistaken


@dataclass
class Work:
    """A search and what is known of it.

    Args:
        search: what asks and is told.
        strategy: its name, for the ledger.
        tasks: names of the tasks it learns.
        log: under which name the order of its asks and answers is kept, where it is worked off steadily, without
            rounds; in rounds where empty.
    """

    search: Search
    strategy: str
    tasks: tuple[str, ...]
    log: str = ""
    tried: int = 0
    best: float = float("-inf")
    failures: set[str] = field(default_factory=set)
    failed: int = 0
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Rounds(self.search)

    def see(self, result: Result) -> Event:
        """Take a result; returns where the search stands."""
        self.tried += 1
        self.best = max(self.best, result.quality) if result.ok else self.best
        self.failures |= {result.failure} if result.failure else set()
        self.failed += bool(result.failure)
        best = self.best if self.best > float("-inf") else None
        return Event("+".join(self.tasks), self.strategy, self.tried, best=best, failed=self.failed)

    def winner(self) -> Winner:
        """The best path found; a `PathwaysError` says why there is none."""
        winner = self.search.best()
        if winner is None:
            none = "races stopped them all" if self.tried else "it asked for no candidate"
            reasons = "; ".join(sorted(self.failures)[:3]) or none
            raise PathwaysError(
                f"strategy `{self.strategy}` found no path for {', '.join(map(repr, self.tasks))} "
                f"in {self.tried} candidates: {reasons}."
            )
        return winner


@dataclass(frozen=True)
class Bench:
    """Where searches are worked off.

    Args:
        ledger, pool, engine: where candidates are recorded, blobs are kept, trainers run.
        dispatch: candidates sent and committed together that do not stack.
        stack: the most candidates of a stack; 1 trains all one by one.
        families: the families that specs may name.
        device: what the engine's trainers compute on: families say on which kind of device stacking pays.
        alive: called before each round, to renew leases.
        progress: called with an `Event` after each result.
        trace: takes what was done when, where that is wanted.
        loggers: take the numbers of each candidate that is trained, once it is committed.
    """

    ledger: Ledger
    pool: Pool
    engine: Engine
    dispatch: int = 1
    stack: int = 1
    families: Families = BUILT_IN
    device: str = "cpu"
    alive: Callable[[], None] = lambda: None
    progress: Progress = lambda event: None
    trace: Trace | None = None
    loggers: Loggers = field(default_factory=Loggers)


def run_searches(works: Sequence[Work], bench: Bench) -> Iterator[tuple[Work, Winner]]:
    """Run searches side by side to their ends, and give each with its winner, in the order of `works`.

    None waits for another. Every candidate is looked up in the ledger before it is trained, so a resumed search runs
    through its committed part and goes on where the record ends; one without rounds does so by its log.

    Raises:
        LedgerError: a search without rounds does not ask again for what its log says.
        PathwaysError: no candidate of a search could be trained; the message says why each failed.
    """
    for work in works:
        _begin(work, bench)
    turns = Turns([work.pace for work in works])
    places = {id(work): place for place, work in enumerate(works)}

    def more() -> list[tuple[Work, list[Candidate]]]:
        asked = turns.ask(lambda running: -(-IN_FLIGHT * bench.engine.workers // max(1, running)) * bench.dispatch)
        if turns.renewed():
            bench.alive()
            if bench.trace is not None:
                bench.trace.flush()
        return [(works[place], candidates) for place, candidates in asked]

    left = deque(works)
    for work, result in try_all((), bench, more):
        if work.pace.take(result):
            bench.progress(replace(work.see(result), busy=busy_of(bench.engine), workers=bench.engine.workers))
        turns.told(places[id(work)])
        while left and left[0].pace.ended:
            yield left[0], left.popleft().winner()
    for work in left:
        yield work, work.winner()


def _begin(work: Work, bench: Bench) -> None:
    """Set a search on its pace; one without rounds goes through its log first."""
    search = work.search
    if not work.log or not isinstance(search, SteadySearch):
        return
    steady = Steady(search, work.log)
    told: list[tuple[Candidate, Result]] = []

    def known(candidate: Candidate, together: Sequence[Candidate]) -> Result:
        result = _whole(bench, {candidate.hash: candidate}).get(candidate.hash)
        if result is None:  # made again with those it was planned with, so that it gets the same bytes
            again = {found.candidate: found for _, found in try_all([(work, together)], bench)}
            result = again[candidate.hash]
        told.append((candidate, result))
        bench.progress(work.see(result))
        return result

    steady.replay(bench.ledger.log(work.log), known)
    if told:
        bench.ledger.reuse(work.strategy, work.tasks, told)
    work.pace = steady


def try_all(
    asked: Sequence[tuple[Work, Sequence[Candidate]]], bench: Bench, more: More = lambda: (),
) -> Iterator[tuple[Work, Result]]:
    """Each distinct candidate's result, from the ledger or from a trainer, as they come.

    Dispatches are committed whole, in one transaction with others that came back by then.

    Args:
        asked: what to try: those of one entry are planned together, as stacks.
        bench: where.
        more: called after each answer, when its results are given: what else to try.
    """
    sent: dict[int, tuple[Work, Mapping[str, str]]] = {}
    under_way: dict[str, list[tuple[Work, Candidate]]] = {}  # by hash, with the other searches that wait for it
    asked = asked or more()
    while asked or sent:
        for work, candidates in asked:
            distinct = {candidate.hash: candidate for candidate in candidates}
            for key in under_way.keys() & distinct.keys():
                under_way[key].append((work, distinct[key]))
            new = {key: candidate for key, candidate in distinct.items() if key not in under_way}
            known = _whole(bench, new)
            if known:
                pairs = [(distinct[key], result) for key, result in known.items()]
                bench.ledger.reuse(work.strategy, work.tasks, pairs, work.pace.notes(known))
                yield from ((work, result) for result in known.values())
            for dispatch, alone in _dispatches(distinct.values(), {*known, *under_way}, bench):
                sent[dispatch.id] = (work, alone)
                under_way |= {candidate.hash: [] for candidate in dispatch.candidates}
                bench.pool.ensure(blob for candidate in dispatch.candidates for blob in candidate.blobs())
                bench.engine.submit(dispatch)
        asked = more()
        if asked or not sent:
            continue
        done = _committed(sent, bench)
        for work, pairs in done:
            bench.loggers.candidates(work.strategy, work.tasks, pairs, work.tried)
            yield from ((work, result) for _, result in pairs)
            for _, result in pairs:
                for other, candidate in under_way.pop(result.candidate):
                    if other is not work:
                        notes = other.pace.notes([result.candidate])
                        bench.ledger.reuse(other.strategy, other.tasks, [(candidate, result)], notes)
                        yield other, _named(bench.ledger, candidate, result)
        if not done:
            continue
        asked = more()
    if bench.trace is not None:
        bench.trace.flush()


def _committed(
    sent: dict[int, tuple[Work, Mapping[str, str]]], bench: Bench
) -> list[tuple[Work, list[tuple[Candidate, Result]]]]:
    """Wait for an answer; commit it in one transaction with those that are there beside it, and give them.

    A driver that cannot keep up with its workers finds many, and spends less on each.
    """
    found: list[tuple[Answer, Work, list[tuple[Candidate, Result]]]] = []
    trained: list[Trained] = []
    answer = bench.engine.next()
    if answer is None:
        raise PathwaysError(f"the engine lost {len(sent)} dispatches: run `pathways resume`.")
    while answer is not None:
        if answer.dispatch.id in sent:
            work, alone = sent.pop(answer.dispatch.id)
            results = [replace(r, alone=alone.get(r.candidate, r.alone)) for r in answer.results]
            pairs = list(zip(answer.dispatch.candidates, results, strict=True))
            notes = work.pace.notes([result.candidate for result in results])
            trained.append(Trained(work.strategy, work.tasks, answer.dispatch.id, pairs, notes))
            found.append((answer, work, pairs))
        answer = bench.engine.next() if ready_of(bench.engine) and len(found) < TOGETHER else None
    began = time.time()
    if trained:
        bench.ledger.commit_all(trained)
    each = (time.time() - began) / max(1, len(found))
    if bench.trace is not None:
        for i, (answer, work, pairs) in enumerate(found):
            results = [result for _, result in pairs]
            bench.trace.add(answer, results, work.strategy, work.tasks, (began + i * each, each))
    return [(work, pairs) for _, work, pairs in found]


def _dispatches(
    candidates: Iterable[Candidate], known: Container[str], bench: Bench
) -> Iterator[tuple[Dispatch, Mapping[str, str]]]:
    """What is sent for a generation without what is known: its stacks, those that train data-parallel, the rest.

    The rest goes by `dispatch`.

    Beside each dispatch stands why its candidates train alone, by hash.
    """
    plan = stack_plan.plan(candidates, bench.stack, bench.families, kind_of(bench.device))
    for group in plan.stacks:
        if missing := tuple(candidate for candidate in group.candidates if candidate.hash not in known):
            yield Dispatch(next(_numbers), missing, True, group.slots), {}
    left = [(candidate, why) for candidate, why in plan.alone if candidate.hash not in known]
    for candidate, why in left:
        if candidate.workers > 1:  # its trainers are its own
            yield Dispatch(next(_numbers), (candidate,)), {candidate.hash: why}
    rest = [(candidate, why) for candidate, why in left if candidate.workers == 1]
    for start in range(0, len(rest), bench.dispatch):
        some = rest[start : start + bench.dispatch]
        yield Dispatch(next(_numbers), tuple(c for c, _ in some)), {c.hash: why for c, why in some}


def _whole(bench: Bench, distinct: Mapping[str, Candidate]) -> dict[str, Result]:
    """The results the ledger knows, without those whose blobs are gone: these are trained again, to the same bytes.

    Another asker may want more blobs of a candidate than were kept: it is trained again, too.
    """
    known = bench.ledger.known(list(distinct))
    bench.pool.ensure(blob for r in known.values() for blob in (*r.blobs.values(), *r.optimizers.values()))
    lost = [
        key for key, result in known.items()
        if not all(map(bench.pool.intact, [*result.blobs.values(), *result.optimizers.values()]))
        or (distinct[key].keep == "all" and result.ok and len(result.blobs) < len(distinct[key].drafts()))
    ]  # fmt: skip
    if lost:
        bench.ledger.drop(lost)
    return {key: _named(bench.ledger, distinct[key], result) for key, result in known.items() if key not in lost}


def _named(ledger: Ledger, candidate: Candidate, result: Result) -> Result:
    """The result with its blobs under this candidate's draft names: equal candidates may name drafts otherwise."""
    names = list(candidate.drafts())
    if not result.ok or set(result.blobs) <= set(names):
        return result
    new = dict(zip(ledger.candidate(candidate.hash).drafts(), names, strict=True))
    blobs, optimizers = ({new[old]: blob for old, blob in kept.items()} for kept in (result.blobs, result.optimizers))
    return replace(result, blobs=blobs, optimizers=optimizers)

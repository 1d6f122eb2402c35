"""The loop that learns: ask, look up, train, commit, tell."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from pathways.modules import BUILT_IN, Families

from . import stack_plan
from .candidate import Candidate, Result
from .devices import kind_of
from .engine import Dispatch, Engine
from .errors import PathwaysError
from .progress import Event, Progress
from .strategy import Search, Winner

if TYPE_CHECKING:
    from .ledger import Ledger
    from .pool import Pool

_numbers = count()  # of dispatches in this process: an answer that an interrupted search left behind is not mistaken


@dataclass
class Work:
    """A search and what is known of it.

    Args:
        search: what asks and is told.
        strategy: its name, for the ledger.
        tasks: names of the tasks it learns.
    """

    search: Search
    strategy: str
    tasks: tuple[str, ...]
    tried: int = 0
    best: float = float("-inf")
    failures: set[str] = field(default_factory=set)

    def see(self, result: Result) -> Event:
        """Take a result; returns where the search stands."""
        self.tried += 1
        self.best = max(self.best, result.quality) if result.ok else self.best
        self.failures |= {result.failure} if result.failure else set()
        best = self.best if self.best > float("-inf") else None
        return Event("+".join(self.tasks), self.strategy, self.tried, best=best)

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


def run_searches(works: Sequence[Work], bench: Bench) -> Iterator[tuple[Work, Winner]]:
    """Run searches side by side to their ends, and give each with its winner as it ends.

    Every candidate is looked up in the ledger before it is trained, so a resumed search runs through its
    committed part and goes on where the record ends.

    Raises:
        PathwaysError: no candidate of a search could be trained; the message says why each failed.
    """
    running = list(works)
    while running:
        bench.alive()
        asked = {id(work): work.search.ask() for work in running}
        for work in [work for work in running if not asked[id(work)]]:
            running.remove(work)
            yield work, work.winner()
        results: dict[str, Result] = {}
        for work, result in try_all([(work, asked[id(work)]) for work in running], bench):
            results[result.candidate] = result
            bench.progress(work.see(result))
        for work in running:
            work.search.tell([(candidate, results[candidate.hash]) for candidate in asked[id(work)]])


def try_all(asked: Sequence[tuple[Work, Sequence[Candidate]]], bench: Bench) -> Iterator[tuple[Work, Result]]:
    """Each distinct candidate's result, from the ledger or from a trainer, as they come; one transaction a dispatch."""
    sent: dict[int, tuple[Work, Mapping[str, str]]] = {}
    taken: set[str] = set()
    for work, candidates in asked:
        distinct = {candidate.hash: candidate for candidate in candidates if candidate.hash not in taken}
        taken |= set(distinct)
        known = _whole(bench, distinct)
        if known:
            bench.ledger.reuse(work.strategy, work.tasks, [(distinct[key], result) for key, result in known.items()])
            yield from ((work, result) for result in known.values())
        for dispatch, alone in _dispatches(distinct.values(), known, bench):
            sent[dispatch.id] = (work, alone)
            bench.pool.ensure(blob for candidate in dispatch.candidates for blob in candidate.blobs())
            bench.engine.submit(dispatch)
    while sent:
        answer = bench.engine.next()
        if answer is None:
            raise PathwaysError(f"the engine lost {len(sent)} dispatches: run `pathways resume`.")
        if answer.dispatch.id not in sent:
            continue
        work, alone = sent.pop(answer.dispatch.id)
        results = [replace(r, alone=alone.get(r.candidate, r.alone)) for r in answer.results]
        pairs = list(zip(answer.dispatch.candidates, results, strict=True))
        bench.ledger.commit(work.strategy, work.tasks, answer.dispatch.id, pairs)
        yield from ((work, result) for _, result in pairs)


def _dispatches(
    candidates: Iterable[Candidate], known: Container[str], bench: Bench
) -> Iterator[tuple[Dispatch, Mapping[str, str]]]:
    """What is sent for a generation: its stacks, then the rest by `dispatch`, each without what is known.

    Beside each dispatch stands why its candidates train alone, by hash.
    """
    plan = stack_plan.plan(candidates, bench.stack, bench.families, kind_of(bench.device))
    for group in plan.stacks:
        if missing := tuple(candidate for candidate in group.candidates if candidate.hash not in known):
            yield Dispatch(next(_numbers), missing, True, group.slots), {}
    rest = [(candidate, why) for candidate, why in plan.alone if candidate.hash not in known]
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

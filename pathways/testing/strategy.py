"""The conformance suite of strategies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pathways.candidate import Candidate, Result
from pathways.modules import Draft, Frozen, Warm
from pathways.path import Path
from pathways.strategy import Strategy, View, Winner, optimizers_of
from pathways.task import fits

from .fake import Drive, drive, example_view, failed, fake_result, later_view, sha


class StrategySuite:
    """What every strategy must keep. Inherit it, set `strategy`, and `view` where the default does not fit.

    Attributes:
        strategy: the strategy, with settings that end soon.
        view: what its first search begins with; by default an image classification task and a frozen root.
        limit: the most asks after which a search must have ended.

    Example:
        >>> from pathways.evolve.controls import Independent
        >>> class TestIndependent(StrategySuite):
        ...     strategy = Independent()
        >>> TestIndependent().test_it_ends_with_a_winner()
    """

    strategy: ClassVar[Any]
    view: ClassVar[View] = example_view()
    limit: ClassVar[int] = 2000

    def _drive(self, answer: Any = fake_result) -> Drive:
        return drive(self.strategy, self.view, answer, self.limit)

    def _two_tasks(self) -> list[tuple[View, Drive]]:
        """The first search, and the one that follows it on other tasks."""
        first = self._drive()
        assert first.winner is not None
        view = later_view(self.view, first.winner)
        return [(self.view, first), (view, drive(self.strategy, view, limit=self.limit))]

    def test_settings_are_plain_data(self) -> None:
        """`name` is a name and `to_json` is JSON."""
        strategy: Strategy = self.strategy
        assert strategy.name
        assert _survives_json(strategy.to_json())

    def test_equal_answers_give_equal_questions(self) -> None:
        """A resumed run replays the search from the ledger, so it must ask for the same again."""
        once, again = self._drive(), self._drive()
        assert [c.hash for c in once.candidates] == [c.hash for c in again.candidates]
        assert [c.labels for c in once.candidates] == [c.labels for c in again.candidates]
        assert once.winner == again.winner

    def test_it_ends_with_a_winner(self) -> None:
        """Searches end by asking nothing, again and again, and know their winner."""
        run = self._drive()
        assert run.told
        assert run.winner is not None
        assert run.search.ask() == []

    def test_every_path_is_valid(self) -> None:
        """Each candidate has a path for its tasks, from their inputs to an output of their size."""
        for view, run in self._two_tasks():
            tasks = {task.name: task for task in view.tasks}
            for candidate in run.candidates:
                assert set(candidate.paths) <= set(tasks)
                for name, path in candidate.paths.items():
                    assert dict(path.inputs) == dict(tasks[name].inputs)
                    assert fits(tasks[name].target, path.ports(view.families)[path.output])

    def test_candidates_say_what_they_are(self) -> None:
        """Each carries the run, its tasks' data fingerprints, and labels that are plain data."""
        for view, run in self._two_tasks():
            fingerprints = {task.name: task.fingerprint for task in view.tasks}
            for candidate in run.candidates:
                assert candidate.run == view.run
                assert dict(candidate.data) == {name: fingerprints[name] for name in candidate.paths}
                assert candidate.labels["strategy"] == self.strategy.name
                assert _survives_json(dict(candidate.labels))

    def test_equal_hashes_are_equal_candidates(self) -> None:
        """A candidate that the ledger knows is not trained again: names of drafts must then agree, too."""
        for _, run in self._two_tasks():
            by_hash: dict[str, Candidate] = {}
            for candidate in run.candidates:
                assert by_hash.setdefault(candidate.hash, candidate) == candidate

    def test_it_builds_on_blobs_that_exist(self) -> None:
        """Candidates name blobs of the root, of champions, of memory, or of results told before."""
        for view, run in self._two_tasks():
            known = _known(view)
            told = iter(run.told)
            for candidates in run.asked:
                for candidate in candidates:
                    for path in candidate.paths.values():
                        assert _blobs(path) <= known
                for _, result in (next(told) for _ in candidates):
                    known |= {*result.blobs.values(), *result.optimizers.values()}

    def test_the_winner_is_a_trained_candidate(self) -> None:
        """Its candidate and result were told, its paths hold frozen modules only, all of which exist."""
        for view, run in self._two_tasks():
            winner = run.winner
            assert winner is not None
            assert (winner.candidate, winner.result) in run.told
            assert winner.result.ok
            self._check_winner(winner, view, run)

    def _check_winner(self, winner: Winner, view: View, run: Drive) -> None:
        known = _known(view).union(*(result.blobs.values() for _, result in run.told))
        states = {blob for _, result in run.told for blob in result.optimizers.values()}
        assert set(optimizers_of(winner.extra).values()) <= states | _known(view)
        assert set(winner.paths) == set(winner.candidate.paths)
        for path in [*winner.paths.values(), *winner.revised.values()]:
            assert not path.drafts()
            assert _blobs(path) <= known
            path.ports(view.families)
        assert set(winner.parents) <= {*view.champions, "root"}
        assert _survives_json(dict(winner.extra))
        assert _survives_json(winner.memory)

    def test_failures_are_survived(self) -> None:
        """Where some candidates fail, the winner is one that did not."""
        def every_third(candidate: Candidate) -> Result:
            fails = int(sha(candidate.hash, "fails")[:4], 16) % 3 == 0
            return failed(candidate) if fails else fake_result(candidate)

        run = self._drive(every_third)
        trained = any(result.ok for _, result in run.told)
        assert (run.winner is not None) == trained
        assert run.winner is None or run.winner.result.ok

    def test_what_a_race_stops_never_wins(self) -> None:
        """A strategy that asks for races goes on without those that they stop, whose blobs there are not."""
        def every_third(candidate: Candidate) -> Result:
            stops = candidate.race is not None and int(sha(candidate.hash, "stops")[:4], 16) % 3 == 0
            result = fake_result(candidate)
            return replace(result, stopped=1, blobs={}, optimizers={}) if stops else result

        run = self._drive(every_third)
        assert (run.winner is not None) == any(result.ok for _, result in run.told)
        assert run.winner is None or run.winner.result.ok

    def test_no_winner_where_all_fail(self) -> None:
        """Where every candidate fails, the search ends without a winner."""
        assert self._drive(failed).winner is None


def _survives_json(data: Any) -> bool:
    return bool(json.loads(json.dumps(data, allow_nan=False)) == data)


def _blobs(path: Path) -> set[str]:
    blobs = set()
    for ref in path.refs():
        if isinstance(ref, Frozen):
            blobs.add(ref.id)
        elif isinstance(ref, Draft) and isinstance(ref.start, Warm):
            blobs |= {ref.start.blob, *([ref.start.optimizer] if ref.start.optimizer else [])}
    return blobs


def _known(view: View) -> set[str]:
    """The blobs that exist when a search begins: of the root, of the champions, and what memory names."""
    kept = [champion.blobs() for champion in view.champions.values()]
    return set().union(*kept, _blobs(view.root) if view.root else (), _hashes_in(view.memory))


def _hashes_in(data: Any) -> set[str]:
    if isinstance(data, Mapping):
        return set().union(*map(_hashes_in, data.values()))
    if isinstance(data, (list, tuple)):
        return set().union(*map(_hashes_in, data))
    return {data} if isinstance(data, str) and len(data) == 64 else set()

"""Candidates that train data-parallel, through the loop, the ledger and the command line's configuration."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest
from helpers_tiny import TRAINING, Counting, task_of, tiny_root

from pathways.candidate import Candidate
from pathways.engine import Dispatch
from pathways.evolve import Local, MuNet
from pathways.evolve.controls import Joint
from pathways.experiments.config import read_config
from pathways.system import System

TASKS = [task_of("one"), task_of("two")]


class Watched(Counting):
    """Remembers the dispatches, too."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Dispatch] = []

    def submit(self, dispatch: Dispatch) -> None:
        """Remember the dispatch."""
        self.sent.append(dispatch)
        super().submit(dispatch)


def test_they_are_dispatched_alone_recorded_and_never_trained_again(tmp_path: FilePath) -> None:
    engine, again = Watched(), Watched()
    with System.create(tmp_path / "run", root=tiny_root(), training=TRAINING) as system:
        system.compare(TASKS, Joint(workers=2, repeats=3), engine)
        assert [(len(d.candidates), d.workers, d.stacked) for d in engine.sent] == [(1, 2, False)] * 3
        [first] = engine.sent[0].candidates
        assert isinstance(first, Candidate)
        assert system.ledger.candidate(first.hash).workers == 2
        assert system.ledger.known([first.hash])[first.hash].alone == "it trains data-parallel"
        system.compare(TASKS, Joint(workers=2, repeats=3), again)
    assert not again.trained


@pytest.mark.parametrize("workers", [1, 2])
def test_a_group_learns_the_same_twice_and_in_processes(tmp_path: FilePath, workers: int) -> None:
    found = []
    for name, engine in (("here", None), ("there", Local(workers=1))):
        with System.create(tmp_path / name, root=tiny_root(), training=TRAINING) as system:
            system.learn(TASKS, MuNet(generations=1, children=2, workers=workers), engine)
            found.append(system.fingerprint)
        if engine is not None:
            engine.close()
    assert found[0] == found[1]


def test_configurations_name_it(tmp_path: FilePath) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "name: small\n"
        "root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}\n"
        "tasks: [{source: digits_tasks, groups: [[0, 1], [2, 3]], jointly: true}]\n"
        "strategy: {munet: {generations: 1, children: 2, workers: 2}}\n"
        "controls: [{joint: {workers: 3}}]\n"
    )
    config = read_config(file)
    assert config.strategy.strategy.workers == 2
    assert [control.strategy.workers for control in config.controls] == [3]

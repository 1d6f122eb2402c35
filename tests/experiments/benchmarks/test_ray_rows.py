"""The benchmarks of the Ray engine, on a cluster that is pretended: both sides do the work that they claim."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import torch

from pathways.candidate import Candidate
from pathways.evolve import Ray
from pathways.evolve.far_pool import Lent, lendable
from pathways.experiments.benchmarks import ray_others, ray_rows
from pathways.experiments.benchmarks.pathnet_rows import PATHS, Eager, digits_like, genotypes
from pathways.in_process import InProcess
from pathways.trainer import one_thread

TASK = ray_rows.tiny_task()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Ray:
    """A Ray engine of two workers on a cluster in this process."""
    monkeypatch.syspath_prepend(str(FilePath(__file__).parents[2] / "evolve"))
    from fake_cluster import FakeCluster

    ray = Ray(workers=2, oversubscribe=True)
    ray.cluster = FakeCluster()
    return ray


def test_a_bed_trains_and_records_what_it_is_asked_for(tmp_path: FilePath, engine: Ray) -> None:
    sent = []
    submit = engine.submit
    engine.submit = lambda dispatch: (sent.append(len(dispatch.candidates)), submit(dispatch))[1]  # type: ignore[method-assign]
    with ray_rows.Bed(tmp_path / "run", TASK, 2, engine=engine) as bed:
        candidates = ray_rows.trivial_candidates(TASK, 96, count())
        assert bed.rate(candidates) > 0
        assert 0 < bed.busy[0] <= 1
        assert sent == [64, 32]
        known = bed.system.ledger.known([candidate.hash for candidate in candidates])
        assert len(known) == 96
        assert all(bed.system.pool.intact(blob) for result in known.values() for blob in result.blobs.values())


def test_each_trivial_candidate_is_another() -> None:
    candidates = ray_rows.trivial_candidates(TASK, 8, count())
    assert len({candidate.hash for candidate in candidates}) == 8
    assert not any(candidate.training.steps for candidate in candidates)


def test_a_generation_is_trained_in_one_stack_a_worker(tmp_path: FilePath, engine: Ray) -> None:
    with ray_rows.Bed(tmp_path / "run", digits_like(40, 20), 2, PATHS // 2, engine) as bed:
        generations = ray_rows.Generations(bed, digits_like(40, 20))
        assert generations.rate() > 0
        assert generations.search.generation == 1
        rows = bed.system.ledger.rows()
    assert len(rows) == PATHS
    assert {row.result.stack for row in rows} == {PATHS // 2}


def test_a_family_that_writes_is_found_and_named(tmp_path: FilePath, engine: Ray) -> None:
    assert "wrote to frozen module" in ray_rows.who_wrote(tmp_path, engine)


def test_a_family_that_is_not_found_is_an_error(tmp_path: FilePath) -> None:
    with pytest.raises(RuntimeError, match="must be found and named"):
        ray_rows.who_wrote(tmp_path, InProcess())  # which reads weights from files: nobody shares them


def test_plain_actors_do_the_same_trivial_work(tmp_path: FilePath) -> None:
    x, y = ray_others.arrays(TASK, "validation")
    plain = ray_others.Plain(x, y)
    first, again, other = (plain.trial({"seed": seed}) for seed in (1, 1, 2))
    assert first == again != other
    assert 0 <= first["accuracy"] <= 1


def test_a_plain_path_learns_as_the_eager_one_does() -> None:
    task = digits_like(100, 50)
    paths = ray_others.Paths(*ray_others.arrays(task, "train", "validation"))
    genotype = genotypes()[0]
    start = Eager(genotype).state_dict()
    before = {name: tensor.clone() for name, tensor in start.items()}
    right, accuracy, weights = paths.train(genotype, start, ray_others.orders(0, 30, 16, 100))
    assert right > 240
    assert accuracy > 0.9
    assert all(torch.equal(start[name], before[name]) for name in start)
    assert any(not torch.equal(weights[name], before[name]) for name in start)


def test_a_reader_has_the_tensors_and_lets_go_of_them() -> None:
    state = {"w": torch.rand(3, 4)}
    packed, total = lendable(state)
    seen: list[Any] = []

    def fetch(references: Any) -> list[Any]:
        seen.extend(references)
        return [packed for _ in references]

    reader = ray_others.Reader(fetch)
    for _ in range(2):
        assert all(seconds >= 0 for seconds in reader.lent("0" * 64, Lent("here", total, packed.nbytes)))
    assert seen == ["here", "here"]


def test_a_plain_process_trains_by_itself(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ray_rows.saved(TASK)
    candidates: list[Candidate] = ray_rows.trivial_candidates(TASK, 2, count())
    with one_thread():
        assert ray_others.train_here(str(tmp_path), file, candidates) == 2


def test_without_tune_the_row_says_whose_figure_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.tune", None)
    rate, said = ray_rows.tune_side(TASK)
    assert rate() == pytest.approx(1 / 0.173)
    assert "measured elsewhere" in said


def test_large_weights_are_52_megabytes() -> None:
    sizes = [tensor.nbytes for tensor in ray_rows.large_state().values()]
    assert sum(sizes) == 52 * 10**6
    assert np.prod(next(iter(ray_rows.large_state().values())).shape) == 10**6

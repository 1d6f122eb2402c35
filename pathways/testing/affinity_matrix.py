"""The conformance suite of affinity estimators that give a matrix."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np

from pathways.affinity import Affinity, read_csv, read_json, write_csv, write_json
from pathways.affinity.matrix import KINDS


class MatrixEstimatorSuite:
    """What every estimator that gives an `Affinity` must keep. Inherit it, set the attributes, define `measure`.

    Attributes:
        kind: what kind of affinity it measures.
        affected: the tasks that `measure` asks about, in order.
        sources: what may help them, in order.

    Example:
        >>> class TestSame(MatrixEstimatorSuite):
        ...     kind, affected, sources = "transfer", ("a", "b"), ("a", "b")
        ...     def measure(self, seed):
        ...         return Affinity(self.affected, self.sources, "transfer", "same", "none", np.eye(2))
        >>> TestSame().test_axes_are_the_tasks_named()
    """

    kind: ClassVar[str]
    affected: ClassVar[tuple[str, ...]]
    sources: ClassVar[tuple[str, ...]]

    def measure(self, seed: int) -> Affinity:
        """The matrix of a small study, for a seed."""
        raise NotImplementedError("define `measure(self, seed)`: call your estimator and return its matrix.")

    def test_axes_are_the_tasks_named(self) -> None:
        """Rows are the affected tasks, columns the sources, in the order they were given."""
        found = self.measure(0)
        assert found.affected == self.affected
        assert found.sources == self.sources

    def test_it_says_what_it_measured(self) -> None:
        """Kind, estimator and unit are told, and the kind is the declared one."""
        found = self.measure(0)
        assert found.kind in KINDS
        assert found.kind == self.kind
        assert found.estimator.strip()
        assert found.unit.strip()

    def test_readings_are_finite_or_not_measured(self) -> None:
        """Nothing is infinite, each task has a reading, and NaN stands only where no repeat measured a pair."""
        found = self.measure(0)
        assert not np.isinf(found.readings).any()
        assert np.isfinite(found.values).any(axis=1).all()

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same readings, bit for bit."""
        assert np.array_equal(self.measure(0).readings, self.measure(0).readings, equal_nan=True)

    def test_global_generators_are_left_alone(self) -> None:
        """Nothing is drawn from the generators of numpy and PyTorch that all code shares."""
        import torch

        numpy_before, torch_before = _numpy_state(), torch.get_rng_state()
        self.measure(0)
        assert numpy_before == _numpy_state()
        assert torch.equal(torch_before, torch.get_rng_state())

    def test_it_survives_files(self) -> None:
        """JSON and CSV give back the same matrix."""
        found = self.measure(0)
        with TemporaryDirectory() as folder:
            for write, read, name in ((write_json, read_json, "m.json"), (write_csv, read_csv, "m.csv")):
                again = read(write(found, Path(folder) / name))
                assert (again.affected, again.sources, again.kind) == (found.affected, found.sources, found.kind)
                assert (again.estimator, again.unit, again.steps) == (found.estimator, found.unit, found.steps)
                assert again.higher_is_better == found.higher_is_better
                assert np.array_equal(again.readings, found.readings, equal_nan=True)


def _numpy_state() -> object:
    state = dict(np.random.get_state(legacy=False))  # noqa: NPY002
    return [*state["state"]["key"].tolist(), state["state"]["pos"]]

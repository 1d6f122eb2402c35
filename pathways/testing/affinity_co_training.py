"""The conformance suite of co-training estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from pathways.affinity.moment import Moment, Reading

TASKS = ("a", "b", "c", "d")


class CoTrainingEstimatorSuite:
    """What every co-training estimator must keep. Inherit it and define `measure`.

    Attributes:
        symmetric: whether the reading equals its transpose. One that is not, is expected to divide by the affected
            task's loss: multiplying a task's loss leaves its row and multiplies its column.
        tolerance: how much rounding may change a reading, relative to its largest value.

    Example:
        >>> from pathways.affinity import lookahead
        >>> class TestMine(CoTrainingEstimatorSuite):
        ...     def measure(self, moment):
        ...         return lookahead(moment)
        >>> TestMine().test_it_changes_nothing()
    """

    symmetric: ClassVar[bool] = False
    tolerance: ClassVar[float] = 1e-4

    def measure(self, moment: Moment) -> Reading:
        """The estimator's reading; one that draws makes its generator here, so that it draws the same each time."""
        raise NotImplementedError("define `measure(self, moment)`: call your estimator and return its reading.")

    # -- what it leaves -----------------------------------------------------------------------------------------

    def test_it_changes_nothing(self) -> None:
        """Weights, gradients, velocity, running statistics and random states are the same to the bit."""
        for together in (True, False):
            problem = Problem(together=together)
            before = problem.state()
            self.measure(problem.moment())
            assert problem.differs(before) == []

    def test_training_is_the_same_with_and_without(self) -> None:
        """A run that measures at every step, between its forward and its backward pass too, ends in the same bits."""
        plain, measured = Problem(), Problem()
        for _ in range(3):
            plain.step()
            self.measure(measured.moment())
            measured.step(between=lambda: self.measure(measured.moment()))
        assert measured.differs(plain.state()) == []

    def test_a_loss_that_raises_leaves_everything(self) -> None:
        """An error in the user's own loss comes through, and nothing has changed."""
        for call in range(3):
            problem = Problem()
            before = problem.state()
            failures: list[str] = []
            try:
                self.measure(problem.moment(fails_at=call))
            except RuntimeError as error:
                failures.append(str(error))
            assert failures == ["the loss failed"] * (call == 0) or call > 0
            assert problem.differs(before) == []

    # -- what it says -------------------------------------------------------------------------------------------

    def test_the_reading_has_a_row_and_a_column_for_each_task(self) -> None:
        """(T, T) numbers in double precision, some of them measured."""
        for together in (True, False):
            reading = self.measure(Problem(together=together).moment())
            assert reading.shape == (len(TASKS), len(TASKS))
            assert reading.dtype == np.float64
            assert np.isfinite(reading).any()

    def test_it_is_deterministic(self) -> None:
        """The same moment gives the same bits."""
        problem = Problem()
        first = self.measure(problem.moment())
        assert np.array_equal(first, self.measure(problem.moment()), equal_nan=True)
        assert np.array_equal(first, self.measure(Problem().moment()), equal_nan=True)

    def test_the_order_of_losses_changes_nothing(self) -> None:
        """Tasks are told apart by their names."""
        for together in (True, False):
            problem = Problem(together=together)
            self._close(self.measure(problem.moment()), self.measure(problem.moment(present=TASKS[::-1])))

    def test_other_names_change_nothing(self) -> None:
        """Permuted tasks give the permuted reading, wherever both have values."""
        order = [2, 0, 3, 1]
        problem = Problem(noise=False)
        first = self.measure(problem.moment())[np.ix_(order, order)]
        second = self.measure(problem.moment(tasks=tuple(TASKS[place] for place in order)))
        self._close(*_both(first, second))

    def test_one_function_for_all_losses_gives_the_same(self) -> None:
        """How losses are given does not matter where nothing is drawn and no statistics couple tasks."""
        first, second = (self.measure(Problem(together=t, noise=False).moment()) for t in (True, False))
        self._close(first, second)

    def test_tasks_without_labels_are_not_measured(self) -> None:
        """Their rows and columns are NaN; the others are as they would be without them."""
        for together in (True, False):
            problem = Problem(together=together, noise=False)
            reading = self.measure(problem.moment(present=("a", "c")))
            assert np.isnan(reading[[1, 3]]).all()
            assert np.isnan(reading[:, [1, 3]]).all()
            alone = self.measure(problem.moment(tasks=("a", "c"), present=("a", "c")))
            self._close(*_both(reading[np.ix_([0, 2], [0, 2])], alone))

    def test_batches_of_different_sizes(self) -> None:
        """A loss is a mean over its own batch: a batch given twice is the same task."""
        first = self.measure(Problem(together=False, noise=False).moment())
        second = self.measure(Problem(together=False, noise=False, repeats={"b": 3}).moment())
        self._close(first, second)

    def test_frozen_and_unused_parameters(self) -> None:
        """Parameters that are not trained now, and those that no loss reaches, change nothing."""
        problem = Problem(noise=False)
        plain = self.measure(problem.moment())
        self._close(plain, self.measure(problem.moment(more={"unused": nn.Parameter(torch.ones(3))})))
        first = next(iter(problem.moment().shared.values()))
        first.requires_grad_(False)
        reading = self.measure(problem.moment())
        assert np.isfinite(reading).any()
        assert first.grad is None

    def test_rows_are_affected_and_columns_sources(self) -> None:
        """A loss four times as large is, to first order, affected as before and has four times the effect."""
        problem = Problem(noise=False)
        first, second = (self.measure(problem.moment(scale={"b": scale}, rate=1e-3)) for scale in (1.0, 4.0))
        if self.symmetric:
            self._close(first, first.T)
            return
        others = [0, 2, 3]
        row, column = first[1, others], first[others, 1]
        if np.isfinite(row).any():
            self._close(row, second[1, others], 0.05)
        if np.isfinite(column).any():
            self._close(4 * column, second[others, 1], 0.05)

    def test_a_quiet_task_has_no_effect(self) -> None:
        """A task whose loss does not depend on what is shared helps nobody, and nobody helps it."""
        reading = self.measure(Problem(noise=False).moment(scale={"b": 0.0}, constant=1.0))
        others = [0, 2, 3]
        assert np.nan_to_num(reading[others, 1]).tolist() == [0, 0, 0]
        assert np.nan_to_num(reading[1, others]).tolist() == [0, 0, 0]

    def _close(self, one: Reading, other: Reading, tolerance: float | None = None) -> None:
        assert np.array_equal(np.isnan(one), np.isnan(other))
        size = max(1e-30, float(np.nanmax(np.abs(one), initial=0.0)))
        assert np.nanmax(np.abs(one - other), initial=0.0) <= (tolerance or self.tolerance) * size


def _both(one: Reading, other: Reading) -> tuple[Reading, Reading]:
    """Both, where both are measured: sources that are drawn depend on the order of tasks."""
    gone = np.isnan(one) | np.isnan(other)
    return np.where(gone, np.nan, one), np.where(gone, np.nan, other)


class Problem:
    """Four small tasks on one trunk, with a head and a batch each; `noise` adds dropout and batch statistics.

    Args:
        together: whether all tasks read one batch, and one function gives all losses.
        noise: whether the trunk draws, from PyTorch's generator and one of its own, and keeps running statistics.
        repeats: by task, how often its batch is repeated in itself.
    """

    def __init__(
        self, together: bool = True, noise: bool = True, repeats: Mapping[str, int] | None = None
    ) -> None:
        self.together, self.noise = together, noise
        self.generator = torch.Generator().manual_seed(3)
        with torch.random.fork_rng(devices=[]):  # modules draw their first weights
            noisy: list[nn.Module] = [nn.BatchNorm1d(7), nn.Dropout(0.3)] if noise else []
            self.trunk = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), *noisy, nn.Linear(7, 4))
            self.heads = nn.ModuleDict({task: nn.Linear(4, 3) for task in TASKS})
        with torch.no_grad():
            for parameter in [*self.trunk.parameters(), *self.heads.parameters()]:
                parameter.copy_(torch.randn(parameter.shape, generator=self.generator))
        x = torch.randn(12, 5, generator=self.generator)
        sizes = repeats or {}
        self.x = {task: x.repeat(sizes.get(task, 1), 1) for task in TASKS}
        self.y = {
            task: torch.randint(3, (12,), generator=self.generator).repeat(sizes.get(task, 1)) for task in TASKS
        }
        self.optimizer = torch.optim.SGD(
            [*self.trunk.parameters(), *self.heads.parameters()], lr=0.05, momentum=0.9, weight_decay=0.01
        )
        self.random = torch.Generator().manual_seed(4).get_state()

    def losses(self, tasks: Sequence[str] = TASKS) -> dict[str, Tensor]:
        """By task its loss."""
        if self.together:
            features = self._features("a")
            return {task: self._loss(task, features) for task in tasks}
        return {task: self._loss(task, self._features(task)) for task in tasks}

    def _features(self, task: str) -> Tensor:
        features: Tensor = self.trunk(self.x[task])
        if not self.noise:
            return features
        return features + 0.1 * torch.randn(features.shape, generator=self.generator)

    def _loss(self, task: str, features: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.heads[task](features), self.y[task])

    def moment(
        self,
        tasks: tuple[str, ...] = TASKS,
        present: Sequence[str] | None = None,
        scale: Mapping[str, float] | None = None,
        constant: float = 0.0,
        fails_at: int | None = None,
        more: Mapping[str, Tensor] | None = None,
        rate: float = 0.05,
    ) -> Moment:
        """The tasks as they are now; losses become `scale * loss + constant`, and one call of them may fail."""
        calls = iter(range(10**6))
        factors = scale or {}

        def given(names: Sequence[str]) -> dict[str, Tensor]:
            found = {task: factors.get(task, 1.0) * loss + constant for task, loss in self.losses(names).items()}
            if next(calls) == fails_at:
                raise RuntimeError("the loss failed")
            return found

        shown = tuple(tasks if present is None else present)
        slots = {name: self.optimizer.state.get(p, {}) for name, p in self.trunk.named_parameters()}
        return Moment(
            tasks,
            (lambda: given(shown)) if self.together else {t: (lambda t=t: given((t,))[t]) for t in shown},  # type: ignore[misc]
            {**dict(self.trunk.named_parameters()), **(more or {})},
            rate,
            velocity={name: slot["momentum_buffer"] for name, slot in slots.items() if "momentum_buffer" in slot},
            momentum=0.9, weight_decay=0.01, module=self.trunk, generators=(self.generator,),
        )  # fmt: skip

    def step(self, between: object = None) -> None:
        """One joint step, from random states of its own; `between` is called before the backward pass."""
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(self.random)
            self.optimizer.zero_grad()
            total = torch.stack(list(self.losses().values())).sum()
            if callable(between):
                between()
            total.backward()
            self.optimizer.step()
            self.random = torch.random.get_rng_state()

    def state(self) -> dict[str, Tensor]:
        """Everything that a measurement must leave, copied."""
        found = {f"weight {name}": value for name, value in self.trunk.state_dict().items()}
        found |= {f"head {name}": value for name, value in self.heads.state_dict().items()}
        named = [*self.trunk.named_parameters(prefix="trunk"), *self.heads.named_parameters(prefix="head")]
        for name, parameter in named:
            if parameter.grad is not None:
                found[f"gradient {name}"] = parameter.grad
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    found[f"{key} {name}"] = value
        found["mode"] = torch.tensor([module.training for module in self.trunk.modules()])
        found["generator"], found["random"] = self.generator.get_state(), torch.random.get_rng_state()
        return {name: value.detach().clone() for name, value in found.items()}

    def differs(self, before: Mapping[str, Tensor]) -> list[str]:
        """The names of what is no longer the same bits."""
        now = self.state()
        return sorted(
            name for name in {*now, *before}
            if name not in now or name not in before or not torch.equal(now[name], before[name])
        )  # fmt: skip


__all__ = ["CoTrainingEstimatorSuite", "Problem"]

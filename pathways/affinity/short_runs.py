"""Short runs from one checkpoint, for the dependence test of a PyTorch model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from pathways.errors import ConfigError
from pathways.seeds import seed_of, torch_generator

from .dependence import TrainAndMeasure

Loss = Callable[[nn.Module, Any], Tensor]
"""A task's loss of a model on a batch."""

Loader = Callable[[torch.Generator], Iterable[Any]]
"""A task's batches, in an order that the generator draws, for example
`lambda g: DataLoader(data, 16, shuffle=True, generator=g)`."""


def short_runs(
    model: nn.Module,
    losses: Mapping[str, Loss],
    loaders: Mapping[str, Loader],
    measures: Mapping[str, Callable[[nn.Module], float]],
    *,
    steps: int,
    rate: float,
    momentum: float = 0.0,
    background: str | None = None,
    seed: int = 0,
) -> TrainAndMeasure:
    """A function for `dependence`: copy the model, train it briefly by SGD on a source, measure every task.

    Each step is one of `L_source + L_background`, whichever there is. The order of a task's batches and what the
    model draws depend on seed, repeat and step only, so that runs of one repeat differ by their source alone. The
    model itself is never changed.

    With a background, D is the effect of the source's data beside the background's: what the checkpoint was trained
    on is a good one. Without it the run without a source is the checkpoint as it is, and what any training does to it,
    on whatever data, shows as dependence: for a joint model of two sets of numerals, spoken digits and clothes all 12
    pairs were significant, since any small steps mended a checkpoint left at a high learning rate; 3 were with the
    joint loss as background, with effects less than a tenth as large.

    Args:
        model: the checkpoint.
        losses: by task.
        loaders: by task, and by `background`; loaders that end begin again.
        measures: by task, its quality of a model; called in evaluation mode without gradients.
        steps: of each run.
        rate: learning rate.
        momentum: of the optimizer, which starts without any.
        background: a name of `losses` and `loaders` that is trained on in every run.
        seed: of all draws.

    Returns:
        The function of a source and a repeat.

    Raises:
        ConfigError: a source or background without a loss or loader.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> run = short_runs(model, {"a": lambda m, x: m(x).square().mean()}, {"a": lambda g: [torch.ones(2, 1)]},
        ...                  {"a": lambda m: m(torch.ones(1, 1)).abs().item()}, steps=20, rate=0.1)
        >>> run("a", 0)["a"] < run(None, 0)["a"]
        True

    Reference: "Train Once, Answer All", 2509.23383.
    """

    def run(source: str | None, repeat: int) -> dict[str, float]:
        trained = [name for name in (source, background) if name is not None]
        for name in trained:
            if name not in losses or name not in loaders:
                raise ConfigError(
                    f"`losses` and `loaders` must have {name!r}, found {list(losses)} and {list(loaders)}: add it."
                )
        copy = deepcopy(model)
        copy.train()
        batches = {name: _endless(loaders[name], torch_generator("dependence", name, seed, repeat)) for name in trained}
        optimizer = torch.optim.SGD(copy.parameters(), rate, momentum)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            for step in range(steps if trained else 0):
                optimizer.zero_grad()
                for name in trained:
                    torch.manual_seed(seed_of("dependence", "step", name, seed, repeat, step))
                    losses[name](copy, next(batches[name])).backward()
                optimizer.step()
        copy.eval()
        with torch.no_grad():
            return {name: float(measure(copy)) for name, measure in measures.items()}

    return run


def _endless(loader: Loader, generator: torch.Generator) -> Iterator[Any]:
    while True:
        empty = True
        for batch in loader(generator):
            empty = False
            yield batch
        if empty:
            raise ConfigError("`loaders` must give at least one batch, found none.")


__all__ = ["short_runs"]

"""Transfer affinity, end to end: frozen encoders, small readouts, a tournament of their losses (Taskonomy)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pathways.errors import ConfigError, DataError
from pathways.task import Task
from pathways.trainer.numerics import one_thread

from .encoders import encoder, full_networks, named_encoders
from .matrix import Affinity
from .readout import Readout
from .tournament import transfer_from_losses, with_rows
from .transfer_target import Target

if TYPE_CHECKING:
    from pathways.system import System

Array = NDArray[np.float64]


def transfer(
    tasks: Sequence[Task],
    encoders: System | Mapping[str, nn.Module],
    *,
    own: Mapping[str, nn.Module] | None = None,
    random: nn.Module | None = None,
    orders: Sequence[int] = (2,),
    readout: Readout = Readout(),  # noqa: B008 - immutable
    seeds: Sequence[int] = (0,),
) -> Affinity:
    """How well each frozen network's features serve each task: Taskonomy's affinities from data to matrix.

        for each target: train a readout on the features of each source, of the sets of the best sources,
                         of an untrained encoder; add the target's own full network;
                         w[i, j] = share of held-out items where i's loss is below j's; affinity = ahp(w)

    Readouts of a target see the same batches and are trained on its training split; losses are of its validation
    split. Features are computed once for each source and standardised by the training samples. Test data is not read.

    Args:
        tasks: the targets.
        encoders: a system, whose champions without their heads are the sources, or encoders by name: modules from a
            task's input (or a mapping of several) to features. They are frozen: nothing in them changes.
        own: by target, its own full network from inputs to scores, the source `self`. Of a system: the champions.
        random: an untrained encoder, the source `random`; by default the target's own encoder, or else the first one,
            with weights drawn anew.
        orders: how many sources are read side by side by higher-order transfers, for each: all subsets of that size
            of the 5 best sources of first order; beyond 5, the best so many. The target's own encoder takes no part.
        readout: how readouts are made and trained.
        seeds: one repeat for each: batches, the untrained encoder's weights and hidden layers' first weights.

    Returns:
        A matrix of kind `transfer`: a row for each target; sources in the order of `encoders`, then `a|b`, `random`,
        `self`. A champion that cannot read a target's inputs is NaN there, and has no column where it can read none's.
        Rows order sources; they are not comparable.

    Raises:
        ConfigError: settings that cannot be met.
        DataError: a source's loss is not a number.

    Example:
        >>> from pathways.data import digits_tasks
        >>> tasks = list(digits_tasks([[0, 1], [2, 3]]))
        >>> sharp, blurred = nn.Flatten(), nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
        >>> found = transfer(tasks, {"sharp": sharp, "blurred": blurred}, readout=Readout(steps=50))
        >>> found.sources, found[tasks[0].name, "sharp"] > found[tasks[0].name, "blurred"]
        (('sharp', 'blurred', 'sharp|blurred', 'random'), True)

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, sections 3.2 and 3.3.
    """
    losses = transfer_losses(
        tasks, encoders, own=own, random=random, orders=orders, readout=readout, seeds=seeds, pixels=False
    )
    about = {"readout": asdict(readout), "seeds": list(seeds), "orders": list(orders), "losses": "validation split"}
    return transfer_from_losses(*losses, about=about)


def add_target(
    study: Affinity,
    task: Task,
    encoders: System | Mapping[str, nn.Module],
    *,
    own: Mapping[str, nn.Module] | None = None,
    random: nn.Module | None = None,
    orders: Sequence[int] = (2,),
    readout: Readout = Readout(),  # noqa: B008 - immutable
    seeds: Sequence[int] = (0,),
) -> Affinity:
    """A study with one more target, measured with these encoders; no old value changes and nothing old is trained.

    A row's affinities come from its own target's tournament alone, so a new row needs none of the others. Pass the
    settings that the study was made with.

    Args:
        study: what `transfer` gave.
        task: the new target.
        encoders: as in `transfer`.
        own: as in `transfer`.
        random: as in `transfer`.
        orders: as in `transfer`.
        readout: as in `transfer`.
        seeds: as in `transfer`.

    Raises:
        DataError: the study has the target already.

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.4 (novel tasks).
    """
    if task.name in study.affected:
        raise DataError(f"`task` must be new to the study, found {task.name!r} in it.")
    row = transfer([task], encoders, own=own, random=random, orders=orders, readout=readout, seeds=seeds)
    return with_rows(study, row)


def transfer_losses(
    tasks: Sequence[Task],
    encoders: System | Mapping[str, nn.Module],
    *,
    own: Mapping[str, nn.Module] | None = None,
    random: nn.Module | None = None,
    orders: Sequence[int] = (2,),
    readout: Readout = Readout(),  # noqa: B008 - immutable
    seeds: Sequence[int] = (0,),
    pixels: bool = True,
) -> list[dict[str, dict[str, Array]]]:
    """The losses behind `transfer`, which takes the same arguments: for each seed, by target and source, (items,).

    `transfer_from_losses`, `quality` and `gain` read them.

    Args:
        tasks: as in `transfer`.
        encoders: as in `transfer`.
        own: as in `transfer`.
        random: as in `transfer`.
        orders: as in `transfer`.
        readout: as in `transfer`.
        seeds: as in `transfer`.
        pixels: also train a network from the inputs, of the untrained encoder's shape, on the same batches: the
            source `pixels`, which `gain` compares with.
    """
    if len({task.name for task in tasks}) < len(tasks) or not tasks:
        raise ConfigError(f"`tasks` must name each target once, found {[task.name for task in tasks]}.")
    if any(order < 2 for order in orders):
        raise ConfigError(f"`orders` must be at least 2, the first is always measured, found {list(orders)}.")
    if not seeds:
        raise ConfigError("`seeds` must hold one number for each repeat, found none.")
    networks = named_encoders(encoders)
    full = full_networks(encoders if own is None and not isinstance(encoders, Mapping) else own or {})
    found: list[dict[str, dict[str, Array]]] = [{} for _ in seeds]
    with one_thread():
        for task in tasks:
            target = Target(task, networks, None if random is None else encoder(random), readout)
            for repeat, losses in zip(found, target.measured(full, tuple(orders), tuple(seeds), pixels), strict=True):
                repeat[task.name] = losses
    return found


__all__ = ["add_target", "transfer", "transfer_losses"]

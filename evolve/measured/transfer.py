"""Taskonomy in a study: readouts of each task's own network, frozen, for every other task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pathways.affinity.encoders import full_networks, named_encoders
from pathways.affinity.matrix import Affinity
from pathways.affinity.readout import Readout
from pathways.affinity.tournament import JOIN, transfer_from_losses
from pathways.affinity.transfer_target import Array, Target, higher_orders
from pathways.assemble import PathModule
from pathways.task import Task
from pathways.trainer.numerics import one_thread

from ..study import Session
from .networks import alone
from .options import Several


def transfer(session: Session, *, orders: tuple[Several, ...] = (2,), readout: Readout = Readout()) -> Affinity:  # noqa: B008 - immutable
    """Taskonomy's affinities, from networks that were each trained on one task; see `pathways.affinity.transfer`.

    The sources are the trunks of the tasks' own networks, one for each seed; beside them stand the target's own whole
    network (`self`) and an untrained trunk (`random`). Which sources are read side by side is decided by the first
    order's affinity over all seeds, so that every seed measures the same transfers.

    Args:
        session: whose tasks are targets and sources.
        orders: how many sources are read side by side; none for the first order only.
        readout: how readouts are made and trained.

    Returns:
        A matrix of kind transfer, a repeat for each seed.

    Reference: Zamir et al. 2018 (Taskonomy, 1804.08328), sections 3.2 and 3.3.
    """
    networks = alone(session)
    losses: dict[int, dict[str, Mapping[str, Array]]] = {seed: {} for seed in networks if networks[seed]}
    with one_thread():
        for task in session.tasks.values():
            each = _to(task, {seed: networks[seed] for seed in losses}, orders, readout)
            for seed, found in each.items():
                losses[seed][task.name] = found
    about = {
        "readout": asdict(readout), "orders": list(orders), "losses": "validation split", "seeds": list(losses),
        "sources": "each task's own network",
    }  # fmt: skip
    return transfer_from_losses(*losses.values(), about=about)


def _to(
    task: Task, networks: Mapping[int, Mapping[str, PathModule]], orders: tuple[int, ...], readout: Readout
) -> dict[int, dict[str, Array]]:
    """The losses of all transfers to one target, by seed and source."""
    targets, found = {}, {}
    for seed, own in networks.items():
        targets[seed] = Target(task, named_encoders(own), None, readout)
        [found[seed]] = targets[seed].measured(full_networks(own), (), (seed,), False)
    first = transfer_from_losses(*({task.name: losses} for losses in found.values()))
    sources = [name for name in first.sources if name in set.intersection(*(set(own) for own in networks.values()))]
    ranked = sorted((s for s in sources if s != task.name), key=lambda source: -first[task.name, source])
    for group in higher_orders(ranked, orders):
        ordered = tuple(source for source in sources if source in group)
        for seed, target in targets.items():
            found[seed][JOIN.join(ordered)] = target.losses(ordered, seed)
    return found


__all__ = ["transfer"]

"""What a worker process calls to be one rank of a team that trains candidates data-parallel."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .team import TIMEOUT, Team

if TYPE_CHECKING:
    from pathways.candidate import Candidate, Result

    from .train import Trainer


def free_address(host: str = "127.0.0.1") -> str:
    """An address of this machine that nobody listens on now, for rank 0 to listen on.

    Args:
        host: its name or number as the other ranks reach it.

    Example:
        >>> free_address().partition(":")[0]
        '127.0.0.1'
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        found.bind((host, 0))
        return f"{host}:{found.getsockname()[1]}"


def train_rank(
    trainer: Trainer, candidates: Sequence[Candidate], rank: int, size: int, address: str, timeout: float = TIMEOUT,
    backend: str = "",
) -> list[Result] | None:
    """Train candidates of `size` workers as one of that many processes, which all call this with the same candidates.

    Args:
        trainer: which knows the candidates' data; rank 0 stores what comes of them in its pool.
        candidates: each with `workers` equal to `size`.
        rank: which of the processes this is.
        size: how many there are.
        address: `host:port` on which rank 0 listens, as from its own `free_address`.
        timeout: seconds that a rank waits for the others: more than rank 0 takes for a measurement.
        backend: as in `Team.join`.

    Returns:
        The results on rank 0, `None` on all others.

    Raises:
        TeamError: another rank has gone or is late, or was given something else.
    """
    with Team.join(rank, size, address, timeout, trainer.device, backend) as team:
        results = trainer.run(candidates, team=team)
    return results if rank == 0 else None


__all__ = ["free_address", "train_rank"]

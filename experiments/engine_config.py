"""Where trainers run, as a configuration says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pathways.devices import checked_device
from pathways.engine import CACHE_BYTES
from pathways.errors import ConfigError, EngineError
from pathways.evolve.scheduler import checked_deadline, checked_retries

from .tables import ENGINES, resolve

OWN = ("dispatch", "stack", "device")
"""What of it is part of a run's identity; all else may differ when a run goes on: it changes no result."""

RAY_ONLY = ("address", "cpus_per_worker", "gpus_per_worker", "patience", "autoscaling")
"""What other kinds than `ray` do not have."""


@dataclass(frozen=True)
class EngineConfig:
    """Where trainers run.

    Args:
        kind: `local`, processes of this machine, or `ray`, actors of a Ray cluster.
        workers: how many train at the same time; 0 trains in the process of the run itself, and with `ray` in as many
            workers as the cluster has room for.
        dispatch: candidates that are sent to a worker and committed at once, of those that do not stack; part of the
            run's identity.
        stack: the most candidates that train as one program, 1 turns that off; `auto` takes what was fastest when
            this machine was calibrated.
        cache_bytes: the most activations of frozen prefixes to keep in the run's `cache/`, 0 keeps none; with `ray`
            the most bytes of data, frozen modules and prefixes in the object store.
        device: what trainers compute on: `cpu`, `cuda` (any, workers in turn), `cuda:N`, or `auto`, which the run
            resolves when it begins; part of its identity, but for the number.
        trace: whether the run writes `trace.json`, where its time goes.
        retries: how often work that failed with its worker is tried again; then it is recorded as failed.
        deadline: seconds that a candidate may take in a worker; `null` is no limit.
        address: with `ray`: `local` starts Ray on this machine, `auto` or HOST:PORT joins a cluster.
        cpus_per_worker, gpus_per_worker: with `ray`: what a worker reserves, fractions too.
        patience: with `ray`: seconds to wait for resources.
        autoscaling: with `ray`: whether the cluster may grow, so that what does not fit now is waited for.
    """

    kind: str = "local"
    workers: int = 0
    dispatch: int = 1
    stack: int | str = "auto"
    cache_bytes: int = CACHE_BYTES
    device: str = "cpu"
    trace: bool = True
    retries: int = 2
    deadline: float | None = None
    address: str = "local"
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    patience: float = 300.0
    autoscaling: bool = False

    def __post_init__(self) -> None:
        try:
            checked_device(self.device)
            checked_retries(self.retries)
            checked_deadline(self.deadline)
        except (ConfigError, EngineError) as error:
            raise ValueError(str(error)) from None
        if self.kind not in ENGINES:
            resolve(ENGINES, self.kind, "`kind`")
        for name, low in (("workers", 0), ("dispatch", 1), ("cache_bytes", 0), ("gpus_per_worker", 0), ("patience", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"`{name}` must be at least {low}, found {getattr(self, name)}.")
        if self.cpus_per_worker <= 0:
            raise ValueError(f"`cpus_per_worker` must be above 0, found {self.cpus_per_worker}.")
        if self.stack != "auto" and (type(self.stack) is not int or self.stack < 1):
            raise ValueError(f"`stack` must be `auto` or a whole number of at least 1, found {self.stack!r}.")
        for name in RAY_ONLY if self.kind != "ray" else ():
            if getattr(self, name) != getattr(EngineConfig, name):
                raise ValueError(f"`{name}` is for kind `ray`, found kind {self.kind!r}: say `ray`, or leave it out.")


def made_engine(config: EngineConfig, device: str) -> Any:
    """The engine that a configuration names, to be used as a context.

    Args:
        config: its kind and settings.
        device: what its trainers compute on.

    Example:
        >>> made_engine(EngineConfig(workers=0), "cpu").workers
        1
    """
    made = resolve(ENGINES, config.kind, "`engine.kind`")
    settings: dict[str, Any] = {"retries": config.retries, "deadline": config.deadline}
    if config.kind == "ray":
        settings |= {name: getattr(config, name) for name in RAY_ONLY}
    return made(config.workers, cache_bytes=config.cache_bytes, device=device, **settings)


__all__ = ["OWN", "RAY_ONLY", "EngineConfig", "made_engine"]

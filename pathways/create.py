"""Making a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import yaml

from pathways.modules import Families, content_hash

from . import manifest
from .candidate import Training
from .choose_root import ROOT
from .devices import device_here
from .errors import ConfigError, PathwaysError
from .files import write_atomically
from .ledger import Ledger
from .ledger_url import server_url, without_password
from .manifest import SystemRecord
from .mirror import Mirror
from .path import Path
from .pool import Pool
from .records import roots_to_json
from .root import Root, is_name, shipped_roots
from .trainer.calibrate import stack_size
from .trainer.numerics import numerics

AnyRoot: TypeAlias = "Path | Root | str | None"
"""What first paths are built on: a path, one with weights, the name or folder of a root, or nothing."""


def create_system(
    directory: FilePath,
    seed: int,
    root: AnyRoot | Mapping[str, Path | Root | str],
    training: Training,
    families: Families,
    dispatch: int,
    stack: int | str,
    config: Mapping[str, Any],
    device: str = "cpu",
    ledger: str | None = None,
    *,
    place: str | None = None,
) -> None:
    """Write a new run directory: root blobs, `config.yaml`, at last `system.json`, which makes it one.

    A `ledger` in a database is claimed first, by a name that a creation which was cut short gives it again: it follows
    from the configuration and the run's place, where that is not the directory.
    """
    if manifest.system_file(directory).exists():
        raise PathwaysError(
            f"`directory` must not hold a system, {directory} does: open it with `System.open`, or choose another."
        )
    if type(seed) is not int or seed < 0:
        raise ConfigError(f"`seed` must be a whole number of at least 0, found {seed!r}.")
    if type(dispatch) is not int or dispatch < 1:
        raise ConfigError(f"`dispatch` must be a whole number of at least 1, found {dispatch!r}.")
    device = device_here(device)
    stack = stack_size(stack, device)
    given = root if isinstance(root, Mapping) else {ROOT: root} if root is not None else {}
    named = {name: Root.named(each) if isinstance(each, str) else each for name, each in given.items()}
    roots = installed(named, Pool(directory / "pool"), families)
    headless = next(iter(roots.values()), None) if len(roots) < 2 else None
    resolved = dict(config) or {"seed": seed, "training": training.to_json(), "dispatch": dispatch, "stack": stack}
    write_atomically(directory / "config.yaml", yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True).encode())
    resolved.pop("ledger", None)  # where it is recorded does not change what is computed
    several = roots if len(roots) > 1 else {}
    run = content_hash([resolved, headless.to_json() if headless else roots_to_json(several) if several else None])
    claim = claimed(ledger, content_hash([run, place or str(directory.resolve())])) if ledger else None
    record = SystemRecord(
        run=run, seed=seed, numerics=numerics(device, dispatch, stack), root=headless, training=training, ledger=claim,
        roots=several, source=_sources(named),
    )
    manifest.write_system(directory, record)


def create_there(url: str, *settings: Any) -> None:
    """As `create_system`, on storage: made in the mirror, then pushed, `system.json` last."""
    mirror, ledger = Mirror(url), settings[-1]
    with mirror.driving(alone=ledger is None), mirror.settled():
        if mirror.pull():
            raise PathwaysError(
                f"`directory` must not hold a system, {mirror.url} does: open it with `System.open`, or choose another."
            )
        mirror.clear()
        create_system(mirror.directory, *settings, place=mirror.url)
        mirror.publish(Pool(mirror.directory / "pool"))


def claimed(ledger: str, name: str) -> dict[str, str]:
    """Claim a database for the ledger of a new run; returns what `system.json` keeps of it."""
    with Ledger(server_url(ledger)) as opened:
        opened.claim(name)
    return {"url": without_password(ledger), "run": name}


def installed(given: Mapping[str, Path | Root], pool: Pool, families: Families) -> dict[str, Path]:
    """The roots of a new run, by name, their blobs in its pool.

    Raises:
        ConfigError: a name that cannot be one, or two roots that read the same inputs: the second would not be used.
    """
    roots: dict[str, Path] = {}
    for name, root in given.items():
        if not isinstance(name, str) or not is_name(name):
            raise ConfigError(f"`root` must be named by letters, digits, `-` and `_`, found {name!r}.")
        path = root.path if isinstance(root, Root) else root
        path.ports(families)
        if isinstance(root, Root):
            root.install(pool)
        for other, known in roots.items():
            if dict(known.inputs) == dict(path.inputs):
                found = ", ".join(f"{name}: {port}" for name, port in path.inputs.items())
                raise ConfigError(
                    f"roots {other!r} and {name!r} must read different inputs, found ({found}): drop one of them."
                )
        roots[name] = path
    return roots


def install_root(name: str, pool: Pool) -> Path:
    """Copy a root's blobs into a pool; returns its headless path.

    Args:
        name: of a shipped root (see `shipped_roots`), or a folder that `export --format root` or `Root.write` wrote.
        pool: where the blobs go.
    """
    root = Root.named(name)
    root.install(pool)
    return root.path


def _sources(roots: Mapping[str, Path | Root]) -> dict[str, Any]:
    """Where the weights of the roots came from, as far as they say it; of several by name."""
    found = {name: dict(root.source) for name, root in roots.items() if isinstance(root, Root) and root.source}
    return found if len(roots) > 1 else next(iter(found.values()), {})


__all__ = ["claimed", "create_system", "create_there", "install_root", "installed", "shipped_roots"]

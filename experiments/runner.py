"""From a configuration to a finished run: tasks, root, system, engine, and the stream in its order."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, TypeVar

from pathways import data
from pathways.compare import served
from pathways.devices import device_here, kind_of
from pathways.errors import ConfigError, DataError, PathwaysError
from pathways.evolve.at_once import AtOnce, NotMeasured, waves_by_affinity
from pathways.evolve.grouping import Grouping
from pathways.mirror import located
from pathways.modules import Families
from pathways.path import Path
from pathways.progress import Progress
from pathways.system import System
from pathways.task import Task
from pathways.trainer.calibrate import stack_size

from .config import Config
from .engine_config import OWN, EngineConfig, made_engine
from .root_config import path_of, paths_of
from .turns import Arrival, Arrivals, Control, Part, Wave, in_turn
from .yaml_file import read_yaml, write_yaml

if TYPE_CHECKING:
    from .affinity_config import AffinityConfig

Setup = TypeVar("Setup", "Config", "AffinityConfig")
"""A run or a study: tasks on an architecture, and where they are trained."""

# What of a configuration may differ between two calls of one run: it does not change what is computed.
_FREE = ("name", "ledger", *(f"engine.{field.name}" for field in fields(EngineConfig) if field.name not in OWN))
# What a run directory may hold before `system.json` makes it one: the rest of a creation that was cut short.
_BEGUN = ("config.yaml", "pool", "ledger.db", "ledger.db-wal", "ledger.db-shm")


def load_groups(config: Config | AffinityConfig, file: str, folder: FilePath | None = None) -> list[Arrivals]:
    """The tasks of all sources in the order of learning; those that arrive together, to be learned jointly, are one.

    Args:
        config: whose `tasks` say what to load.
        file: where the configuration came from, for errors.
        folder: of external data sets.

    Raises:
        PathwaysError: a source that cannot be loaded, or two tasks of one name; file and key are named.
    """
    groups: list[Arrivals] = []
    names: set[str] = set()
    for i, source in enumerate(config.tasks):
        try:
            found = list(data.load(source.source, **({"data": folder} if folder else {}), **source.arguments))
        except (PathwaysError, TypeError, ValueError) as error:
            kind = type(error) if isinstance(error, PathwaysError) else ConfigError
            raise kind(f"{file}: `tasks.{i}`: {error}") from None
        for task in found:
            if task.name in names:
                raise ConfigError(f"{file}: `tasks.{i}` gives task {task.name!r} again: name each task once.")
            names.add(task.name)
        grouping = source.jointly if isinstance(source.jointly, Grouping) else None
        groups += [Arrivals(found, grouping)] if source.jointly else [Arrivals([task]) for task in found]
    return groups


def load_tasks(config: Config | AffinityConfig, file: str, folder: FilePath | None = None) -> list[Task]:
    """The tasks of `load_groups`, one after another."""
    return in_order(load_groups(config, file, folder))


def in_order(groups: Iterable[Iterable[Task]]) -> list[Task]:
    """The tasks of all groups, one after another."""
    return [task for group in groups for task in group]


def with_fingerprints(config: Setup, tasks: Iterable[Task], file: str) -> Setup:
    """The configuration with the fingerprint of each task's data.

    Raises:
        DataError: it names fingerprints already and the data has others; the tasks are named.
    """
    found = {task.name: task.fingerprint for task in tasks}
    if config.fingerprints:
        changed = [name for name in config.fingerprints if found.get(name) != config.fingerprints[name]]
        changed += [name for name in found if name not in config.fingerprints]
        if changed:
            raise DataError(
                f"{file}: `fingerprints` must be those of the data, which changed for {', '.join(map(repr, changed))}: "
                f"restore the data, or begin a new run."
            )
    return replace(config, fingerprints=found)


def make_root(
    config: Config | AffinityConfig, tasks: Sequence[Task], families: Families
) -> Path | str | dict[str, Path | str] | None:
    """What first paths are built on: a shipped root's name, a path of untrained modules, several of these, or nothing.

    Raises:
        ConfigError: no task has inputs that a root from scratch can read.
    """
    if roots := getattr(config, "roots", {}):
        return paths_of(roots, tasks, families)
    return None if config.root is None else path_of(config.root, tasks, families)


def existing(
    out: FilePath | str, config: Config | AffinityConfig, families: Iterable[Any], ledger: str | None = None
) -> System | None:
    """The system in `out`, where that holds a run of the same configuration; `None` where it holds no run.

    `ledger` is the URL that a command gives, with which it is opened.

    Raises:
        ConfigError: it holds a run of another configuration, whose first differing key is named, or other files.
    """
    directory, mirror = located(out)
    if not (directory / "system.json").exists():
        others = mirror.others(_BEGUN) if mirror is not None else _others(directory)
        if others:
            raise ConfigError(
                f"`--out` must be a new directory or a run, {out} holds {sorted(others)[0]!r}: choose another."
            )
        return None
    there = type(config).read(read_yaml(directory / "config.yaml"), f"{out}/config.yaml").resolved()
    here = config.resolved()
    for key in ("stack", "device"):
        if here["engine"][key] == "auto":  # was resolved when the run began
            here["engine"][key] = there["engine"][key]
    if kind_of(here["engine"]["device"]) == kind_of(there["engine"]["device"]):  # whichever GPU it is
        here["engine"]["device"] = there["engine"]["device"]
    for key, (before, now) in differences(there, here).items():
        if key not in _FREE:
            raise ConfigError(
                f"{out} holds a run of another configuration: `{key}` was {_brief(before)} and is {_brief(now)}: "
                f"choose another `--out`, or go on with `pathways resume {out}`."
            )
    return System.open(out, families=families, ledger=ledger)


def _others(directory: FilePath) -> list[str]:
    """Files in a directory that no run that is being created has put there."""
    every = directory.iterdir() if directory.exists() else ()
    return [f.name for f in every if not f.name.startswith(".tmp-") and f.name not in _BEGUN]


def stored_config(place: FilePath | str) -> Any:
    """The plain data of the `config.yaml` of a run, in a directory or on storage."""
    directory, _ = located(place)
    if not (directory / "system.json").exists():
        raise ConfigError(
            f"`DIR` must be a run directory, found no `system.json` in {place}: make one with `pathways run`."
        )
    return read_yaml(directory / "config.yaml")


def differences(a: Any, b: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """What differs between two resolved configurations, by dotted key.

    >>> differences({"seed": 0, "engine": {"workers": 1}}, {"seed": 0, "engine": {"workers": 2}})
    {'engine.workers': (1, 2)}
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        pairs: Iterable[Any] = ((name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b]))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = ((i, x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        return {} if a == b and type(a) is type(b) else {key: (a, b)}
    found: dict[str, tuple[Any, Any]] = {}
    for name, x, y in pairs:
        found |= differences(x, y, f"{key}.{name}" if key else str(name))
    return found


def make_system(
    out: FilePath | str, config: Config | AffinityConfig, tasks: Sequence[Task], families: Sequence[Any],
    ledger: str | None = None,
) -> System:
    """A new system for a configuration, which it keeps as `config.yaml`, resolved; its ledger is at a URL, if given."""
    device = device_here(config.engine.device)
    stack = stack_size(config.engine.stack, device)
    config = replace(config, engine=replace(config.engine, stack=stack, device=device))
    system = System.create(
        out,
        seed=config.seed,
        root=make_root(config, tasks, Families(families)),
        training=config.training,
        families=families,
        dispatch=config.engine.dispatch,
        stack=config.engine.stack,
        device=device,
        config=config.resolved(),
        ledger=ledger,
    )
    # The same data, but words that look like numbers are quoted, so that it reads back equal.
    write_yaml(system.directory / "config.yaml", config.resolved())
    if system.mirror is not None:
        system.mirror.push("config.yaml")
    return system


def engine_of(config: Config | AffinityConfig, system: System) -> Any:
    """The engine that a configuration names, to be used as a context; its device is the run's where it says `auto`.

    The system traces what that engine does, or not, as the configuration says.
    """
    system.tracing = config.engine.trace
    return made_engine(config.engine, system.device if config.engine.device == "auto" else config.engine.device)


def carry_out(
    system: System, config: Config, groups: Sequence[Arrivals], progress: Progress, *, share: bool = False
) -> None:
    """Learn what is not learned yet, in order, then run the controls; what is recorded is not done again.

    Tasks that were forgotten on request stay forgotten.

    Args:
        system: of that configuration.
        config: what to learn with.
        groups: the tasks, as `load_groups` gives them.
        progress: called with an `Event` after each result.
        share: leave to other drivers what they are at, and wait for it at the end; else it is an error.
    """
    system.training = config.training
    forgotten = system.ledger.forgotten(task.name for task in in_order(groups))
    kept = [Arrivals((task for task in g if task.name not in forgotten), g.grouping) for g in groups]
    tasks = in_order(kept)
    system.attach(task for task in tasks if task.name in system.records)
    with engine_of(config, system) as engine:
        going = waves(system, config, groups, forgotten, engine, progress)
        in_turn(system, [_part(system, config, wave, engine, progress) for wave in going if in_order(wave)], share)
        system.attach(tasks)  # what another driver froze and was killed before it recorded
        in_turn(system, [Control(system, tasks, c.strategy, engine, progress) for c in config.controls], share)
    if share:
        system.collect()


def searches_left(system: System, config: Config, tasks: Sequence[Task]) -> int:
    """How many searches a run has before it, about: of tasks that are not learned, and of controls not recorded."""
    names = {task.name for task in tasks} - set(system.ledger.forgotten(task.name for task in tasks))
    done = {key for key in system.ledger.controls() if key[1] in names}
    controls = [c.strategy for c in config.controls]
    asked = {(c.name, task.name) for c in controls for task in served(tasks, c) if task.name in names}
    return len(names - set(system.records)) + len(asked - done)


def waves(
    system: System, config: Config, groups: Sequence[Arrivals], forgotten: Container[str] = (),
    engine: Any = None, progress: Progress | None = None,
) -> list[list[Arrivals]]:
    """What is learned at the same time, wave after wave, without tasks that were forgotten.

    Forgetting a task does not move others to another wave, unless affinity was not measured when it was forgotten.
    """
    def kept(group: Arrivals) -> Arrivals:
        return Arrivals((task for task in group if task.name not in forgotten), group.grouping)

    rule = config.at_once
    if isinstance(rule, int):
        return [[kept(group) for group in groups[at : at + rule]] for at in range(0, len(groups), rule)]
    of = {task.name: kept(group) for group in groups for task in group}
    try:
        named, _ = waves_by_affinity(system, in_order(groups), rule, measure=False)
    except NotMeasured:
        named, _ = waves_by_affinity(system, in_order(of.values()), rule, engine, progress)
    return [[of[name] for name in wave] for wave in named]


def decided_waves(
    out: FilePath | str, config: Config, groups: Sequence[Arrivals], families: Iterable[Any] = ()
) -> tuple[tuple[str, ...], ...] | None:
    """The waves that affinity has decided in the run in `out`; `None` where there is none, or nothing was measured."""
    if not isinstance(config.at_once, AtOnce) or not (located(out)[0] / "system.json").exists():
        return None
    with System.open(out, families=families) as system:
        system.training = config.training
        try:
            return waves_by_affinity(system, in_order(groups), config.at_once, measure=False)[0]
        except NotMeasured:
            return None


def _part(system: System, config: Config, wave: Sequence[Arrivals], engine: Any, progress: Progress) -> Part:
    """What one driver does at a time: what arrives together, or what is learned at the same time."""
    groups = [group for group in wave if group]
    if len(wave) == 1:
        return Arrival(system, groups[0], config.strategy.strategy, engine, progress)
    return Wave(system, groups, config.strategy.strategy, engine, progress)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

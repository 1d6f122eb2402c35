"""Whether the strategy and the controls of a configuration can begin, asked before anything is written or trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pathways.choose_root import ROOT, root_for
from pathways.compare import served
from pathways.errors import ConfigError, PathwaysError
from pathways.modules import Families
from pathways.path import Path
from pathways.root import shipped_path
from pathways.strategy import TaskInfo, View
from pathways.task import Task

from .config import Config, Named
from .runner import in_order, make_root
from .turns import Arrivals


def check_begins(config: Config, groups: Sequence[Arrivals], families: Families, file: str) -> None:
    """Begin every search that the run would begin first, without a system, and train nothing.

    A control runs after all tasks are learned: what it objects to, such as a root that is not trained, would be told
    hours later.

    Args:
        config: of the run.
        groups: its tasks, those that are learned jointly in one list.
        families: of the modules.
        file: where the configuration came from, for errors.

    Raises:
        ConfigError: one of them cannot begin; file and key are named.
    """
    roots = _roots(config, in_order(groups), families)
    sides = [("strategy", config.strategy, list(groups))]
    for i, control in enumerate(config.controls):
        tasks = list(served(in_order(groups), control.strategy))
        together = getattr(control.strategy, "joint", False)
        sides.append((f"controls.{i}", control, [Arrivals(tasks)] if together else [Arrivals([t]) for t in tasks]))
    for key, named, searches in sides:
        for alike in _unlike(searches):
            _begin(named, alike, roots, config, families, f"{file}: `{key}.{named.name}`")


def _begin(
    named: Named, tasks: Sequence[Task], roots: Mapping[str, Path], config: Config, families: Families, where: str
) -> None:
    infos = tuple(TaskInfo(t.name, t.inputs, t.target, t.fingerprint, len(t.splits["train"])) for t in tasks)
    name = root_for(roots, [task.inputs for task in tasks])
    several = roots if set(roots) != {ROOT} else {}
    view = View(
        config.seed, infos, {}, None if name is None else roots[name], config.training, families=families, roots=several
    )
    try:
        named.strategy.begin(view)
    except (PathwaysError, ValueError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from None


def _roots(config: Config, tasks: Sequence[Task], families: Families) -> dict[str, Path]:
    """The roots that the run would have, by name, without their weights."""
    made = make_root(config, tasks, families)
    named = made if isinstance(made, dict) else {} if made is None else {ROOT: made}
    return {name: shipped_path(root) if isinstance(root, str) else root for name, root in named.items()}


def _unlike(groups: Sequence[Sequence[Task]]) -> Iterator[Sequence[Task]]:
    """Of groups whose tasks have equal inputs and kinds of target the first: the others begin as it does."""
    seen: list[Any] = []
    for group in groups:
        kinds = [(dict(task.inputs), type(task.target)) for task in group]
        if group and kinds not in seen:
            seen.append(kinds)
            yield group

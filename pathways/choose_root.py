"""Which of a run's roots a task is built on: the one that reads its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pathways.modules import Port

from .errors import PathError
from .path import Path

ROOT = "root"
"""What the only root of a run is called."""


def root_for(roots: Mapping[str, Path], inputs: Sequence[Mapping[str, Port]]) -> str | None:
    """The name of the root for tasks with these inputs; `None` where there is none.

    Of several it is the first whose inputs are theirs by name and port, else the first that can be made to read them
    all (see `fit_inputs`). A run's only root is for every task: whether that reads its inputs is told where it is used.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Vector
        >>> from pathways.path import Step
        >>> step = Step((Draft("a", ModuleSpec("linear", {"dim": 2})),), ("x",))
        >>> roots = {f"of {dim}": Path({"x": Vector(dim)}, {"a": step}, "a") for dim in (3, 4)}
        >>> root_for(roots, [{"x": Vector(4)}]), root_for(roots, [{"y": Vector(3)}])
        ('of 4', 'of 3')
    """
    if len(roots) <= 1:
        return next(iter(roots), None)
    for name, root in roots.items():
        if all(dict(root.inputs) == dict(each) for each in inputs):
            return name
    return next((name for name, root in roots.items() if all(_fits(root, each) for each in inputs)), None)


def fit_inputs(root: Path, inputs: Mapping[str, Port]) -> Path:
    """`root` reading a task's inputs: of equal names and ports, or one input of equal port, which is renamed.

    Raises:
        PathError: they do not fit; the message names both sides.
    """
    if dict(root.inputs) == dict(inputs):
        return root
    if len(root.inputs) == len(inputs) == 1:
        (old, old_port), (new, new_port) = *root.inputs.items(), *inputs.items()
        if old_port == new_port and new not in root.steps:
            return renamed(root, {old: new})
    found = ", ".join(f"{name}: {port}" for name, port in inputs.items())
    wanted = ", ".join(f"{name}: {port}" for name, port in root.inputs.items())
    raise PathError(
        f"the root reads ({wanted}) and the task has ({found}): use a root that was made for these inputs."
    )


def renamed(path: Path, names: Mapping[str, str]) -> Path:
    """The path with its inputs called otherwise; those that `names` leaves out keep theirs."""
    steps = {name: step.map_reads(lambda read: names.get(read, read)) for name, step in path.steps.items()}
    return Path({names.get(name, name): port for name, port in path.inputs.items()}, steps, path.output)


def _fits(root: Path, inputs: Mapping[str, Port]) -> bool:
    try:
        fit_inputs(root, inputs)
    except PathError:
        return False
    return True


__all__ = ["ROOT", "fit_inputs", "renamed", "root_for"]

"""What first paths are built on, as a configuration says it: a name, a chain, a preset, a wiring, steps; or several.

```yaml
root: omniglot                                          # a root that ships with the package, trained
root: {architecture: [{family: flatten}, {family: linear, dim: 64}]}
root: {preset: convnet}                                 # a path that ships, from random weights
root: {wiring: {bottleneck: {layers: 2}}}               # of the tasks' inputs, or of `inputs` given beside it
root: {steps: {a: {module: {family: flatten}}, b: {module: {family: linear, config: {dim: 8}}}}}
roots: {image: {preset: convnet}, sound: {preset: mlp}} # each task builds on the first that reads its inputs
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from pathways.choose_root import renamed
from pathways.errors import ConfigError, PathwaysError
from pathways.modules import Draft, Families, Init, ModuleSpec, Port, port_from_json, port_to_json
from pathways.modules.near import did_you_mean
from pathways.path import Path, Step
from pathways.preset import path_from, preset
from pathways.root import shipped_path
from pathways.task import Task

from .strict import Place, build, made, plain


@dataclass(frozen=True)
class Root:
    """A root that starts from scratch: a chain of modules, each reading the one before.

    Args:
        architecture: the chain; the first module reads the tasks' input.
    """

    architecture: tuple[ModuleSpec, ...]

    def to_json(self) -> dict[str, Any]:
        """The root as a configuration has it."""
        return {"architecture": plain(self.architecture)}

    def path(self, inputs: Mapping[str, Port]) -> Path:
        """The chain behind an input; a `ConfigError` where there are several."""
        if len(inputs) != 1:
            raise ConfigError(f"`architecture` needs tasks with one input, found {sorted(inputs)}.")
        steps: dict[str, Step] = {}
        last = next(iter(inputs))
        for i, spec in enumerate(self.architecture):
            steps[f"block{i + 1}"] = Step((Draft(f"block{i + 1}", spec, Init()),), (last,))
            last = f"block{i + 1}"
        return Path(inputs, steps, last)


@dataclass(frozen=True)
class Laid:
    """A root that starts from scratch, as `pathways.preset` reads it: one of `preset`, `wiring` and `steps`.

    Args:
        preset: the name of a path that ships.
        wiring: one name of `pathways.wiring.WIRINGS` with its settings.
        steps: the steps of a path.
        inputs: a port for each input; those of the tasks when not given.
        output: of `steps`, the one that heads read; the last when not given.
        shared: names of modules, such as a decoder's, that are one with those of the same name in other `roots`.
    """

    preset: str | None = None
    wiring: Mapping[str, Any] | None = None
    steps: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    output: str | None = None
    shared: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The root as a configuration has it."""
        found = {field.name: plain(getattr(self, field.name)) for field in fields(self)}
        return {key: item for key, item in found.items() if item is not None}

    def path(self, inputs: Mapping[str, Port], place: str = "`root`") -> Path:
        """The path, reading these inputs where it does not say which by itself."""
        data = {key: item for key, item in self.to_json().items() if key != "shared"}
        if self.preset is None:
            ports = {name: port_to_json(port) for name, port in inputs.items()}
            return path_from({"inputs": ports, **data}, source=place)
        if self.inputs is not None:
            return preset(self.preset, {name: port_from_json(port) for name, port in data["inputs"].items()})
        own = preset(self.preset)
        if dict(own.inputs) == dict(inputs):
            return own
        read = preset(self.preset, inputs)
        by_order = dict(zip(read.inputs, inputs, strict=True))
        return read if set(read.inputs) == set(inputs) else renamed(read, by_order)


_KEYS = ("architecture", *(field.name for field in fields(Laid)))
AnyRoot = str | Root | Laid


def root_from(data: Any, place: Place) -> AnyRoot | None:
    """The root that plain data describes."""
    if data is None or isinstance(data, str):
        return data
    if not isinstance(data, Mapping):
        raise place.error(f"must be a name, or a mapping with one of {list(_KEYS[:4])}, found {data!r:.80}.")
    for key in data:
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS, f": the settings are {list(_KEYS)}.")
            raise (place / key).error(f"is not a setting{near}")
    ways = [key for key in _KEYS[:4] if key in data]
    if len(ways) != 1:
        raise place.error(f"must have one of {list(_KEYS[:4])}, found {ways}.")
    if ways == ["architecture"]:
        return build(Root, data, place)
    root: Laid = build(Laid, data, place)
    if root.steps:
        root = replace(root, steps=_explicit(root.steps), output=root.output or str(list(root.steps)[-1]))
    if root.preset is not None or root.inputs is not None:
        made(lambda: root.path({}, str(place)) if root.inputs is not None else preset(root.preset or ""), place)
    return root


def roots_from(data: Any, place: Place) -> dict[str, AnyRoot]:
    """Several roots by name, in their order."""
    if not isinstance(data, Mapping) or not data:
        raise place.error(f"must be a mapping of names to roots, found {data!r:.80}.")
    found: dict[str, AnyRoot] = {}
    for name, each in data.items():
        root = root_from(each, place / name)
        if root is None:
            raise (place / name).error("must be a root, found None: drop it.")
        found[str(name)] = root
    return found


def root_to_json(root: AnyRoot | None) -> Any:
    """The root as a configuration has it."""
    return root if root is None or isinstance(root, str) else root.to_json()


def path_of(root: AnyRoot, tasks: Sequence[Task], families: Families, place: str = "root") -> Path | str:
    """What a root is for these tasks: it reads what they have, of several inputs the first that it can read.

    Raises:
        ConfigError: it can read none of them; the message is of the first.
    """
    if isinstance(root, str):
        return root
    if isinstance(root, Laid) and root.inputs is not None:
        return root.path({}, f"`{place}`")
    problems: list[Exception] = []
    for inputs in _distinct(tasks):
        try:
            path = root.path(inputs) if isinstance(root, Root) else root.path(inputs, f"`{place}`")
            path.ports(families)
        except (PathwaysError, ValueError) as error:
            problems.append(error)
        else:
            return path
    what = str(problems[0])
    raise ConfigError(what if what.startswith(f"`{place}`") else f"`{place}`: {what}")


def paths_of(roots: Mapping[str, AnyRoot], tasks: Sequence[Task], families: Families) -> dict[str, Path | str]:
    """Several roots; each reads the first inputs of tasks that it can read and that no root before it reads.

    Modules are called after their root, so that those of different roots are different modules; but those that a root
    says are `shared`, or to which its `steps` give a `name`, are the same in all roots that call them so.

    Raises:
        ConfigError: a root shares a module that it does not have.
    """
    found: dict[str, Path | str] = {}
    for name, root in roots.items():
        read = (shipped_path(path) if isinstance(path, str) else path for path in found.values())
        taken = [dict(path.inputs) for path in read]
        left = [task for task in tasks if dict(task.inputs) not in taken]
        path = path_of(root, left or tasks, families, f"roots.{name}")
        if isinstance(path, Path):
            said = set(root.shared or ()) if isinstance(root, Laid) else set()
            if unknown := sorted(said - set(path.drafts())):
                raise ConfigError(
                    f"`roots.{name}`: `shared` must name modules of this root, one of {sorted(path.drafts())}, found "
                    f"{unknown}."
                )
            same = said | set(_names(root.steps)) if isinstance(root, Laid) else said
            path = path.map_refs(
                lambda ref, name=name, same=same:  # type: ignore[misc]
                replace(ref, name=f"{name}/{ref.name}") if isinstance(ref, Draft) and ref.name not in same else ref
            )
        found[name] = path
    return found


def _explicit(steps: Mapping[str, Any]) -> dict[str, Any]:
    """Steps that say what they read, so that it does not depend on the order in which they stand."""
    found: dict[str, Any] = {}
    last: str | None = None
    for name, step in steps.items():
        said = last is None or not isinstance(step, Mapping) or "reads" in step
        found[str(name)] = step if said else {**step, "reads": [last]}
        last = str(name)
    return found


def _distinct(tasks: Sequence[Task]) -> list[Mapping[str, Port]]:
    """The inputs of tasks, each once, in the order in which they come."""
    found: list[Mapping[str, Port]] = []
    for task in tasks:
        if task.inputs not in found:
            found.append(task.inputs)
    return found


def _names(data: Any) -> Iterator[str]:
    """The names that modules are given in plain data, at any depth."""
    if isinstance(data, Mapping):
        if isinstance(data.get("name"), str) and "family" in data:
            yield data["name"]
        data = list(data.values())
    if isinstance(data, list):
        for each in data:
            yield from _names(each)


__all__ = ["AnyRoot", "Laid", "Root", "path_of", "paths_of", "root_from", "root_to_json", "roots_from"]

"""Paths as plain YAML: the presets that ship, and the same form for a user's own file."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path as FilePath
from typing import Any, cast

import yaml

from pathways.modules import Draft, FrozenDict, Init, ModuleRef, ModuleSpec, Port, port_from_json
from pathways.modules.near import nearest

from .errors import ConfigError, PathError
from .path import DeltaRef, Path, Step

_HOME = FilePath(__file__).parent / "presets"
_MODULE = ("family", "config", "parts", "name", "version")
_STEP = ("module", "modules", "reads", "combine", "gate", "deltas")
_PATH = ("inputs", "steps", "wiring", "output", "reference")


def presets() -> list[str]:
    """The names of the paths that ship, sorted."""
    return sorted(file.stem for file in _HOME.glob("*.yaml"))


def preset(name: str, inputs: Mapping[str, Port] | None = None) -> Path:
    """A path that ships, all of it drafts from random weights.

    Args:
        name: one of `presets()`.
        inputs: what it shall read in place of its own inputs: ports of the same kinds, by name or else in order.

    Raises:
        ConfigError: there is no such preset, or it does not read such inputs.
        PathError: ports that do not fit.

    Example:
        >>> from pathways.modules import Vector
        >>> preset("mlp", {"x": Vector(5)}).ports()["layer2"]
        Vector(dim=32)
    """
    return path_from(_read(name), inputs, f"preset {name!r}")


def reference_of(name: str) -> str:
    """What a preset says of its source."""
    return str(_read(name).get("reference", ""))


def path_from(data: Mapping[str, Any], inputs: Mapping[str, Port] | None = None, source: str = "`root`") -> Path:
    """The path that plain data describes: `inputs`, then `steps` or a `wiring`, and the `output`.

    A step is `{module: M}` or `{modules: [M, ...]}`, with `reads` (by default the step before, at first the first
    input), `combine`, `gate` and `deltas`; a module is `{family, config, parts, name}`. Modules of one `name` are one.

    Args:
        data: as read from YAML.
        inputs: what it shall read in place of its own inputs.
        source: what errors call it.

    Raises:
        ConfigError: one sentence that names the place, the rule and what was found.
        PathError: steps that do not fit together.

    Example:
        >>> path = path_from({
        ...     "inputs": {"x": {"port": "vector", "dim": 4}},
        ...     "steps": {"a": {"module": {"family": "linear", "config": {"dim": 3}}}},
        ... })
        >>> path.ports()["a"]
        Vector(dim=3)
    """
    _known(data, _PATH, source)
    try:
        own = {str(name): port_from_json(port) for name, port in dict(data.get("inputs", {})).items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: `inputs` must give a port for each input: {error}") from None
    read = _inputs(own, inputs, source)
    if ("wiring" in data) == ("steps" in data):
        raise ConfigError(f"{source} must have `steps` or a `wiring`, found {sorted(data)}.")
    if "wiring" in data:
        return _wired(data["wiring"], read, source)
    if not isinstance(data["steps"], Mapping) or not data["steps"]:
        raise ConfigError(f"{source}: `steps` must name at least one step, found {data['steps']!r:.80}.")
    steps: dict[str, Step] = {}
    last = next(iter(read), None)
    for name, step in data["steps"].items():
        steps[str(name)] = _step(step, str(name), last, f"{source}: step {name!r}")
        last = str(name)
    return Path(read, steps, str(data.get("output", last)))


@cache
def _read(name: str) -> Mapping[str, Any]:
    if name not in presets():
        near = nearest(name, presets(), 3) or presets()[:3]
        raise ConfigError(
            f"`preset` must be one of the {len(presets())} that ship, such as {near}, found {name!r}: "
            f"`pathways.preset.presets()` lists them."
        )
    return FrozenDict(yaml.safe_load((_HOME / f"{name}.yaml").read_text(encoding="utf-8")))


def _inputs(own: Mapping[str, Port], given: Mapping[str, Port] | None, source: str) -> dict[str, Port]:
    """The given inputs under the path's own names, where kinds agree."""
    if given is None:
        return dict(own)
    if set(given) == set(own):
        pairs = {name: given[name] for name in own}
    else:
        pairs = dict(zip(own, given.values(), strict=False))
    fits = len(given) == len(own) and all(type(pairs[name]) is type(port) for name, port in own.items())
    if not fits:
        wanted, found = (", ".join(f"{n}: {p}" for n, p in ports.items()) for ports in (own, given))
        raise ConfigError(f"{source} reads ({wanted}), found inputs ({found}): use one made for these.")
    return pairs


def _step(data: Any, name: str, last: str | None, place: str) -> Step:
    if not isinstance(data, Mapping) or ("module" in data) == ("modules" in data):
        raise ConfigError(f"{place} must have a `module` or `modules`, found {data!r:.80}.")
    _known(data, _STEP, place)
    given = data["modules"] if "modules" in data else [data["module"]]
    modules = _list(given, "modules", place)
    names = [name] if len(modules) == 1 else [f"{name}.{i}" for i in range(len(modules))]
    refs = tuple(_module(each, n, place) for each, n in zip(modules, names, strict=True))
    combine = data.get("combine", "sum")
    if not isinstance(combine, str):
        combine = _module(combine, f"{name}.router", place)
    deltas = []
    for i, delta in enumerate(_list(data.get("deltas", ()), "deltas", place)):
        _known(delta, ("host", "module", "reads"), f"{place}: delta {i}")
        ref = _module(delta.get("module"), f"{name}.delta{i}", f"{place}: delta {i}")
        deltas.append(DeltaRef(int(delta.get("host", 0)), ref, _names(delta.get("reads", ()), place)))
    reads = _names(data.get("reads", () if last is None else (last,)), place)
    gate = None if data.get("gate") is None else _names(data["gate"], place)
    return Step(refs, reads, combine, tuple(deltas), gate)


def _module(data: Any, name: str, place: str) -> ModuleRef:
    if not isinstance(data, Mapping) or not isinstance(data.get("family"), str):
        raise ConfigError(f"{place}: a module must have a `family`, found {data!r:.80}.")
    _known(data, _MODULE, place)
    name = str(data.get("name", name))
    parts = {str(k): _module(part, f"{name}.{k}", place) for k, part in dict(data.get("parts") or {}).items()}
    spec = ModuleSpec(data["family"], data.get("config") or {}, int(data.get("version", 1)), FrozenDict(parts))
    return Draft(name, spec, Init())


def _wired(data: Any, inputs: Mapping[str, Port], source: str) -> Path:
    from .wiring import WIRINGS

    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in WIRINGS:
        raise ConfigError(
            f"{source}: `wiring` must name one of {sorted(WIRINGS)} with its settings, found {data!r:.80}."
        )
    [(name, settings)] = data.items()
    file, function = WIRINGS[name].split(":")
    build = getattr(import_module(f".wiring.{file}", __package__), function)
    known = [each for each in inspect.signature(build).parameters if each != "inputs"]
    if not isinstance(settings or {}, Mapping) or (unknown := sorted(set(settings or {}) - set(known))):
        found = settings if not isinstance(settings, Mapping) else unknown
        raise ConfigError(f"{source}: wiring `{name}` takes {known}, found {found}.")
    try:
        return cast(Path, build(inputs, **(settings or {})))
    except (TypeError, ValueError) as error:
        if isinstance(error, PathError):
            raise
        raise ConfigError(f"{source}: the settings of wiring `{name}` do not fit: {error}.") from None


def _known(data: Any, names: Sequence[str], place: str) -> None:
    if not isinstance(data, Mapping):
        raise ConfigError(f"{place} must be a mapping with {list(names)}, found {data!r:.80}.")
    if unknown := sorted(set(data) - set(names)):
        raise ConfigError(f"{place} has {list(names)}, found {unknown} beside them.")


def _list(data: Any, key: str, place: str) -> list[Any]:
    if isinstance(data, (str, Mapping)) or not isinstance(data, Iterable):
        raise ConfigError(f"{place}: `{key}` must be a list, found {data!r:.80}.")
    return list(data)


def _names(data: Any, place: str) -> tuple[str, ...]:
    return (data,) if isinstance(data, str) else tuple(map(str, _list(data, "reads", place)))


__all__ = ["path_from", "preset", "presets", "reference_of"]

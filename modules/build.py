"""From a spec to a module with weights, and what can be known of it without allocating any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING

from .memo import Facts
from .near import did_you_mean
from .ports import Port, PortError, port_to_json
from .spec import ModuleSpec, thaw
from .table import BUILT_IN, Families

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .module import Delta, Module

# Torch is imported where modules are built: facts that a memo holds are found without it.


def build(
    spec: ModuleSpec,
    ports: Sequence[Port],
    generator: torch.Generator | None = None,
    *,
    parts: Mapping[str, nn.Module] | None = None,
    host: Module | None = None,
    families: Families = BUILT_IN,
) -> Module | Delta:
    """Build the module that `spec` describes for the given input ports.

    Args:
        spec: the family and its configuration.
        ports: one input port for each positional input; of a delta, those of its condition.
        generator: initialises the weights; without one they are left unset, to be loaded.
        parts: the built modules that `spec.parts` name.
        host: for a delta family, the module it changes.
        families: the families that `spec.family` may name.

    Raises:
        PortError: the ports do not fit the family.
        ValueError: family, version or configuration are not known or not valid.

    Example:
        >>> import torch
        >>> from pathways.modules import ModuleSpec, Vector, build
        >>> build(ModuleSpec("linear", {"dim": 3}), [Vector(5)], torch.Generator().manual_seed(0)).output
        Vector(dim=3)
    """
    import torch

    from .module import Delta

    cls = families[spec.family]
    if spec.version != cls.version:
        raise ValueError(
            f"module family `{spec.family}` is at version {cls.version} here and at version {spec.version} in the "
            f"spec: use the release that wrote it."
        )
    config = thaw(spec.config)
    if spec.parts:
        config["parts"] = dict(parts or {})
    with torch.device("meta"):
        try:
            if issubclass(cls, Delta):
                condition = (tuple(ports),) if ports else ()
                module: Module | Delta = cls(host, *condition, **config)
            else:
                module = cls(tuple(ports), **config)
                module.inputs = tuple(ports)
        except TypeError as error:
            known = list(signature(cls).parameters)[1:]
            near = next((near for name in config if name not in known and (near := did_you_mean(name, known))), ".")
            raise ValueError(
                f"the configuration of family `{spec.family}` does not fit, found {config}: {error}{near}"
            ) from None
    if generator is not None:
        module.to_empty(device="cpu")
        module.initialise(generator)
    return module


def facts(
    spec: ModuleSpec,
    ports: Sequence[Port],
    *,
    host: tuple[ModuleSpec, tuple[Port, ...]] | None = None,
    families: Families = BUILT_IN,
) -> Facts:
    """The output port, parameter count and FLOPs of `spec` at `ports`, found without allocating weights.

    Where `families` has a memo, what that holds is not worked out again.

    Args:
        spec: the family and its configuration.
        ports: one input port for each positional input.
        host: for a delta family, the module it changes and that module's input ports.
        families: the families that specs may name.

    Raises:
        PortError: the ports do not fit the family.
        ValueError: family, version or configuration are not known or not valid.
    """
    # Configurations that differ in 1, 1.0 and True only are equal, but need not build the same module.
    canonical = (spec.canonical, host[0].canonical if host else "")
    ports = tuple(ports)
    if families.memo is None:
        return _facts(canonical, spec, ports, host, families)
    key = [canonical, list(map(port_to_json, ports)), list(map(port_to_json, host[1])) if host else None]
    return families.memo.facts(key, lambda: _facts(canonical, spec, ports, host, families))


def part_ports(
    spec: ModuleSpec, ports: tuple[Port, ...], families: Families = BUILT_IN
) -> Callable[[str], tuple[Port, ...]]:
    """The input ports of each part that `spec` names."""
    return families[spec.family].part_ports(ports, thaw(spec.config))


def is_delta(spec: ModuleSpec, families: Families = BUILT_IN) -> bool:
    """Whether `spec` is a change inside a module, not a module."""
    from .module import Delta

    return issubclass(families[spec.family], Delta)


@lru_cache(maxsize=65536)
def _facts(
    canonical: tuple[str, str],
    spec: ModuleSpec,
    ports: tuple[Port, ...],
    host: tuple[ModuleSpec, tuple[Port, ...]] | None,
    families: Families,
) -> Facts:
    module = shell(spec, ports, families, shell(*host, families) if host else None)
    return Facts(
        getattr(module, "output", None),
        sum(p.numel() for p in module.parameters()),
        sum(b.numel() for b in module.buffers()),
        module.flops(),
        getattr(module, "active", None),
    )


def shell(
    spec: ModuleSpec, ports: tuple[Port, ...], families: Families, host: Module | Delta | None = None
) -> Module | Delta:
    """The module and, all the way down, its parts, none with weights; `host` of a delta."""
    inside = part_ports(spec, ports, families)
    parts = {
        name: shell(part.spec, inside(name), families, host if is_delta(part.spec, families) else None)
        for name, part in spec.parts.items()
    }
    return build(spec, ports, parts=parts, host=host, families=families)  # type: ignore[arg-type]


__all__ = ["Facts", "PortError", "build", "facts", "is_delta", "part_ports", "shell"]

"""What muNet inserts, replaces, puts beside or inside a module, and takes out: drawn for each step of a child."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from pathways.errors import ConfigError, PathError
from pathways.modules import Delta, Families, Frozen
from pathways.path import Path

from .fitted import What, family_of
from .mutate_blocks import drop_block, insert_block, replace_block
from .mutate_branches import add_branch, drop_branch, weights_two
from .mutate_deltas import add_delta, drop_delta
from .outline import blocks, is_inner
from .settings import as_spec

ALL = "all"
BLOCK_KINDS = ("insert", "replace", "drop", "delta", "branch")
CHOICES = ("blocks", "deltas", "routers")
Choices = str | Sequence[What]

Change = Callable[[Path, str], tuple[Path, str]]
"""From a path and one of its steps to another path, and what was done, in words; or a `PathError`."""


class Draws(Protocol):
    """The chances of one child's mutations, and what its draws are made with."""

    rng: np.random.Generator

    def happens(self, name: str, kind: str) -> bool:
        """Draw whether the mutation `name` happens."""


def as_choices(name: str, value: Any) -> Choices:
    """`value` as `all`, or as family names and specs.

    Raises:
        ConfigError: it is neither.

    >>> as_choices("blocks", ["transformer", {"family": "linear", "config": {"dim": 8}}])[1].config["dim"]
    8
    """
    if value == ALL:
        return ALL
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise ConfigError(f"`{name}` must be 'all' or a list of families and module specs, found {value!r:.80}.")
    return tuple(each if isinstance(each, str) else as_spec(each) for each in value)


def check_choices(settings: Mapping[str, Choices], rates: Mapping[str, float]) -> None:
    """Raise a `ConfigError` where a rate has nothing to choose from, or a choice no rate.

    >>> check_choices({"blocks": (), "deltas": (), "routers": ()}, {"drop": 0.1})
    """
    wanted = {"insert": "blocks", "replace": "blocks", "branch": "blocks", "delta": "deltas"}
    used = {name.split(":")[0] for name, rate in rates.items() if rate > 0}
    for kind, name in wanted.items():
        if kind in used and not settings[name]:
            raise ConfigError(f"`{name}` must name families where rate `{kind}` is above 0, found none: say 'all'.")
    kinds = {"blocks": ("insert", "replace", "branch"), "deltas": ("delta",), "routers": ("branch",)}
    for name, users in kinds.items():
        if settings[name] and not used & set(users):
            raise ConfigError(f"`rates` must be above 0 for one of {users} where `{name}` is given, found none.")


def changes_blocks(rates: Mapping[str, float]) -> bool:
    """Whether any of these mutations ever happens."""
    return any(rate > 0 for name, rate in rates.items() if name.split(":")[0] in BLOCK_KINDS)


@lru_cache(maxsize=64)
def resolved(name: str, choices: Choices, families: Families) -> tuple[What, ...]:
    """What there is to choose from: `all` is every family of that use.

    Raises:
        ConfigError: a name that is no family, or one of another use.
    """
    fits = {"blocks": _is_block, "deltas": _is_delta, "routers": weights_two}[name]
    if isinstance(choices, str):
        return tuple(family for family in families.names() if fits(family, families))
    for what in choices:
        known = families.names()
        if family_of(what) not in known:
            raise ConfigError(f"`{name}` must name families, some of {known}, found {family_of(what)!r}.")
        if not fits(what, families):
            use = {"blocks": "neither a head nor a delta", "deltas": "deltas", "routers": "routers of a step's modules"}
            raise ConfigError(f"`{name}` must name families that are {use[name]}, found {family_of(what)!r}.")
    return tuple(choices)


def change_blocks(
    trunk: Path, choices: Mapping[str, tuple[What, ...]], families: Families, draws: Draws
) -> tuple[Path, list[str]]:
    """A child's path with what is inserted, replaced, dropped, put inside and beside, step by step.

    Args:
        trunk: the child's, headless.
        choices: by `blocks`, `deltas` and `routers`, what may be chosen; all of it is tried, in an order that is drawn.
        families: the families that specs may name.
        draws: whether each happens.

    Returns:
        The path, and what was done, in words.
    """
    rng = draws.rng

    def drawn(name: str) -> list[What]:
        return [choices[name][i] for i in rng.permutation(len(choices[name]))]

    def insert(path: Path, step: str) -> tuple[Path, str]:
        return _first(drawn("blocks"), lambda what: (
            insert_block(path, step, what, families), f"insert {family_of(what)} after {step}"))

    def replace(path: Path, step: str) -> tuple[Path, str]:
        found = {ref.spec.family for ref in path.steps[step].modules}
        others = [what for what in drawn("blocks") if family_of(what) not in found]
        return _first(others, lambda what: (
            replace_block(path, step, what, families), f"replace {step} by {family_of(what)}"))

    def drop(path: Path, step: str) -> tuple[Path, str]:
        if (n := len(path.steps[step].modules)) > 1:
            index = int(rng.integers(n))
            return drop_branch(path, step, index, families), f"drop module {index} of {step}"
        return drop_block(path, step, families), f"drop {step}"

    def delta(path: Path, step: str) -> tuple[Path, str]:
        held = path.steps[step]
        if held.deltas and rng.random() < 0.5:
            index = int(rng.integers(len(held.deltas)))
            return drop_delta(path, step, index, families), f"drop delta {index} of {step}"
        hosts = [i for i, ref in enumerate(held.modules) if isinstance(ref, Frozen)]
        if not hosts:
            raise PathError(f"step {step!r} must hold a frozen module for a delta, found none.")
        host = hosts[int(rng.integers(len(hosts)))]
        return _first(drawn("deltas"), lambda what: (
            add_delta(path, step, what, host, families), f"delta {family_of(what)} in {step}"))

    def branch(path: Path, step: str) -> tuple[Path, str]:
        routers: list[What | None] = [None, *choices["routers"]]
        router = routers[int(rng.integers(len(routers)))]
        said = "" if router is None else f" by {family_of(router)}"
        return _first(drawn("blocks"), lambda what: (
            add_branch(path, step, what, router, families), f"branch {family_of(what)} beside {step}{said}"))

    changes: dict[str, Change] = {
        "insert": insert, "replace": replace, "drop": drop, "delta": delta, "branch": branch,
    }  # fmt: skip
    words = []
    for step in [name for name in blocks(trunk, families) if not is_inner(name)]:
        for kind in BLOCK_KINDS:
            if draws.happens(f"{kind}:{step}", kind) and step in trunk.steps:
                try:
                    trunk, said = changes[kind](trunk, step)
                    words.append(said)
                except PathError:
                    continue
    return trunk, words


def _first(choices: Sequence[What], make: Callable[[What], tuple[Path, str]]) -> tuple[Path, str]:
    """What comes of the first choice that fits."""
    for what in choices:
        try:
            return make(what)
        except PathError:
            continue
    raise PathError(f"none of {[family_of(what) for what in choices]} fits.")


def _is_block(what: What, families: Families) -> bool:
    cls = families[family_of(what)]
    return not issubclass(cls, Delta) and not getattr(cls, "head", False)


def _is_delta(what: What, families: Families) -> bool:
    return issubclass(families[family_of(what)], Delta)


__all__ = [
    "ALL", "BLOCK_KINDS", "CHOICES", "as_choices", "change_blocks", "changes_blocks", "check_choices", "resolved",
]

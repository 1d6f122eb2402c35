"""Optuna studies in memory: made without noise, from names that are looked up and never imported.

Optuna is imported when a study is made, not before: most processes never need it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pathways.modules.near import did_you_mean

from .errors import ConfigError


@contextmanager
def quietly() -> Iterator[None]:
    """Optuna says nothing below a warning inside the block, nor that a part of it is experimental."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def make_named(what: str, table: Mapping[str, str], name: Any, settings: Mapping[str, Any], **given: Any) -> Any:
    """The object of `optuna.<what>s` that a name of `table` stands for, made with `settings`.

    Args:
        what: `pruner` or `sampler`.
        table: from short names to Optuna's classes; a class may also be named itself.
        name: a short name or a class of the table.
        settings: its keyword arguments.
        given: further ones, which are the caller's and may not stand in `settings`.

    Raises:
        ConfigError: the name is not in the table, or Optuna does not take the settings.

    Example:
        >>> type(make_named("pruner", {"median": "MedianPruner"}, "median", {"n_startup_trials": 2})).__name__
        'MedianPruner'
    """
    import optuna

    if name not in table and name not in table.values():
        raise ConfigError(
            f"`name` of the {what} must be one of {sorted(table)}, "
            f"found {name!r}{did_you_mean(name, table, '.')}"
        )
    if taken := sorted(set(settings) & set(given)):
        raise ConfigError(f"the settings of {what} {name!r} must leave out {taken}, which the search gives it.")
    cls = getattr(getattr(optuna, f"{what}s"), table.get(name, name))
    try:
        with quietly():
            return cls(**settings, **given)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the settings of {what} {name!r} must be keyword arguments of `optuna.{what}s.{cls.__name__}`, "
            f"found {dict(settings)}: {error}"
        ) from None


def study_in_memory(**parts: Any) -> Any:
    """An Optuna study in which more is better, in memory; `parts` are a sampler, a pruner or both."""
    import optuna

    with quietly():
        # Hyperband draws its brackets from the study's name, which must therefore not be random.
        return optuna.create_study(study_name="pathways", direction="maximize", **parts)

"""In which settings the runs of arms differ, from their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arms import Arm

_IGNORED = ("seed", "name", "fingerprints", "storage", "ledger", "engine", "controls")


def settings_that_differ(arms: Sequence[Arm]) -> dict[str, tuple[str, ...]]:
    """By dotted key, each arm's value of a setting that is not the same in all; `–` where an arm does not have it.

    Seeds, names, controls and where was computed are left out. An arm is its first run; runs made from Python have no
    configuration, and then nothing is known.

    Args:
        arms: whose settings are compared.

    Example:
        >>> from types import SimpleNamespace as Arm
        >>> a, b = ([Arm(config={"seed": s, "training": {"lr": lr}})] for s, lr in ((0, 0.1), (1, 0.2)))
        >>> settings_that_differ([Arm(repeats=a), Arm(repeats=b)])
        {'training.lr': ('0.1', '0.2')}
    """
    flat = [_flat(arm.repeats[0].config) for arm in arms]
    if not all(flat):
        return {}
    keys = dict.fromkeys(key for one in flat for key in one)
    found = {key: tuple(one.get(key, "–") for one in flat) for key in keys if key.partition(".")[0] not in _IGNORED}
    return {key: values for key, values in found.items() if len(set(values)) > 1}


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Nested plain data as texts by dotted key."""
    if isinstance(value, Mapping) and (value or not key):
        inside = ((str(name), each) for name, each in value.items())
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        inside = ((str(i), each) for i, each in enumerate(value))
    else:
        return {key: str(value)}
    return {k: text for name, each in inside for k, text in _flat(each, f"{key}.{name}" if key else name).items()}


__all__ = ["settings_that_differ"]

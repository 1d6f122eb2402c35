"""`--set KEY=VALUE`: changes of a configuration from the command line."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pathways.errors import ConfigError

from .yaml_file import parse_yaml


def with_overrides(data: Any, overrides: Iterable[str], file: str) -> Any:
    """A copy of `data` with each `KEY=VALUE` applied: a dotted path, list positions as numbers, a YAML value.

    Raises:
        ConfigError: an override without `=`, or a path that leads through something without keys.

    >>> with_overrides({"tasks": [{"source": "wine"}]}, ["tasks.0.seed=3", "training.lr=1e-2"], "an example")
    {'tasks': [{'source': 'wine', 'seed': 3}], 'training': {'lr': 0.01}}
    """
    data = copy.deepcopy(data)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"`--set` must be KEY=VALUE, such as seed=1, found {override!r}.")
        _put(data, key.strip().split("."), parse_yaml(text, f"--set {key}"), f"{file}: `--set {key}`")
    return data


def _put(data: Any, keys: list[str], value: Any, where: str) -> None:
    for i, key in enumerate(keys):
        last = i == len(keys) - 1
        if isinstance(data, list):
            if not key.isdecimal() or int(key) >= len(data):
                raise ConfigError(f"{where}: {key!r} must be a position below {len(data)} in the list.")
            index: Any = int(key)
        elif isinstance(data, dict):
            index = key
        else:
            through = ".".join(keys[:i]) or "the file"
            raise ConfigError(f"{where} leads through {through!r}, which has no keys: {data!r:.60}.")
        if last:
            data[index] = value
            return
        below = data[index] if isinstance(data, list) else data.get(index)
        if below is None or (isinstance(below, str) and below == keys[i + 1]):
            # `strategy: munet` stands for `strategy: {munet: {}}`, so that its settings can be set.
            below = {} if below is None else {below: {}}
            data[index] = below
        data = below

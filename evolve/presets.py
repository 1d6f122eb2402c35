"""The named settings of published systems: one literal table for each strategy.

The text of the PathNet paper and what its author told re-implementers differ (the last aggregation is a mean,
the population was 20), so both are here. See `GridSettings` for why the learning rate is not the text's 1e-4.

muNet's are those of the character benchmark with auto-tuning, as the authors' notebook has them (google-research,
muNet/muNet.ipynb): 64 samples a task in rounds of 8, 5 x 100 steps of 512 samples. What differs here:

- a task is learned once (there in two rounds), and its probes come before the 8 rounds, not out of them;
- schedules have no `restarts`; `constant` runs at the peak rate, not at half of it; momentum 0 stands for none;
- image size, crops, aspect, flips and colour are not searched: augmentation belongs to `training`;
- the norm before the head is no module of its own, so none is always trained; adapters are normalised where
  they read vectors or tokens, as there, and not where they read images;
- a layer may be added beyond the root's height (there never); a child that is its parent unchanged is redrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathways.errors import ConfigError

_MNIST = {
    "layers": 3, "modules": 10, "active": 3, "steps": 50, "batch": 16, "lr": 0.01, "optimizer": "sgd",
    "module": {"family": "linear", "config": {"dim": 20, "activation": "relu"}}, "threshold": 0.998,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "pathnet-2017-text": {**_MNIST, "combine": "sum", "population": 64, "tournament": "fair"},
    "pathnet-2017-author": {
        **_MNIST, "combine": ["sum", "sum", "mean"], "population": 20, "tournament": "fair",
    },
    "pathnet-population": {**_MNIST, "combine": "sum", "population": 64, "tournament": "population"},
}

MUNET_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "munet-2022": {
        "generations": 8, "children": 8, "probes": "all", "size": 1.0, "compute": 1.0, "mutable_rates": False,
        "rates": {"clone": 0.1, "adapter": 0.1, "hyperparameter": 0.1, "layers": 0.1},
        "adapter": {"family": "adapter", "config": {"dim": 32, "activation": "gelu"}},
        "adapter_dims": [8, 16, 32, 64, 128],
        "training": {
            "optimizer": "sgd", "lr": 0.01, "schedule": "cosine", "warmup": 0.1, "momentum": 0.9,
            "nesterov": False, "clip": 1.0, "steps": 500, "batch": 512, "evaluate_every": 100,
        },
        "space": {
            "lr": [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1],
            "schedule": ["constant", "cosine"],
            "warmup": [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4],
            "momentum": [0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99],
            "nesterov": [True, False],
        },
    },
}


def preset(name: str, presets: Mapping[str, Mapping[str, Any]] = PRESETS) -> dict[str, Any]:
    """The settings of that name; a `ConfigError` lists the names there are.

    >>> preset("pathnet-2017-author")["population"]
    20
    """
    if name not in presets:
        raise ConfigError(f"`preset` must be one of {sorted(presets)}, found {name!r}.")
    return dict(presets[name])

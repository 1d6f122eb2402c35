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

All of this but the probes holds of muNet's successors, too, after the notebooks mu2Net, mu3Net and mu4Net2: their first
children are those of the root and of champions, without probes. What else differs:

- budgets (8 rounds of 8 children, 5 x 100 steps of 512 samples) are those of `munet-2022`, and of the three shares of
  warm-up that there are (0.1, 0.05, 0.02) muNet has the first, mu2Net the second, the later two the third;
- schedules are not searched, as there from mu2Net's second version on; the quality of JPEG is not searched either;
- momentum is float32 (there bfloat16);
- mu2Net: `mu` begins at 0.1, as for small models (`rates` of 0.2 for large ones); it moves first, and the child is made
  with what it has become;
- mu3Net: a rate moves with the probability that it states itself, and begins at 0.1; a rate of 0 never moves. Factors
  of the score count in units of the root, so that a private root costs one percent for its size and one for its FLOPs
  (there 0.99 for each 2.2e9 parameters and 3.8e12 FLOPs: 0.14 % for the size of a private ViT-L). Of more paths
  than the population has room for those of the highest scores stay, 7 as in its quick test (16 for large models).
  Whether a clone inherits the optimizer's state is drawn for each module, for those and the head that this task has
  trained, too. Agents that run side by side are one search, of one task after another;
- mu4Net: a mixture of paths is a mutation (`paths`, which begins at the highest rate) of a path that was trained for
  the task in the same search, there an agent of its own for tasks that have a path. Its other paths are any trained
  ones, the root among them, of trunks that differ; one is added, dropped or replaced at a time. Connectors read what
  the head of the other path reads. Of a mixture, later tasks build on its first path only, which is its own. Tasks
  that are learned jointly, and heads that score each place of a text, are not mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean

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

_SGD = {
    "optimizer": "sgd", "lr": 0.01, "schedule": "cosine", "warmup": 0.1, "momentum": 0.9, "nesterov": False,
    "clip": 1.0, "steps": 500, "batch": 512, "evaluate_every": 100,
}
_LR = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)
_SPACE = {
    "warmup": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4),
    "momentum": (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
    "nesterov": (True, False),
}
_SUCCESSOR = {
    "generations": 8, "children": 8, "probes": 0,
    "adapter": {"family": "adapter", "config": {"dim": 32, "activation": "gelu"}},
    "adapter_dims": (8, 16, 32, 64, 128),
}

MUNET_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "munet-2022": {
        "generations": 8, "children": 8, "probes": "all", "size": 1.0, "compute": 1.0, "mutable_rates": False,
        "rates": {"clone": 0.1, "adapter": 0.1, "hyperparameter": 0.1, "layers": 0.1},
        "adapter": {"family": "adapter", "config": {"dim": 32, "activation": "gelu"}},
        "adapter_dims": (8, 16, 32, 64, 128),
        "training": _SGD,
        "space": {
            "lr": _LR,
            "schedule": ("constant", "cosine"),
            "warmup": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4),
            "momentum": (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
            "nesterov": (True, False),
        },
    },
    "mu2net-2022": {
        **_SUCCESSOR, "mutable_rates": "one", "rate_steps": tuple(round(0.02 * i, 2) for i in range(5, 16)),
        "rates": {"clone": 0.1, "adapter": 0.1, "hyperparameter": 0.1, "layers": 0.1},
        "visits": "all", "optimizer_state": "cloned", "size": 1.0, "compute": 1.0,
        "training": {**_SGD, "warmup": 0.05}, "space": {**_SPACE, "lr": (*_LR, 0.2, 0.5)},
    },
    "mu3net-2022": {
        **_SUCCESSOR, "mutable_rates": True, "rate_steps": tuple(round(0.02 * i, 2) for i in range(1, 16)),
        "rates": {"clone": 0.1, "adapter": 0.1, "hyperparameter": 0.1, "layers": 0.1, "optimizer": 0.1},
        "optimizer_state": "mutable", "size": 0.99, "compute": 0.99, "population": 7,
        "training": {**_SGD, "warmup": 0.02}, "space": {**_SPACE, "lr": _LR},
    },
    "mu4net-2023": {
        **_SUCCESSOR, "mutable_rates": True, "rate_steps": tuple(round(0.02 * i, 2) for i in range(1, 16)),
        "rates": {"clone": 0.1, "hyperparameter": 0.1, "layers": 0.1, "paths": 0.3}, "adapter": None,
        "multipath": {"paths": (2, 3), "main": 0.8, "lr_mult": 0.05}, "size": 0.99, "compute": 0.99,
        "population": 4, "survivors": "decay",
        "training": {**_SGD, "lr": 0.02, "momentum": 0.8, "nesterov": True, "warmup": 0.02},
        "space": {**_SPACE, "lr": (*_LR, 0.2, 0.5, 1.0)},
    },
}


def preset(name: str, presets: Mapping[str, Mapping[str, Any]] = PRESETS) -> dict[str, Any]:
    """The settings of that name; a `ConfigError` lists the names there are.

    >>> preset("pathnet-2017-author")["population"]
    20
    """
    if name not in presets:
        raise ConfigError(
            f"`preset` must be one of {sorted(presets)}, "
            f"found {name!r}{did_you_mean(name, presets, '.')}"
        )
    return dict(presets[name])

"""Small systems that were really learned, in seconds, for the tests of what is drawn and measured of them."""

from pathlib import Path as FilePath
from typing import Any

from tiny import chain, clusters, linear

from pathways.candidate import Training
from pathways.evolve import MuNet
from pathways.evolve.pathnet import PathNet
from pathways.modules import Vector
from pathways.system import System
from pathways.task import Task

GRID: dict[str, Any] = {
    "layers": 2, "modules": 5, "active": 2, "population": 4, "generations": 4, "threshold": None, "steps": 3,
    "batch": 8, "lr": 0.05, "module": {"family": "linear", "config": {"dim": 6, "activation": "relu"}},
}


def tasks(count: int = 3, spread: float = 1.5) -> list[Task]:
    """Tasks that are not trivial, the last with a name that markup must escape."""
    names = [f"t/{'abcdefgh'[i]}" for i in range(count - 1)] + ["t/<$last$>"]
    return [clusters(name, seed=seed, n=36, spread=spread) for seed, name in enumerate(names)]


def pathnet_system(directory: FilePath, strategy: Any = None, count: int = 3) -> System:
    """A system whose tasks were learned with PathNet."""
    system = System.create(directory, stack=4)
    for task in tasks(count):
        system.learn(task, strategy or PathNet(**GRID))
    return system


def munet_system(directory: FilePath) -> System:
    """A system whose tasks were learned with muNet, on layers of equal ports from scratch."""
    root = chain(Vector(4), linear("one", 6), linear("two", 6), linear("three", 6))
    training = Training(steps=4, batch=8, lr=0.03)
    system = System.create(directory, root=root, training=training, stack=4)
    rates = {"clone": 0.5, "adapter": 0.0, "hyperparameter": 0.3, "layers": 0.0}
    for task in tasks():
        system.learn(task, MuNet(generations=2, children=2, probes=2, rates=rates))
    return system

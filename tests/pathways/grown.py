"""Path graphs as evolution makes them: each task goes on from an earlier one's chain of modules, or from the root's."""

import random

from fake_system import frozen
from hypothesis import strategies as st

from pathways.graph import graph_of
from pathways.modules import ModuleSpec, Vector
from pathways.path import Path, Step

LINEAR = ModuleSpec("linear", {"dim": 8})
ADAPTER = ModuleSpec("adapter", {"dim": 2})


def chain_path(chain, name):
    """A path of modules one behind another, and a head."""
    modules = [*chain, frozen(ModuleSpec("classifier", {"classes": 2}), name, "head")]
    steps = {str(i): Step((module,), (str(i - 1) if i else "x",)) for i, module in enumerate(modules)}
    return Path({"x": Vector(8)}, steps, str(len(modules) - 1))


def grown(tasks, seed=0):
    """A graph of so many tasks, each named `s/tN`."""
    rng = random.Random(seed)
    root = [frozen(LINEAR, "root", i) for i in range(3)]
    chains, paths = [root], {}
    for t in range(tasks):
        chain = list(rng.choice(chains[-12:]))
        at, what = rng.randrange(len(chain)), rng.randrange(4)
        if what == 0 and len(chain) < 6:
            chain.insert(at, frozen(ADAPTER, t, at))
        elif what < 3:
            chain[at] = frozen(LINEAR, t, at)
        chains.append(chain)
        paths[f"s/t{t}"] = chain_path(chain, t)
    return graph_of(paths, [chain_path(root, "root")])


graphs = st.builds(grown, st.integers(1, 20), st.integers(0, 10**6))

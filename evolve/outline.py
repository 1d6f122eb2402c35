"""What mutations see of a headless path: its layers, what was added to them, and the chain that they form.

| step | is |
|---|---|
| `block1.adapter` | the adapter of layer `block1` |
| `block1+conv` | a module of family `conv` that was put behind `block1` |
| `block1+in1`, `block1+out1` | glue before and behind `block1`, see `pathways.convert` |
| `block1+gate1`, `block1+code` | what a router or a delta of `block1` reads |
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pathways.modules import BUILT_IN, Families, facts
from pathways.path import Path

_SUFFIX = ".adapter"


def adapter_of(step: str) -> str:
    """The name of the adapter step behind a layer.

    >>> adapter_of("block1")
    'block1.adapter'
    """
    return step + _SUFFIX


def is_adapter(name: str, path: Path) -> bool:
    """Whether a step is the adapter of another step of the path."""
    return is_adapter_name(name, path.steps)


def is_adapter_name(name: str, steps: Collection[str]) -> bool:
    """Whether a name is that of the adapter of another of these steps."""
    return name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX) in steps


def is_addition(name: str, steps: Collection[str]) -> bool:
    """Whether a name is that of what was added to another of these steps: an adapter, a module behind it, glue.

    >>> is_addition("a+conv", ["a", "a+conv"]), is_addition("a+conv+in1", ["a+conv"]), is_addition("b", ["a", "b"])
    (True, True, False)
    """
    return is_adapter_name(name, steps) or ("+" in name and name.rpartition("+")[0] in steps)


def is_glue(name: str, step: str, side: str = "(in|out)") -> bool:
    """Whether a name is that of glue of a step; `side` is `in`, `out` or a pattern of both."""
    return re.fullmatch(rf"{re.escape(step)}\+{side}\d+", name) is not None


def is_inner(name: str) -> bool:
    """Whether a step only serves another one: its glue, what its router or its delta reads."""
    return re.fullmatch(r".*\+((in|out|gate)\d+|code'*(\.vector)?)", name) is not None


def bare(path: Path, step: str) -> Path:
    """The path without the glue of a step: its ports need not fit."""
    glue = {name for name in path.steps if is_glue(name, step)}

    def source(name: str) -> str:
        while name in glue:
            name = path.steps[name].reads[0]
        return name

    steps = {name: each.map_reads(source) for name, each in path.steps.items() if name not in glue}
    return Path(path.inputs, steps, source(path.output))


def end_of(path: Path, step: str) -> str:
    """What the readers of a step read: the step, or the last of the glue behind it."""
    behind = [name for name in path.steps if is_glue(name, step, "out")]
    return max(behind, key=lambda name: int(name.rpartition("+out")[2]), default=step)


def blocks(trunk: Path, families: Families = BUILT_IN) -> list[str]:
    """The steps of a path that have weights, adapters among them, in order."""
    return [name for name in trunk.canonical_order if _has_weights(trunk, name, families)]


def layers(trunk: Path, families: Families = BUILT_IN) -> list[str]:
    """The steps with weights on the chain from the input to the output, without what was added to others."""
    weighty = set(blocks(trunk, families))
    return [name for name in chain(trunk) if name in weighty and not is_addition(name, trunk.steps)]


def chain(trunk: Path) -> list[str]:
    """The steps from the input to the output along first reads."""
    row: list[str] = []
    name = trunk.output
    while name in trunk.steps:
        row.append(name)
        if not trunk.steps[name].reads:
            break
        name = trunk.steps[name].reads[0]
    return row[::-1]


def up_to(trunk: Path, output: str) -> Path:
    """The path that ends in an earlier step, without the steps that it does not need."""
    kept = Path(trunk.inputs, trunk.steps, output)
    return Path(trunk.inputs, {name: trunk.steps[name] for name in trunk.steps if name in kept.canonical_order}, output)


def bare_top(trunk: Path, families: Families = BUILT_IN) -> Path:
    """The path up to its last step with weights, and the glue of it, without other weightless steps behind it."""
    weighty = set(blocks(trunk, families))
    return up_to(trunk, end_of(trunk, [name for name in chain(trunk) if name in weighty][-1]))


def reads_input(path: Path) -> bool:
    """Whether the output depends on an input at all."""
    return any(read in path.inputs for name in path.canonical_order for read in path.steps[name].all_reads())


def _has_weights(path: Path, step: str, families: Families) -> bool:
    ports = path.ports(families)
    reads = tuple(ports[read] for read in path.steps[step].reads)
    return any(facts(module.spec, reads, families=families).parameters for module in path.steps[step].modules)

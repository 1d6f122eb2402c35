"""Writes `docs/families.md` and a small drawing for each family: `python -m pathways.experiments.families_page docs`.

What a family reads, costs and is made of is taken from the first path that ships with it (`pathways/presets`), so the
page says nothing that cannot be run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pathways.modules import (
    BUILT_IN,
    FAMILIES,
    Context,
    Facts,
    ModuleRef,
    ModuleSpec,
    Port,
    Tokens,
    Vector,
    build,
    facts,
)
from pathways.modules.build import is_delta, part_ports
from pathways.modules.ports import example
from pathways.preset import preset, presets

from .families_drawing import drawing

FOLDER = "figures/families"
KINDS = {
    "Blocks": "What paths are built of: they read values and give values.",
    "Deltas": "Changes inside a frozen module, for one task or condition; neutral at the start unless said otherwise.",
    "Routers": "What weights the modules of a step, by sample, task or condition.",
    "Inputs and outputs": "From what tasks give to what paths read, and back.",
    "Heads": "Read-outs that end a path.",
    "Glue": "Weightless modules that reshape, join and cut values, or change only gradients.",
}


@dataclass(frozen=True)
class Use:
    """A family where a shipped path uses it.

    Args:
        name: the family.
        spec: its configuration there.
        ports: what it reads; of a delta, its condition.
        host: for a delta, the module that it changes, and what that reads.
        preset: the path; empty for a head, which a task adds.
        found: its port, parameters and FLOPs there.
    """

    name: str
    spec: ModuleSpec
    ports: tuple[Port, ...]
    host: tuple[ModuleSpec, tuple[Port, ...]] | None
    preset: str
    found: Facts


def uses() -> dict[str, Use]:
    """By family, the first shipped path that uses it; heads with a vector before them."""
    found: dict[str, Use] = {}
    for name in presets():
        for spec, ports, host in _modules(name):
            if spec.family not in found:
                costs = facts(spec, ports, host=host)
                found[spec.family] = Use(spec.family, spec, ports, host, name, costs)
    for family in FAMILIES:
        if family not in found and getattr(BUILT_IN[family], "head", False):
            found[family] = _of_a_head(family)
    return found


def _of_a_head(family: str) -> Use:
    """A head of ten classes, or of one value, behind the first port that it reads."""
    for port in (Vector(16), Tokens(8, 16)):
        for config in ({}, {"classes": 10}):
            spec = ModuleSpec(family, config)
            try:
                return Use(family, spec, (port,), None, "", facts(spec, (port,)))
            except ValueError:  # another setting or another port
                continue
    raise ValueError(f"head `{family}` must read a vector or tokens: add a use of it to a preset.")


def kind_of(name: str) -> str:
    """The heading under which a family stands."""
    cls, home = BUILT_IN[name], FAMILIES[name].split(":")[0]
    if getattr(cls, "head", False):
        return "Heads"
    for folder, kind in (("deltas.", "Deltas"), ("routing.", "Routers"), ("io.", "Inputs and outputs")):
        if home.startswith(folder):
            return kind
    return "Glue" if home.startswith("glue") else "Blocks"


def page(found: Mapping[str, Use]) -> str:
    """The page as Markdown."""
    lines = [
        "# The families of modules", "",
        f"{len(found)} families, each in one file, from which paths are built. Ports, parameters and FLOPs (of one",
        "sample, two for a multiply-add) are those of the named preset, a small path that ships with the package",
        "(`pathways.preset.preset(name)`, or `root: {preset: NAME}` in a configuration). To add a family of your own",
        "see [CONTRIBUTING.md](../CONTRIBUTING.md); which published system is carried by what:",
        "[systems.md](systems.md).", "",
        "`torch.export` takes every family with a batch of any size, and `torch.compile` traces a training step of",
        "every one without a break, forward and backward (torch 2.13, `pytest tests/modules/test_traced.py`; with",
        "`PATHWAYS_COMPILE_BACKEND=inductor` before it, machine code gives the same values and gradients). Traced, a",
        "sparse router runs all modules: how many samples each would get is not known there. Lengths that vary are",
        "exported as they are given, `state_space` for one length.", "",
        "This page is generated: `python -m pathways.experiments.families_page docs`.",
    ]
    for kind, said in KINDS.items():
        rows = [use for name, use in sorted(found.items()) if kind_of(name) == kind]
        if not rows:
            continue
        lines += ["", f"## {kind}", "", said, ""]
        lines += ["| family | what it does | reads | gives | parameters | FLOPs | preset | reference |"]
        lines += ["|---|---|---|---|--:|--:|---|---|"]
        lines += [_row(use) for use in rows]
        lines += [""]
        for use in rows:
            lines += [f"![{use.name}]({FOLDER}/{use.name}.svg)"]
    return "\n".join(lines) + "\n"


def write(docs: Path) -> None:
    """Write the page and the drawings, and remove drawings of families that are no more."""
    found = uses()
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        if old.stem not in found:
            old.unlink()
    for name, use in found.items():
        (folder / f"{name}.svg").write_text(picture(use), encoding="utf-8")
    (docs / "families.md").write_text(page(found), encoding="utf-8")


def picture(use: Use) -> str:
    """The drawing of one family."""
    reads = use.host[1] if use.host else use.ports
    output = facts(*use.host).output if use.host else use.found.output
    inner = layers_of(use)
    return drawing(use.name, reads, output, inner, host=use.host[0].family if use.host else "")


def layers_of(use: Use) -> list[str]:
    """The layers with weights of a module in the order in which one pass calls them; of a delta, its tensors."""
    module = built(use.spec, use.ports, use.host)
    if use.host is not None:
        own = [f"{_end(name)} {_sizes(tensor)}" for name, tensor in module.named_parameters()]
        return own + [f"{name}: {ref.spec.family}" for name, ref in use.spec.parts.items()]
    called: list[str] = []

    def note(name: str, layer: nn.Module) -> None:
        layer.register_forward_hook(lambda *_: called.append(name) if name not in called else None)

    for name, layer in module.named_modules():
        if name and not list(layer.children()):
            note(name, layer)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        module.eval()(*(example(port, 2, generator) for port in use.ports), context=Context())
    layers = dict(module.named_modules())
    held = [(name, layer) for name, layer in layers.items() if name not in called]
    loose = [
        f"{_end(f'{name}.{key}')} {_sizes(tensor)}"
        for name, layer in held for key, tensor in layer.named_parameters(recurse=False)
    ]
    parts = [f"{name}: {ref.spec.family}" for name, ref in use.spec.parts.items()]
    return [*(f"{_end(name)} {_shape(layers[name])}".strip() for name in called), *loose, *parts]


def built(
    spec: ModuleSpec, ports: tuple[Port, ...], host: tuple[ModuleSpec, tuple[Port, ...]] | None = None
) -> nn.Module:
    """The module, its parts and its host with weights from one seed."""
    generator = torch.Generator().manual_seed(0)
    holder = built(*host) if host else None
    inside = part_ports(spec, ports)
    parts = {
        name: built(part.spec, inside(name), host if is_delta(part.spec) else None)
        for name, part in spec.parts.items()
    }
    return build(spec, ports, generator, parts=parts, host=holder)  # type: ignore[arg-type]


def _modules(
    name: str,
) -> Iterator[tuple[ModuleSpec, tuple[Port, ...], tuple[ModuleSpec, tuple[Port, ...]] | None]]:
    """Every module of a preset with what it reads, parts behind their holders."""
    path = preset(name)
    ports = path.ports()
    for step in (path.steps[each] for each in path.canonical_order):
        reads = tuple(ports[read] for read in step.reads)
        for module in step.modules:
            yield from _inside(module, reads)
        for delta in step.deltas:
            host = (step.modules[delta.host].spec, reads)
            yield from _inside(delta.module, tuple(ports[read] for read in delta.reads), host)
        if not isinstance(step.combine, str):
            yield from _inside(step.combine, tuple(ports[read] for read in step.gated_by))


def _inside(
    ref: ModuleRef, ports: tuple[Port, ...], host: tuple[ModuleSpec, tuple[Port, ...]] | None = None
) -> Iterator[tuple[ModuleSpec, tuple[Port, ...], tuple[ModuleSpec, tuple[Port, ...]] | None]]:
    yield ref.spec, ports, host
    inside = part_ports(ref.spec, ports)
    for name, part in ref.spec.parts.items():
        yield from _inside(part, inside(name), host if is_delta(part.spec) else None)


def _row(use: Use) -> str:
    reads = ", ".join(map(str, use.host[1] if use.host else use.ports)) or "nothing"
    gives = str(use.found.output) if use.found.output else f"changes `{use.host[0].family}`" if use.host else ""
    reference = BUILT_IN[use.name].reference or "none"
    cells = [
        f"`{use.name}`", _says(use.name), reads, gives, f"{use.found.parameters:,}", f"{use.found.flops:,}",
        use.preset or "any task's", reference,
    ]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _says(name: str) -> str:
    """The first line of a family's docstring."""
    return (BUILT_IN[name].__doc__ or "").strip().splitlines()[0].replace("](", "] (")  # no link of Markdown


def _end(name: str) -> str:
    """The last two names of a dotted one."""
    return ".".join(name.strip(".").split(".")[-2:])


def _sizes(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "1"


def _shape(layer: nn.Module) -> str:
    if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)):
        rows, columns, *rest = layer.weight.shape
        turned = (rows, columns) if isinstance(layer, nn.Embedding) else (columns, rows)
        kernel = f", {'×'.join(map(str, rest))}" if rest else ""
        return f"{turned[0]}→{turned[1]}{kernel}"
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Write the page into the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.families_page", description=__doc__)
    parser.add_argument("docs", type=Path, help="the folder that the page is written to")
    write(parser.parse_args(words).docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["Use", "page", "picture", "uses", "write"]

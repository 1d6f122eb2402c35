"""A module's card: what it is, who trained it and from what, who uses it, how far it moved, what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pathways.choose_root import ROOT
from pathways.errors import PathwaysError
from pathways.modules import Frozen, ModuleRef
from pathways.modules.build import is_delta
from pathways.modules.spec import thaw
from pathways.origin import origin, start_of
from pathways.step import with_parts
from pathways.text import bytes_text, measure_text, points_text, short_names


def module_card(system: Any, id_prefix: str, left_out: Iterable[Any] = ()) -> dict[str, Any]:
    """All that is known of one frozen module, as plain data. Its weights are read, nothing is measured.

    Args:
        system: a `pathways.System`.
        id_prefix: the beginning of its id, enough of it to be the only one.
        left_out: what `pathways.leave_out` measured of it, to be put on the card.

    Returns:
        `id, family, config, parts` (by name, their ids), `kind` (`module`, `head`, `delta`, `router` or `part`),
        `reads` and `gives` (ports, in words), `parameters, bytes, frozen_by`; `trained` and `began` as in
        `pathways.origin.origin`; `uses`: for each place in a path, `task, step, place` (from 1) `of` (how many
        steps), `beside` (how many other modules its step holds), `combine`, `deltas` (families of what changes it
        there); `tasks`: those that use it, in the order learned, each with how many tasks were learned before it;
        `tensors`: by name, `shape, norm`, and `start` and `moved` (norms of what it began as and of the difference), or
        `None` where its beginning cannot be had again; `left_out`.

    Raises:
        PathwaysError: no module's id begins so, or several do.
    """
    blob = resolved_id(system, id_prefix)
    users = [name for name, brief in system.briefs.items() if blob in brief.sizes]
    paths = {name: system.champions[name].path for name in users}
    paths = paths or {name: path for name, path in system.roots.items() if blob in path.frozen()}
    ref = next(ref for path in paths.values() for ref in path.refs() if isinstance(ref, Frozen) and ref.id == blob)
    uses = [use for name, path in paths.items() for use in _uses(name if users else "", path, blob, system.families)]
    path = next(iter(paths.values()))
    found = origin(system, blob)
    order = list(system.briefs)
    return {
        "id": blob, "family": ref.spec.family, "config": thaw(ref.spec.config),
        "parts": {name: part.id for name, part in ref.spec.parts.items() if isinstance(part, Frozen)},
        "kind": uses[0]["kind"], "reads": uses[0]["reads"], "gives": uses[0]["gives"],
        "parameters": path.costs(system.families).sizes[blob], "bytes": system.pool.bytes(blob),
        **found,
        "tasks": [{"task": name, "place": order.index(name)} for name in users],
        "frozen_place": order.index(found["frozen_by"]) if found["frozen_by"] in order else None,
        "uses": [{key: use[key] for key in _USE} for use in uses if use["task"]],
        "tensors": _tensors(system, path, ref, start_of(system, found)),
        "left_out": [each.to_json() for each in left_out if each.module == blob],
    }  # fmt: skip


_USE = ("task", "step", "place", "of", "beside", "combine", "deltas")


def resolved_id(system: Any, prefix: str) -> str:
    """The id of the one module of a champion or root that begins with `prefix`.

    Raises:
        PathwaysError: there is none, or there are several.
    """
    known = {blob for brief in system.briefs.values() for blob in brief.sizes} | set(system.root_blobs)
    found = sorted(blob for blob in known if blob.startswith(prefix)) if prefix else sorted(known)
    if len(found) == 1:
        return found[0]
    what = "none" if not found else f"{len(found)}, such as {', '.join(blob[:12] for blob in found[:3])}"
    raise PathwaysError(
        f"`module` must begin the id of one module, found {what} for {prefix[:64]!r}: the table of `pathways graph "
        f"DIR --format html` lists them."
    )


def _uses(task: str, path: Any, blob: str, families: Any) -> Iterator[dict[str, Any]]:
    """Each place of a path where a module stands."""
    ports = path.ports(families)
    for place, name in enumerate(path.canonical_order, 1):
        step = path.steps[name]
        common = {
            "task": task, "step": name, "place": place, "of": len(path.canonical_order),
            "reads": [str(ports[read]) for read in step.reads], "gives": str(ports[name]),
            "combine": step.combine if isinstance(step.combine, str) else step.combine.spec.family,
        }  # fmt: skip
        refs = [(ref, "head" if name == path.head else "module", i) for i, ref in enumerate(step.modules)]
        refs += [(delta.module, "delta", delta.host) for delta in step.deltas]
        refs += [] if isinstance(step.combine, str) else [(step.combine, "router", -1)]
        for ref, kind, host in refs:
            for inner in with_parts(ref):
                if isinstance(inner, Frozen) and inner.id == blob:
                    alone = inner is ref and kind in ("module", "head")
                    changed = [d.module.spec.family for d in step.deltas if alone and d.host == host]
                    yield common | {
                        "kind": kind if inner is ref else "part", "deltas": changed,
                        "beside": len(step.modules) - 1 if alone else 0,
                        "reads": common["reads"] if alone else ["a part's or a delta's own"],
                        "gives": common["gives"] if alone and not is_delta(inner.spec, families) else "–",
                    }  # fmt: skip


def ways(card: Mapping[str, Any]) -> tuple[str, ...]:
    """How the module of a card can be left out, as `pathways.leave_out` names it; zeros are left to who asks for them.

    >>> ways({"began": {"how": "copy"}, "kind": "module", "reads": ["Vector(dim=3)"], "gives": "Vector(dim=4)"})
    ('mean', 'start')
    """
    same = card["kind"] == "module" and card["reads"][:1] == [card["gives"]]
    same = same and not any(use["beside"] for use in card["uses"])  # a summand's step is not what it reads
    return ("mean", *(["start"] if card["began"]["how"] == "copy" else []), *(["identity"] if same else []))


def _tensors(system: Any, path: Any, ref: Frozen, start: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The norm of each weight, of what it began as, and of the difference; buffers are no weights."""
    from pathways.assemble import PathModule

    def weights(one: ModuleRef) -> Mapping[str, Any]:
        return system.pool.get(one.id) if isinstance(one, Frozen) else {}

    module = PathModule(path, weights, system.families, lend=True).module_of(ref)
    found: dict[str, dict[str, Any]] = {}
    for name, weight in module.named_parameters():
        value = weight.detach().double()
        before = None if start is None or name not in start else start[name].double()
        found[name] = {
            "shape": list(value.shape), "norm": float(value.norm()),
            "start": None if before is None else float(before.norm()),
            "moved": None if before is None else float((value - before).norm()),
        }  # fmt: skip
    return found


def moved(card: Mapping[str, Any]) -> float | None:
    """How far all weights moved, in units of their norm at the start; `None` where that is not known, or was 0."""
    pairs = [(each["moved"], each["start"]) for each in card["tensors"].values()]
    if not pairs or any(start is None for _, start in pairs):
        return None
    whole = sum(start**2 for _, start in pairs) ** 0.5
    return sum(distance**2 for distance, _ in pairs) ** 0.5 / whole if whole else None


def card_facts(card: Mapping[str, Any]) -> dict[str, str]:
    """The card in short lines, by what they tell; the same in text, on the figure and on a page."""
    names = short_names([each["task"] for each in card["tasks"]] or [card["frozen_by"]], longest=28)
    config = ", ".join(f"{key} {value}" for key, value in card["config"].items())
    facts = {
        "module": f"{card['family']} {card['kind']}" if card["kind"] != "module" else card["family"],
        "settings": config or "–",
        "ports": f"{', '.join(card['reads'])} → {card['gives']}" if card["gives"] != "–" else "those of its host",
        "size": f"{card['parameters']:,} parameters, {bytes_text(card['bytes'])}",
        "frozen by": "the root" if card["frozen_by"] == ROOT else card["frozen_by"],
        "began as": began_text(card),
    }
    if card["trained"]:
        facts["trained"] = trained_text(card)
    if (distance := moved(card)) is not None:
        facts["moved"] = f"{100 * distance:.3g} % of the norm it began with, all weights together"
    count = len(card["tasks"])
    some = ", ".join(names[each["task"]] for each in card["tasks"][:4])
    facts["used by"] = f"{count} task{'s' * (count != 1)}" + (f": {some}{', …' if count > 4 else ''}" if count else "")
    if card["uses"]:
        facts["stands"] = places_text(card)
    return facts


def began_text(card: Mapping[str, Any]) -> str:
    """How its weights began, in words."""
    began = card["began"]
    if began["how"] == "copy":
        whose = "of the root" if began["frozen_by"] == ROOT else f"frozen by {began['frozen_by']}"
        return f"a copy of {began['blob'][:12]} {whose}"
    words = {"root": "it came with the root", "fresh": "fresh weights", "unknown": "not in the ledger"}
    return {**words, "zeros": "zeros"}.get(began["how"], f"fitted in closed form ({began['how'].replace('_', ' ')})")


def trained_text(card: Mapping[str, Any]) -> str:
    """What trained it, in words."""
    last, count = card["trained"][0], len(card["trained"])
    training = last["training"]
    steps = sum(int(each["training"]["steps"]) for each in card["trained"])
    how = f"{training['optimizer']}, lr {training['lr']:g}, batch {training['batch']}"
    who = f"{last['strategy']} candidate {last['candidate'][:12]} of generation {last['generation']}"
    return f"{steps:,} steps ({how}) by {who}" + (f" and {count - 1} before it" if count > 1 else "")


def places_text(card: Mapping[str, Any]) -> str:
    """Where it stands in paths, the same places together."""
    places: dict[str, int] = {}
    for use in card["uses"]:
        beside = f", {use['combine']} with {use['beside']} other{'s' * (use['beside'] > 1)}" if use["beside"] else ""
        deltas = f", changed by {', '.join(use['deltas'])}" if use["deltas"] else ""
        text = f"{use['step']}, step {use['place']} of {use['of']}{beside}{deltas}"
        places[text] = places.get(text, 0) + 1
    words = [text + (f" ({count}×)" if count > 1 else "") for text, count in list(places.items())[:3]]
    return "; ".join(words) + ("; …" if len(places) > 3 else "")


def card_text(card: Mapping[str, Any]) -> str:
    """The card for a terminal.

    What leaving it out costs stands below, a line for each task and what stood in its place.
    """
    facts = {"id": card["id"], **card_facts(card)}
    lines = [f"{name:<10} {text}" for name, text in facts.items()]
    if card["left_out"]:
        names = short_names([each["task"] for each in card["left_out"]])
        lines += ["", "left out, on validation data (95 % intervals over the samples, which both answered)"]
        wide = max(map(len, names.values()))
        for each in card["left_out"]:
            metric = each["metric"]
            lines.append(
                f"  {names[each['task']]:<{wide}}  {HOW_WORDS[each['how']]:<28}  "
                f"{measure_text(each['intact'], metric):>6} → {measure_text(each['without'], metric):>6}"
                f"  costs {points_text(each['cost'], metric)} ({points_text(each['low'], metric)} to "
                f"{points_text(each['high'], metric)})"
            )
    return "\n".join(lines)


HOW_WORDS = {
    "mean": "its mean output in its place", "zero": "zeros in its place", "identity": "passed by",
    "start": "what it began as",
}  # fmt: skip
"""By `how` of `pathways.leave_out`, in words."""

__all__ = ["HOW_WORDS", "card_facts", "card_text", "module_card", "moved", "resolved_id", "ways"]

"""Where a champion comes from: the candidates it descends from, in its own search and in those of earlier tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pathways.errors import PathwaysError
from pathways.summary import plain_number


def lineage(system: Any, task: str, scores: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The line of a task's champion as plain data, from the ledger; nothing is measured.

    A candidate's parent is what its strategy named. A champion that builds on an earlier task's continues with that
    task's own line, back to a root, or to a task that began without one. Of PathNet, whose candidates are genotypes,
    the parent is the genotype it is a copy of: the same one competing before, or the winner that its loser became;
    weights come from whatever path trained a cell last.

    Args:
        system: a `pathways.System`.
        task: the name of a learned task.
        scores: by candidate hash, what its strategy scored it, where that is known; a champion's own is in its record.

    Returns:
        `task`, `metric`, `higher_is_better`; `begins`: the root's name, or how the first search began; `searches`: for
        each task of the line, the oldest first, `task, place` (how many were learned before it), `strategy, metric,
        candidates`: each with `candidate, number, generation, parent, mutations` (in words), `validation` and `quality`
        (turned so that more is better; `None` where it failed), `score, state` (`trained`, `failed` or `stopped`) and
        `line`, its place in the line or `None`; `line`: for each of its steps, the oldest first, the same with `task`,
        `settings` (what differs in its training from the step before: old and new value), `trains` (names of
        what it trained), `trainable, parameters, seconds` and `also_from` (other tasks whose modules it took).

    Raises:
        PathwaysError: no such task was learned.
    """
    if task not in system.briefs:
        raise PathwaysError(f"`task` must be one that was learned, {list(system.briefs)}, found {task!r}.")
    own = system.briefs[task]
    found: list[dict[str, Any]] = []
    line: list[dict[str, Any]] = []
    seen: set[str] = set()
    name, begins = task, ""
    while name in system.briefs and name not in seen:
        seen.add(name)
        search, steps, begins = _searched(system, name, dict(scores or {}))
        found.insert(0, search)
        line[:0] = steps
        name = begins
    for place, step in enumerate(line):
        step["line"] = place
        before = line[place - 1].pop("training") if place else None
        step["settings"] = _changed(before, step["training"])
        for search in found:
            for each in search["candidates"]:
                if search["task"] == step["task"] and each["candidate"] == step["candidate"]:
                    each["line"] = place
    if line:
        line[-1].pop("training")
    return {
        "task": task, "metric": own.metric, "higher_is_better": own.higher_is_better, "begins": begins,
        "searches": found, "line": line,
    }  # fmt: skip


def _searched(
    system: Any, task: str, scores: dict[str, float]
) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """A task's search, the steps of its champion's line in it, and what the first of them builds on."""
    brief, champion = system.briefs[task], system.champions[task]
    rows = sorted(system.ledger.rows(task, brief.strategy), key=lambda row: (_generation(row), row.number or 0, row.id))
    by_hash = {row.hash: row for row in rows}
    settings = system.records[task].settings
    several = settings["population"] if settings.get("tournament") == "population" else 2
    parents, words = _parents(rows, several), {row.hash: _words(row) for row in rows}
    if isinstance(score := champion.extra.get("score"), (int, float)):
        scores.setdefault(champion.candidate, float(score))
    for row in rows:
        parent = by_hash.get(parents[row.hash])
        if "slot" in row.labels and parent is not None and parent.labels["genotype"] == row.labels["genotype"]:
            words[row.hash] = ["competed again"]

    def plain(row: Any) -> dict[str, Any]:
        measures = row.result.measures.get(task)
        return {
            "candidate": row.hash, "number": row.number, "generation": _generation(row),
            "parent": parents[row.hash], "mutations": words[row.hash],
            "validation": measures and plain_number(measures.validation),
            "quality": measures and plain_number(measures.quality), "score": scores.get(row.hash),
            "state": "stopped" if row.result.stopped else "failed" if row.result.failure else "trained", "line": None,
        }  # fmt: skip

    steps: list[dict[str, Any]] = []
    key = champion.candidate
    while key in by_hash:
        row = by_hash.pop(key)
        key = parents[row.hash]
        known = by_hash[key].parents if key in by_hash else (key,)
        steps.insert(0, plain(row) | {
            "task": task, "training": dict(row.training),
            "trains": sorted(row.result.blobs), "trainable": row.result.trainable,
            "parameters": row.result.parameters, "seconds": round(row.seconds, 3),
            "also_from": [parent for parent in row.parents if parent not in (task, *known)],
        })  # fmt: skip
    search = {
        "task": task, "place": list(system.briefs).index(task), "strategy": brief.strategy, "metric": brief.metric,
        "candidates": [plain(row) for row in rows],
    }  # fmt: skip
    return search, steps, key


def _parents(rows: Sequence[Any], several: int) -> dict[str, str]:
    """By candidate, the hash of its parent, or the name of what it builds on; empty where it builds on nothing."""
    found: dict[str, str] = {}
    slots: dict[int, str] = {}  # PathNet's population: by slot, the candidate that its genotype comes from
    for generation, group in groupby(rows, key=_generation):
        together = list(group)
        for row in together:
            first = row.parents[0] if row.parents else ""
            held = slots.get(row.labels["slot"], first) if "slot" in row.labels else first
            found[row.hash] = str(row.labels.get("parent", held))
        competed = [row for row in together if "slot" in row.labels]
        # of two equal paths one is in the record: then it is a pair of its own
        for _, pair in groupby(competed, key=lambda row: (row.number - generation * several) // 2):
            both = list(pair)
            winner = min(both, key=lambda row: (-_fitness(row), row.hash))
            slots |= dict.fromkeys((row.labels["slot"] for row in both), winner.hash)
    return found


def _generation(row: Any) -> int:
    """The number of its generation, which need not be its data order's."""
    return int(row.labels.get("generation", row.generation))


def _fitness(row: Any) -> float:
    return row.result.fitness if row.result.ok and not math.isnan(row.result.fitness) else -math.inf


def _words(row: Any) -> list[str]:
    """What made a candidate of its parent, in words."""
    changes = row.labels.get("mutations", ())
    if "slot" in row.labels:
        words = [f"layer {layer + 1}: cell {old + 1} -> {new + 1}" for layer, _, old, new in changes]
        return words or ["drawn at random"]
    return [str(change) for change in changes]


def _changed(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The settings that differ, each with its old and its new value."""
    if before is None:
        return {}
    names = dict.fromkeys([*before, *now])
    return {name: [before.get(name), now.get(name)] for name in names if before.get(name) != now.get(name)}


__all__ = ["lineage"]

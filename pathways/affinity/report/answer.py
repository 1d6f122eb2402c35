"""One paragraph in plain words: should I split my tasks, and how? With how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from pathways.affinity.evidence import Estimate, order_agreement
from pathways.affinity.findings import Findings
from pathways.text import points_text, short_names

from .structure import serving
from .verified import ALONE, CHOSEN, TOGETHER, arm, by_task, difference, points, random_gains

Side = Literal["better", "worse", "within noise", "unsure", "same", "untrained"]
LISTED = 12
"""Of how many tasks the paragraph lists the groups; of more it says only how many."""


def side(findings: Findings, against: str) -> Side:
    """How the chosen split compares with another: `better` or `worse` where the 95 % interval over seeds says so.

    `same` are equal splits, `unsure` is one seed, `untrained` where one of the two was not trained.
    """
    found = difference(findings, CHOSEN, against)
    if found is None or found.n == 0:
        return "untrained"
    if _split(findings, CHOSEN) == _split(findings, against):
        return "same"
    if not found.sure:
        return "unsure"
    return {1: "better", -1: "worse", 0: "within noise"}[found.sign]  # type: ignore[return-value]


def answer(findings: Findings) -> str:
    """The paragraph.

    Args:
        findings: of a study; the split called `chosen` is compared with `all-in-one`, `separate` and the random ones.

    Returns:
        Plain text: the verdict, the split and its gains with their intervals, who gains and who loses, and what it
        does not say.
    """
    return f"{verdict(findings)} {reasons(findings)}"


def reasons(findings: Findings) -> str:
    """What follows the verdict."""
    groups = f"The rule `{findings.selection.rule}` on {findings.affinity.estimator} affinity chose " + (
        f"{groups_text(findings)}."
    )
    if arm(findings, CHOSEN) is None:
        return (
            f"{groups} No affinity score is known to predict real gains well, so train this split beside all-in-one "
            f"and separate networks before you rely on it."
        )
    sentences = [
        groups, _numbers(findings), _winners(findings), _negative_transfer(findings), _luck(findings),
        _stable(findings), _prediction(findings), _limits(findings),
    ]  # fmt: skip
    return " ".join(sentence for sentence in sentences if sentence)


def gain_text(found: Estimate, findings: Findings) -> str:
    """A gain with its interval, in the study's unit."""
    value = f"{points_text(found.value, findings.metric)} {findings.unit}".strip()
    if not found.sure:
        return f"{value} ({found.n} seed{'s' * (found.n != 1)}, no interval)"
    low, high = (points_text(end, findings.metric) for end in (found.low, found.high))
    return f"{value} (95 % interval {low} to {high})"


def groups_text(findings: Findings, longest: int = LISTED) -> str:
    """The chosen networks: their tasks where there are few tasks, else their sizes."""
    names = short_names(findings.tasks, longest=40)
    if findings.selection.rule == "taskonomy":
        return _sources_text(findings, names, longest)
    groups = [[names.get(task, task) for task in group] for group in findings.selection.groups]
    count = f"{len(groups)} network{'s' * (len(groups) != 1)}"
    if len(findings.tasks) > longest:
        return f"{count} of {_and([str(len(group)) for group in groups])} tasks"
    return f"{count}: " + "; ".join(" + ".join(group) for group in groups)


def _sources_text(findings: Findings, names: Mapping[str, str], longest: int) -> str:
    """The chosen sources, and whom each serves beside itself."""
    chosen = findings.selection
    count = f"{len(chosen.networks)} source task{'s' * (len(chosen.networks) != 1)}"
    if len(findings.tasks) > longest:
        return f"{count} for {len(findings.tasks)} tasks"
    parts = []
    for network in chosen.networks:
        others = [names.get(task, task) for task in network.tasks if task != network.name]
        parts.append(names.get(network.name, network.name) + (f" (for {_and(others)})" if others else ""))
    return f"{count}: {'; '.join(parts)}"


_VERDICTS: Mapping[tuple[Side, Side], str] = {  # against all-in-one, against separate
    ("better", "better"): "Yes, split them as chosen: that is better than one network for all tasks, and better than a "
    "network for each.",
    ("better", "within noise"): "Do not train all tasks in one network; whether to share at all is open: the chosen "
    "split is better than one network for all, and within noise of a network for each.",
    ("better", "worse"): "Train a network for each task: the chosen split is better than one network for all, but "
    "worse than separate networks.",
    ("within noise", "better"): "Share, but whether to split is open: the chosen split is better than a network for "
    "each task, and within noise of one network for all.",
    ("within noise", "within noise"): "It cannot be told: the chosen split is within noise of one network for all "
    "tasks and of a network for each. Take the cheapest, or run more seeds.",
    ("within noise", "worse"): "Not like this: the chosen split is worse than a network for each task, and within "
    "noise of one network for all. Train separate networks.",
    ("worse", "better"): "No, train all tasks in one network: the chosen split is better than a network for each, but "
    "worse than one for all.",
    ("worse", "within noise"): "No: the chosen split is worse than one network for all tasks, and within noise of a "
    "network for each. Train one network for all.",
    ("worse", "worse"): "Not like this: the chosen split is worse than one network for all tasks and worse than a "
    "network for each.",
    ("same", "better"): "No, keep all tasks in one network, as chosen: that is better than a network for each.",
    ("same", "within noise"): "No need was shown: the rule keeps all tasks in one network, and that is within noise of "
    "a network for each.",
    ("same", "worse"): "Yes, though the rule says otherwise: it keeps all tasks in one network, and that is worse than "
    "a network for each.",
    ("better", "same"): "Yes, entirely: a network for each task, as chosen, is better than one network for all.",
    ("within noise", "same"): "No need was shown: the rule gives each task its own network, and that is within noise "
    "of one network for all.",
    ("worse", "same"): "No, though the rule says otherwise: it gives each task its own network, and that is worse "
    "than one network for all.",
}  # fmt: skip


def verdict(findings: Findings) -> str:
    """The first words of the answer."""
    if arm(findings, CHOSEN) is None:
        return "Not known yet: nothing was trained to verify what the affinities predict."
    seen = side(findings, TOGETHER), side(findings, ALONE)
    if "unsure" in seen:
        return "It cannot be told from one seed: nothing can be said about uncertainty, so any difference may be noise."
    if seen in _VERDICTS:
        return _VERDICTS[seen]
    known = [(name, s) for name, s in zip((TOGETHER, ALONE), seen, strict=True) if s not in ("untrained", "same")]
    if not known:
        return "Not known: the chosen split was compared with no other."
    name, found = known[0]
    return (
        f"Half an answer: the chosen split is {found} {'of' if found == 'within noise' else 'than'} {name}; the other "
        f"comparison was not trained."
    )


def _numbers(findings: Findings) -> str:
    parts = []
    for name in (TOGETHER, ALONE):
        found = difference(findings, CHOSEN, name)
        if found is not None and side(findings, name) not in ("same", "untrained"):
            parts.append(f"{gain_text(found, findings)} against {name}")
    if not parts:
        return ""
    costs = [f"{a.cost:g} for {name}" for name in (CHOSEN, TOGETHER, ALONE) if (a := arm(findings, name)) is not None]
    seeds = f"{len(findings.seeds)} seed{'s' * (len(findings.seeds) != 1)}"
    return (
        f"Its gain in mean test {findings.metric} is {_and(parts)}, over {seeds} (positive is better); its networks "
        f"cost {_and(costs)}."
    )


def _winners(findings: Findings) -> str:
    """Which tasks gain and which lose against a network of their own."""
    found = by_task(findings, CHOSEN, ALONE)
    if not found or side(findings, ALONE) == "same":
        return ""
    if len(findings.seeds) < 2:
        up, down = ([t for t, e in found.items() if sign * e.value > 0] for sign in (1, -1))
        return f"In that seed, noise included, {_tasks(findings, up, 'gain')} and {_tasks(findings, down, 'lose')}."
    up, down = ([t for t, e in found.items() if e.sign == sign] for sign in (1, -1))
    gaining, losing = _tasks(findings, up, "gain"), _tasks(findings, down, "lose")
    return f"Against their own networks, beyond noise, {gaining} and {losing}."


def _negative_transfer(findings: Findings) -> str:
    """Who loses in one network for all; named, since it is why one splits."""
    found = by_task(findings, TOGETHER, ALONE)
    if len(findings.seeds) < 2 or not found:
        return ""
    hurt = [task for task, e in found.items() if e.sign < 0]
    if not hurt:
        return "In one network for all, no single task loses beyond noise."
    return f"Negative transfer: in one network for all, {_tasks(findings, hurt, 'lose')} beyond noise."


def _luck(findings: Findings) -> str:
    """The chosen split beside random ones."""
    gains = random_gains(findings)
    gains = gains[np.isfinite(gains)]
    chosen = difference(findings, CHOSEN, ALONE)
    if not len(gains) or chosen is None or "same" in (side(findings, TOGETHER), side(findings, ALONE)):
        return ""
    below = int((gains < chosen.value).sum())
    low, middle, high = (points_text(float(q), findings.metric) for q in np.quantile(gains, (0, 0.5, 1)))
    if len(gains) == 1:
        than = "better" if below else "not better"
        return f"One random grouping gains {middle} {findings.unit} against separate; the chosen split is {than}."
    return (
        f"Random groupings gain {middle} {findings.unit} against separate in the median (from {low} to {high}); the "
        f"chosen split beats {below} of {len(gains)}."
    )


def _stable(findings: Findings) -> str:
    """Whether the grouping itself is more than noise of the measurement."""
    together = serving(findings)
    off = ~np.eye(len(together), dtype=bool)
    known = np.isfinite(findings.stability) & off
    inside, outside = (findings.stability[known & mask] for mask in (together, ~together))
    if not len(inside) or not len(outside):
        return ""
    return (
        f"When moments and seeds are drawn again, pairs of one chosen network stay together in "
        f"{100 * inside.mean():.0f} % of samples, others come together in {100 * outside.mean():.0f} %."
    )


def _prediction(findings: Findings) -> str:
    """Whether predictions can be relied on for groups that were not trained."""
    known = points(findings)
    found = order_agreement([p.placed for p in known], [p.gain for p in known], [p.task for p in known])
    if not found.sure or len(findings.seeds) < 2:
        return ""
    return (
        f"Of two groups with one task in common, the one predicted better for it was better in "
        f"{100 * found.value:.0f} % of {found.n} cases (95 % interval {100 * found.low:.0f} to "
        f"{100 * found.high:.0f} %; a coin has 50 %)."
    )


def _limits(findings: Findings) -> str:
    if len(findings.seeds) < 2:
        return "Run at least three seeds before you decide."
    count = len(findings.tasks)
    failed = sum(int((~np.isfinite(found.test)).any(axis=1).sum()) for found in findings.trained)
    lost = f"Left out since they failed: {failed} training{'s' * (failed != 1)}. " * bool(failed)
    chance = f"{0.05 * count:.1g} of {count} tasks" if count > 1 else "one task in twenty"
    return (
        f"{lost}Intervals are over seeds: they say what training again would give on these tasks, not what other tasks "
        f"would. Tasks are named at 95 % each, so about {chance} would be named by chance alone."
    )


def _split(findings: Findings, name: str) -> frozenset[tuple[float, str, tuple[str, ...]]]:
    """Its networks: those of half the size, or from another trunk, are others."""
    found = arm(findings, name)
    networks = [] if found is None else [findings.trained[n] for n in found.networks]
    return frozenset((network.cost, network.source, tuple(sorted(network.tasks))) for network in networks)


def _tasks(findings: Findings, tasks: Sequence[str], verb: str) -> str:
    """How many tasks do something, and at most eight of their names."""
    names = short_names(findings.tasks, longest=40)
    total = len(findings.tasks)
    if not tasks or len(tasks) == total:
        return f"all {total} tasks {verb}" if tasks else f"no task {verb}s"
    shown = [names[task] for task in tasks[:8]] + ([f"{len(tasks) - 8} more"] if len(tasks) > 8 else [])
    return f"{len(tasks)} of {total} tasks ({_and(shown)}) {verb}{'s' * (len(tasks) == 1)}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


__all__ = ["Side", "answer", "gain_text", "groups_text", "reasons", "side", "verdict"]

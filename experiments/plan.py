"""What a run would take, said before it begins: candidates, optimizer steps, time and disk, from formulas."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pathways.candidate import Training
from pathways.choose_root import ROOT, root_for
from pathways.compare import served
from pathways.cores import usable_cores
from pathways.create import install_root
from pathways.evolve.at_once import NAME as MEASURED
from pathways.evolve.at_once import AtOnce
from pathways.evolve.grouping import Grouping, guarded
from pathways.evolve.parents import EXHAUSTIVE, PROBE, Prior
from pathways.evolve.paths import with_head
from pathways.modules import BUILT_IN, Families
from pathways.path import Path
from pathways.summary_table import aligned
from pathways.task import Task
from pathways.text import bytes_text, seconds_text

from .config import Config
from .runner import in_order, make_root

LEDGER_BYTES = 8_000  # of one candidate's record: path, hyperparameters, measures and curve as JSON


def plan(
    config: Config, groups: Sequence[Sequence[Task]], waves: Sequence[Sequence[str]] | None = None,
    families: Families = BUILT_IN,
) -> dict[str, Any]:
    """What each side of a run would take, at most.

    Args:
        config: of the run.
        groups: its tasks, those that are learned jointly in one list.
        waves: the tasks that are learned at the same time, where affinity decides that and has decided it.
        families: of the modules.

    Time assumes that every candidate trains all its modules, that a backward pass is twice a forward pass, and
    that all runs at the speed of a small convolution, which is measured here.

    Returns:
        `sides`: by name, `candidates`, `steps` and `seconds` (`None` where no root says what a path costs);
        `candidates, steps, seconds, workers`; `disk` in bytes once finished, `disk_peak` while a task is learned;
        `waves`: the names of the tasks that are learned at the same time, `None` while affinity is not measured.
    """
    tasks = in_order(groups)
    models = _models(config, tasks, families)
    rate = measured_rate()
    rest = iter(models)
    arrived = [([next(rest) for _ in group], getattr(group, "grouping", None)) for group in groups]
    divided = [(own, grouping) for own, grouping in arrived if grouping and 1 < grouping.budget < len(own)]
    strategy = guarded(config.strategy.strategy) if divided else config.strategy.strategy
    at_once = config.at_once if isinstance(config.at_once, int) else 1  # more see less, and so probe less
    parts = [part for a in arrived for part in _parts(*a)]
    sides = {config.strategy.name: _side(strategy, config, parts, rate, at_once)}
    if divided:
        sides["grouping"] = _grouping(divided, config, rate)
    if isinstance(config.at_once, AtOnce) and len(models) > 1 and waves is None:
        sides[MEASURED] = _measuring(config.at_once, models, config, rate)
    for control in config.controls:
        seen = served(tasks, control.strategy)
        own = [[model] for model, task in zip(models, tasks, strict=True) if task in seen]
        searches = [models] if getattr(control.strategy, "joint", False) else own
        sides[control.strategy.name] = _side(control.strategy, config, searches, rate)
    total = {key: sum(side[key] for side in sides.values()) for key in ("candidates", "steps")}
    timed = all(side["seconds"] is not None for side in sides.values())
    workers = max(1, min(config.engine.workers, usable_cores()))
    largest = max(model["parameters"] for model in models)
    most = _searches(config.strategy.strategy, len(groups) - 1)[1]
    kept = sum(model["parameters"] for model in models) + models[0]["root"]
    ledger = LEDGER_BYTES * total["candidates"]
    if waves is None and isinstance(config.at_once, int):
        n = config.at_once
        waves = [[task.name for task in in_order(groups[at : at + n])] for at in range(0, len(groups), n)]
    return {
        "tasks": len(tasks),
        "waves": waves and [list(wave) for wave in waves],
        "sides": sides,
        **total,
        "seconds": sum(side["seconds"] for side in sides.values()) / workers if timed else None,
        "workers": workers,
        "flops_per_second": rate,
        "disk": 4 * kept + ledger,
        "disk_peak": 4 * (kept + most * largest) + ledger,
    }


def plan_text(expected: Mapping[str, Any]) -> str:
    """The plan as a table."""
    rows = [
        [name, str(side["candidates"]), f"{side['steps']:,}", _about(side["seconds"])]
        for name, side in expected["sides"].items()
    ]
    table = aligned(["side", "candidates at most", "optimizer steps", "CPU"], rows, left=(0,))
    rate = expected["flops_per_second"] / 1e9
    return (
        f"{expected['tasks']} tasks{_waves_text(expected['waves'])}\n\n{table}\n\n"
        f"time   {_about(expected['seconds'])} with {expected['workers']} trainer(s) at {rate:.0f} GFLOP/s each, "
        f"if every candidate trained all its modules\n"
        f"disk   {bytes_text(expected['disk'])} when finished, at most {bytes_text(expected['disk_peak'])} on the way"
    )


def _waves_text(waves: Sequence[Sequence[str]] | None) -> str:
    """Which tasks go at the same time, where that says anything."""
    if waves is None:
        return ", at the same time those that do not need each other's results, once affinity is measured"
    if all(len(wave) == 1 for wave in waves):
        return ""
    return f" in {len(waves)} waves: " + "; ".join(", ".join(wave) for wave in waves)


def measured_rate(repeats: int = 8) -> float:
    """Floating-point operations a second of one thread that trains a small convolution, the best of a few tries."""
    from pathways.trainer.numerics import one_thread

    size, channels, batch = 14, 32, 64
    layout = {"memory_format": torch.channels_last}  # as the trainer has it
    images = torch.ones(batch, channels, size, size).contiguous(**layout)
    weight = torch.ones(channels, channels, 3, 3).contiguous(**layout).requires_grad_()
    seconds = []
    with one_thread():
        for _ in range(repeats):
            began = time.process_time()
            torch.nn.functional.conv2d(images, weight, padding=1).sum().backward()
            seconds.append(time.process_time() - began)
    # Forward, and backward to the weight: the images need no gradient.
    return 2 * (2 * batch * size**2 * channels**2 * 9) / min(seconds)


def _about(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"about {seconds_text(seconds)}"


def _models(config: Config, tasks: Sequence[Task], families: Families) -> list[dict[str, Any]]:
    """Parameters and FLOPs of each task's root with its head, and which root that is; zeros where there is none."""
    given = make_root(config, tasks, families)
    named = given if isinstance(given, dict) else {} if given is None else {ROOT: given}
    roots = {name: _shipped(root) if isinstance(root, str) else root for name, root in named.items()}
    held = sum(root.costs(families).parameters for root in roots.values())
    models = []
    for task in tasks:
        name = root_for(roots, [task.inputs])
        root = roots.get(name or "")
        path = with_head(root, task.target, inputs=task.inputs, families=families) if root is not None else None
        costs = path.costs(families) if path is not None else None
        models.append(
            {
                "parameters": costs.parameters if costs else 0,
                "flops": costs.flops if costs else None,
                "root": held,
                "of": name,
                "untrained": root is not None and bool(root.drafts()),
            }
        )
    return models


def _shipped(name: str) -> Path:
    import tempfile

    from pathways.pool import Pool

    with tempfile.TemporaryDirectory() as folder:
        return install_root(name, Pool(folder))


def _side(
    strategy: Any, config: Config, searches: Sequence[Sequence[Mapping[str, Any]]], rate: float, at_once: int = 1
) -> dict[str, Any]:
    """What one side takes: `searches` are the models of the tasks that each search learns, so many `at_once`."""
    own = getattr(strategy, "training", None)  # PathNet has a method of that name
    training = own if isinstance(own, Training) else config.training
    steps = getattr(strategy, "steps", None)
    steps = training.steps if steps is None else steps
    batch = getattr(strategy, "batch", training.batch)
    proportional = getattr(strategy, "sampler", "joint") != "joint"  # one task a step
    result: dict[str, Any] = {"candidates": 0, "steps": 0, "seconds": 0.0}
    for number, models in enumerate(searches):
        before = [model for other in searches[: number - number % at_once] for model in other]  # before this wave
        learned = sum(model["of"] == models[0]["of"] for model in before)  # and on the same root
        # An untrained root is probed while there is no champion, or always where the strategy says so.
        scratch = models[0]["untrained"] and (not learned or getattr(strategy, "scratch", False))
        probes, tried = _searches(strategy, learned, scratch)
        from_scratch = dict(getattr(strategy, "scratch_training", {}))
        changes = from_scratch if scratch else dict(getattr(strategy, "probe_training", {}))
        guard = getattr(strategy, "guard", None)
        alone = 0 if not guard or (scratch and len(models) == 1) else guard.repeats * len(models)
        measured = learned + 1 if isinstance(getattr(strategy, "parents", None), Prior) else 0
        done = [
            (probes, changes.get("steps", steps), changes.get("batch", batch)), (tried, steps, batch),
            (alone, from_scratch.get("steps", steps), from_scratch.get("batch", batch)),
        ]  # fmt: skip
        result["candidates"] += max(probes, measured) + tried + alone
        result["steps"] += sum(count * length for count, length, _ in done)
        *together, own = (count * length * size for count, length, size in done)
        flops = [model["flops"] for model in models]
        if None in flops or result["seconds"] is None:
            result["seconds"] = None
        else:
            one = sum(flops) / len(flops)
            result["seconds"] += 3 * (sum(together) * (one if proportional else sum(flops)) + own * one) / rate
    return result


def _parts(models: Sequence[Mapping[str, Any]], grouping: Grouping | None) -> list[Sequence[Mapping[str, Any]]]:
    """The searches for tasks that arrive together: how affinity will divide them is not known, so evenly."""
    count = min(grouping.budget, len(models)) if grouping else 1
    return [models[i::count] for i in range(count)]


def _grouping(
    divided: Sequence[tuple[Sequence[Mapping[str, Any]], Grouping]], config: Config, rate: float
) -> dict[str, Any]:
    """What measuring affinity takes, before tasks that arrive together are divided.

    A measurement is reckoned as `lookahead`'s, the dearest: for T tasks as much as 1 + T / 3 joint steps.
    """
    result: dict[str, Any] = {"candidates": 0, "steps": 0, "seconds": 0.0}
    for models, grouping in divided:
        training = grouping.training or config.training
        result["candidates"] += grouping.seeds
        result["steps"] += grouping.seeds * training.steps
        flops = [model["flops"] for model in models]
        if None in flops or result["seconds"] is None:
            result["seconds"] = None
            continue
        measured = training.steps * (1 + (1 + len(models) / 3) / grouping.every)
        result["seconds"] += 3 * grouping.seeds * measured * training.batch * sum(flops) / rate
    return result


def _measuring(
    rule: AtOnce, models: Sequence[Mapping[str, Any]], config: Config, rate: float
) -> dict[str, Any]:
    """What measuring affinity takes, before it is decided which tasks are learned at the same time.

    Co-training as in `_grouping`; else each task's own network is trained, and seen by all other tasks.
    """
    if rule.record.while_training:
        grouping = Grouping(2, rule.affinity, rule.every, rule.seeds, dict(rule.options), rule.training)
        return _grouping([(models, grouping)], config, rate)
    training, flops = rule.training or config.training, [model["flops"] for model in models]
    seconds = None if None in flops else 3 * rule.seeds * training.steps * training.batch * sum(flops) / rate
    return {
        "candidates": rule.seeds * len(models) ** 2,
        "steps": rule.seeds * len(models) * training.steps,
        "seconds": seconds,
    }


def _searches(strategy: Any, index: int, scratch: bool = False) -> tuple[int, int]:
    """Probes and further candidates of one search after `index` other tasks, from a strategy's settings.

    With `scratch`, of a search that begins with an untrained root.
    """
    probes = getattr(strategy, "probes", 0)
    rule = getattr(strategy, "parents", None)
    every = probes == "all" or (isinstance(rule, Prior) and rule.estimator == PROBE)
    probes = index + 1 if every else min(int(probes), index + 1)
    rounds = getattr(strategy, "generations", 1)
    if scratch and getattr(strategy, "scratch_generations", None) is not None:
        rounds = strategy.scratch_generations
    if getattr(strategy, "tournament", None) == "population":
        each = strategy.population
    elif hasattr(strategy, "tournament"):
        each = 2
    elif hasattr(strategy, "repeats"):
        each = strategy.candidates if getattr(strategy, "tuned", False) else strategy.repeats
    else:
        each = getattr(strategy, "children", 1)
    if rule is not None:  # one child of each parent
        each = index + 1 if rule == EXHAUSTIVE else min(each, index + 1)
    return probes, rounds * each

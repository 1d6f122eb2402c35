"""What is compared: an arm is one way to learn, with a run for each seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pathways.errors import ConfigError
from pathways.look import looked_at
from pathways.summary import CHAMPIONS, run_config, summarise


@dataclass(frozen=True)
class Repeat:
    """One run of an arm.

    Args:
        run: its directory.
        seed: what everything random in it derives from.
        tests: by task, the test measure, of those that have one.
        data: by task, the fingerprint of its test data: what is compared is measured on the same samples.
        metrics: by task, the name of its metric and whether higher is better.
        facts: `ACC, BWT, forgetting, parameters, candidates, cpu_seconds`; `None` where not measured.
        config: the run's configuration, plain data.
    """

    run: str
    seed: int
    tests: Mapping[str, float]
    data: Mapping[str, str | None]
    metrics: Mapping[str, tuple[str, bool]]
    facts: Mapping[str, float | None]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """One way to learn, as a name and its runs.

    Args:
        name: what it is called.
        repeats: a run for each seed, all of the same side of their runs.
        side: `champions`, or the name of a control.
    """

    name: str
    repeats: tuple[Repeat, ...]
    side: str = CHAMPIONS

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its runs."""
        return tuple(repeat.seed for repeat in self.repeats)

    def fact(self, name: str) -> float | None:
        """The mean of a fact over its runs; `None` where a run lacks it."""
        found = [repeat.facts[name] for repeat in self.repeats]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if len(known) == len(found) else None


def read_arm(text: str, families: Iterable[Any] = ()) -> Arm:
    """An arm from what a command line says: `[NAME=]DIR[,DIR...][:SIDE]`.

    Args:
        text: several directories are the seeds of one arm; `SIDE` is a control of these runs, in place of their
            champions.
        families: module families of your own that the runs use.

    Raises:
        ConfigError: a directory is no run, or has no such control, or two runs of the arm have one seed.
    """
    name, equals, rest = text.partition("=")
    places, _, side = (rest if equals else text).partition(":")
    directories = [place for place in places.split(",") if place]
    if not directories:
        raise ConfigError(f"an arm must be [NAME=]DIR[,DIR...][:SIDE], found {text!r}: name a run directory.")
    repeats = tuple(_repeat(FilePath(place), side or CHAMPIONS, families) for place in directories)
    own = name if equals and name else f"{_short(directories)}{f' {side}' if side else ''}"
    seeds = [repeat.seed for repeat in repeats]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ConfigError(
            f"runs of one arm must have different seeds, {own!r} has seed {twice[0]} twice: "
            f"they are one run, or are to be arms of their own."
        )
    return Arm(own, repeats, side or CHAMPIONS)


def _short(directories: Sequence[str]) -> str:
    """A name for runs: the directory's, or what the names of several have in common.

    >>> _short(["runs/a"]), _short(["runs/a-0", "runs/a-1"])
    ('a', 'a')
    """
    names = [FilePath(place).resolve().name for place in directories]
    shared = names[0]
    while not all(name.startswith(shared) for name in names):
        shared = shared[:-1]
    return (shared.rstrip("-_. ") if len(names) > 1 else shared) or names[0]


def _repeat(place: FilePath, side: str, families: Iterable[Any]) -> Repeat:
    with looked_at(place, families) as system:
        summary = summarise(system)
        data = {name: brief.test_data for name, brief in system.briefs.items()}
        config, seed = run_config(system.directory), system.record.seed
    if not summary["tasks"]:
        raise ConfigError(f"a run that is compared must have learned a task, {place} has none: `pathways resume` it.")
    if side not in summary["sides"]:
        there = ", ".join(f"`{name}`" for name in summary["sides"] if name != CHAMPIONS) or "none"
        raise ConfigError(f"{place} must have the control {side!r} to compare it, found {there}.")
    tests = {t["name"]: t["test"] if side == CHAMPIONS else t["controls"].get(side) for t in summary["tasks"]}
    facts = summary["sides"][side]
    return Repeat(
        str(place), seed, {name: value for name, value in tests.items() if value is not None}, data,
        {t["name"]: (t["metric"], t["higher_is_better"]) for t in summary["tasks"]},
        {key: facts[key] for key in ("ACC", "BWT", "forgetting", "parameters", "candidates", "cpu_seconds")}, config,
    )  # fmt: skip


__all__ = ["Arm", "Repeat", "read_arm"]

"""What a run is cited by: the methods, data and software that it used, each with its BibTeX entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import __version__
from .citations import CITED, cited, entries
from .ledger_rows import SYSTEM
from .summary import run_config

if TYPE_CHECKING:
    from .system import System

TOOLKIT = "pathways"
"""The key of the toolkit's own entry."""

YEAR = 2026
"""The year of this version."""

_BY_KIND = ("method", "data", "software")
_KIND = {"source": "data", "software": "software"}


@dataclass(frozen=True)
class Citation:
    """A publication that a run rests on.

    Args:
        key: of its entry.
        used: what the run used of it, such as `family lora`.
        entry: in BibTeX.
    """

    key: str
    used: tuple[str, ...]
    entry: str

    def to_json(self) -> dict[str, Any]:
        """The citation as plain data."""
        return {"key": self.key, "used_for": list(self.used), "bibtex": self.entry}


def citations(system: System) -> list[Citation]:
    """What a system is cited by, each once: methods first, then data, then software.

    What is not known to have been used is not named: a run that Python made has no configuration, and is cited by its
    strategies, the families of its champions, and its training.

    Args:
        system: what was learned; it may be opened to look at only.
    """
    found: dict[str, dict[str, None]] = {}
    order: dict[str, int] = {}
    for kind, name in dict.fromkeys(used(system)):
        for key in cited(kind, name):
            found.setdefault(key, {})[f"{kind} {name}"] = None
            place = _BY_KIND.index(_KIND.get(kind, "method"))
            order[key] = min(place, order.get(key, place))
    keys = sorted(found, key=order.__getitem__)
    return [Citation(key, tuple(found[key]), entries()[key]) for key in keys] + [_toolkit()]


def bibtex(found: list[Citation]) -> str:
    r"""Citations as a BibTeX file, each under a comment that says what it was used for.

    Example:
        >>> print(bibtex([Citation("a2020", ("family a", "family b"), "@misc{a2020,\n}")]))
        % used for: family a; family b
        @misc{a2020,
        }
        <BLANKLINE>
    """
    return "\n".join(f"% used for: {'; '.join(each.used)}\n{each.entry}\n" for each in found)


def cite(system: System) -> str:
    """BibTeX of the methods, data and software that a system used: what `pathways cite` prints.

    Args:
        system: what was learned.

    Returns:
        Entries with a comment above each; equal systems give equal text.
    """
    return bibtex(citations(system))


def used(system: System) -> Iterator[tuple[str, str]]:
    """What a run used, as kinds and names of `CITED`; some more than once, and those without a publication too."""
    config = run_config(system.directory)
    yield from _searched(system, config)
    yield from _families(system)
    yield from _affinity(config)
    yield from (("measure", name) for name in CITED["measure"] if len(system.briefs) > 1)
    yield from _data(system, config)
    yield "software", "torch"
    if _mapping(config.get("engine")).get("kind") == "ray":
        yield "software", "ray"


def _searched(system: System, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The strategy, the controls, and what they were told to do."""
    for named in [config.get("strategy"), *_list(config.get("controls"))]:
        for name, settings in (_mapping(named) or {str(named): {}}).items():
            yield "strategy", str(name)
            yield from _strategy(_mapping(settings))
    # What Python has called, under the name in the record; a control of another name is found in the configuration.
    yield from (("strategy", brief.strategy) for brief in system.briefs.values())
    yield from (("strategy", strategy) for strategy, _ in system.ledger.controls() if strategy != SYSTEM)
    yield from _training(system.record.training.to_json())


def _strategy(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a strategy's settings turn on."""
    rates = _mapping(settings.get("rates"))
    if settings.get("mutable_rates") == "one" or settings.get("optimizer_state") in ("cloned", "mutable"):
        yield "strategy", "mu2Net"
    elif settings.get("mutable_rates"):
        yield "strategy", "mu3Net"
    if settings.get("multipath") or rates.get("paths"):
        yield "strategy", "mu4Net"
    if settings.get("steady"):
        yield "strategy", "steady"
    if settings.get("deltas"):
        yield "setting", "deltas"
    if settings.get("guard"):
        yield "setting", "guard"
    if prior := _mapping(_mapping(settings.get("parents")).get("prior")):
        yield "setting", "prior"
        yield "estimator", str(prior.get("estimator"))
    if "optuna" in (sampler := _mapping(settings.get("hyperparameters"))):
        yield "setting", "optuna"
        yield "setting", str(_mapping(sampler["optuna"]).get("sampler", "tpe"))
    racing = _mapping(settings.get("racing"))
    if "paired" in racing:
        yield "setting", "paired"
    if "pruner" in racing:
        yield "setting", "optuna"
        yield "setting", str(_mapping(racing["pruner"]).get("name", "median"))
    yield from _training(_mapping(settings.get("training")))
    if "temperature" in _mapping(settings.get("sampler")):
        yield "setting", "temperature"


def _training(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What hyperparameters turn on."""
    for name in ("optimizer", "schedule", "precision", "head_init", "head_refit"):
        if name in training:
            yield "setting", str(training[name])
    if training.get("label_smoothing"):
        yield "setting", "label_smoothing"


def _families(system: System) -> Iterator[tuple[str, str]]:
    """The families of the modules on champions' paths and on roots, and the presets that roots were made of."""
    config = run_config(system.directory)
    for root in [config.get("root"), *_mapping(config.get("roots")).values()]:
        yield "preset", str(_mapping(root).get("preset"))
    for path in [*system.roots.values(), *(record.path for record in system.records.values())]:
        yield from (("family", ref.spec.family) for ref in path.refs())


def _affinity(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a study measured, or a run where affinity decides what is learned together."""
    if study := _mapping(config.get("affinity")):
        yield "affinity", "study"
        yield "rule", str(study.get("rule"))
        for each in _list(study.get("estimators")):
            yield from (("estimator", str(name)) for name in (_mapping(each) or [each]))
    groups = [_mapping(source).get("jointly") for source in _list(config.get("tasks"))]
    for rule in filter(None, map(_mapping, [config.get("at_once"), *groups])):
        yield "setting", "joint affinity"
        yield "estimator", str(rule.get("affinity", rule.get("estimator")))


def _data(system: System, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where the tasks come from, by the configuration; without one, by what the tasks' names begin with."""
    sources = [_mapping(source).get("source", source) for source in _list(config.get("tasks"))]
    sources = sources or [name.partition("/")[0] for name in system.briefs]
    yield from (("source", str(source)) for source in sources)


def _mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, or an empty one in place of anything else: files may have been edited."""
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _toolkit() -> Citation:
    entry = (
        f"@software{{{TOOLKIT},\n"
        f"  author  = {{{{The authors of evolving-pathways}}}},\n"
        f"  title   = {{Evolving pathways: one growing network that learns many tasks and forgets none}},\n"
        f"  version = {{{__version__}}},\n"
        f"  year    = {{{YEAR}}},\n"
        f"  note    = {{Python package evolving-pathways}},\n}}"
    )
    return Citation(TOOLKIT, ("the toolkit itself",), entry)


__all__ = ["Citation", "bibtex", "citations", "cite", "used"]

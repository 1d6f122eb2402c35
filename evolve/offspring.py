"""muNet's mutations of a parent: which happen, how often, and the child that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pathways.candidate import Training
from pathways.modules import Families, Frozen, Warm
from pathways.path import Path

from .change_blocks import CHOICES, change_blocks, changes_blocks, resolved
from .member import Member
from .multipath import KIND as PATHS
from .multipath import Multipath, can_mix, changed, gives_features
from .mutations import add_adapter, add_top, clone, drop_top, step_along
from .outline import bare_top, blocks, is_adapter, is_inner, layers
from .seeds import Seeds
from .states import States

if TYPE_CHECKING:
    from .munet import MuNet

RATES = tuple(round(0.02 * i, 2) for i in range(1, 16))  # 0.02 .. 0.30, the published list of mutation rates
ONE, MU = "one", "mu"
"""All mutations have one rate, which paths inherit under this name."""
_TRIES = 20


@dataclass(frozen=True)
class Child:
    """A child before it is trained.

    Args:
        parent: whom it must beat.
        member: the parent with the child's hyperparameters, rates and lineage.
        trunk: headless; drafts are what will be trained.
        mutations: what differs from the parent, in words.
    """

    parent: Member
    member: Member
    trunk: Path
    mutations: tuple[str, ...]


def make_child(
    parent: Member, settings: MuNet, models: Sequence[Member], families: Families, rng: np.random.Generator,
    drawn: Mapping[str, Any] | None = None,
) -> Child:
    """A child that differs from its parent in at least one mutation of path or training, where the rates allow any.

    Args:
        parent: shared where frozen, copied where it was trained for this task.
        settings: lists, rates and the adapter.
        models: root and champions, whose layers may be put back on top.
        families: the families that specs may name.
        rng: where the draws come from.
        drawn: its hyperparameters in `space`, where a sampler has drawn them; else the parent's, mutated.
    """
    for _ in range(_TRIES):
        child, changed = _mutated(parent, settings, models, families, rng, drawn)
        if changed:
            break
    return child


class _Rates:
    """The chances of one child's mutations; each is inherited, and moves along a list as often as it says itself.

    Where all have one rate, that moves first, and the child is made with what it has become.
    """

    def __init__(self, parent: Member, settings: MuNet, rng: np.random.Generator) -> None:
        self.settings, self.rng, self.values = settings, rng, dict(parent.rates)
        if settings.mutable_rates == ONE:
            self.values = {MU: self._moved(self.values.get(MU, settings.first_rate))}

    def happens(self, name: str, kind: str) -> bool:
        """Draw whether the mutation `name` happens."""
        first = self.settings.rates
        rate = self.values.get(name, first.get(name, first.get(kind, 0.0)))
        if self.settings.mutable_rates == ONE:
            rate = self.values[MU] if rate > 0 else 0.0
        elif self.settings.mutable_rates and rate > 0:
            rate = self.values[name] = self._moved(rate)
        return bool(self.rng.random() < rate)

    def _moved(self, rate: float) -> float:
        """The rate, or a neighbour of it on the list."""
        return step_along(self.settings.rate_steps, rate, self.direction()) if self.rng.random() < rate else rate

    def direction(self) -> int:
        """Up or down, evenly."""
        return int(self.rng.choice([-1, 1]))


def _mutated(
    parent: Member, settings: MuNet, models: Sequence[Member], families: Families, rng: np.random.Generator,
    drawn: Mapping[str, Any] | None,
) -> tuple[Child, bool]:
    rates = _Rates(parent, settings, rng)
    if drawn is None:
        training, words = _training(parent.training, settings, rates)
    else:
        training, words = replace(parent.training, **drawn), _changes(parent.training, drawn)
    dim, noted = parent.adapter_dim, list[str]()
    if settings.adapter is not None and rates.happens("adapter_dim", "hyperparameter"):
        dim = step_along(settings.adapter_dims, dim, rates.direction())
        noted = [f"adapter_dim {parent.adapter_dim} -> {dim}"] if dim != parent.adapter_dim else []
    member = replace(parent, training=training, adapter_dim=dim)
    if settings.multipath is not None and parent.heads:
        mixture, more = _mixture(parent, settings, models, rates, families)
        if mixture.extras:
            member = replace(mixture, training=training, adapter_dim=dim, rates=rates.values)
            return Child(parent, member, parent.trunk, (*words, *more, *noted)), bool(words or more)
    trunk, more = _height(parent.trunk, models, rates, families)
    words += more
    states = States(parent, training, settings, rates.happens)
    trunk = _train_own(trunk, parent.own, states)
    for step in blocks(trunk, families):
        adapter = is_adapter(step, trunk) or is_inner(step)
        if any(isinstance(ref, Frozen) for ref in trunk.steps[step].refs()) and rates.happens(f"clone:{step}", "clone"):
            trunk = clone(trunk, step, states.of(step, trunk))
            words.append(f"clone {step}")
        if not adapter and settings.adapter is not None and rates.happens(f"adapter:{step}", "adapter"):
            longer = add_adapter(trunk, step, settings.adapter_spec(dim), families)
            if longer is not None:
                trunk = longer
                words.append(f"adapter {dim} after {step}")
    if changes_blocks(settings.rates):  # draws only where something can come of it, so that earlier runs stay
        choices = {name: resolved(name, getattr(settings, name), families) for name in CHOICES}
        trunk, more = change_blocks(trunk, choices, families, rates)
        words += more
    parents, kept = _lineage(parent, trunk, models), states.after(trunk, lambda blob: _giver_of(models, blob))
    member = replace(member, rates=rates.values, parents=parents, optimizers=kept)
    return Child(parent, member, trunk, (*words, *noted, *states.words)), bool(words)


def _mixture(
    parent: Member, settings: MuNet, models: Sequence[Member], rates: _Rates, families: Families
) -> tuple[Member, list[str]]:
    """The parent mixed with paths of other tasks, with other ones, or as it is."""
    if not can_mix(parent.heads.values()) or not isinstance(models, Seeds) or not rates.happens(PATHS, PATHS):
        return parent, []
    child, words = changed(parent, cast(Multipath, settings.multipath), models, rates.rng)
    if not all(gives_features(extra.trunk, families) for extra in child.extras):
        return parent, []
    names = tuple(dict.fromkeys([*parent.parents, *(extra.key for extra in child.extras)]))
    return replace(child, parents=names), words


def _training(training: Training, settings: MuNet, rates: _Rates) -> tuple[Training, list[str]]:
    """Each listed hyperparameter moves one step on its list, or stays."""
    words = []
    for name, values in settings.space.items():
        if rates.happens(name, "hyperparameter"):
            before = getattr(training, name)
            value = step_along(values, before, rates.direction())
            if value != before:
                words.append(f"{name} {before} -> {value}")
                training = replace(training, **{name: value})
    return training, words


def _changes(training: Training, drawn: Mapping[str, Any]) -> list[str]:
    before = {name: getattr(training, name) for name in drawn}
    return [f"{name} {before[name]} -> {value}" for name, value in drawn.items() if value != before[name]]


def _height(
    trunk: Path, models: Sequence[Member], rates: _Rates, families: Families
) -> tuple[Path, list[str]]:
    """One layer less or more on top, or as it was."""
    if rates.happens("drop-top", "layers") and (shorter := drop_top(trunk, families)) is not None:
        return shorter, [f"drop {layers(trunk, families)[-1]}"]
    if rates.happens("add-top", "layers"):
        longer = add_top(trunk, *_longer(models, trunk, families))
        if longer is not None:
            return longer, [f"add {longer.output}"]
    return trunk, []


def _train_own(trunk: Path, own: frozenset[str], states: States) -> Path:
    """What the parent trained for this task is copied and trained on."""
    for step in trunk.canonical_order:
        if any(isinstance(ref, Frozen) and ref.id in own for ref in trunk.steps[step].refs()):
            trunk = clone(trunk, step, states.of(step, trunk, own), only=own)
    return trunk


def _lineage(parent: Member, trunk: Path, models: Sequence[Member]) -> tuple[str, ...]:
    """The parent's lineage, and the models that layers were taken from."""
    copied = {draft.start.blob for draft in trunk.drafts().values() if isinstance(draft.start, Warm)}
    new = {*trunk.frozen(), *copied} - set(parent.trunk.frozen())
    givers = {_giver(models, blob) for blob in new}
    return tuple(dict.fromkeys([*parent.parents, *sorted(givers)]))


def _longer(
    models: Sequence[Member], trunk: Path, families: Families
) -> tuple[Iterable[Path], Families, Iterable[Path]]:
    """What `add_top` may take a layer from, by content and by name, in the order of the models."""
    if isinstance(models, Seeds) and layers(trunk, families):
        bare = bare_top(trunk, families)
        top = layers(bare, families)[-1]
        return models.longer_than(bare, top, False), families, models.longer_than(bare, top, True)
    trunks = [] if isinstance(models, Seeds) else [model.trunk for model in models]
    return trunks, families, trunks


def _giver(models: Sequence[Member], blob: str) -> str:
    """The first model that holds a blob."""
    if isinstance(models, Seeds):
        return models.giver_of(blob)
    return next(model.key for model in models if blob in model.trunk.frozen())


def _giver_of(models: Sequence[Member], blob: str) -> Member:
    key = _giver(models, blob)
    return models.of(key) if isinstance(models, Seeds) else next(model for model in models if model.key == key)

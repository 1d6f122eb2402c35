"""muNet: evolve paths by cloning layers of what is there and sharing the rest frozen.

Reference: Gesmundo & Dean 2022, "muNet: Evolving Pretrained Deep Neural Networks into Scalable Auto-tuning
Multitask Systems", arXiv 2205.10937; inherited, mutable rates are those of its successors mu2Net
(2205.12755) and mu3Net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from pathways.candidate import Training
from pathways.errors import ConfigError
from pathways.modules import ModuleSpec
from pathways.modules.near import did_you_mean
from pathways.racing import as_rule
from pathways.sampler import Sampling, as_sampler
from pathways.strategy import View

from .change_blocks import BLOCK_KINDS, CHOICES, as_choices, check_choices, resolved
from .guard import as_guard
from .hyperparameters import INHERIT, SPACE, as_hyperparameters, check_space
from .member import FRESH, STATES
from .multipath import as_multipath
from .munet_search import MuNetSearch
from .munet_steady import SteadyMuNetSearch
from .offspring import ONE, RATES
from .parents import Prior, as_parents
from .population import BEST, OWN, SURVIVORS, VISITS
from .presets import MUNET_PRESETS, preset
from .score import Score
from .settings import as_spec, as_training, settings_json, whole_number

ADAPTER = ModuleSpec("adapter", {"dim": 16})

KINDS = ("clone", "adapter", "hyperparameter", "layers")
MORE_KINDS = ("optimizer", "paths")
"""Kinds that only some settings have: see `MuNet.optimizer_state` and `MuNet.multipath`."""

_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "mutable_rates": (True, False, ONE), "visits": VISITS, "survivors": SURVIVORS, "optimizer_state": STATES,
}  # fmt: skip


def _probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True)
class MuNet:
    """Evolves a path for each task from the root and from other tasks' champions.

    At a task's start the root and the champions of other tasks are probed: everything frozen, a new head.
    Then, for `generations`, `children` are made: the population is visited by falling score and a member is
    accepted as parent with probability 0.5 ** (its children so far); where none is, the parent is any of
    population, root and champions. The child shares its parent's frozen modules, trains copies of what its
    parent trained for this task, and mutates. It lives only if its score beats its parent's, which for a root
    or champion is that of its probe. At the end the best path is frozen.

    Args:
        generations: rounds of children for each task.
        children: candidates of a round; a round's candidates are independent.
        probes: how many parents are probed at a task's start, the root first, then champions, newest first;
            `all` probes every one. Equal trunks are probed once; what is not probed may still be a parent. An
            untrained root is probed even where this is 0, since that trains it.
        rates: the first probability of each mutation, by name (`clone:block4`, `adapter:block1`, `lr`,
            `adapter_dim`, `add-top`, `drop-top`) or by its kind (`clone`, `adapter`, `hyperparameter`,
            `layers`); what is named neither way never happens. `drop` takes any step or module out whose readers can
            do without it; for others see `blocks`, `deltas`.
        mutable_rates: whether each rate is itself inherited and mutable, along `rate_steps`; 0 stays 0. `one` makes
            all that are not 0 one rate, which is a hyperparameter of the path, `mu`.
        rate_steps: the values of mutable rates, in rising order.
        size, compute: the score's factors, see `Score`.
        space: lists of values of `Training` fields, each mutating one step at a time along its list.
        hyperparameters: where a child's values of `space` come from: `inherit` takes the parent's and mutates them;
            `optuna`, or `{optuna: {sampler: gp}}`, draws them with a sampler that is told the scores, see `Sampler`.
        racing: when a child stops early because it cannot win: `paired`, `{paired: {alpha: 0.01}}`, or an Optuna
            pruner, `{pruner: {name: median}}`; see `pathways.racing.Paired`, `pathways.pruner.Pruner`. `None` is off.
        adapter: the module that is inserted behind a layer; `None` never inserts one.
        adapter_dims: its widths, a mutable hyperparameter of the path that later adapters get.
        scratch: whether an untrained root (of `Init` drafts) competes for every task, or, where false, only
            while no champion reads the task's inputs.
        training: hyperparameters and budget of a first path; the run's where not given. Of a champion's,
            only the fields in `space` are inherited.
        probe_training: what of them is different for probes.
        scratch_training: what of them is different where an untrained root is trained, in place of
            `probe_training`.
        scratch_generations: the rounds of a search that begins with an untrained root; `generations` where not
            given. Children of such a root train on all of what it has become: where `scratch_training` trains it to
            its end, 0 saves their cost.
        sampler: how batches alternate where several tasks are learned jointly, `joint`, `proportional` or one of
            `pathways.sampler`, as in `Candidate`. Such tasks share one trunk, with a head each; their score is the mean
            of theirs.
        workers: in how many parts each batch of such a group is trained, as in `Candidate`: as many processes can train
            one child together. Tasks that are learned by themselves, and the guard's networks, take one.
        parents: in place of scores, what decides whom a round asks for children: `exhaustive`, one child of the root
            and of every champion; `uniform`, `children` of them, any; `prior`, or `{prior: {estimator: logme}}`,
            `children` of them by Thompson sampling, from their measured transferability and what children gained here
            and in earlier tasks, see `Prior`. Equal trunks are one parent, and a child is bred from the best path
            that came of its parent. `None` visits by falling score, as above.
        guard: whether a network from scratch, of the root's architecture and with `scratch_training`, is in every
            race, and wins where sharing loses to it on validation data: `true`, or `{alpha: 0.05, repeats: 2}`, see
            `Guard`. Of several tasks each has its own, and is set apart alone. `false` is none; when not given, there
            is one where affinity decides what is shared: with a prior over parents, and for groups that were made by
            affinity (`jointly: {budget: 3}`).
        steady: whether the search goes without rounds: a child is made whenever a worker has room, of the population
            as it is then, until as many were made as rounds would hold, so that no worker waits for the end of a round.
            What it finds then depends on who was fast: the ledger keeps the order, a run that goes on repeats it.
            Without a rule over parents children begin when the first probe is told.

        visits: whom children are asked of before any: `own`, the population by falling score; `all`, then the root and
            champions, too, in an order that is shuffled once and rotates, by the same rule.
        population: how many paths the population holds at most; `None` is no limit. The best always stays.
        survivors: which others stay: `best`, those of the highest scores; `decay` draws them as parents are drawn.
        optimizer_state: what the optimizer of a clone begins with: `fresh`, nothing; `cloned`, the state that trained
            the module it is a clone of, which champions then keep; `mutable`, that where a mutation (kind `optimizer`)
            says so.
        multipath: whether a path that was trained for the task may be mixed, frozen, with paths of other tasks by a
            router (kind `paths` of `rates`): `true`, or `{paths: [2, 3], main: 0.8, lr_mult: 0.05}`, see `Multipath`.
            Only for tasks that are learned by themselves.
        blocks: the families that evolution may put behind a step (kind `insert` of `rates`, or `insert:block1`), in
            place of its modules (`replace`) or beside them (`branch`): names, of which each family says what fits
            (`Module.fitting`), or module specs; `all` is every family. Between ports that differ stand the modules of
            `pathways.convert`; what does not fit is not put there. What a child inserts its own children clone, adapt
            and drop like layers. Rates of these kinds are 0 unless they are given.
        deltas: the families, names or specs, that evolution may put inside a frozen module (`delta`), where also any
            delta may be taken out again; `all` is every delta.
        routers: the families, names or specs, one of which, or none, weights a frozen module and the one that is put
            beside it (`branch`); `all` is every router that can.

    Raises:
        ConfigError: a setting out of range; the message names it.

    Reference: searches without rounds are steady-state evolution, Whitley 1989, "The GENITOR algorithm and selection
    pressure", ICGA; for workers of different speed, Real et al. 2017, 1703.01041.

    Example:
        >>> MuNet(generations=2, children=4).name
        'munet'
        >>> MuNet.preset("munet-2022", generations=2).mutable_rates
        False
    """

    generations: int = 4
    children: int = 8
    probes: int | str = "all"
    rates: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.1))
    mutable_rates: bool | str = True
    size: float = 1.0
    compute: float = 1.0
    space: Mapping[str, Sequence[Any]] = SPACE
    adapter: ModuleSpec | Mapping[str, Any] | None = ADAPTER
    adapter_dims: Sequence[int] = (8, 16, 32, 64, 128)
    scratch: bool = False
    training: Training | Mapping[str, Any] | None = None
    probe_training: Mapping[str, Any] = field(default_factory=dict)
    scratch_training: Mapping[str, Any] = field(default_factory=dict)
    scratch_generations: int | None = None
    sampler: Sampling = "joint"
    hyperparameters: Any = INHERIT
    racing: Any = None
    parents: Any = None
    guard: Any = None
    workers: int = 1
    steady: bool = False
    rate_steps: Sequence[float] = RATES
    visits: str = OWN
    population: int | None = None
    survivors: str = BEST
    optimizer_state: str = FRESH
    multipath: Any = None
    blocks: Any = ()
    deltas: Any = ()
    routers: Any = ()
    jointly: ClassVar[bool] = True  # tells configurations that it learns several tasks in one search
    name: str = field(default="munet", init=False)

    def __post_init__(self) -> None:
        whole_number("generations", self.generations, 0)
        whole_number("children", self.children, 1)
        whole_number("workers", self.workers, 1)
        if self.scratch_generations is not None:
            whole_number("scratch_generations", self.scratch_generations, 0)
        if not isinstance(self.steady, bool):
            raise ConfigError(f"`steady` must be true or false, found {self.steady!r}.")
        if self.probes != "all" and (type(self.probes) is not int or self.probes < 0):
            raise ConfigError(f"`probes` must be 'all' or a whole number of at least 0, found {self.probes!r}.")
        if self.probes == 0 and self.generations == 0:
            raise ConfigError("`probes` and `generations` must not both be 0: nothing would be trained.")
        if self.population is not None:
            whole_number("population", self.population, 1)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                found = getattr(self, name)
                near = did_you_mean(found, allowed, ".")
                raise ConfigError(f"`{name}` must be one of {allowed}, found {found!r}{near}")
        object.__setattr__(self, "training", as_training(self.training))
        if self.adapter is not None:
            object.__setattr__(self, "adapter", as_spec(self.adapter))
        if not self.adapter_dims:
            raise ConfigError("`adapter_dims` must name at least one width, found none.")
        for dim in self.adapter_dims:
            whole_number("adapter_dims", dim, 1)
        object.__setattr__(self, "sampler", as_sampler(self.sampler))
        object.__setattr__(self, "hyperparameters", as_hyperparameters(self.hyperparameters))
        object.__setattr__(self, "racing", as_rule(self.racing))
        object.__setattr__(self, "parents", as_parents(self.parents))
        guard = True if self.guard is None and isinstance(self.parents, Prior) else self.guard
        object.__setattr__(self, "guard", as_guard(guard))
        object.__setattr__(self, "multipath", as_multipath(self.multipath))
        for name in CHOICES:
            object.__setattr__(self, name, as_choices(name, getattr(self, name)))
        check_choices({name: getattr(self, name) for name in CHOICES}, self.rates)
        Score(self.size, self.compute)
        self._check_training()
        self._check_rates()

    def _check_training(self) -> None:
        known = Training.__dataclass_fields__
        check_space(self.space)
        for name in ("probe_training", "scratch_training"):
            changes = getattr(self, name)
            if unknown := sorted(set(changes) - set(known)):
                near = did_you_mean(unknown[0], known, ".")
                raise ConfigError(f"`{name}` must name fields of `training`, found {unknown}{near}")
            replace(Training(), **changes)

    def _check_rates(self) -> None:
        names = {*KINDS, *MORE_KINDS, *BLOCK_KINDS, *self.space, "adapter_dim", "add-top", "drop-top"}
        for name, rate in self.rates.items():
            if name not in names and name.split(":")[0] not in ("clone", "adapter", "optimizer", *BLOCK_KINDS):
                near = did_you_mean(name, names, ".")
                raise ConfigError(
                    f"`rates` must name mutations or their kinds, such as {list(KINDS)}, found {name!r}{near}"
                )
            if not _probability(rate):
                raise ConfigError(f"rate `{name}` must be a probability, found {rate!r}.")
        if self.mutable_rates == ONE and len(found := {rate for rate in self.rates.values() if rate}) != 1:
            raise ConfigError(
                f"`rates` must be equal, or 0, where `mutable_rates` is 'one': all are one, found {sorted(found)}."
            )
        steps = list(self.rate_steps)
        if not steps or not all(_probability(step) for step in steps) or sorted(set(steps)) != steps:
            raise ConfigError(f"`rate_steps` must be probabilities in rising order, found {steps}.")

    @property
    def first_rate(self) -> float:
        """The highest of the rates that a search begins with; the only one where all are one."""
        return max(self.rates.values(), default=0.0)

    @property
    def first_adapter_dim(self) -> int:
        """The width of the adapters of paths that inherit none."""
        adapter = cast(ModuleSpec | None, self.adapter)  # `__post_init__` reads mappings
        return int(adapter.config.get("dim", self.adapter_dims[0]) if adapter else self.adapter_dims[0])

    def adapter_spec(self, dim: int) -> ModuleSpec:
        """The adapter of that width."""
        adapter = cast(ModuleSpec, self.adapter)
        return replace(adapter, config={**adapter.config, "dim": dim})

    @classmethod
    def preset(cls, name: str, **changes: Any) -> MuNet:
        """The settings of a published system, such as `munet-2022`, with changes."""
        return cls(**{**preset(name, MUNET_PRESETS), **changes})

    def begin(self, view: View) -> MuNetSearch:
        """Start a search for one task, or for several that share a trunk."""
        for name in CHOICES:
            resolved(name, getattr(self, name), view.families)
        return SteadyMuNetSearch(self, view) if self.steady else MuNetSearch(self, view)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data, without choices of families where there are none, as in earlier runs."""
        return {
            key: value for key, value in settings_json(self).items()
            if key != "name" and (value or key not in CHOICES)
        }  # fmt: skip

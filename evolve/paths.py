"""From headless paths to a task's path: heads, fresh copies, warm copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from pathways.choose_root import fit_inputs
from pathways.convert import conversion
from pathways.errors import ConfigError, PathError
from pathways.modules import (
    BUILT_IN,
    Draft,
    Families,
    Frozen,
    Init,
    ModuleRef,
    ModuleSpec,
    Port,
    Start,
    Tokens,
    Vector,
    Warm,
)
from pathways.path import Path, Step
from pathways.task import Classes, Sequences, Spans, Target


def head_spec(target: Target) -> ModuleSpec:
    """The head of a task: a classifier for classes, a regressor for values, one for each token for what has places.

    >>> head_spec(Classes(3)).family
    'classifier'
    """
    if isinstance(target, Classes):
        return ModuleSpec("classifier", {"classes": target.n})
    if isinstance(target, Sequences):
        return ModuleSpec("sequence", {"classes": target.n})
    if isinstance(target, Spans):
        return ModuleSpec("span")
    return ModuleSpec("regressor", {"values": target.n})


def before_head(target: Target, port: Port, families: Families = BUILT_IN) -> tuple[ModuleSpec, ...]:
    """The modules between a trunk that gives `port` and the head: none for what has places.

    Raises:
        PathError: the target has places and the trunk gives no tokens, or nothing leads to a vector.
    """
    if not isinstance(target, (Sequences, Spans)):
        return conversion(port, Vector, families)
    if not isinstance(port, Tokens):
        raise PathError(f"a path for {target.kind} must end in Tokens before its head, found {port}: do not pool them.")
    return ()


def glue(name: str, spec: ModuleSpec) -> Draft:
    """A weightless module as a draft; its seed is fixed, so that it is one blob in every task."""
    return Draft(name, spec, Init(0))


def converted(steps: dict[str, Step], last: str, specs: Iterable[ModuleSpec]) -> str:
    """Put the modules of a conversion behind the step `last`; returns the name of the last step then."""
    for spec in specs:
        draft = glue(f"{last}.{spec.family}", spec)
        # Only what has no weights is one blob in every task.
        steps[draft.name] = Step((replace(draft, start=Init()) if spec.family == "embed" else draft,), (last,))
        last = draft.name
    return last


def with_head(
    root: Path,
    target: Target,
    name: str = "head",
    *,
    start: Start = Init(),  # noqa: B008 - immutable
    inputs: Mapping[str, Port] | None = None,
    families: Families = BUILT_IN,
) -> Path:
    """Put a fresh head behind a headless path.

    Args:
        root: a headless path; its output step is what the head reads.
        target: what the task predicts; decides the head.
        name: of the head's draft. The step is called `head`.
        start: of the head; by default random, from run, task and candidate.
        inputs: the task's inputs, which the path is made to read (see `fit_inputs`).
        families: the module families that specs may name.

    Returns:
        The path, with the steps before the head that `conversion` names where the root does not end in a vector:
        `flatten` of images, `pool` of tokens and signals, `embed` and `pool` of ids. Sequences and spans have heads
        that read tokens as they are.

    Raises:
        PathError: the inputs do not fit the root, the root has a step called `head`, or gives no tokens to a target
            that has places.

    Example:
        >>> linear = Draft("linear", ModuleSpec("linear", {"dim": 8}))
        >>> trunk = Path({"x": Vector(4)}, {"a": Step((linear,), ("x",))}, "a")
        >>> list(with_head(trunk, Classes(2)).steps)
        ['a', 'head']
    """
    if inputs is not None:
        root = fit_inputs(root, inputs)
    if "head" in root.steps:
        raise PathError("`root` must be headless, found a step called 'head': take it off first.")
    steps = dict(root.steps)
    last = root.output
    last = converted(steps, last, before_head(target, root.ports(families)[last], families))
    steps["head"] = Step((Draft(name, head_spec(target), start),), (last,))
    return Path(root.inputs, steps, "head")


def blanked(path: Path, inputs: Collection[str]) -> Path:
    """`path` without what some inputs say: all that read one of them read zeros in its place.

    >>> from pathways.modules import Vector
    >>> linear = Draft("linear", ModuleSpec("linear", {"dim": 8}))
    >>> path = Path({"x": Vector(4)}, {"a": Step((linear,), ("x",))}, "a")
    >>> blanked(path, ["x"]).steps["a"].reads
    ('x.blank',)
    """
    blank = {name: f"{name}.blank" for name in inputs}
    steps = {new: Step((glue(new, ModuleSpec("blank")),), (old,)) for old, new in blank.items()}
    read = {name: step.map_reads(lambda read: blank.get(read, read)) for name, step in path.steps.items()}
    return Path(path.inputs, {**steps, **read}, path.output)


def fresh(root: Path) -> Path:
    """The architecture of `root`, each module a draft that starts from random weights.

    A module that stands in several places stays one module.
    """
    return _drafted(root, lambda ref: Init())


def warm(root: Path) -> Path:
    """A trainable copy of `root`: frozen modules become drafts that start from their blobs; drafts stay."""
    return _drafted(root, lambda ref: Warm(ref.id) if isinstance(ref, Frozen) else ref.start)


def without_head(path: Path) -> Path:
    """The path up to what its head reads; of a path that mixes several, the first of them, which is its own.

    Raises:
        PathError: its output step does not read exactly one other step.
    """
    path = path if path.head == path.output else Path(path.inputs, path.steps, path.head)
    reads = path.steps[path.output].reads
    if len(reads) != 1 or reads[0] not in path.steps:
        raise PathError(
            f"a headless path needs a step for its head to read, found {list(reads)} before {path.output!r}."
        )
    steps = {name: step for name, step in path.steps.items() if name != path.output}
    return Path(path.inputs, steps, reads[0])


def on_trunk_of(path: Path, trunk: Path) -> Path:
    """The head of `path` behind the trunk of another path with the same inputs; both have their heads.

    This is how a network that is trained on and on serves its earlier tasks: new trunk, old head.
    """
    steps = {name: step for name, step in trunk.steps.items() if name != trunk.output}
    head = path.steps[path.output]
    steps["head"] = replace(head, reads=trunk.steps[trunk.output].reads)
    return fit_inputs(Path(trunk.inputs, steps, "head"), path.inputs)


def require_root(root: Path | None, strategy: str, among: Iterable[str] = ()) -> Path:
    """`root`, or a `ConfigError` where there is none; `among` names the roots of a run that has several."""
    if root is None and (names := list(among)):
        raise ConfigError(
            f"`roots` must hold one that reads what the tasks of strategy `{strategy}` have, found only {names} of "
            f"other inputs: add a root for these."
        )
    if root is None:
        raise ConfigError(
            f"`root` must be a headless path for strategy `{strategy}`, found none: name a root or an "
            f"architecture."
        )
    return root


def side_by_side(trunks: Mapping[str, Path], families: Families = BUILT_IN) -> dict[str, Path]:
    """Trunks that one candidate trains together: a module that two of them name alike is one where it is the same.

    Drafts of one name that differ, or read other ports, get their trunk's name in front.
    """
    known: dict[str, object] = {}
    made: dict[str, Path] = {}
    for name, trunk in trunks.items():
        own = _read_by(trunk, families)
        other = {draft for draft, what in own.items() if known.setdefault(draft, what) != what}
        made[name] = trunk.map_refs(
            lambda ref, name=name, other=other:  # type: ignore[misc]
            replace(ref, name=f"{name}/{ref.name}") if isinstance(ref, Draft) and ref.name in other else ref
        )
    return made


def _read_by(trunk: Path, families: Families) -> dict[str, object]:
    """Of each draft what it is and what the first step that holds it reads."""
    ports = trunk.ports(families)
    found: dict[str, object] = {}
    for step in trunk.steps.values():
        for ref in step.refs():
            if isinstance(ref, Draft):
                found.setdefault(ref.name, (ref, [ports[read] for read in step.all_reads()]))
    return found


def _drafted(root: Path, start: Callable[[ModuleRef], Start]) -> Path:
    names = _names(root)
    return root.map_refs(lambda ref: Draft(names[_key(ref)], ref.spec, start(ref)))


def _key(ref: ModuleRef) -> tuple[str, str]:
    return ("frozen", ref.id) if isinstance(ref, Frozen) else ("draft", ref.name)


def _names(root: Path) -> dict[tuple[str, str], str]:
    """A readable, unique draft name for each module: its step's name, numbered where a step has several."""
    names = {_key(draft): draft.name for draft in root.drafts_in_order()}
    taken = set(names.values())
    for step in root.canonical_order:
        refs = list(root.steps[step].refs())
        for number, ref in enumerate(refs):
            if _key(ref) in names:
                continue
            name = step if len(refs) == 1 else f"{step}.{number}"
            while name in taken:
                name += "'"
            names[_key(ref)] = name
            taken.add(name)
    return names


__all__ = [
    "blanked", "converted", "fit_inputs", "fresh", "glue", "head_spec", "on_trunk_of", "require_root", "side_by_side",
    "warm", "with_head", "without_head",
]

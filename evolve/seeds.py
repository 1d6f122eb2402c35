"""The seeds of a muNet search, each made when it is looked at: there may be thousands, and few are ever parents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pathways.champions import Champions
from pathways.modules import Port
from pathways.path import Path

from .member import Member
from .outline import is_addition

Make = Callable[[str], Member | None]


class Seeds(Sequence[Member]):
    """The root, where it is one, then champions, newest first.

    What need not be looked at is decided by the champions' sketches: whether one can serve these inputs, which have
    equal trunks, which use a blob, which have a step that another path lacks.

    Args:
        root: the root's seed, or none.
        champions: of all other tasks.
        inputs: of each task to learn.
        make: makes the seed of a champion by its task's name; `None` where it cannot serve.
    """

    def __init__(
        self, root: Sequence[Member], champions: Champions, inputs: Sequence[Mapping[str, Port]], make: Make
    ) -> None:
        self._root, self._champions, self._make = list(root), champions, make
        self._made: dict[str, Member | None] = {}
        self._scores: dict[str, float] = {}
        fits: dict[int, bool | None] = {}
        self.names = [task for task in reversed(list(champions)) if self._serves(task, inputs, fits)]

    @property
    def untrained(self) -> bool:
        """Whether the first is a root from scratch; no other can be."""
        return bool(self._root) and self._root[0].untrained

    def __len__(self) -> int:
        return len(self._root) + len(self.names)

    def __getitem__(self, place: int) -> Member:  # type: ignore[override]
        place = range(len(self))[place]
        seed = self._root[place] if place < len(self._root) else self._seed(self.names[place - len(self._root)])
        return replace(seed, score=self._scores.get(seed.trunk.hash))

    def steps_of(self, place: int) -> Mapping[str, str]:
        """The hashes of the steps of a seed's trunk by name, in canonical order; the last is the trunk's."""
        task = "" if place < len(self._root) else self.names[place - len(self._root)]
        made = self._made.get(task) if task else self._root[place]
        if made is None:
            return self._champions.sketches[task].steps
        return {name: made.trunk.step_hashes[name] for name in made.trunk.canonical_order}

    def distinct(self, most: int | None = None) -> Iterator[Member]:
        """The first seed of each trunk, `most` of them."""
        for place in self._places(most):
            yield self[place]

    def keys(self) -> list[str]:
        """The keys of the first seed of each trunk; seeds are not made for it."""
        own = [seed.key for seed in self._root]
        return [own[place] if place < len(own) else self.names[place - len(own)] for place in self._places()]

    def of(self, key: str) -> Member:
        """The seed of a key."""
        own = [seed.key for seed in self._root]
        return self[own.index(key) if key in own else len(own) + self.names.index(key)]

    def _places(self, most: int | None = None) -> Iterator[int]:
        seen: set[str] = set()
        for place in range(len(self)):
            if most is not None and len(seen) >= most:
                return
            if (trunk := list(self.steps_of(place).values())[-1]) not in seen:
                seen.add(trunk)
                yield place

    def others(self, taken: Collection[str]) -> list[int]:
        """The places of trained seeds whose trunks are not taken, of equal trunks the first; none is made for it."""
        trunks = {place: list(self.steps_of(place).values())[-1] for place in self._places()}
        return [place for place, trunk in trunks.items() if trunk not in taken and not (place == 0 and self.untrained)]

    def score(self, trunk: str, score: float) -> None:
        """Say what the seeds of a trunk have scored."""
        self._scores[trunk] = score

    def scored(self, trunk: str) -> float | None:
        """What the seeds of a trunk have scored; `None` while that is not known."""
        return self._scores.get(trunk)

    def giver_of(self, blob: str) -> str:
        """The key of the first seed whose trunk holds a blob.

        Raises:
            StopIteration: there is none.
        """
        if any(blob in seed.trunk.frozen() for seed in self._root):
            return self._root[0].key
        using = set(self._champions.using(blob))
        return next(name for name in self.names if name in using and blob in self._seed(name).trunk.frozen())

    def longer_than(self, bare: Path, top: str, by_name: bool) -> Iterator[Path]:
        """The trunks that may hold a layer behind the layer `top` of `bare`, in order, each made when it is due.

        They have that layer, the same by content or by name, and behind it a step that `bare` has not. Of equal
        trunks with equal names only the first is given: it fits where all do.
        """
        wanted = bare.step_hashes[top]
        seen: set[tuple[tuple[str, str], ...]] = set()
        for place in range(len(self)):
            steps = self.steps_of(place)
            names = list(steps)
            if by_name:
                below = [names.index(top)] if top in steps else []
            else:
                below = [i for i, name in enumerate(names) if steps[name] == wanted]
            behind = names[min(below) + 1 :] if below else []
            if all(name in bare.steps or is_addition(name, names) for name in behind):
                continue
            if (trunk := tuple(steps.items())) not in seen:
                seen.add(trunk)
                yield self[place].trunk

    def _seed(self, task: str) -> Member:
        if task not in self._made:
            self._made[task] = self._make(task)
        made = self._made[task]
        if made is None:
            raise LookupError(f"the champion of task {task!r} must be what its sketch says, found another path.")
        return made

    def _serves(self, task: str, inputs: Sequence[Mapping[str, Port]], fits: dict[int, bool | None]) -> bool:
        """Whether a champion's trunk reads these inputs; one whose inputs must be renamed is looked at."""
        sketch = self._champions.sketches[task]
        if not sketch.trunk:
            return False
        if id(sketch.inputs) not in fits:
            fits[id(sketch.inputs)] = _fits(sketch.inputs, inputs)
        served = fits[id(sketch.inputs)]
        if served is None:
            self._made[task] = self._make(task)
            return self._made[task] is not None
        return served


def _fits(found: Mapping[str, Port], inputs: Sequence[Mapping[str, Port]]) -> bool | None:
    """Whether these inputs are all that are wanted; `None` where they would have to be renamed."""
    if all(dict(found) == dict(each) for each in inputs):
        return True
    return None if all(list(each.values()) == list(found.values()) for each in inputs) else False

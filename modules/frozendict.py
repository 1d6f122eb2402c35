"""An immutable, picklable mapping with a hash, for the fields of frozen dataclasses."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(Mapping[K, V]):
    """A mapping that never changes; equality and hash ignore the order of its keys.

    >>> FrozenDict({"a": 1, "b": 2}) == FrozenDict({"b": 2, "a": 1})
    True
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V] | None = None) -> None:
        self._items: dict[K, V] = dict(items or {})

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    # What `Mapping` makes of these goes item by item through `__getitem__`; paths compare specs a great deal.
    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenDict):
            return self._items == other._items
        return self._items == dict(other) if isinstance(other, Mapping) else NotImplemented

    def keys(self) -> KeysView[K]:
        """Its keys."""
        return self._items.keys()

    def values(self) -> ValuesView[V]:
        """Its values."""
        return self._items.values()

    def items(self) -> ItemsView[K, V]:
        """Its keys with their values."""
        return self._items.items()

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return (FrozenDict, (self._items,))

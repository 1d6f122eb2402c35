"""What a module is before it has weights, and the two ways in which a path refers to one.

A `ModuleSpec` is a family with its configuration. A path refers to a module as `Frozen` (a blob of the
pool, never trained) or as a `Draft` (to be trained, from an init seed or from a blob's weights).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .frozendict import FrozenDict

# `json.dumps` would make a new one for each of the many small things that are hashed.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(data: Any) -> str:
    """The one way to write plain data for hashing: sorted keys, no spaces, no NaN."""
    return _canonical.encode(data)


def content_hash(data: Any) -> str:
    """The SHA-256, in hex, of plain data in canonical form."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _freeze(value: Any) -> Any:
    """A hashable copy of plain data: lists become tuples, mappings `FrozenDict`s."""
    if isinstance(value, Mapping):
        return FrozenDict({str(k): _freeze(v) for k, v in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(v) for v in value)
    return value


_SCALARS = frozenset({str, int, float, bool, type(None)})


def thaw(value: Any) -> Any:
    """The plain data behind a frozen configuration: tuples become lists, `FrozenDict`s dicts."""
    if isinstance(value, Mapping):
        return {k: v if type(v) in _SCALARS else thaw(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(v) for v in value]
    return value


@dataclass(frozen=True)
class ModuleSpec:
    """A family, the version of its code, its configuration and its named `parts`.

    `parts` are references to other modules (experts, a generator, an inventory) that the module is built
    from; their weights live in blobs of their own.

    >>> ModuleSpec("linear", {"dim": 20, "activation": "relu"}).config["dim"]
    20
    """

    family: str
    config: Mapping[str, Any] = field(default_factory=FrozenDict)
    version: int = 1
    parts: Mapping[str, ModuleRef] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", _freeze(self.config))
        object.__setattr__(self, "parts", FrozenDict(self.parts))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.family, self.config, self.version, self.parts))

    def __getstate__(self) -> dict[str, Any]:
        """Without the hash: that of a text differs from process to process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    @cached_property
    def canonical(self) -> str:
        """The spec as canonical JSON. Unlike `==` it tells 1, 1.0 and True apart, and so do hashes of paths."""
        return canonical_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data."""
        data: dict[str, Any] = {"family": self.family, "version": self.version, "config": thaw(self.config)}
        if self.parts:
            data["parts"] = {name: part.to_json() for name, part in self.parts.items()}
        return data

    def identity(self) -> dict[str, Any]:
        """What of the spec goes into hashes: as `to_json`, but parts by what they are, not by their labels."""
        return dict(self._identity)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        data = self.to_json()
        if self.parts:
            data["parts"] = {name: part.identity() for name, part in self.parts.items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModuleSpec:
        """The spec that `to_json` wrote; a `ValueError` names what does not fit."""
        unknown = set(data) - {"family", "version", "config", "parts"}
        if unknown or not isinstance(data.get("family"), str):
            raise ValueError(f"a module spec has `family`, `version`, `config` and `parts`, found {sorted(data)}.")
        parts = {name: ref_from_json(part) for name, part in data.get("parts", {}).items()}
        return cls(data["family"], data.get("config", {}), int(data.get("version", 1)), FrozenDict(parts))


@dataclass(frozen=True)
class Init:
    """A draft starts from random weights; `seed=None` derives the seed from run, task and candidate."""

    seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The start as plain data."""
        return {"init": self.seed}


@dataclass(frozen=True)
class Warm:
    """A draft starts from the weights of `blob`, and from the optimizer state `optimizer` if given."""

    blob: str
    optimizer: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The start as plain data."""
        return {"blob": self.blob, **({"optimizer": self.optimizer} if self.optimizer else {})}


Start = Init | Warm


@dataclass(frozen=True)
class Frozen:
    """A module of the pool, by its blob's id; it is never trained."""

    id: str
    spec: ModuleSpec

    def to_json(self) -> dict[str, Any]:
        """The reference as plain data."""
        return {"frozen": self.id, "spec": self.spec.to_json()}

    def identity(self) -> dict[str, Any]:
        """What of the reference goes into hashes: the id, which covers spec and weights."""
        return {"frozen": self.id}


@dataclass(frozen=True)
class Draft:
    """A module to be trained. Within a candidate, drafts of one `name` are one module with one set of weights."""

    name: str
    spec: ModuleSpec
    start: Start = Init()

    def to_json(self) -> dict[str, Any]:
        """The reference as plain data."""
        return {"draft": self.name, "spec": self.spec.to_json(), "start": self.start.to_json()}

    def identity(self) -> dict[str, Any]:
        """What of the draft goes into hashes: spec and start; the name is a label."""
        return {"draft": self.spec.identity(), "start": self.start.to_json()}


ModuleRef = Frozen | Draft


def ref_from_json(data: Mapping[str, Any]) -> ModuleRef:
    """The reference that `to_json` wrote; a `ValueError` names what does not fit."""
    keys = set(data)
    if keys == {"frozen", "spec"} and _is_hash(data["frozen"]):
        return Frozen(data["frozen"], ModuleSpec.from_json(data["spec"]))
    if keys == {"draft", "spec", "start"}:
        start = data["start"]
        if set(start) == {"init"}:
            return Draft(str(data["draft"]), ModuleSpec.from_json(data["spec"]), Init(start["init"]))
        if "blob" in start and _is_hash(start["blob"]):
            warm = Warm(start["blob"], start.get("optimizer"))
            return Draft(str(data["draft"]), ModuleSpec.from_json(data["spec"]), warm)
    raise ValueError(
        f"a module reference is a frozen blob id or a draft, each with its spec, found {dict(data)!r:.200}."
    )


def _is_hash(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")

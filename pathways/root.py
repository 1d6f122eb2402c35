"""A root in memory: a headless path with the weights of its frozen modules, and where they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path as FilePath
from typing import Any

from pathways.modules.near import did_you_mean

from .errors import ConfigError
from .files import write_atomically, write_json
from .path import Path
from .pool import Pool


@dataclass(frozen=True)
class Root:
    """What first paths of a system are built on, for `System.create(root=...)`.

    Args:
        path: headless, all of it frozen.
        blobs: the bytes of each frozen module, by id, as `pathways.pool.encode` gives them.
        source: where the weights came from, plain data that the run keeps.
    """

    path: Path
    blobs: Mapping[str, bytes] = field(repr=False)
    source: Mapping[str, Any] = field(default_factory=dict)

    def install(self, pool: Pool) -> None:
        """Write the blobs into a pool, each read again from its file and verified."""
        for blob in self.path.frozen():
            if blob not in pool:
                write_atomically(pool.path(blob), self.blobs[blob])
            pool.get(blob, fresh=True)

    def write(self, folder: str | FilePath) -> FilePath:
        """Write the root as a folder, which a configuration may name as its `root`; returns the folder."""
        out = FilePath(folder)
        out.mkdir(parents=True, exist_ok=True)
        for blob in self.path.frozen():
            write_atomically(out / f"{blob}.safetensors", self.blobs[blob])
        source = {"source": dict(self.source)} if self.source else {}
        write_json(out / "path.json", {**self.path.to_json(), **source})
        return out

    @classmethod
    def named(cls, name: str) -> Root:
        """The root of that name that ships with the package, or the one in that folder.

        Raises:
            ConfigError: there is neither.
        """
        folder = _folder(name)
        data = _read(folder)
        source = data.get("source", {})
        path = Path.from_json(data)
        return cls(path, {blob: (folder / f"{blob}.safetensors").read_bytes() for blob in path.frozen()}, dict(source))


def shipped_path(name: str) -> Path:
    """The headless path of a root that ships, or of the folder of one, without its blobs."""
    return Path.from_json(_read(_folder(name)))


def shipped_roots() -> list[str]:
    """The names of the roots that ship with the package."""
    folder = resources.files("pathways") / "roots"
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if (entry / "path.json").is_file())


def _read(folder: Any) -> dict[str, Any]:
    """What the `path.json` of a root holds; a `ConfigError` where it is not valid JSON."""
    try:
        data = json.loads((folder / "path.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{folder / 'path.json'}: it must be a path as JSON: {error}.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{folder / 'path.json'}: it must be a path as JSON, found {data!r:.60}.")
    return data


def _folder(name: str) -> Any:
    folder: Any = resources.files("pathways") / "roots" / name
    if not is_name(name) or not (folder / "path.json").is_file():
        folder = FilePath(name)
    if not (folder / "path.json").is_file():
        near = did_you_mean(name, shipped_roots(), ".")
        raise ConfigError(
            f"`root` must be one of {shipped_roots()} or a folder with a `path.json`, "
            f"found {name!r}{near}"
        )
    return folder


def is_name(name: str) -> bool:
    """Whether `name` may name a root: letters, digits, `-` and `_`."""
    return name.replace("-", "").replace("_", "").isalnum()


__all__ = ["Root", "is_name", "shipped_path", "shipped_roots"]

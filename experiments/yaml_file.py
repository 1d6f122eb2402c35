"""Reading and writing YAML strictly: plain data only, no key twice, numbers and booleans as in YAML 1.2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pathways.errors import ConfigError
from pathways.files import write_atomically

_FLOAT = re.compile(
    r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys and reads `3e-3` as a number and `no` as a word."""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes what `_Loader` and plain YAML 1.1 readers would read differently."""

    def ignore_aliases(self, data: Any) -> bool:
        """True: repeated values are written out, so that files stay easy to read and edit."""
        return True


def _own_resolvers() -> None:
    dropped = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in dropped]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    words = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
    _Loader.add_implicit_resolver("tag:yaml.org,2002:bool", words, list("tTfF"))
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    # Words that look like numbers to `_Loader` get quotes too.
    _Dumper.yaml_implicit_resolvers = dict(yaml.SafeDumper.yaml_implicit_resolvers)
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"keys must be words, found {key!r}", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice in one mapping", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_own_resolvers()
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_yaml(text: str, name: str) -> Any:
    """The plain data in `text`; `name` says in errors where it came from.

    Raises:
        ConfigError: it is not YAML, holds a tag, or a key stands twice in one mapping.

    >>> parse_yaml("lr: 3e-3", "an example")
    {'lr': 0.003}
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: it must be valid YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: it must be valid YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise ConfigError(f"{name}: it is nested too deeply to be a configuration.") from None


def read_yaml(file: Path) -> Any:
    """The plain data in a YAML file; a `ConfigError` names the file where it cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{file}: the file cannot be read: {reason}.") from None
    return parse_yaml(text, str(file))


def write_yaml(file: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as block-style YAML, atomically, in the order of its keys."""
    text = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, width=110)
    write_atomically(file, text.encode())


def quoted(word: str) -> str:
    """A word as it must stand in YAML to be read back as that word.

    >>> quoted("wine"), quoted("3e-3"), quoted("a: b")
    ('wine', "'3e-3'", "'a: b'")
    """
    text: str = yaml.dump(word, Dumper=_Dumper, width=10**9, allow_unicode=True)
    return text.removesuffix("...\n").strip()

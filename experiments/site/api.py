"""The reference of a package: a Markdown page from the docstrings of its public names.

It reads what is imported, so names that are made when they are first used are there, and takes a second where
general tools, which read all source files and render each argument by itself, took minutes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from .docstrings import arguments, sections

_LONG = 78  # characters of a signature on one line


def package(name: str) -> str:
    """All public names of a package, each with its signature and docstring.

    Args:
        name: as it is imported, `pathways.data`.
    """
    module = import_module(name)
    public = list(getattr(module, "__all__", [key for key in vars(module) if not key.startswith("_")]))
    lines = [*_text(module), ""]
    constants = []
    for key in sorted(public, key=str.lower):
        value = getattr(module, key)
        if isinstance(value, ModuleType) or key.startswith("__"):
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            own = getattr(value, "__module__", "").startswith("pathways")
            lines += entry(key, value) if own and value.__doc__ else []
        else:
            constants.append(key)
    if constants:
        lines += ["## Constants", "", ", ".join(f"`{key}`" for key in constants), ""]
    return "\n".join(lines)


def entry(name: str, value: Any) -> list[str]:
    """A class with its public methods, or a function.

    >>> entry("entry", entry)[0]
    '## entry'
    """
    lines = [f"## {name}", "", "```python", signature(name, value), "```", "", *_text(value), ""]
    if inspect.isclass(value):
        for key, member in _members(value):
            if isinstance(member, property):
                lines += [f"### {name}.{key}", "", *_text(member), ""]
            else:
                lines += [f"### {name}.{key}", "", "```python", signature(key, member), "```", "", *_text(member), ""]
    return lines


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class and of its bases here, that say what they are."""
    seen = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("pathways"):
            continue
        for key, member in vars(base).items():
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            shown = inspect.isfunction(plain) or isinstance(plain, property)
            if shown and not key.startswith("_") and key not in seen and plain.__doc__:
                seen.add(key)
                yield key, plain


def signature(name: str, value: Any) -> str:
    """How it is called, on one line or on one for each argument.

    >>> signature("signature", signature)
    'signature(name: str, value: Any) -> str'
    """
    if inspect.isclass(value) and issubclass(value, BaseException):
        return name
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    parts, star = [], False
    for parameter in found.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        parts.append(_parameter(parameter))
    made = "" if inspect.isclass(value) or found.return_annotation is found.empty else _type(found.return_annotation)
    gives = f" -> {made}" if made else ""
    line = f"{name}({', '.join(parts)}){gives}"
    if len(line) <= _LONG:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){gives}"])


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "*" * ((parameter.kind is parameter.VAR_POSITIONAL) + 2 * (parameter.kind is parameter.VAR_KEYWORD))
    kind = "" if parameter.annotation is parameter.empty else f": {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    return f"{stars}{parameter.name}{kind}{' = ' if kind else '='}{_default(parameter.default)}"


def _default(value: Any) -> str:
    if type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":
        return "..."
    text = repr(value)
    return "..." if len(text) > 40 or " at 0x" in text or dataclasses.is_dataclass(value) else text


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)


def _text(thing: Any) -> list[str]:
    """A docstring as Markdown."""
    parts = sections(thing)
    lines = [_fenced(parts.pop("")), ""]
    for section in list(parts):
        if section in ("Args", "Attributes", "Raises"):
            words = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Raises"}[section]
            items = arguments(thing, section).items()
            lines += [f"**{words}**", "", *(f"- `{key}`: {_safe(text)}" for key, text in items), ""]
        elif section == "Returns":
            lines += ["**Returns** " + _safe(" ".join(parts[section].split())), ""]
        elif section.startswith("Example"):
            lines += ["**Example**", "", _fenced(parts[section]), ""]
        else:
            lines += ["**Reference** " + _safe(" ".join(parts[section].split())), ""]
    return lines


def _fenced(text: str) -> str:
    r"""A text whose examples stand in blocks.

    >>> _fenced("Add.\n\n>>> 1 + 1\n2").splitlines()
    ['Add.', '', '```python', '>>> 1 + 1', '2', '```']
    """
    found = []
    for paragraph in re.split(r"\n{2,}", text):
        if paragraph.lstrip().startswith(">>>"):
            code = re.sub(r" *# doctest: .*$", "", paragraph, flags=re.M)
            found.append(f"```python\n{code}\n```")
        elif paragraph.startswith("```") or paragraph.startswith("    "):
            found.append(paragraph)
        else:
            found.append(_safe(paragraph))
    return "\n\n".join(found)


def _safe(text: str) -> str:
    """Text whose signs `<` and `*` are signs, outside of code."""
    return re.sub(r"(`[^`]*`)|([<*])", lambda match: match.group(1) or "\\" + match.group(2), text)


__all__ = ["entry", "package", "signature"]

"""Pages of the reference that are made from code: the command line from its parser, configuration keys from classes."""

from __future__ import annotations

import argparse
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any
from unittest import mock

from .api import package
from .docstrings import arguments, said

_MARK = re.compile(r"<!-- made from code: (\w+)(?: ([\w.]+))? -->")


def filled(markdown: str) -> str:
    """A page whose comments `<!-- made from code: NAME -->` are what they name."""
    return _MARK.sub(lambda match: MADE[match.group(1)](*filter(None, [match.group(2)])), markdown)


# -- command line -------------------------------------------------------------------------------------------


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser, by name."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def command_line() -> str:
    """All commands with their arguments."""
    from pathways.experiments.cli import parser

    lines: list[str] = []
    for name, sub in subparsers(parser()).items():
        lines += [f"## {name}", "", sub.description or "", "", "```text", _usage(sub), "```", ""]
        lines += ["| argument | what it is |", "|---|---|"]
        lines += [f"| {_written(action)} | {_cell(_helped(action))} |" for action in _actions(sub)]
        lines += [""]
        if sub.epilog:
            lines += ["```text", inspect.cleandoc(sub.epilog), "```", ""]
    return "\n".join(lines)


def _usage(sub: argparse.ArgumentParser) -> str:
    with mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}):
        return inspect.cleandoc(sub.format_usage().replace("usage: ", "       ", 1))


def _actions(sub: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in sub._actions:
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            yield action


def _written(action: argparse.Action) -> str:
    """An argument as it is typed.

    >>> parser = argparse.ArgumentParser()
    >>> _written(parser.add_argument("--top", metavar="K"))
    '`--top K`'
    """
    value = action.metavar or (" | ".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{value}`"
    taken = "" if action.nargs == 0 else f" {value}"
    return ", ".join(f"`{option}{taken}`" for option in action.option_strings).replace("|", "\\|")


def _helped(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "pathways"}


_KINDS_OF_RUN = {
    "tasks": "list of [sources](#sources-of-tasks)", "strategy": "[strategy](#strategy-and-controls)"
}

# -- configuration ------------------------------------------------------------------------------------------


def configuration() -> str:
    """All keys of a configuration, from the classes that a file is read into."""
    from pathways import data
    from pathways.candidate import Augment, Training
    from pathways.evolve.at_once import AtOnce
    from pathways.evolve.grouping import Grouping
    from pathways.evolve.guard import Guard
    from pathways.evolve.hyperparameters import Sampler
    from pathways.evolve.parents import Prior
    from pathways.evolve.score import Score
    from pathways.evolve.study import Study
    from pathways.experiments import config, root_config
    from pathways.experiments.affinity_config import AffinityConfig
    from pathways.experiments.engine_config import EngineConfig
    from pathways.experiments.tables import STRATEGIES, resolve
    from pathways.pruner import Pruner
    from pathways.racing import Paired

    lines = [
        "## A run", "", *_example(config), *_table(config.Config, _KINDS_OF_RUN),
        "## A study of affinity", "", "For `pathways affinity`.", "", *_table(AffinityConfig, _KINDS_OF_RUN),
        "### `affinity`", "", *_table(Study), "## `root`", "", *_example(root_config),
        "## `training`", "", *_table(Training), "### `training.augment`", "", said(Augment), "", *_table(Augment),
        "## `engine`", "", *_table(EngineConfig),
        "## `at_once` by affinity", "", *_table(AtOnce), "## `jointly` by affinity", "", *_table(Grouping),
    ]  # fmt: skip
    lines += ["## `strategy` and `controls`", "", "One name with its settings.", ""]
    for name in STRATEGIES:
        cls = resolve(STRATEGIES, name, "strategy")
        lines += [f"### `{name}`", "", said(cls), "", *_table(cls)]
    for name, cls in {"score": Score, "hyperparameters": Sampler, "racing: paired": Paired, "racing: pruner": Pruner,
                      "parents: prior": Prior, "guard": Guard}.items():  # fmt: skip
        lines += [f"### Settings of `{name}`", "", *_table(cls)]
    lines += ["## Sources of tasks", "", "The keys of an entry of `tasks`, beside `source` and `jointly`.", ""]
    for name in data.SOURCES:
        function = getattr(data, name)
        lines += [f"### `{name}`", "", said(function), "", *_parameters(function)]
    return "\n".join(lines)


def _example(module: Any) -> list[str]:
    """The YAML in a file's docstring."""
    found = re.search(r"```yaml\n.*?```", module.__doc__ or "", re.S)
    return [found.group(), ""] if found else []


def _table(cls: type, kinds: Mapping[str, str] | None = None) -> list[str]:
    """The fields of a dataclass that a configuration may set."""
    words = arguments(cls)
    rows = []
    for field in fields(cls):
        if field.init:
            kind = (kinds or {}).get(field.name) or _kind(str(field.type))
            rows.append(_row(field.name, kind, _default(field), words.get(field.name, "")))
    return [*_HEADER, *rows, ""] if rows else []


def _parameters(function: Any) -> list[str]:
    """The arguments of a source."""
    words = arguments(function)
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            default = "required" if parameter.default is parameter.empty else _value(parameter.default)
            rows.append(_row(name, _kind(str(parameter.annotation)), default, words.get(name, "")))
    return [*_HEADER, *rows, ""] if rows else []


_HEADER = ("| key | kind | default | what it is |", "|---|---|---|---|")
_KINDS = {
    "str": "text", "int": "whole number", "float": "number", "bool": "true or false", "None": "null", "Any": "any",
    "AnyRoot": "[root](#root)", "Training": "[training](#training)", "EngineConfig": "[engine](#engine)",
    "Augment": "[augment](#trainingaugment)", "AtOnce": "[by affinity](#at_once-by-affinity)",
    "Study": "[affinity](#affinity)", "Named": "[control](#strategy-and-controls)", "Estimator": "estimator",
    "Guard": "[guard](#settings-of-guard)", "Prior": "[prior](#settings-of-parents-prior)",
    "Sampler": "[sampler](#settings-of-hyperparameters)", "Score": "[score](#settings-of-score)",
    "ModuleSpec": "module", "Sampling": "sampler of `pathways.sampler`",
}  # fmt: skip


def _kind(annotation: str) -> str:
    """A type as a reader of YAML knows it.

    >>> _kind("Mapping[str, float] | None"), _kind("tuple[int, ...]")
    ('mapping to number, or null', 'list of whole number')
    """
    annotation = re.sub(r"(?:\w+\.)+(\w+)", r"\1", annotation)
    text = re.sub(r"(?:Mapping|dict)\[str, ", "mapping to [", annotation)
    text = re.sub(r"(?:tuple|list|Sequence|Iterable)\[", "list of [", text)
    text = text.replace(", ...", "").replace("[", "").replace("]", "")
    text = re.sub(r"\b(" + "|".join(_KINDS) + r")\b", lambda match: _KINDS[match.group()], text)
    return ", or ".join(part.strip() for part in text.split("|"))


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return _value(field.default)
    return _value(field.default_factory()) if field.default_factory is not MISSING else "required"


def _value(value: Any) -> str:
    """A default in one word, or what stands for it.

    >>> _value(None), _value(()), _value(0.5)
    ('', 'none', '`0.5`')
    """
    from pathways.experiments.strict import plain

    if value is None or value == "":
        return ""
    value = plain(value)
    if value == [] or value == {}:
        return "none"
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else str(value)
    return f"`{text}`" if text is not None and len(text) <= 24 else "see below"


def _row(key: str, kind: str, default: str, words: str) -> str:
    return f"| `{key}` | {_cell(kind)} | {_cell(default)} | {_cell(words)} |"


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return re.sub(r"(`[^`]*`)|<", lambda match: match.group(1) or "&lt;", text)


MADE: Mapping[str, Callable[..., str]] = {
    "command_line": command_line, "configuration": configuration, "package": package,
}  # fmt: skip
"""What pages may name."""

__all__ = ["MADE", "command_line", "configuration", "filled", "subparsers"]

"""The parsers of the command line: errors of one sentence with the nearest name, and a top help in groups."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from pathways.errors import UsageError
from pathways.modules.near import did_you_mean

from .examples import GROUPS, statuses_text


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, like all others, and say which name was meant."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **settings)
        # argparse takes -5 for a value and -1e6, the score of a lone task by TAG's code, for an option.
        self._negative_number_matcher = re.compile(r"^-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", re.IGNORECASE)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and where to read more.

        Raises:
            UsageError: always; `main` prints it.
        """
        more = "" if message.endswith("?") else ":"
        raise UsageError(f"{message}{more} see `{self.prog} --help`.")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = did_you_mean(value, known)
        rule = f"one of {', '.join(known)}, " if not near or len(known) < 8 else ""
        if isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(None, f"there is no command {value!r}{near}")
        raise argparse.ArgumentError(action, f"must be {rule or 'another, '}found {value!r}{near}")


class TopParser(Parser):
    """The parser of all commands: its help shows them in groups; an unknown option is compared with its command's."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As of any parser.

        Raises:
            UsageError: an option that the command does not take; the nearest that it takes is named.
        """
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            found = self.commands().get(getattr(options, "command", ""), self)
            known = [name for action in found._actions for name in action.option_strings]
            option = next((word for word in rest if word.startswith("-")), None)
            if option is None:
                found.error(f"takes no further argument, found {' '.join(rest)!r}")
            name = option.partition("=")[0]
            found.error(f"there is no option {name!r}{did_you_mean(name, known)}")
        return options

    def commands(self) -> dict[str, argparse.ArgumentParser]:
        """The parser of each command."""
        action = self._of_commands()
        return dict(action.choices) if action else {}

    def format_help(self) -> str:
        """The help: commands in groups, options, and the exit statuses."""
        formatter = self._get_formatter()
        formatter.add_usage("pathways [--version] COMMAND ... [--json] [--debug]", [], [])
        formatter.add_text(self.description)
        told = {choice.dest: choice for choice in self._of_commands()._choices_actions}  # type: ignore[union-attr]
        grouped = {name for names in GROUPS.values() for name in names}
        groups = {**GROUPS, "more": tuple(name for name in told if name not in grouped)}
        for title, names in groups.items():
            if here := [told[name] for name in names if name in told]:
                formatter.start_section(title)
                formatter.add_arguments(here)
                formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments([action for action in self._actions if action.option_strings])
        formatter.end_section()
        formatter.add_text(statuses_text())
        formatter.add_text("`pathways COMMAND --help` has examples. Begin with `pathways init` and `pathways doctor`.")
        return formatter.format_help()

    def _of_commands(self) -> argparse._SubParsersAction[Any] | None:
        return next((a for a in self._actions if isinstance(a, argparse._SubParsersAction)), None)

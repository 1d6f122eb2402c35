"""`pathways cite`: BibTeX of the methods that a run used."""

from __future__ import annotations

import argparse
from typing import Any

from .arguments import as_json, command, directory, given_families, print_json


def add(commands: Any) -> None:
    """Add the command."""
    cite = command(commands, "cite", _cite, "print BibTeX of the methods, data and software that a run used")
    directory(cite)
    as_json(cite)


def _cite(options: argparse.Namespace) -> int:
    from pathways.citing import bibtex, citations
    from pathways.look import looked_at

    with looked_at(options.directory, given_families(options.families)) as system:
        found = citations(system)
        run = system.place
    if options.json:
        print_json({"run": run, "entries": [each.to_json() for each in found], "bibtex": bibtex(found)})
    else:
        print(bibtex(found), end="")
    return 0

"""How to do it again: what the numbers depend on, the commands, and the configuration."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from .markup import escape, html_table
from .numbers import Table
from .tried import flat

_CALLED = {
    "torch": "torch", "capability": "processor's instructions", "host": "processor's instructions, of the host",
    "device": "device", "dtype": "number format", "threads": "threads of a trainer",
    "stack.size": "candidates in a stack, at most", "stack.dispatch": "candidates in a dispatch",
}  # fmt: skip


def environment(system: Any, summary: Mapping[str, Any], config: Mapping[str, Any], version: str) -> Table:
    """What a run's numbers depend on beside its configuration: no times, no hosts, no paths.

    Args:
        system: whose `record` says with which numerics it was made.
        summary: of the run.
        config: of the run.
        version: of this package, which wrote the report.
    """
    record = getattr(system, "record", None)
    numerics = dict(flat(record.numerics)) if record is not None else {}
    rows: list[tuple[str, Any]] = [("seed", record.seed if record is not None else config.get("seed", 0))]
    rows += [(_CALLED.get(name, name), str(value)) for name, value in numerics.items()]
    rows += [("engine", summary["engine"] or "in this process"), ("pathways, of this report", version)]
    rows += [("fingerprint of the system", summary["fingerprint"])]
    source = dict(flat(getattr(record, "source", None) or {}))
    rows += [(f"root: {name}", str(value)) for name, value in source.items()]
    return Table("environment", ("what", "value"), tuple((what, str(value)) for what, value in rows))


def repeat_html(place: str, table: Table, config: Mapping[str, Any], fingerprints: Mapping[str, str]) -> str:
    """The commands, the environment, the configuration and the data, as HTML."""
    run = shlex.quote(place)
    commands = ("pathways run " + run + "/config.yaml --out again\n" if config else "") + f"pathways verify {run}"
    again = (
        "<p>Equal systems have equal fingerprints: the second run is the same where this page gives the same one. On "
        "other numerics it agrees within rounding.</p>"
    ) if config else ""  # fmt: skip
    rows = "".join(
        f'<tr><th scope="row">{escape(what)}</th><td class="wrap"><code>{escape(value)}</code></td></tr>'
        for what, value in table.rows
    )
    parts = [
        f"<pre><code>{escape(commands)}</code></pre>{again}",
        "<h3>Environment</h3>", html_table(("what", "value"), rows, words=("what", "value"), sortable=False),
    ]  # fmt: skip
    stated = {name: value for name, value in config.items() if name != "fingerprints"}
    if stated:
        text = yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
        parts.append(f"<details><summary>Configuration</summary><pre><code>{escape(text)}</code></pre></details>")
    if fingerprints:
        data = "".join(
            f'<tr><th scope="row">{escape(task)}</th><td class="wrap"><code>{escape(value)}</code></td></tr>'
            for task, value in fingerprints.items()
        )
        listed = html_table(("task", "fingerprint"), data, words=("task", "fingerprint"), shape="long")
        parts.append(f"<details class=data><summary>Fingerprints of the data</summary>{listed}</details>")
    return "".join(parts)


__all__ = ["environment", "repeat_html"]

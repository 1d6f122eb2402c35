"""Commands that look at a run: `show`, `verify`, `graph`, `report` and `dashboard`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from . import graph_views
from .arguments import as_json, command, directory, given_families, opened, print_json, tell


def add(commands: Any) -> None:
    """Add the commands."""
    show = command(commands, "show", _show, "show what a run has learned, against its controls")
    directory(show)
    as_json(show)
    verify = command(
        commands, "verify", _verify, "prove that nothing was forgotten: hash all modules, replay all probes"
    )
    directory(verify)
    as_json(verify)
    graph = command(commands, "graph", _graph, "draw the graph of all paths")
    directory(graph)
    graph_views.arguments(graph)
    as_json(graph)
    report = command(commands, "report", _report, "write the report, one self-contained page")
    directory(report)
    as_json(report)
    dashboard = command(
        commands, "dashboard", _dashboard, "write the Optuna view of the ledger, and say how to open it"
    )
    directory(dashboard)
    as_json(dashboard)


def _show(options: argparse.Namespace) -> int:
    from pathways.look import looked_at
    from pathways.summary import summarise
    from pathways.summary_table import summary_text

    with looked_at(options.directory, given_families(options.families)) as system:
        summary = summarise(system)
    if options.json:
        print_json(summary)
    else:
        print(_study_text(system.directory, system.place) if not summary["tasks"] else summary_text(summary))
    return 0


def _study_text(directory: Path, place: str) -> str:
    """What to look at where no task is learned: a study of affinity learns none."""
    from .affinity_config import is_study
    from .yaml_file import read_yaml

    file = directory / "config.yaml"
    if not file.exists() or not is_study(read_yaml(file)):
        return "no task is learned yet"
    if (directory / "findings.json").exists():
        return f"a study of affinity, which learns no task: what it found is in {place}/report.html"
    return f"a study of affinity under way: go on with `pathways resume {place}`"


def _verify(options: argparse.Namespace) -> int:
    from pathways.errors import ForgettingError

    with opened(options) as system:
        try:
            report = system.verify().to_json()
        except ForgettingError as error:
            report = {
                "ok": False,
                "tasks": len(system.records),
                "modules": None,
                "bytes": None,
                "bitwise": not system.numerics_differ(),
                "differs": error.differs,
            }
        numerics = system.numerics_differ()
    if options.json:
        print_json(report)
    else:
        print(_verdict(report, numerics))
    return 0 if report["ok"] else 1


def _verdict(report: dict[str, Any], numerics: str) -> str:
    from pathways.text import bytes_text

    if not report["ok"]:
        lines = [
            f"{d['task']}: {(d['module'][:12] + ': ') if d['module'] else ''}{d['what']}" for d in report["differs"]
        ]
        return "\n".join(["what differs:", *(f"  {line}" for line in lines)])
    how = "bit for bit" if report["bitwise"] else f"within the tolerance for other numerics ({numerics})"
    return (
        f"{report['tasks']} tasks, {report['modules']} modules, {bytes_text(report['bytes'])}: "
        f"all hashes hold, all probes replay {how}"
    )


def _graph(options: argparse.Namespace) -> int:
    with opened(options) as system:
        file = graph_views.write_view(system, options)
        found = {"file": str(file), "view": options.view, "format": options.format, "run": system.place}
        tell(options, found, str(file))
    return 0


def _report(options: argparse.Namespace) -> int:
    from pathways.report import write_report

    with opened(options) as system:
        file = write_report(system)
        if system.mirror is not None:
            system.mirror.push("report.html", "figures")
        found = {"file": str(file), "tasks": len(system.briefs), "run": system.place}
    tell(options, found, str(file))
    return 0


def _dashboard(options: argparse.Namespace) -> int:
    from pathways.dashboard import write_study

    with opened(options) as system:
        system.ledger  # noqa: B018 - pulled, where the run is on storage
        file = write_study(system.directory)
        found = {"file": str(file), "url": f"sqlite:///{file}", "run": system.place}
    found["command"] = f"optuna-dashboard {shlex.quote(found['url'])}"
    tell(options, found, f"{file}\nopen it with: {found['command']}")
    return 0

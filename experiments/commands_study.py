"""`pathways affinity`: measure which tasks help each other, choose networks, verify the choice, write the report."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from .arguments import command, families, given_families, how_to_train, place, print_json, with_engine


def add(commands: Any) -> None:
    """Add the command."""
    sub = command(
        commands, "affinity", _affinity, "measure which tasks help each other, choose which share a network, verify it"
    )
    sub.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file; docs/affinity.md lists what it may say")
    sub.add_argument("--out", type=place, metavar="DIR", help="the study's directory or URL; runs/NAME when not given")
    sub.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="change a setting, such as affinity.seeds=5; may be repeated",
    )  # fmt: skip
    families(sub)
    how_to_train(sub)


def _affinity(options: argparse.Namespace) -> int:
    from .affinity_config import AffinityConfig
    from .overrides import with_overrides
    from .yaml_file import read_yaml

    file = str(options.config)
    config = AffinityConfig.read(with_overrides(read_yaml(options.config), options.overrides, file), file)
    config = with_engine(config, options)
    return carry_out_study(config, file, options.out or Path("runs") / config.name, options)


def carry_out_study(config: Any, file: str, out: Path | str, options: argparse.Namespace) -> int:
    """Carry out a study in a directory, or go on with it; print what it found."""
    from pathways.affinity.findings_files import write_findings
    from pathways.affinity.report import write_report
    from pathways.affinity.report.files import numbers
    from pathways.affinity.report.tables import tables
    from pathways.evolve.run_study import run_study
    from pathways.evolve.study import check_tasks, require_together
    from pathways.live import shown

    from .engine_config import reach
    from .loggers import add_loggers
    from .runner import engine_of, existing, load_tasks, make_system, with_fingerprints

    tasks = load_tasks(config, file, options.data)
    require_together(config.affinity, tasks)  # before anything is written
    check_tasks(config.affinity, tasks)
    config = with_fingerprints(config, tasks, file)
    extra = given_families(options.families)
    reach(config.engine)
    system = existing(out, config, extra) or make_system(out, config, tasks, extra)
    options.running = system.place
    add_loggers(system, options.log)
    with system, system.driving(), engine_of(config, system) as engine:
        with shown(sys.stderr, quiet=options.quiet, name=config.name) as progress:
            findings = run_study(system, tasks, config.affinity, engine, progress)
        findings = replace(findings, name=config.name)
        write_findings(findings, system.directory / "findings.json")
        report = write_report(findings, system.directory)
        if system.mirror is not None:
            system.mirror.push_made()
    if options.json:
        print_json(numbers(findings, tables(findings)) | {"run": str(out), "report": str(report)})
    else:
        print(f"{_text(findings)}\n\nrun     {out}\nreport  {report}")
    return 0


def _text(findings: Any) -> str:
    """The chosen networks, what came of each way to split, and the answer in words."""
    from textwrap import fill

    from pathways.affinity.evidence import paired_interval
    from pathways.affinity.report import answer
    from pathways.summary_table import aligned

    lines = [fill(answer(findings), 100), ""]
    for i, network in enumerate(findings.selection.networks):
        lines.append(f"{f'source {network.name}' if network.name else f'network {i + 1}'}: {', '.join(network.tasks)}")
    if findings.arms:
        rows = []
        for arm in findings.arms:
            gain = paired_interval(findings.gain(arm))
            interval = f"{gain.low:+.4f} .. {gain.high:+.4f}" if gain.sure else "-"
            rows.append([arm.name, f"{arm.cost:g}", f"{arm.test.mean():.4f}", f"{gain.value:+.4f}", interval])
        header = ["split", "networks", f"test {findings.metric}", "gain over separate", "95 % over seeds"]
        lines += ["", aligned(header, rows, left=(0,))]
    return "\n".join(lines)

"""`pathways run` and `pathways resume`: the main job."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .arguments import command, directory, families, given_families, how_to_train, print_json, with_engine, with_others


def add(commands: Any) -> None:
    """Add the commands."""
    run = command(
        commands, "run", _run, "learn the tasks of a configuration one after another, and compare with its controls"
    )
    run.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file; the docs list what it may say")
    run.add_argument("--out", type=Path, metavar="DIR", help="the run directory; runs/NAME when not given")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change a setting, such as strategy.munet.children=4; may be repeated",
    )
    run.add_argument("--dry-run", action="store_true", help="say what it would take, and stop")
    families(run)
    how_to_train(run)
    with_others(run)
    resume = command(commands, "resume", _resume, "go on where a run stopped")
    directory(resume)
    how_to_train(resume)
    with_others(resume)


def _run(options: argparse.Namespace) -> int:
    from .config import read_config, resolved
    from .runner import in_order, load_groups, with_fingerprints
    from .sharing import opened_or_made

    config = with_engine(read_config(options.config, options.overrides), options)
    out = options.out or Path("runs") / config.name
    groups = load_groups(config, str(options.config), options.data)
    tasks = in_order(groups)
    config = with_fingerprints(config, tasks, str(options.config))
    if options.dry_run:
        return _plan(config, groups, out, options.json)
    extra = given_families(options.families)
    system = opened_or_made(out, config, tasks, extra, options.ledger, options.share)
    if not options.json:
        print(
            f"{resolved(config)['name']}: {len(tasks)} tasks, {config.strategy.name}, run directory {out}",
            file=sys.stderr,
        )
    return _go(system, config, groups, options)


def _resume(options: argparse.Namespace) -> int:
    from pathways.errors import ConfigError

    from .affinity_config import AffinityConfig, is_study
    from .commands_study import carry_out_study
    from .config import config_from
    from .runner import in_order, load_groups, stored_config, with_fingerprints

    file = options.directory / "config.yaml"
    stored = stored_config(options.directory)
    if is_study(stored):
        if options.ledger or options.share:
            raise ConfigError("`--ledger` and `--share` are for runs, found a study of affinity: leave them out.")
        config = with_engine(AffinityConfig.read(stored, str(file)), options)
        return carry_out_study(config, str(file), options.directory, options)
    config = with_engine(config_from(stored, str(file)), options)
    groups = load_groups(config, str(file), options.data)
    tasks = in_order(groups)
    config = with_fingerprints(config, tasks, str(file))
    from .arguments import opened

    return _go(opened(options), config, groups, options)


def _plan(config: Any, groups: Any, out: Path, json: bool) -> int:
    from .plan import plan, plan_text
    from .runner import decided_waves

    expected = plan(config, groups, decided_waves(out, config, groups))
    if json:
        print_json({**expected, "run": str(out)})
    else:
        print(plan_text(expected))
    return 0


def _go(system: Any, config: Any, groups: Any, options: argparse.Namespace) -> int:
    from pathways.progress import ProgressLine
    from pathways.report import write_report
    from pathways.summary import summarise
    from pathways.summary_table import summary_text

    from .runner import carry_out

    options.running = system.directory
    with system, ProgressLine(sys.stderr, enabled=not options.quiet) as line:
        carry_out(system, config, groups, line, share=options.share)
        line.close()
        report = write_report(system)
        summary = summarise(system)
    if options.json:
        print_json(summary)
    else:
        print(f"{summary_text(summary)}\n\nrun     {system.directory}\nreport  {report}")
    return 0

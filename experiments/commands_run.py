"""`pathways run` and `pathways resume`: the main job."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .arguments import (
    command,
    directory,
    families,
    given_families,
    how_to_train,
    place,
    print_json,
    with_engine,
    with_others,
)  # fmt: skip


def add(commands: Any) -> None:
    """Add the commands."""
    run = command(
        commands, "run", _run, "learn the tasks of a configuration one after another, and compare with its controls"
    )
    run.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file; the docs list what it may say")
    run.add_argument(
        "--out", type=place, metavar="DIR",
        help="the run directory, or a URL on storage; else what `storage` of CONFIG says, else runs/NAME",
    )  # fmt: skip
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
    from .engine_config import reach
    from .runner import in_order, load_groups, with_fingerprints
    from .sharing import opened_or_made

    config = with_engine(read_config(options.config, options.overrides), options)
    out = options.out or place(config.storage or f"runs/{config.name}")
    groups = load_groups(config, str(options.config), options.data)
    tasks = in_order(groups)
    config = with_fingerprints(config, tasks, str(options.config))
    extra = given_families(options.families)
    from pathways.modules import Families

    from .beginnings import check_begins  # these need torch, which what is wrong above need not wait for

    check_begins(config, groups, Families(extra), str(options.config))
    if options.dry_run:
        return _plan(config, groups, out, extra, options.json)
    reach(config.engine)
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

    stored = stored_config(options.directory)
    file = f"{options.directory}/config.yaml"
    if is_study(stored):
        if options.ledger or options.share:
            raise ConfigError("`--ledger` and `--share` are for runs, found a study of affinity: leave them out.")
        config = with_engine(AffinityConfig.read(stored, file), options)
        return carry_out_study(config, file, options.directory, options)
    config = with_engine(config_from(stored, file), options)
    groups = load_groups(config, file, options.data)
    tasks = in_order(groups)
    config = with_fingerprints(config, tasks, file)
    from .arguments import opened

    return _go(opened(options), config, groups, options)


def _plan(config: Any, groups: Any, out: Path | str, extra: list[Any], json: bool) -> int:
    from pathways.modules import Families

    from .plan import plan, plan_text
    from .runner import decided_waves

    expected = plan(config, groups, decided_waves(out, config, groups, extra), Families(extra))
    if json:
        print_json({**expected, "run": str(out)})
    else:
        print(plan_text(expected))
    return 0


def _go(system: Any, config: Any, groups: Any, options: argparse.Namespace) -> int:
    from pathways.live import shown
    from pathways.report import write_report
    from pathways.summary import summarise
    from pathways.summary_table import summary_text

    from .loggers import add_loggers
    from .runner import carry_out, in_order, searches_left
    from .sharing import check_shared

    if options.share and system.ledger_url is None:
        check_shared(system.place)
    options.running = system.place
    add_loggers(system, options.log)
    left = searches_left(system, config, in_order(groups))
    with system, system.driving():
        with shown(sys.stderr, quiet=options.quiet, name=config.name, searches=left) as progress:
            carry_out(system, config, groups, progress, share=options.share)
        report = write_report(system)
        summary = summarise(system)
        if system.mirror is not None:
            system.mirror.push("report.html", "figures")
    if options.json:
        print_json(summary)
    else:
        print(f"{summary_text(summary)}\n\nrun     {system.place}\nreport  {report}")
    return 0

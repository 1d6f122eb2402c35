"""The configuration that `pathways init` writes: one that runs as it is, with a line of why beside each key."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean

from .starter_table import Found, look_at
from .yaml_file import quoted

_HEAD = """\
# A run of `pathways`: which tasks are learned, from what, how, and what the result is compared with.
#
#   pathways run {file} --dry-run      what it would take; nothing is written
#   pathways run {file}                learns, compares and writes the report; again, or `resume`, goes on
#   pathways show runs/{name}          what came of it
#
# `--set KEY=VALUE` changes a key for one run, such as --set training.steps=50. Keys that begin with # are not set.

name: {quoted}          # the run's directory is runs/{name}, unless `--out` or `storage` says otherwise
seed: 0                  # of everything random: equal seeds give equal champions, to the bit

# The tasks, in the order in which they are learned: later ones build on what earlier ones have left.
tasks:
{tasks}
# What the first task is built on; the rest build on it, or on each other.
{root}
# How each candidate is trained. Evolution changes what `strategy` lists in `space`; the rest stays so for all.
training:
  steps: {steps}             # optimizer steps of one candidate: more of them cost time, and help up to a point
  batch: 64              # samples in a step
  optimizer: adamw       # or sgd
  lr: {lr}             # the peak learning rate: the first thing to try others of
  weight_decay: 0.01     # keeps weights small, so that few samples are not learned by heart
  schedule: cosine       # how the rate falls; or constant
  warmup: 0.1            # the share of the steps in which it rises first
{training}
# What decides which paths are tried: `munet` copies, changes and adds modules; `pathnet` evolves paths through a grid.
{strategy}
# What the result is compared with, under the same accounting: without controls nobody knows what the search brought.
controls:
{controls}
engine:
  kind: local            # processes of this machine; or ray, for a cluster (`--engine ray --address auto`)
  workers: 0             # how many train at the same time; 0 trains in the command itself; results stay the same
  device: cpu            # or cuda, cuda:1, auto
  trace: true            # writes trace.json, which says where the time goes (`pathways trace`)

at_once: 1               # how many tasks that follow each other are learned at the same time, none seeing the others

# storage: s3://bucket/{name}                  # keeps the run on storage, any URL that fsspec knows
# ledger: postgresql://me@host/{name}          # a database, where several drivers share the run (`--share`)
# roots: {{pictures: omniglot}}                 # in place of `root`: several, by name, for tasks of different inputs
# fingerprints: {{TASK: DIGEST}}                # of each task's data, to refuse other data; a run writes them itself
"""

_MUNET = """\
strategy:
  munet:
    generations: 2       # rounds of children for each task; each round sees what the last one found
    children: 4          # candidates in a round
    probes: 1            # champions whose path is tried with a new head first; `all` tries every one
    size: 0.975          # what a whole root's worth of new weights must be outweighed by: 1 asks nothing for size
    hyperparameters: inherit   # children change their parent's settings now and then; or optuna
    # racing: paired     # stops candidates that cannot win any more, at a stated error rate
    # guard: true        # trains each task from scratch too, and keeps that where sharing does not win
"""

_STEPS_OF_IMAGES = """\
  augment:               # random changes of training images
    rotate: 10           # degrees, either way
    translate: 2         # pixels, either way
    views: 8             # versions of each image, made once
"""

_OMNIGLOT_TASKS = """\
  - source: omniglot     # handwritten characters, which ship with the package
    alphabets: [Angelic, Tibetan, Keble]   # each is a task: which of its characters is this?
    # jointly: true      # learns them in one search with a shared trunk, rather than one after another
"""

_CSV_TASKS = """\
  - source: csv          # a table with a header; numbers are standardised, words become categories
    file: {file}     # as seen from where you run it, or in the folder that `--data` names
    target: {target}     # the column to predict
    values: {values}     # whether that is a number to come close to, rather than a class
    name: {name}     # the task's name, which `predict` and `export` take
    validation: 0.2      # the share of rows that choices are made on
    test: 0.2            # the share that is only looked at for the report
{of_cells}    # task_by: COLUMN    # each value of this column becomes a task of its own
"""

_IMAGE_TASKS = """\
  - source: image_folder  # one folder for each class, with its images: {folder}/CLASS/NAME.png
    folder: {folder}     # as seen from where you run it, or in the folder that `--data` names
    name: {name}     # the task's name, which `predict` and `export` take
    size: 32             # height and width that all images are brought to
    channels: 3          # 1 for grey, 3 for colours
    # tasks: true        # each folder in {folder} is a task of its own: {folder}/TASK/CLASS/NAME.png
"""

_TRAINED_CONTROLS = """\
  - head-only            # the frozen root and a new head: the least that a task can cost
  - independent          # a model for each task alone, from scratch: the bar for what sharing brings
"""

_UNTRAINED_CONTROLS = """\
  - independent          # a model for each task alone, from scratch: the bar for what sharing brings
  # - fine-tune          # one network trained on, task after task: shows what it forgets
"""

_PATHNET_CONTROLS = """\
  - random-path          # the same grid, paths drawn at random and not evolved: what evolution brings
"""

_OMNIGLOT_ROOT = """\
root: omniglot           # a small network that ships, trained on other alphabets; null begins with nothing
"""

_MLP_ROOT = """\
root:
  architecture:          # untrained modules, from the input up to what the head reads
    - {{family: linear, dim: 64, activation: relu}}     # `docs/families.md` shows all families
    - {{family: linear, dim: 32, activation: relu}}
"""

_CONV_ROOT = """\
root:
  architecture:          # untrained modules, from the input up to what the head reads
    - {family: conv, channels: 16, stride: 2}          # `docs/families.md` shows all families
    - {family: conv, channels: 32, stride: 2}
    - {family: conv, channels: 32, stride: 2}
    - {family: pool}
"""

WAYS = ("omniglot", "csv", "images", "preset")
"""What a configuration can be made for."""


def starter(file: str, name: str, way: Sequence[str] = ()) -> str:
    """The text of a configuration.

    Args:
        file: what the file will be called, for the commands that it names.
        name: of the run.
        way: what it is for: `omniglot`, which ships; `csv FILE [COLUMN]`, a table of your own; `images DIR`, a folder
            for each class; `preset NAME`, the settings of a published system or architecture.

    Raises:
        ConfigError: there is no such way, preset, table or column.

    Example:
        >>> starter("letters.yaml", "letters").splitlines()[8].split("#")[0].strip()
        'name: letters'
    """
    kind, *rest = way or ("omniglot",)
    if kind not in WAYS:
        raise ConfigError(f"`--from` must be one of {list(WAYS)}, found {kind!r}{did_you_mean(kind, WAYS, '.')}")
    most = {"omniglot": 0, "csv": 2, "images": 1, "preset": 1}[kind]
    if len(rest) > most:
        raise ConfigError(f"`--from {kind}` takes at most {most} more, found {rest}.")
    parts = {"tasks": _OMNIGLOT_TASKS, "root": _OMNIGLOT_ROOT, "strategy": _MUNET, "training": _STEPS_OF_IMAGES,
             "steps": "300", "lr": "2e-3", "controls": _TRAINED_CONTROLS}  # fmt: skip
    if kind == "csv":
        parts |= _of_table(name, *rest)
    elif kind == "images":
        folder = rest[0] if rest else "images"
        task = _task_name(Path(folder).name, name)
        tasks = _IMAGE_TASKS.format(folder=quoted(folder), name=quoted(task))
        parts |= {"tasks": tasks, "root": _CONV_ROOT, "lr": "3e-3", "controls": _UNTRAINED_CONTROLS}
    elif kind == "preset":
        if not rest:
            raise ConfigError("`--from preset` needs the preset's name, such as `--from preset munet-2022`.")
        parts |= _of_preset(rest[0])
    return _aligned(_HEAD.format(file=file, name=name, quoted=quoted(name), **parts))


def _of_table(name: str, file: str = "table.csv", target: str | None = None) -> dict[str, str]:
    """The parts for a table: its last column is what is predicted, unless another is named."""
    table = Path(file)
    if table.is_dir():
        there = sorted(each.name for each in table.glob("*.csv"))
        such = f", such as {table / there[0]}" if there else ""
        raise ConfigError(f"`--from csv` must name a file, found the folder {file}: name the table{such}.")
    found = look_at(table, target) if table.exists() else Found(target or "COLUMN")
    tasks = _CSV_TASKS.format(
        file=quoted(file), target=quoted(found.target), name=quoted(_task_name(table.stem, name)),
        values=str(found.values).lower(), of_cells=_of_cells(found),
    )  # fmt: skip
    return {"tasks": tasks, "root": _MLP_ROOT.format(), "training": "", "lr": "3e-3", "controls": _UNTRAINED_CONTROLS}


def _of_cells(found: Found) -> str:
    """The lines that say how cells are to be read: what was found, and what might be said."""
    lines = []
    if found.delimiter != ",":
        lines.append(f"delimiter: {json.dumps(found.delimiter)}     # the mark between cells")
    if found.decimal != ".":
        lines.append(f'decimal: "{found.decimal}"     # the mark before fractions')
    if found.blank:
        listed = ", ".join(map(quoted, found.blank))
        lines.append(f"blank: [{listed}]     # what cells say where they say nothing")
    drop = ", ".join(map(quoted, found.drop))
    mark = "" if found.drop else "# "
    lines.append(f"{mark}drop: [{drop or 'COLUMN'}]     # columns that must not be seen, such as numbers of rows")
    mark = "" if found.missing else "# "
    lines.append(f"{mark}missing: mean      # what empty cells become; else they are refused")
    return "".join(f"    {line}\n" for line in lines)


def _of_preset(name: str) -> dict[str, str]:
    """The parts for the preset of a strategy, or of a root."""
    from pathways.evolve.presets import MUNET_PRESETS, PRESETS
    from pathways.preset import presets

    known = [*MUNET_PRESETS, *PRESETS, *presets()]
    if name not in known:
        near = did_you_mean(name, known, f": strategies have {[*MUNET_PRESETS, *PRESETS]}, roots many more.")
        raise ConfigError(f"`--from preset` must name a preset, found {name!r}{near}")
    if name in presets():
        return {"root": _preset_root(name), "lr": "1e-3", "controls": _UNTRAINED_CONTROLS}
    strategy = "munet" if name in MUNET_PRESETS else "pathnet"
    lines = f"""\
        strategy:
          {strategy}:
            preset: {name}    # the published settings; any of them can be changed beside it
            generations: 2       # rounds for each task: far fewer than published, so that you see something soon
        """
    parts = {"strategy": dedent(lines)}
    if strategy == "pathnet":
        parts["root"] = "root: null               # a grid of modules is all that PathNet has\n"
        parts["controls"] = _PATHNET_CONTROLS
    return parts


def _preset_root(name: str) -> str:
    """The root of that preset, where it reads what the starter's tasks have."""
    from pathways.errors import PathwaysError
    from pathways.modules import BUILT_IN, Image
    from pathways.preset import preset

    try:
        preset(name, {"image": Image(1, 28, 28)}).ports(BUILT_IN)
    except (PathwaysError, ValueError) as error:
        raise ConfigError(
            f"`--from preset {name}` must read one image, as the tasks of the starter have it: {error} Write `root: "
            f"{{preset: {name}}}` into a configuration whose tasks have what it reads."
        ) from None
    return f"root: {{preset: {name}}}   # an architecture that ships, untrained: see docs/families.md\n"


def _task_name(stem: str, otherwise: str) -> str:
    """A name for a task from that of a file."""
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or otherwise


def _aligned(text: str) -> str:
    """The text with the comments that stand behind values in line, within each block."""
    blocks = [_block(block) for block in text.split("\n\n")]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _block(block: str) -> str:
    pairs = [re.match(r"^(\s*[^#\s].*?)\s{2,}(#.*)$", line) for line in block.split("\n")]
    width = max((len(match[1]) for match in pairs if match and len(match[1]) <= 40), default=0)
    width = max(width, 22)
    return "\n".join(
        f"{match[1]:<{width}}  {match[2]}" if match else line
        for match, line in zip(pairs, block.split("\n"), strict=True)
    )


__all__ = ["WAYS", "starter"]

"""Tables in CSV files, whole or split into several tasks by a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from pathways.columns import Columns
from pathways.errors import DataError
from pathways.modules import Port, Vector
from pathways.task import Split, Target, Task, Values

from .arrays import class_targets, standardise, value_targets
from .csv_table import Table, is_missing, numbers_of, read_table
from .csv_texts import check_texts
from .encode import columns_of, encode, transform_of, with_means
from .folder import find_file
from .split import ordered, split_indices, without_leaks

_SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class _Options:
    """What `csv` was asked for, beside the file."""

    targets: tuple[str, ...]
    values: bool
    split: str | None
    seed: int
    validation: float
    test: float
    allow_duplicates: bool


def csv(
    file: str | Path,
    target: str | Sequence[str],
    name: str,
    *,
    data: str | Path | None = None,
    delimiter: str = ",",
    decimal: str = ".",
    blank: Sequence[str] = (),
    task_by: str | None = None,
    split: str | None = None,
    categorical: Sequence[str] = (),
    drop: Sequence[str] = (),
    values: bool | None = None,
    missing: str = "error",
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    allow_duplicates: bool = False,
) -> list[Task]:
    """Tasks from a CSV file with a header, plain or gzipped. Inputs are one `Vector` a row.

    The file is in UTF-8, with a byte order mark or without; cells with the delimiter in them stand in double quotes.
    The order of columns does not matter: `target` names the one to predict, `drop` those to leave out, such as ids,
    row numbers and names; all others are inputs.

    A column of numbers is one entry, standardised by the training samples of its task. Any other column, and
    those named in `categorical`, is one entry of 0 or 1 for each category that the training samples of any
    task of the file have; a category that they lack is all zeros. So all tasks of a file have the same port.
    A column of texts that hardly repeat is refused, as nothing could be learned from it: drop it, or put what it says
    into columns of numbers, such as day, month and year of a date.

    Targets of numbers are standardised by the training samples of their task; predictions are not. A target of texts
    is classes; one of numbers is values, unless `values` is false. Where it is only two numbers, say which.

    Which columns there were and what each became stays with the champion: `pathways predict` takes tables with these
    columns, in any order and among others.

    Args:
        file: its path, as it stands or inside the data folder.
        target: the column to predict; several make a target of as many numbers.
        name: of the task; with `task_by`, of the family: `name/value`.
        data: the data folder; see `data_folder`.
        delimiter: between cells: `,`, or for example `;` or a tab.
        decimal: between whole numbers and their fractions: `.` or `,`, as in 1.234,5.
        blank: what cells say where they say nothing, beside being empty or `?`: for example `[NA, n/a]`.
        task_by: a column whose every value makes a task of its own.
        split: a column that says `train`, `validation` (or `val`, `valid`) or `test`. Without rows of
            validation it is split from train. Rows that equal ones of another split are left out, of train
            first, then of validation.
        categorical: columns of numbers that are categories.
        drop: columns that are neither inputs nor targets.
        values: the target is numbers rather than classes; by default where all its cells are numbers.
        missing: what to do where a cell says nothing: `error`, or `mean`, which puts the training mean for
            a number and no category for a category. Targets must always be there.
        seed: draws validation.
        validation: its share of what is not test.
        test: the share of test, where no column says it.
        allow_duplicates: accept equal rows in two splits instead of keeping them together.

    Raises:
        DataError: the file is not a table, a column does not exist or cannot be learned from, or a cell is missing;
            all are named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "houses.csv"
        ...     rows = [f"{i};{('brick', 'wood')[i % 2]};{i % 7},5;{('cheap', 'dear')[i % 7 > 3]}" for i in range(30)]
        ...     _ = file.write_text(chr(10).join(["id;walls;rooms;price", *rows]))
        ...     [task] = csv(file, "price", "houses", delimiter=";", decimal=",", drop=["id"], allow_duplicates=True)
        >>> task.columns["features"].names, task.columns["features"].width, task.target.names
        (('walls', 'rooms'), 3, ('cheap', 'dear'))
    """
    table = read_table(find_file(file, data), delimiter, decimal, blank)
    targets = (target,) if isinstance(target, str) else tuple(target)
    special = [*targets, *drop, *(column for column in (task_by, split) if column)]
    for column in (*special, *categorical):
        table.place(column)
    if missing not in ("error", "mean"):
        raise DataError(f"`missing` must be 'error' or 'mean', found {missing!r}: choose one.")
    if values is None:
        values = all(table.is_numeric(column) for column in targets)
        _check_said(table, targets, values)
    if len(targets) > 1 and not values:
        raise DataError(
            f"`target` of several columns must hold numbers, found {list(targets)}: name one column."
        )
    inputs = [column for column in table.header if column not in special]
    options = _Options(targets, values, split, seed, validation, test, allow_duplicates)
    rows = _rows_of_tasks(table, name, task_by)
    _check_missing(table, [*targets, *(inputs if missing == "error" else [])], missing)
    check_texts(table, [*inputs, *(() if values else targets)], targets, categorical)
    numeric = {column for column in inputs if column not in categorical and table.is_numeric(column)}
    indices = {task: _split_rows(table, task, places, inputs, options) for task, places in rows.items()}
    train = [place for parts in indices.values() for place in parts["train"]]
    columns = Columns(columns_of(table, inputs, numeric, train), missing == "mean", delimiter, decimal, tuple(blank))
    return [_task(table, task, parts, columns, options) for task, parts in indices.items()]


def _check_said(table: Table, targets: Sequence[str], values: bool) -> None:
    """Two numbers may be classes as well as values: who means which must say so."""
    found = sorted({cell for cell in table.column(targets[0]) if not is_missing(cell)})
    if values and len(targets) == 1 and len(found) <= 2:
        raise DataError(
            f"`values` must be said for target {targets[0]!r}, which has only the numbers {found}: false where they "
            "are classes, true where they are values to predict."
        )


def _rows_of_tasks(table: Table, name: str, task_by: str | None) -> dict[str, list[int]]:
    if task_by is None:
        return {name: list(range(len(table.rows)))}
    tasks: dict[str, list[int]] = {}
    for place, value in enumerate(table.column(task_by)):
        tasks.setdefault(f"{name}/{value}", []).append(place)
    return tasks


def _check_missing(table: Table, columns: Sequence[str], missing: str) -> None:
    for column in columns:
        for place, cell in enumerate(table.column(column)):
            if is_missing(cell):
                step = "remove the row or fill the cell"
                step += "" if missing == "mean" else ", or, for inputs, say `missing='mean'`"
                raise DataError(
                    f"{table.where(place)} has no value in column {column!r} (found {cell!r}): {step}."
                )


def _split_rows(
    table: Table, task: str, places: list[int], inputs: Sequence[str], options: _Options
) -> dict[str, list[int]]:
    fixed = _fixed_splits(table, task, places, options.split)
    pool = fixed["train"]
    contents = [tuple(table.rows[place][table.place(column)] for column in inputs) for place in pool]
    strata = [0] * len(pool)
    if not options.values:
        labels, _ = class_targets(
            task, [table.rows[place][table.place(options.targets[0])] for place in pool]
        )
        strata = labels.tolist()
    if "validation" in fixed:
        return fixed
    drawn = split_indices(
        task,
        list(range(len(pool))) if options.allow_duplicates else contents,
        strata,
        seed=options.seed,
        validation=options.validation,
        test=None if options.split else options.test,
    )
    return {**fixed, **{which: [pool[i] for i in part] for which, part in drawn.items()}}


def _fixed_splits(table: Table, task: str, places: list[int], split: str | None) -> dict[str, list[int]]:
    if split is None:
        return {"train": places}
    fixed: dict[str, list[int]] = {}
    for place in places:
        cell = table.rows[place][table.place(split)]
        if cell not in _SPLIT_NAMES:
            raise DataError(
                f"{table.where(place)} must say one of {sorted(_SPLIT_NAMES)} in column {split!r}, "
                f"found {cell!r}: correct the cell."
            )
        fixed.setdefault(_SPLIT_NAMES[cell], []).append(place)
    if "train" not in fixed:
        raise DataError(
            f"column {split!r} names no row of task {task!r} 'train', found {sorted(fixed)}: add some."
        )
    return fixed


def _task(
    table: Table, task: str, indices: Mapping[str, list[int]], columns: Columns, options: _Options
) -> Task:
    ports: dict[str, Port] = {"features": Vector(columns.width)}
    columns = with_means(columns, table, indices["train"])
    targets, target = _targets(table, task, indices, options)
    splits = {
        which: Split({"features": encode(table, places, columns)}, targets[which])
        for which, places in indices.items()
    }
    note = ""
    if not options.allow_duplicates:
        splits, note = without_leaks(task, splits, ports)
    if options.values:
        scale = standardise(splits["train"].targets)
        splits = {which: Split(part.inputs, scale(part.targets)) for which, part in splits.items()}
        target = Values(target.n, target.names, scale.inverse)
    train = cast(torch.Tensor, splits["train"].inputs["features"])
    return Task(
        task, ports, target, ordered(splits),
        transform={"features": transform_of(columns, train)},
        source=f"{table.path.name}{note}", allow_duplicates=options.allow_duplicates,
        columns={"features": columns},
    )  # fmt: skip


def _targets(
    table: Table, task: str, indices: Mapping[str, list[int]], options: _Options
) -> tuple[dict[str, torch.Tensor], Target]:
    places = [place for part in indices.values() for place in part]
    sizes = [len(part) for part in indices.values()]
    if options.values:
        columns = [numbers_of(table, column, places) for column in options.targets]
        together, _ = value_targets(torch.tensor(columns, dtype=torch.float64).T)
        target: Target = Values(len(columns), options.targets)
    else:
        place = table.place(options.targets[0])
        cells = [table.rows[row][place] for row in places]
        numeric = table.is_numeric(options.targets[0])
        names = sorted(set(cells), key=lambda cell: (float(cell) if numeric else 0.0, cell))
        together, target = class_targets(task, [names.index(cell) for cell in cells], names)
    return dict(zip(indices, together.split(sizes), strict=True)), target

"""Image classification from folders: `DIR/CLASS/NAME.png`, with or without `train`, `val` and `test` above."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

import torch

from pathways.digests import sample_digests
from pathways.errors import DataError
from pathways.modules import Image, Port
from pathways.pictures import Pictures
from pathways.seeds import numpy_generator
from pathways.task import Affine, Classes, Split, Task, take

from .folder import find_folder
from .image_files import image_size, read_images
from .image_tree import Labelled, Tree, folders_in, tree_of
from .limit import limited
from .split import divide, split_pool, without_leaks


def image_folder(
    folder: str | Path,
    name: str | None = None,
    *,
    data: str | Path | None = None,
    tasks: bool = False,
    size: int | Sequence[int] | None = None,
    channels: int = 3,
    fit: str = "pad",
    background: int = 255,
    train: int | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    allow_duplicates: bool = False,
) -> list[Task]:
    """Tasks from folders of image files, whose names say the classes: `DIR/CLASS/NAME.png`.

    A level above the classes may say the split: `DIR/train/CLASS/NAME.png`, and `val` (or `valid`, `validation`) and
    `test` alike. What no folder says is drawn from `train`, of each class in proportion: test by the task's name,
    validation by the seed too. Images that are equal stay in one split; of equal ones that folders put into two, test
    keeps them, then validation.

    Classes are in the order of their names. Folders within those of classes count to their class. Hidden files and
    files that are no images by their ending are left out; the latter are counted in the task's `source`. Links are
    followed within the folder and refused where they lead out of it.

    The input is `image`, an `Image(channels, height, width)` held as bytes and scaled to 0..1. What is done to each
    file (see `read_images`) stays with the champion, so that `pathways predict` treats new files alike.

    Args:
        folder: as it stands, seen from the working directory, or inside the data folder.
        name: of the task, or with `tasks` of the family: `name/FOLDER`. The folder's name when not given.
        data: the data folder; see `data_folder`.
        tasks: each folder in `folder` is a task of its own: `DIR/TASK/CLASS/NAME.png`.
        size: height and width, or one number for both. Without it all images must have the size of the first, at
            training and when predicting.
        channels: 1 for grey, 3 for colours.
        fit: how images of another size become this one: `pad`, `crop` or `stretch`; see `pathways.pictures.Pictures`.
        background: from 0 (black) to 255 (white), seen through transparent pixels and beside padded images.
        train: the most training images of each task, balanced by class; see `pathways.data.limit.limited`.
        seed: draws validation, and `train`.
        validation: its share of what is not test, where no folder says it.
        test: the share of test, where no folder says it.
        allow_duplicates: accept equal images in two splits.

    Raises:
        DataError: the folder does not hold classes so, or a file is no image; it is named.

    Example:
        >>> import tempfile
        >>> from PIL import Image as Picture
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i in range(12):
        ...         place = Path(folder) / ("dark", "light")[i % 2]
        ...         place.mkdir(exist_ok=True)
        ...         Picture.new("L", (6, 6), 200 * (i % 2) + i).save(place / f"{i}.png")
        ...     [task] = image_folder(folder, "tone", size=4, channels=1)
        >>> task.inputs["image"], task.target.names, [len(split) for split in task.splits.values()]
        (Image(channels=1, height=4, width=4), ('dark', 'light'), [8, 2, 2])
    """
    where = find_folder(folder, data)
    family = where.resolve().name if name is None else name
    places = {f"{family}/{each.name}": each for each in folders_in(where)} if tasks else {family: where}
    if not places:
        raise DataError(f"{str(where)!r} must hold a folder for each task, found none: add some.")
    trees = {full: tree_of(place, where) for full, place in places.items()}
    pictures = _pictures(trees, size, channels, fit, background)
    return [
        _task(full, place, trees[full], pictures, train, seed, validation, test, allow_duplicates)
        for full, place in places.items()
    ]


def from_image_folder(
    folder: str | Path,
    name: str | None = None,
    *,
    size: int | Sequence[int] | None = None,
    channels: int = 3,
    fit: str = "pad",
    background: int = 255,
    train: int | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    allow_duplicates: bool = False,
) -> Task:
    """The one task of a folder of classes; see `image_folder`, whose arguments these are.

    Example:
        >>> task = from_image_folder("leaves", size=64)        # doctest: +SKIP
    """
    [task] = image_folder(
        folder, name, size=size, channels=channels, fit=fit, background=background, train=train, seed=seed,
        validation=validation, test=test, allow_duplicates=allow_duplicates,
    )  # fmt: skip
    return task


def _pictures(
    trees: dict[str, Tree], size: int | Sequence[int] | None, channels: int, fit: str, background: int
) -> Pictures:
    if size is None:
        first = next(iter(trees.values())).splits["train"].files[0]
        height, width = image_size(first)
        return Pictures(channels, height, width, "exact", background)
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise DataError(f"`size` must be one number, or height and width, found {list(sides)}: give for example 32.")
    if fit == "exact":
        raise DataError("`fit` must be 'pad', 'crop' or 'stretch' where a `size` is given, found 'exact': choose one.")
    return Pictures(channels, *sides, fit, background)


def _task(
    name: str, folder: Path, tree: Tree, pictures: Pictures, train: int | None, seed: int, validation: float,
    test: float, allow_duplicates: bool,
) -> Task:  # fmt: skip
    ports: dict[str, Port] = {"image": Image(*pictures.shape)}
    target = Classes(len(tree.classes), tree.classes)
    parts = {split: _read(labelled, pictures) for split, labelled in tree.splits.items()}
    if "validation" in parts:
        if "test" not in parts:
            parts |= _with_test(name, parts["train"], ports, test, allow_duplicates)
        splits, note = (parts, "") if allow_duplicates else without_leaks(name, parts, ports)
    else:
        splits, note = split_pool(
            name, ports, target, parts["train"], parts.get("test"), seed=seed, validation=validation, test=test,
            allow_duplicates=allow_duplicates,
        )  # fmt: skip
    ignored = f"; {tree.ignored} of its files are no images" if tree.ignored else ""
    return Task(
        name, ports, target, limited(name, splits, train, seed), transform={"image": Affine(1 / 255)},
        source=f"folder {folder.resolve().name}{ignored}{note}", allow_duplicates=allow_duplicates,
        pictures={"image": pictures},
    )  # fmt: skip


def _with_test(
    name: str, pool: Split, ports: dict[str, Port], share: float, allow_duplicates: bool
) -> dict[str, Split]:
    """Test drawn from train, where folders say validation only."""
    if not 0 < share < 1:
        raise DataError(f"`test` must be a share between 0 and 1, found {share}: use for example 0.2.")
    contents: Sequence[Hashable] = range(len(pool)) if allow_duplicates else sample_digests(pool.inputs, ports)
    rest, drawn = divide(contents, pool.targets.tolist(), share, numpy_generator("split", "test", name))
    return {"train": take(pool, torch.tensor(rest)), "test": take(pool, torch.tensor(drawn))}


def _read(labelled: Labelled, pictures: Pictures) -> Split:
    return Split({"image": read_images(labelled.files, pictures)}, torch.tensor(labelled.labels, dtype=torch.int64))


__all__ = ["from_image_folder", "image_folder"]

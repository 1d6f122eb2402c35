"""Which image files a folder holds, and what their folders say of them: task, split and class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathways.errors import DataError

from .image_files import ENDINGS

SPLIT_FOLDERS = {
    "train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test",
}  # fmt: skip
_OF_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found"}


@dataclass(frozen=True)
class Labelled:
    """The image files of one split, in order, each with the place of its class."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """What a folder of classes holds.

    Args:
        classes: their names, in order.
        splits: the files of `train`, `validation` and `test`, as far as folders say them; else all are `train`.
        ignored: how many visible files were left out, as they are no images by their ending.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Labelled]
    ignored: int


def images_in(folder: Path, top: Path | None = None) -> tuple[list[Path], int]:
    """All image files of a folder and those in it, by name, and how many visible files are of another kind.

    Hidden files and those that operating systems leave behind are passed over. Links are followed as long as they
    stay in a folder.

    Args:
        folder: where to look.
        top: the folder that links must stay in, `folder` when not given.

    Raises:
        DataError: a link leads out of the folder, to nothing or to itself; or a folder cannot be read.
    """
    files, others = [], 0
    for file in _walk(folder, (top or folder).resolve(), ()):
        if file.suffix.lower() in ENDINGS:
            files.append(file)
        else:
            others += 1
    return files, others


def tree_of(folder: Path, top: Path | None = None) -> Tree:
    """The classes and splits that the folders within a folder say.

    Args:
        folder: of one task.
        top: the folder that links must stay in, `folder` when not given.

    Raises:
        DataError: there are fewer than two classes, a class is without images, an image without a class, or splits
            and classes stand beside each other.
    """
    inner = folders_in(folder)
    parts = _split_folders(folder, inner)
    for place in dict.fromkeys((folder, *parts.values())):
        _check_none_loose(place)
    inside = {name: folders_in(part) for name, part in parts.items()}
    classes = tuple(sorted({each.name for found in inside.values() for each in found}))
    if len(classes) < 2:
        raise DataError(
            f"{str(folder)!r} must hold a folder of images for each of two or more classes, found {list(classes)}: "
            "put the images into DIR/CLASS/NAME.png, or DIR/train/CLASS/NAME.png and DIR/test/CLASS/NAME.png."
        )
    splits, ignored = {}, 0
    for name, found in inside.items():
        files: list[Path] = []
        labels: list[int] = []
        for each in found:
            images, others = images_in(each, top or folder)
            ignored += others
            if not images:
                raise DataError(
                    f"{str(each)!r} must hold images of its class ({', '.join(ENDINGS)}), found none: remove the "
                    "folder or add some."
                )
            files += images
            labels += [classes.index(each.name)] * len(images)
        splits[name] = Labelled(tuple(files), tuple(labels))
    _check_trained(folder, parts, inside, classes)
    return Tree(classes, splits, ignored)


def folders_in(folder: Path) -> list[Path]:
    """The visible folders in a folder, by name."""
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _split_folders(folder: Path, inner: list[Path]) -> dict[str, Path]:
    """The folders of the splits, or the folder itself as `train` where its folders are classes."""
    named = {entry.name: entry for entry in inner if entry.name.lower() in SPLIT_FOLDERS}
    if not named or (len(named) == 1 and len(inner) > 1):
        return {"train": folder}  # `train` beside `car` and `bus` is a class
    parts: dict[str, Path] = {}
    for name, entry in named.items():
        split = SPLIT_FOLDERS[name.lower()]
        if split in parts:
            twice = [parts[split].name, name]
            raise DataError(f"{str(folder)!r} must hold one folder of {split}, found {twice}: keep one.")
        parts[split] = entry
    others = [entry.name for entry in inner if entry.name not in named]
    if others or "train" not in parts:
        found = f"also {others[0]!r}" if others else "no 'train'"
        raise DataError(
            f"{str(folder)!r} holds folders of splits, {sorted(named)}, found {found}: let it hold 'train' and, if you "
            "have them, 'val' and 'test', and nothing else; or rename the folders where they are classes."
        )
    return {split: parts[split] for split in ("train", "validation", "test") if split in parts}


def _check_none_loose(folder: Path) -> None:
    for entry in _entries(folder):
        if entry.suffix.lower() in ENDINGS and not entry.is_dir():
            raise DataError(f"{str(entry)!r} must lie in the folder of its class, found it beside them: move it.")


def _check_trained(
    folder: Path, parts: Mapping[str, Path], inside: Mapping[str, list[Path]], classes: tuple[str, ...]
) -> None:
    missing = sorted(set(classes) - {each.name for each in inside["train"]})
    if missing:
        where = next(split for split, found in inside.items() if missing[0] in {each.name for each in found})
        raise DataError(
            f"class {missing[0]!r} of {str(parts[where])!r} must have images in {str(parts['train'])!r} too, found "
            "none: add some, or remove the class."
        )


def _walk(folder: Path, top: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    _check_inside(folder, top)
    here = folder.resolve()
    if here in above:
        raise DataError(f"{str(folder)!r} is a link to a folder that it lies in: remove it.")
    for entry in _entries(folder):
        if entry.is_symlink():
            _check_inside(entry, top)
        if entry.is_dir():
            yield from _walk(entry, top, (*above, here))
        elif entry.is_file():
            yield entry


def _check_inside(entry: Path, top: Path) -> None:
    try:
        target = entry.resolve(strict=True)
    except (OSError, RuntimeError):
        raise DataError(f"{str(entry)!r} is a link that leads to nothing: remove it.") from None
    if not target.is_relative_to(top):
        raise DataError(
            f"{str(entry)!r} is a link that leads out of its folder, to {str(target)!r}: copy what it leads to there."
        )


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{str(folder)!r} must be a folder that can be read, found: {error.strerror}.") from None
    return [entry for entry in found if not entry.name.startswith(".") and entry.name.lower() not in _OF_SYSTEMS]


__all__ = ["Labelled", "Tree", "folders_in", "images_in", "tree_of"]

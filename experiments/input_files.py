"""Which files `--input` names: files as they are, all images of folders, and what patterns match."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from pathways.errors import DataError


def input_files(given: Sequence[Path]) -> list[Path]:
    """The files that arguments name, in order; those of a folder, or of a pattern, by name.

    A pattern that no shell has expanded, such as one in quotes, is expanded here; `**` stands for folders of any depth.

    Args:
        given: files, folders and patterns. A folder stands for all images in it and in its folders, but hidden ones.

    Raises:
        DataError: a folder holds no image, a pattern matches nothing, or there is no such file.
    """
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            files += _of_folder(path)
        elif path.exists() or not has_magic(str(path)):
            files.append(path)
        else:
            matched = [Path(each) for each in sorted(glob(str(path), recursive=True))]
            found = [each for each in matched if each.is_file()]
            if not found:
                raise DataError(f"`--input` must name files, found that {str(path)!r} matches none: check the pattern.")
            files += found
    return files


def _of_folder(folder: Path) -> list[Path]:
    from pathways.data.image_files import ENDINGS
    from pathways.data.image_tree import images_in

    images, others = images_in(folder)
    if not images:
        also = f" and {others} other files" if others else ""
        raise DataError(f"`--input` must name images, found none in {str(folder)!r}{also} ({', '.join(ENDINGS)}).")
    return images


__all__ = ["input_files"]

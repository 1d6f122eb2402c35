"""The nearest name that there is, for the errors that say one is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.6
"""How alike two names must be, as a share of their letters: `difflib`'s own, at which few suggestions mislead."""


def did_you_mean(name: object, known: Iterable[object], otherwise: str = "") -> str:
    """`: did you mean 'x'?` where a known name is near, else what stands in its place.

    Case, `-`, `_` and spaces make no difference, and neither does the folder of a name such as `omniglot/Greek`.

    Args:
        name: what was found.
        known: the names that there are.
        otherwise: what is said where none of them is near, such as `.`.

    >>> did_you_mean("generatons", ["generations", "children"])
    ": did you mean 'generations'?"
    >>> did_you_mean("fine tune_all", ["fine-tune", "fine-tune-all"]), did_you_mean("greek", ["omniglot/Greek"])
    (": did you mean 'fine-tune-all'?", ": did you mean 'omniglot/Greek'?")
    >>> did_you_mean("zzz", ["generations"], ".")
    '.'
    """
    found = nearest(name, known)
    return f": did you mean {found[0]!r}?" if found else otherwise


def nearest(name: object, known: Iterable[object], most: int = 1) -> list[str]:
    """The known names that are near, the nearest first.

    >>> nearest("munte", ["munet", "pathnet"])
    ['munet']
    """
    wanted, names = _folded(str(name)), list(dict.fromkeys(map(str, known)))
    folder = wanted.rpartition("/")[0]
    folded: dict[str, str] = {}
    for each in names:
        # What names in one folder share says nothing about which of them was meant.
        key = _folded(each)
        folded.setdefault(key.removeprefix(f"{folder}/") if folder else key, each)
    for each in names:
        folded.setdefault(_folded(each).rpartition("/")[2], each)  # a name without its folder too
    typed = wanted.rpartition("/")[2] if any(_folded(each).startswith(f"{folder}/") for each in names) else wanted
    close = get_close_matches(typed, list(folded), n=2 * most, cutoff=ALIKE)
    same = sorted((each for each in names if _folded(each) == wanted), key=str(name).__ne__)
    return list(dict.fromkeys([*same, *(folded[key] for key in close)]))[:most]


def _folded(name: str) -> str:
    return name.casefold().replace("_", "-").replace(" ", "-")

"""Numbers and names as people read them, the same in tables, figures and pages."""

from __future__ import annotations

from collections.abc import Sequence


def short_names(names: Sequence[str], longest: int = 24) -> dict[str, str]:
    """Names without the folder they all share, cut in the middle where they are too long.

    >>> short_names(["omniglot/Greek", "omniglot/Tifinagh"])
    {'omniglot/Greek': 'Greek', 'omniglot/Tifinagh': 'Tifinagh'}
    """
    folders = {name.rpartition("/")[0] for name in names}
    shared = len(f"{folders.pop()}/") if len(folders) == 1 and "" not in folders else 0
    return {name: _cut(name[shared:], longest) for name in names}


def _cut(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[len(name) - tail :]}"


def short_count(count: float) -> str:
    """A count in at most five characters.

    >>> [short_count(n) for n in (0, 999, 1234, 28_400, 1_500_000)]
    ['0', '999', '1.2k', '28k', '1.5M']
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size * 0.9995:
            return f"{count / size:.1f}{unit}" if count < 9.95 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0f}"


def measure_text(value: float | None, metric: str) -> str:
    """A metric's value: shares such as accuracy in percent, others with four significant digits.

    >>> measure_text(0.9183, "accuracy"), measure_text(0.51, "r2"), measure_text(None, "accuracy")
    ('91.8', '0.51', '–')
    """
    if value is None or value != value:
        return "–"
    return f"{100 * value:.1f}" if metric in PERCENT else f"{value:.4g}"


def points_text(value: float | None, metric: str = "accuracy") -> str:
    """A difference of a metric's values with its sign, in percentage points for shares.

    >>> points_text(0.0312), points_text(-0.5, "r2"), points_text(0.0)
    ('+3.1', '-0.5', '0.0')
    """
    if value is None or value != value:
        return "–"
    text = f"{100 * value:+.1f}" if metric in PERCENT else f"{value:+.4g}"
    return text[1:] if not text.strip("+-0.") else text


def seconds_text(seconds: float | None) -> str:
    """A duration.

    >>> [seconds_text(s) for s in (0.31, 61, 7300)]
    ['0.3 s', '1 min 01 s', '2 h 01 min']
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_text(count: float) -> str:
    """An amount of storage.

    >>> [bytes_text(n) for n in (512, 115_000, 3_200_000)]
    ['512 B', '115 KB', '3.2 MB']
    """
    text = short_count(count)
    return f"{text} B" if text[-1].isdigit() else f"{text[:-1]} {text[-1].upper()}B"


PERCENT = (
    "accuracy", "balanced_accuracy", "token_accuracy", "sequence_accuracy", "exact_match", "span_overlap",
)

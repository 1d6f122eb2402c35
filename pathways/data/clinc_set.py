"""CLINC150: what a user of an assistant wants, 150 intents in ten domains, as hashed n-grams of words.

The file is `text/clinc150.tsv.gz` of the data folder: UTF-8 lines of `split` (train, val, test), `domain`, `intent`
and `text`, tab-separated, without quoting, below a header. Rows of the domain `oos` (out of scope) are left out.
Nothing is downloaded.

Larson et al. 2019, "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction", EMNLP,
arXiv:1909.02027 (CC BY 3.0).
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pathways.errors import DataError
from pathways.modules import Ids, Masked, Port, Vector
from pathways.task import Affine, Classes, Split, Task

from .arguments import require_positive
from .folder import data_folder, find_file
from .limit import limited
from .split import without_leaks

COLUMNS = ("split", "domain", "intent", "text")
PARTS = {"train": "train", "val": "validation", "test": "test"}
FORMS = ("ngrams", "words")
SOURCE = "CLINC150 (Larson et al. 2019, CC BY 3.0), hashed"

Row = tuple[str, str, str, str]
_WORD = re.compile(r"\b\w+\b")


def clinc150(
    domains: Sequence[str] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    train: int | None = None,
    features: int = 512,
    ngrams: int = 2,
    form: str = "ngrams",
) -> list[Task]:
    """One task for each domain, such as `clinc150/banking`: tell its 15 intents apart.

    Inputs are `Vector(features)`, see `hashed`, stored with length 1 and scaled by the root of `features`, so that
    the mean square of an input is 1; or, of the form `words`, `Ids(None, features)`, see `word_ids`. Splits are the
    official ones; a text whose input stands in two of them stays in test, else in validation.

    Args:
        domains: names of domains; `None` takes all ten, in the order of the file.
        data: the data folder; see `data_folder`.
        seed: draws `train`; without it, nothing is drawn.
        train: the most training samples, balanced by intent; see `limited`.
        features: how many; of the form `words`, the ids there are.
        ngrams: up to how many words make one n-gram.
        form: `ngrams`, or `words`, in their order.

    Raises:
        DataError: no such domain, or the file is missing or broken.

    Example:
        >>> clinc150(data="/nowhere")
        Traceback (most recent call last):
        pathways.errors.DataError: `--data` must name an existing folder, found '/nowhere': correct the name.
    """
    require_positive(features=features, ngrams=ngrams)
    if form not in FORMS:
        raise DataError(f"`form` must be one of {list(FORMS)}, found {form!r}.")
    rows = [row for row in _read(find_file(data_folder(data) / "text" / "clinc150.tsv.gz")) if row[1] != "oos"]
    known = list(dict.fromkeys(row[1] for row in rows))
    tasks = []
    for domain in known if domains is None else domains:
        if domain not in known:
            raise DataError(f"`domains` must name some of {known}, found {domain!r}.")
        mine = [row for row in rows if row[1] == domain]
        tasks.append(_task(domain, mine, features, None if form == "words" else ngrams, train, seed))
    return tasks


def hashed(texts: Sequence[str], features: int, ngrams: int) -> Tensor:
    """Texts as float32 (N, features): signed counts of hashed n-grams of words, each row scaled to length 1.

    `x[h(g)] += s(g)` for each n-gram g, with MurmurHash3 for the place h and the sign s: collisions cancel in the
    mean (Weinberger et al. 2009, arXiv:0902.2206). Words are runs of letters, digits and underscores, in lower case.
    No vocabulary is kept, so nothing is learned from other splits.

    >>> x = hashed(["pay my bill", "My bill: pay!"], 64, 1)
    >>> torch.equal(x[0], x[1]), x.abs().round(decimals=3).unique().tolist()
    (True, [0.0, 0.577...])
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(n_features=features, ngram_range=(1, ngrams), token_pattern=r"(?u)\b\w+\b")
    return torch.from_numpy(vectorizer.transform(texts).toarray()).float()


def word_ids(texts: Sequence[str], vocabulary: int) -> Masked:
    """Texts as ids (N, length) of their words in order, `1 + h(word) mod (vocabulary - 1)`; 0 stands in padded places.

    h is CRC-32 of the word in lower case; words are as in `hashed`. A text without any has one place, of id 0.

    >>> ids = word_ids(["Pay my bill", "my BILL"], 100)
    >>> ids.mask.sum(1).tolist(), bool((ids.value[0, 1:] == ids.value[1, :2]).all())
    ([3, 2], True)
    """
    rows = [[1 + zlib.crc32(w.encode()) % (vocabulary - 1) for w in _WORD.findall(text.lower())] for text in texts]
    rows = [row or [0] for row in rows]
    values = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    mask = torch.zeros_like(values, dtype=torch.bool)
    for i, row in enumerate(rows):
        values[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return Masked(values, mask)


def _task(domain: str, rows: Sequence[Row], features: int, ngrams: int | None, train: int | None, seed: int) -> Task:
    """Of n-grams, or, without `ngrams`, of words in their order."""
    port: Port = Ids(None, features) if ngrams is None else Vector(features)
    name, ports = f"clinc150/{domain}", {"text": port}
    intents = sorted({intent for _, _, intent, _ in rows})
    splits = {}
    for part, which in PARTS.items():
        mine = [row for row in rows if row[0] == part]
        if not mine:
            raise DataError(f"domain {domain!r} must have rows of split {part!r}, found none: check the file.")
        targets = torch.tensor([intents.index(row[2]) for row in mine])
        texts = [row[3] for row in mine]
        value = word_ids(texts, features) if ngrams is None else hashed(texts, features, ngrams)
        splits[which] = Split({"text": value}, targets)
    splits, note = without_leaks(name, splits, ports)
    splits = limited(name, splits, train, seed)
    target = Classes(len(intents), tuple(intents))
    transform = {} if ngrams is None else {"text": Affine(math.sqrt(features))}
    return Task(name, ports, target, splits, transform=transform, source=SOURCE + note)


def _read(path: Path) -> list[Row]:
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{str(path)!r} must be a gzip file of UTF-8 text ({error}): copy it again.") from None
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise DataError(f"{str(path)!r} must begin with the tab-separated header {list(COLUMNS)}, found {lines[:1]}.")
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS) or cells[0] not in PARTS:
            raise DataError(
                f"line {number} of {str(path)!r} must be a split of {list(PARTS)}, domain, intent and text, "
                f"tab-separated, found {line!r}."
            )
        rows.append((cells[0], cells[1], cells[2], cells[3]))
    return rows

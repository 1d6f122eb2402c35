"""Where tests find the external data sets, and skip without them; and small files of the same formats."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


def external(name: str) -> Path:
    """The data folder, if it holds `name`; skips the test otherwise."""
    for folder in (os.environ.get("PATHWAYS_DATA"), _BESIDE):
        if folder and (Path(folder) / name).exists():
            return Path(folder)
    pytest.skip(f"no {name} in PATHWAYS_DATA or in a folder shared/data beside the repository")


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Write bytes in IDX format, gzipped where the name says so."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_idx_folder(folder: Path, suffix: str = ".gz", train: int = 60, test: int = 24) -> Path:
    """An IDX folder of three classes of random 6x5 images."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", rng.integers(0, 256, (count, 6, 5)))
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count) % 3)
    return folder


def write_cmaterdb(folder: Path, train: int = 40, test: int = 20) -> Path:
    """A file of numerals in which each digit is random ink of its own share; returns the data folder."""
    rng, arrays = np.random.default_rng(0), {}
    for script in ("bangla", "devanagari", "telugu"):
        for which, count in (("train", train), ("test", test)):
            labels = np.arange(count) % 10
            ink = rng.random((count, 1024)) < (labels[:, None] + 1) / 12
            arrays |= {f"{script}_{which}_images": np.packbits(ink, axis=1), f"{script}_{which}_labels": labels}
    np.savez(folder / "cmaterdb-numerals.npz", **arrays)  # type: ignore[arg-type]
    return folder


def write_fsdd(folder: Path, takes: int = 9, seconds: float = 0.15) -> Path:
    """A file of spoken digits in which each digit is a tone, of two speakers of different loudness."""
    rng, rate = np.random.default_rng(0), 8000
    time = np.arange(int(seconds * rate)) / rate
    takes_, speaker, digit = (x.ravel() for x in np.meshgrid(range(takes), range(2), range(10), indexing="ij"))
    tones = np.sin(2 * np.pi * 300 * (digit[:, None] + 1) * time) + 0.1 * rng.normal(size=(len(digit), len(time)))
    audio = (tones * np.where(speaker == 0, 200, 5000)[:, None]).astype(np.int16)
    np.savez(
        folder / "fsdd.npz", audio=audio.ravel(), offsets=np.arange(len(digit) + 1) * len(time), take=takes_,
        digit=digit, speaker=speaker, speaker_names=np.array(["ann", "bob"]), sample_rate=rate,
    )  # fmt: skip
    return folder


def write_clinc(folder: Path, lines: list[str] | None = None) -> Path:
    """A file of two domains of two intents, and rows out of scope; returns the data folder."""
    if lines is None:
        lines = ["split\tdomain\tintent\ttext", "train\toos\toos\thow are you"]
        for split, count in (("train", 8), ("val", 3), ("test", 4)):
            for domain, intents in (("bank", ("pay", "balance")), ("trip", ("book", "cancel"))):
                lines += [f"{split}\t{domain}\t{i}\t{i} {split} number {n}" for n in range(count) for i in intents]
    (folder / "text").mkdir(exist_ok=True)
    (folder / "text" / "clinc150.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder

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

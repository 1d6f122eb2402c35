"""Where tests find the published affinity tables, and skip without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "affinity"


def published(name: str) -> Path:
    """A file of the published tables; skips the test where it is not at hand."""
    for folder in (os.environ.get("PATHWAYS_AFFINITY"), _BESIDE):
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
    pytest.skip(f"no {name} in PATHWAYS_AFFINITY or in a folder shared/affinity beside the repository")

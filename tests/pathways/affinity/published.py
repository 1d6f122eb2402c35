"""Where tests find the published tables, and skip without them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_BESIDE = Path(__file__).resolve().parents[4] / "shared" / "affinity"


def published(name: str) -> Path:
    """A published table; skips the test where there is none."""
    for folder in (os.environ.get("PATHWAYS_TABLES"), _BESIDE):
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
    pytest.skip(f"no {name} in PATHWAYS_TABLES or in a folder shared/affinity beside the repository")


def expected(name: str) -> Any:
    """A file of published answers."""
    return json.loads(published(name).read_text())

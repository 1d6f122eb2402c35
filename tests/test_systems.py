"""The table of published systems: presets, families and tests that it names are there."""

import re
from pathlib import Path

import pytest

from pathways.evolve.presets import MUNET_PRESETS, PRESETS
from pathways.modules import FAMILIES
from pathways.preset import presets
from pathways.wiring import WIRINGS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "systems.md").read_text()
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"\| [BHRT]\d", line)]
NAMES = [name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())]
CHECKED_ELSEWHERE = {"H1"}  # PathNet's tests are older than the names


@pytest.mark.parametrize("row", [code for cells in ROWS for code in re.findall(r"[BHRT]\d+", cells[0])])
def test_each_row_has_its_check(row: str) -> None:
    assert row in CHECKED_ELSEWHERE or any(f"_{row.lower()}_" in f"{name}_" for name in NAMES)


def test_what_the_table_names_is_there() -> None:
    known = {*presets(), *FAMILIES, *WIRINGS, *PRESETS, *MUNET_PRESETS}
    for cells in ROWS:
        for said in re.findall(r"presets? ((?:`[\w-]+`(?:, )?)+)", cells[2]):
            for name in re.findall(r"`([\w-]+)`", said):
                assert name in known, f"row {cells[0]} names the preset {name}, which is not there"


def test_every_preset_stands_in_the_table() -> None:
    plain = {"mlp", "residual-mlp", "convnet", "blind", "class-token", "progressive", "mixture-of-mlps", "pixel-tokens",
             "audio-frames", "row-fields", "output-queries", "multipath"}  # fmt: skip
    assert {name for name in presets() if f"`{name}`" not in PAGE} <= plain

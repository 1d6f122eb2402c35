"""The page of families is what its command writes now."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pathways.experiments import families_page
from pathways.modules import FAMILIES

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOUND = families_page.uses()


def test_every_family_is_on_the_page() -> None:
    assert set(FOUND) == set(FAMILIES)


def test_the_page_is_not_stale() -> None:
    assert (DOCS / "families.md").read_text() == families_page.page(FOUND), (
        "write it again: python -m pathways.experiments.families_page docs"
    )


def test_the_drawings_are_not_stale() -> None:
    drawn = {file.stem: file.read_text() for file in (DOCS / families_page.FOLDER).glob("*.svg")}
    assert set(drawn) == set(FOUND)
    for name, use in FOUND.items():
        assert drawn[name] == families_page.picture(use), (
            f"draw {name} again: python -m pathways.experiments.families_page docs"
        )


@pytest.mark.parametrize("name", ["transformer", "lora", "learned_tokens"])
def test_a_drawing_shows_what_is_read_and_held(name: str) -> None:
    use = FOUND[name]
    root = ElementTree.fromstring(families_page.picture(use))
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert name in words
    for layer in families_page.layers_of(use)[:7]:
        assert any(layer.startswith((word or "").rstrip("…")) for word in words), layer


def test_the_command_writes_page_and_drawings(tmp_path: Path) -> None:
    (tmp_path / families_page.FOLDER).mkdir(parents=True)
    gone = tmp_path / families_page.FOLDER / "gone.svg"
    gone.write_text("<svg/>")
    assert families_page.main([str(tmp_path)]) == 0
    assert (tmp_path / "families.md").read_text() == families_page.page(FOUND)
    assert not gone.exists()

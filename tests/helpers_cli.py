"""What tests of the command line share: a configuration as a file, and the run that it makes."""

from pathlib import Path

import pytest

from pathways.experiments.cli import main


def written(factory: pytest.TempPathFactory, text: str) -> Path:
    """A configuration file with that text, in a folder of its own."""
    file = factory.mktemp("config") / "config.yaml"
    file.write_text(text)
    return file


def finished(factory: pytest.TempPathFactory, config: Path) -> Path:
    """The directory of a finished run of the configuration."""
    out = factory.mktemp("runs") / "run"
    assert main(["run", str(config), "--out", str(out), "--quiet"]) == 0
    return out

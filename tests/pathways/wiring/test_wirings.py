"""The table of wirings: each is imported when it is used, read from plain data, and used by a path that ships."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import signature
from typing import Any

import pytest
import yaml

from pathways import preset as presets_module
from pathways.errors import ConfigError
from pathways.path import Path
from pathways.preset import path_from, presets
from pathways.wiring import WIRINGS

SAID = {
    name: yaml.safe_load((presets_module._HOME / f"{name}.yaml").read_text(encoding="utf-8"))
    for name in presets()
}
WIRED = {name: data for name, data in SAID.items() if "wiring" in data}


@pytest.mark.parametrize("name", sorted(WIRINGS))
def test_every_wiring_says_what_it_takes_and_where_it_is_from(name: str) -> None:
    file, function = WIRINGS[name].split(":")
    build = getattr(import_module(f"pathways.wiring.{file}"), function)
    first, *others = signature(build).parameters.values()
    assert first.name == "inputs"
    assert all(each.kind is each.KEYWORD_ONLY and each.default is not each.empty for each in others)
    home = import_module(build.__module__).__doc__ or ""
    assert "Reference: " in (build.__doc__ or "") + home
    assert "Example:" in (build.__doc__ or "") or name == "middle_fusion"


def test_every_wiring_is_used_by_a_path_that_ships() -> None:
    assert {next(iter(data["wiring"])) for data in WIRED.values()} == set(WIRINGS)


@pytest.mark.parametrize("name", sorted(WIRED))
def test_a_wired_path_is_plain_data(name: str) -> None:
    path = path_from(WIRED[name])
    assert Path.from_json(path.to_json()) == path
    assert path_from(WIRED[name]).hash == path.hash


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        ({"bottleneck": {"layer": 2}}, r"`root`: wiring `bottleneck` takes \[.*'layers'.*\], found \['layer'\]"),
        ({"bottleneck": {"mode": "max"}}, r"do not fit: `mode` must be one of \('mean', 'sequential'\), found 'max'\."),
        ({"bottlenecks": {}}, "`wiring` must name one of .*'bottleneck'.* found {'bottlenecks'"),
    ],
)
def test_settings_that_do_not_fit_are_named(wiring: Any, message: str) -> None:
    inputs = {"a": {"port": "vector", "dim": 4}, "b": {"port": "vector", "dim": 3}}
    with pytest.raises(ConfigError, match=message):
        path_from({"inputs": inputs, "wiring": wiring})


def test_the_table_imports_nothing() -> None:
    code = "import sys, pathways.wiring; print(sorted(m for m in sys.modules if 'wiring.' in m or m == 'torch'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

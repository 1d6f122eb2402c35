"""Citations: the table is complete, the entries are BibTeX, and what a run used is what is printed."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from pathlib import Path as FilePath

import pytest
import yaml
from helpers_tiny import run_of_one

import pathways
from pathways import affinity, citing
from pathways.affinity.table import ESTIMATORS
from pathways.citations import CITED, cited, entries
from pathways.data import SOURCES
from pathways.evolve.measured.table import MEASURED
from pathways.experiments.tables import STRATEGIES
from pathways.modules import BUILT_IN, FAMILIES
from pathways.preset import presets

ARXIV = re.compile(r"\d{4}\.\d{5}")
FIELD = re.compile(r"^ {2}(\w+) *= \{(.*)\},$")


def fields(entry: str) -> dict[str, str]:
    """The fields of an entry; each stands in a line of its own."""
    lines = entry.splitlines()[1:-1]
    found = [FIELD.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return {match[1]: match[2] for match in found if match}


def eprints(keys: tuple[str, ...]) -> set[str]:
    return {fields(entries()[key]).get("eprint", "") for key in keys}


# -- entries ------------------------------------------------------------------------------------------------


def test_every_entry_of_the_file_is_read() -> None:
    text = FilePath(pathways.__file__).with_name("citations.bib").read_text()
    assert len(entries()) == text.count("\n@") > 100
    assert len(re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)) == len(entries()), "a key stands twice"


@pytest.mark.parametrize("key", sorted(entries()))
def test_entries_are_valid_bibtex(key: str) -> None:
    entry = entries()[key]
    assert re.match(r"@(article|inproceedings|book|misc|techreport)\{[a-z]+\d{4}\w*,\n", entry)
    depth = 0
    for character in re.sub(r"\\.", "", entry):
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    found = fields(entry)
    assert {"author", "title", "year"} <= set(found)
    assert re.fullmatch(r"(18|19|20)\d\d", found["year"])
    assert re.sub(r"[^a-z]", "", key.partition(found["year"])[0]) or key, key
    assert not re.search(r"(?<!\\)[&%#]", found["title"] + found["author"]), "characters that TeX reads otherwise"
    assert all(found.values())
    for author in found["author"].split(" and "):
        assert "," in author or author == "others" or author.startswith("{"), author
    if eprint := found.get("eprint"):
        assert ARXIV.fullmatch(eprint) or re.fullmatch(r"\d{4}\.\d{4}", eprint)
        assert found["archivePrefix"] == "arXiv"
    kinds = {"article": "journal", "inproceedings": "booktitle", "book": "publisher", "techreport": "institution"}
    kind = entry[1 : entry.index("{")]
    assert kind == "misc" or kinds[kind] in found


def test_eprints_and_keys_are_unique_and_all_are_cited() -> None:
    every = [fields(entry).get("eprint") for entry in entries().values()]
    real = [eprint for eprint in every if eprint]
    assert len(real) == len(set(real))
    named = {key for kind in CITED.values() for keys in kind.values() for key in keys}
    assert named == set(entries()), "an entry that nothing names, or a name without an entry"


# -- the table is complete ----------------------------------------------------------------------------------


def ids(text: str) -> set[str]:
    return set(re.findall(r"\d{4}\.\d{4,5}", text))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_cites_what_it_refers_to(name: str) -> None:
    reference = BUILT_IN[name].reference or ""
    keys = cited("family", name)
    assert ids(reference) <= eprints(keys)
    assert bool(keys) == bool(reference)
    assert all(fields(entries()[key])["year"] in reference or ids(reference) & eprints((key,)) for key in keys)


@pytest.mark.parametrize("name", presets())
def test_every_preset_cites_what_it_refers_to(name: str) -> None:
    file = FilePath(pathways.__file__).parent / "presets" / f"{name}.yaml"
    reference = yaml.safe_load(file.read_text())["reference"]
    assert ids(reference) <= eprints(cited("preset", name))
    assert cited("preset", name)


def test_every_strategy_is_cited() -> None:
    assert set(STRATEGIES) <= set(CITED["strategy"])


@pytest.mark.parametrize("name", sorted({*ESTIMATORS, *MEASURED}))
def test_every_estimator_cites_what_it_refers_to(name: str) -> None:
    said = ""
    if name in ESTIMATORS:
        said = getattr(affinity, name).__doc__ or ""
    else:
        file, _, function = MEASURED[name].partition(":")
        said = getattr(importlib.import_module(f"pathways.evolve.measured.{file}"), function).__doc__ or ""
    reference = said[said.find("Reference") :]
    assert cited("estimator", name)
    assert ids(reference) <= eprints(cited("estimator", name)), reference


def test_every_source_of_published_data_is_cited() -> None:
    own = {"csv", "npz", "idx_folder", "image_folder"}  # data of one's own
    assert set(SOURCES) - own == set(CITED["source"])


# -- what a run used ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return run_of_one(tmp_path_factory.mktemp("cited") / "run")


def keys_of(directory: FilePath, config: object, tmp_path: FilePath) -> list[str]:
    """The keys that a run of that configuration is cited by."""
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    (copy / "config.yaml").write_text(json.dumps(config))
    with pathways.System.open(copy) as system:
        return [citation.key for citation in citing.citations(system)]


def test_a_run_cites_its_families_its_training_and_the_toolkit(run: FilePath) -> None:
    with pathways.System.open(run) as system:
        found = citing.citations(system)
        text = system.cite()
        assert text == pathways.cite(system) == citing.bibtex(found)
    keys = [citation.key for citation in found]
    assert len(keys) == len(set(keys))
    assert {"rumelhart1986learning", "bishop2006pattern", "paszke2019pytorch"} <= set(keys)
    assert keys[-1] == citing.TOOLKIT
    assert "% used for: family linear\n@article{rumelhart1986learning," in text
    assert "lopezpaz2017gem" not in keys, "one task has no transfer to measure"


@pytest.mark.parametrize(("config", "there", "absent"), [
    ({"strategy": {"munet": {"mutable_rates": False}}}, {"gesmundo2022munet"}, {"gesmundo2022mu3net"}),
    ({"strategy": {"munet": {"mutable_rates": True}}}, {"gesmundo2022mu3net"}, {"gesmundo2023mu4net"}),
    ({"strategy": {"munet": {"multipath": True}}}, {"gesmundo2023mu4net"}, {"whitley1989genitor"}),
    ({"strategy": {"pathnet": {}}, "controls": ["fine-tune"]}, {"fernando2017pathnet", "vandeven2019three"}, set()),
    ({"strategy": {"munet": {"steady": True, "guard": {"alpha": 0.05}}}}, {"real2017large", "wang2019negative"}, set()),
    ({"strategy": {"munet": {"hyperparameters": {"optuna": {"sampler": "tpe"}}}}},
     {"akiba2019optuna", "bergstra2011tpe"}, {"golovin2017vizier"}),
    ({"strategy": {"munet": {"racing": {"pruner": {"name": "median"}}}}}, {"golovin2017vizier"}, {"mcnemar1947note"}),
    ({"strategy": {"munet": {"racing": {"paired": {}}}}}, {"mcnemar1947note", "maron1994hoeffding"}, set()),
    ({"strategy": {"munet": {"parents": {"prior": {"estimator": "logme"}}}}},
     {"thompson1933likelihood", "you2021logme"}, {"nguyen2020leep"}),
    ({"tasks": [{"source": "omniglot"}, "wine"]}, {"lake2015human", "aeberhard1991wine"}, {"moritz2018ray"}),
    ({"tasks": [{"source": "omniglot", "jointly": {"estimator": "lookahead"}}]}, {"fifty2021tag"}, set()),
    ({"affinity": {"estimators": [{"transfer": {"orders": [2]}}, "logme"], "rule": ""}},
     {"zamir2018taskonomy", "you2021logme"}, {"nguyen2020leep"}),
    ({"root": {"preset": "mamba"}, "engine": {"kind": "ray"}}, {"gu2023mamba", "moritz2018ray"}, set()),
])  # fmt: skip
def test_what_a_configuration_turns_on_is_cited(
    run: FilePath, config: object, there: set[str], absent: set[str], tmp_path: FilePath
) -> None:
    keys = set(keys_of(run, config, tmp_path))
    assert there <= keys
    assert not absent & keys


@pytest.mark.parametrize("config", [{"strategy": 3}, {"tasks": 4, "controls": 7}, {"root": {"preset": [3]}}, {
    "roots": 3, "affinity": {"estimators": 4}, "engine": 2, "at_once": 2}])
def test_an_odd_configuration_is_cited_by_what_can_be_read(run: FilePath, config: object, tmp_path: FilePath) -> None:
    assert "rumelhart1986learning" in keys_of(run, config, tmp_path)


def test_the_text_of_an_entry_says_what_it_was_used_for() -> None:
    made = citing.Citation("a2020", ("family a", "setting b"), "@misc{a2020,\n}")
    assert citing.bibtex([made]).splitlines()[0] == "% used for: family a; setting b"
    assert made.to_json()["used_for"] == ["family a", "setting b"]

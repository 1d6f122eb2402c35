"""`pathways group` from the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from pathways.affinity import Affinity, write_json
from pathways.experiments.cli import main

LOSSES = """network,cost,seg,depth,edges
seg_half,0.5,0.30,,
edges_half,0.5,,,0.20
depth,1,,0.40,
seg|depth,1,0.24,0.38,
all,1,0.28,0.45,0.17
"""
PAIRS = "affected_task,a,b,c\na,,3,1\nb,3,,1\nc,1,2,\n"
FIRST = "target,a,b,random,self\nt,0.2,0.3,9,\nu,0.4,0.1,9,0.6\n"
SECOND = "target,order,sources,affinity\nt,2,a|b,0.8\n"


@pytest.fixture
def files(tmp_path):
    """By name, the file of each table."""
    texts = {"losses": LOSSES, "test": LOSSES.replace("0.24", "0.5"), "pairs": PAIRS, "first": FIRST, "second": SECOND}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in texts}


def asked(capsys, *arguments):
    """What the command prints as JSON."""
    assert main(["group", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("budget", "value", "networks"), [
    ("1", 0.90, ["all"]), ("1.5", 0.82, ["edges_half", "seg|depth"]), ("2", 0.79, ["seg|depth", "all"]),
    ("1000", 0.79, ["seg|depth", "all"]),
])  # fmt: skip
def test_the_example_of_the_documents(files, capsys, budget, value, networks):
    found = asked(capsys, files["losses"], "--budget", budget)
    assert found["value"] == pytest.approx(value)
    assert [network["name"] for network in found["networks"]] == networks
    assert found["optimal"] is True
    assert found["gap"] == 0
    assert found["seconds"] >= 0
    assert all(task in found["networks"][at]["tasks"] for task, at in found["serves"].items())
    assert sum(network["cost"] for network in found["networks"]) <= float(budget)


def test_rules_and_senses(files, capsys):
    assert asked(capsys, files["losses"], "--budget", "2", "--rule", "disjoint")["value"] == pytest.approx(0.82)
    assert asked(capsys, files["losses"], "--budget", "2", "--sense", "max")["value"] == pytest.approx(0.3 + 0.45 + 0.2)
    assert asked(capsys, files["pairs"], "--budget", "2")["value"] == pytest.approx(8 / 3)
    assert asked(capsys, files["pairs"], "--budget", "2", "--single", "9")["value"] == pytest.approx((3 + 3 + 9) / 3)
    assert asked(capsys, files["pairs"], "--budget", "3", "--single", "-1e6")["value"] == pytest.approx(8 / 3)
    transfers = asked(capsys, files["first"], files["second"], "--budget", "2")
    assert transfers["transfers"] == {"t": "a|b", "u": "a"}
    priced = asked(capsys, files["first"], "--budget", "2", "--source-cost", "a=3")
    assert [network["name"] for network in priced["networks"]] == ["b", "u"]


def test_a_matrix_this_package_wrote(tmp_path, capsys):
    names = ("a", "b", "c")
    found = Affinity(names, names, "co-training", "lookahead", "1 - L'/L", np.arange(18.0).reshape(2, 1, 3, 3))
    file = str(write_json(found, tmp_path / "m.json"))
    assert asked(capsys, file, "--budget", "1")["networks"] == [{"tasks": list(names), "cost": 1.0}]
    assert main(["group", file, "--budget", "1", "--rule", "taskonomy"]) == 2
    assert "kinds are different quantities" in capsys.readouterr().err


def test_the_value_on_a_test_table(files, capsys):
    found = asked(capsys, files["losses"], "--budget", "2", "--score-on", files["test"])
    assert found["score_on"]["served"] == pytest.approx(0.5 + 0.38 + 0.17)
    assert found["score_on"]["value"] == pytest.approx(0.28 + 0.38 + 0.17)


def test_the_text_for_people(files, capsys):
    assert main(["group", files["losses"], "--budget", "2", "--score-on", files["test"]]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0].split() == ["1.", "seg|depth", "cost", "1,", "serves", "seg,", "depth"]
    assert text[2] == "Value 0.79 (sum over tasks, lower is better): 2 networks, cost 2 of 2; proven best."
    assert text[3].endswith("0.83 with each task's best network there, 1.05 with those that serve it above.")
    assert main(["group", files["first"], files["second"], "--budget", "2"]) == 0
    assert "takes part for t" in capsys.readouterr().out
    assert main(["group", files["losses"], "--budget", "2", "--hoa", "--solver", "greedy"]) == 0
    assert "Value 0.82" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "why"), [
    (["losses", "--budget", "0.9"], "`budget` must be at least 1 for every task to be served, found 0.9: raise it."),
    (["losses", "--budget", "some"], "`budget` must be a number"),
    (["losses", "--budget", "1e400"], "`budget` must be 0 or a number from 1e-15 to 1e15, found '1e400'"),
    (["losses", "--budget", "-1e3"], "`budget` must be a number of at least 0, found '-1e3'"),
    (["losses", "--budget", "2", "--single", "1"], "`single` must come with a pair matrix"),
    (["pairs", "--budget", "2", "--single", "low"], "`--single` must be a finite number or `diagonal`, found 'low'"),
    (["pairs", "--budget", "2", "--hoa"], "`--hoa` needs a performance table"),
    (["first", "--budget", "2", "--source-cost", "a"], "`--source-cost` must be NAME=COST, found 'a'"),
    (["pairs", "--budget", "2", "--score-on", "pairs"], "`--score-on` needs performance tables"),
    (["losses", "--budget", "2", "--score-on", "pairs"], "`--score-on` must be a performance table"),
    (["losses", "losses", "--budget", "2"], "several tables must all be transfers"),
    (["losses", "--budget", "2", "--solver", "branch-and-bound"], "`solver` must be one that fits"),
])  # fmt: skip
def test_bad_input_is_one_sentence(files, capsys, arguments, why):
    assert main(["group", *(files.get(argument, argument) for argument in arguments)]) == 2
    said = capsys.readouterr()
    assert why in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_it_starts_without_torch(files):
    program = (
        "import sys\nfrom pathways.experiments.cli import main\n"
        f"assert main(['group', {files['losses']!r}, '--budget', '2']) == 0\n"
        "print([n for n in ('torch', 'scipy', 'sklearn', 'matplotlib', 'sqlalchemy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

"""Tables are read by their header, and what is wrong with one is said with its line."""

import json
from fractions import Fraction

import numpy as np
import pytest

from pathways.affinity import Affinity, PerformanceTable, read_table, write_csv, write_json
from pathways.affinity.table_files import from_text, joined
from pathways.errors import ConfigError, DataError


def test_performance_tables():
    table = from_text("\n# mine\nnetwork,cost, a ,b\nboth, 1.0, 0.5,0.25\nhalf,0.1,,-3e-1\n")
    assert isinstance(table, PerformanceTable)
    assert (table.tasks, table.names, table.costs) == (("a", "b"), ("both", "half"), (Fraction(1), Fraction(1, 10)))
    assert np.array_equal(table.values, [[0.5, 0.25], [np.nan, -0.3]], equal_nan=True)
    assert not table.higher_is_better
    assert from_text("network,cost,a\nn,1,2\n", higher_is_better=True).higher_is_better


def test_pair_matrices_and_what_this_package_wrote(tmp_path):
    assert from_text("affected_task,a,b\nb,1,2\na,,4\n")["b", "a"] == 1
    found = Affinity(("a", "b"), ("a", "b"), "dependence", "cpdt", "points", np.ones((2, 3, 2, 2)), False)
    for file in (write_csv(found, tmp_path / "a.csv"), write_json(found, tmp_path / "a.json")):
        read = read_table(file)
        assert (read.kind, read.higher_is_better, read.repeats) == ("dependence", False, 2)
        assert read_table(file, True).higher_is_better


def test_transfers_of_first_and_higher_order_are_one_matrix(tmp_path):
    wide = from_text("target,a,self\nt,0.2,0.8\nu,,0.5\n")
    long = from_text("target,order,sources,affinity,win\nt,2,a|b,0.9,1\nu,1,b,0.1,\n")
    table = joined([wide, long])
    assert (table.kind, table.affected, table.sources) == ("transfer", ("t", "u"), ("a", "self", "a|b", "b"))
    assert np.array_equal(table.values, [[0.2, 0.8, 0.9, np.nan], [np.nan, 0.5, np.nan, 0.1]], equal_nan=True)
    assert joined([wide]) is wide
    with pytest.raises(DataError, match="'a' to 't' twice"):
        joined([wide, wide])
    with pytest.raises(DataError, match="same sense"):
        joined([wide, from_text("target,b\nt,0.2\n", higher_is_better=False)])
    with pytest.raises(ConfigError, match="must all be transfers"):
        joined([wide, from_text("affected_task,a\na,1\n")])


@pytest.mark.parametrize(("text", "why"), [
    ("", "must begin with the header"),
    ("name,cost,a\n", "must begin with the header"),
    ("network,cost\nn,1\n", "line 1: the header must have a different name"),
    ("network,cost,a,a\nn,1,2,3\n", "line 1: the header must have a different name"),
    ("network,cost,a\n", "must have a row below its header"),
    ("network,cost,a\nn,1,2\nn,1,3\n", "line 3: must name each network once, found 'n' again"),
    ("network,cost,a\nn,1,2,3\n", "line 2: must have 3 cells like the header, found 4"),
    ("network,cost,a\n,1,2\n", "line 2: the first cell must be a name"),
    ("network,cost,a\n# so\nn,-1,2\n", "line 3: `cost` must be a number of at least 0, found '-1'"),
    ("network,cost,a\nn,inf,2\n", "line 2: `cost` must be a number"),
    ("network,cost,a\nn,1,lots\n", "line 2: a value must be a finite number or empty, found 'lots'"),
    ("network,cost,a\nn,1,inf\n", "line 2: a value must be a finite number"),
    ("network,cost,a\nn,1,\n", "line 2: network 'n' must have a task"),
    ("affected_task,a,a\na,1,1\n", "line 1: the header must have a different name"),
    ("affected_task,a\na,x\n", "line 2: a value must be a number or empty, found 'x'"),
    ("affected_task,a\na,inf\n", "infinite one for 'a' and 'a'"),
    ("target,a\nt,1\nt,2\n", "line 3: must name each target once"),
    ("target,order,sources,win\nt,1,a,1\n", "line 1: the fourth column must be `affinity`"),
    ("target,order,sources,affinity\nt,2,a,1\n", "line 2: `sources` must be as many"),
    ("target,order,sources,affinity\nt,2,a|a,1\n", "line 2: `sources` must be as many"),
    ("target,order,sources,affinity\nt,2,a|b,1\nt,2,b|a,1\n", "line 3: must give each transfer once"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text, why):
    with pytest.raises(DataError) as error:
        from_text(text, "mine.csv")
    assert str(error.value).startswith("mine.csv")
    assert why in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    for name in ("none.csv", "none.json"):
        with pytest.raises(DataError, match="can be read"):
            read_table(tmp_path / name)
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="can be read"):
        read_table(tmp_path / "a.csv")


def test_names_in_quotes_and_comments():
    head = 'network,cost, "a, b" ,"c\nd","e ""f"""\n'
    table = from_text(head + '"#1",1,1,2,3\n# and, so, on,,\n\n#2,1,1,2,3\nx\u2028y,1,,2,\n')
    assert table.tasks == ("a, b", "c\nd", 'e "f"')
    assert table.names == ("#1", "x\u2028y")
    with pytest.raises(DataError, match="line 5: `cost`"):
        from_text('network,cost,"a\nb"\nn,1,2\n# so\nm,x,2\n')
    with pytest.raises(DataError, match="line 2: must be a row of cells, found that field larger"):
        from_text("network,cost,a\n" + "n" * 200_000 + ",1,2\n")


def test_matrices_with_odd_names_come_back(tmp_path):
    names = ("#a", 'b "c", d', "e\nf", "ü|1")
    found = Affinity(names, names, "co-training", "table", "", np.arange(32.0).reshape(2, 1, 4, 4))
    for file in (write_csv(found, tmp_path / "a.csv"), write_json(found, tmp_path / "a.JSON")):
        read = read_table(file)
        assert (read.affected, read.sources) == (names, names)
        assert np.array_equal(read.readings, found.readings)


@pytest.mark.parametrize(("head", "why"), [
    ("higher_is_better: False", "line 1: `higher_is_better` must be written as JSON, such as true"),
    ('higher_is_better: "no"', "`higher_is_better` must be true or false, found 'no'"),
    ("shared: 5", "`shared` must be a list of names, found 5"), ("about: []", "`about` must be a mapping"),
    ('kind: "both"', "`kind` must be one of"),
])  # fmt: skip
def test_what_a_matrix_says_of_itself_is_read_or_refused(head, why):
    with pytest.raises(DataError, match=r"mine\.csv") as error:
        from_text(f"# {head}\naffected_task,a\na,1\n", "mine.csv")
    assert why in str(error.value)


@pytest.mark.parametrize("change", [
    {"affected": "ab"}, {"affected": 5}, {"sources": [1, 2]}, {"steps": "x"}, {"steps": [True]}, {"shared": 3},
    {"about": 3}, {"higher_is_better": 1}, {"matrix": [[1, 2]]}, {"kind": ["transfer"]}, {"matrix": [["x", 1], [1, 1]]},
])  # fmt: skip
def test_json_that_is_no_matrix_is_refused_with_its_file(tmp_path, change):
    whole = {"affected": ["a", "b"], "sources": ["a", "b"], "kind": "co-training", "estimator": "x",
             "matrix": [[1, 2], [3, 4]]}  # fmt: skip
    file = tmp_path / "m.json"
    file.write_text("\ufeff" + json.dumps(whole))
    assert read_table(file)["b", "a"] == 3
    file.write_text(json.dumps({**whole, **change}))
    with pytest.raises(DataError, match=r"m\.json"):
        read_table(file)

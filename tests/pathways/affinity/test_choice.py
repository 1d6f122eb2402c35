"""`choose` against brute force, its solvers against each other, and what it refuses."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.affinity import Affinity, PerformanceTable, choose
from pathways.affinity import choice as choice_file
from pathways.affinity.check import checked_table, checked_transfers
from pathways.affinity.choice import as_performance, selected
from pathways.affinity.higher_order import scored
from pathways.affinity.highs import Programmed
from pathways.affinity.sources import by_branches, transfer_network
from pathways.affinity.subsets import Scale, by_subsets
from pathways.errors import ConfigError, DataError

nan = float("nan")


# -- tables to choose from --------------------------------------------------------------------------------------

# Few different values, so that there are ties; and any, of both signs.
values = st.integers(-2, 2).map(float) | st.floats(-10, 10).map(lambda v: round(v, 3))


@st.composite
def tables(draw, tasks=4, networks=7):
    """Performance tables with missing networks, several of the same tasks, and costs that are fractions."""
    count = draw(st.integers(1, tasks))
    rows = draw(st.lists(st.lists(st.none() | values, min_size=count, max_size=count), min_size=1, max_size=networks))
    rows = [row for row in rows if any(v is not None for v in row)]
    rows += [[draw(values) if i == j else None for i in range(count)] for j in range(count)]
    rows = draw(st.permutations(rows))
    costs = [draw(st.sampled_from(["0.1", "0.5", "1", "2/3", "3"])) for _ in rows]
    array = np.array([[nan if v is None else v for v in row] for row in rows])
    names = tuple(f"n{i}" for i in range(len(rows)))
    return PerformanceTable(tuple("abcd"[:count]), names, tuple(costs), array, draw(st.booleans()), draw(st.booleans()))


def brute_force(table, budget, disjoint=False):
    """The best value of all sets of networks, as a number where more is better; `None` where none is allowed."""
    best = None
    for size in range(1, len(table.tasks) + 1):
        for rows in itertools.combinations(range(len(table.names)), size):
            if sum(table.costs[n] for n in rows) > budget:
                continue
            part = table.merits[list(rows)]
            served = np.isfinite(part).sum(axis=0)
            if (served == 1).all() if disjoint else (served >= 1).all():
                value = part.max(axis=0).sum() / (len(table.tasks) if table.mean else 1)
                best = value if best is None else max(best, value)
    return best


budgets = st.sampled_from(["0.3", "1", "1.6", "5/3", "2.5", "40"]).map(Fraction)


# -- networks ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tables(), budgets, st.booleans())
def test_subsets_give_what_brute_force_gives(table, budget, disjoint):
    rule = "disjoint" if disjoint else None
    best = brute_force(table, budget, disjoint)
    if best is None:
        with pytest.raises(ConfigError, match=r"must be at least|exactly one"):
            choose(table, budget, rule)
        return
    found = choose(table, budget, rule)
    assert found.solver == "subsets"
    assert found.optimal
    assert found.gap == 0
    assert table.sign * found.value == pytest.approx(best, abs=1e-9)
    assert_allowed(table, found, budget, disjoint)


@settings(max_examples=25, deadline=None)
@given(tables(), budgets, st.booleans(), st.sampled_from(["highs", "greedy"]))
def test_other_solvers_agree_within_their_gap(table, budget, disjoint, solver):
    rule = "disjoint" if disjoint else None
    best = brute_force(table, budget, disjoint)
    try:
        found = choose(table, budget, rule, solver=solver)
    except ConfigError:
        assert best is None or solver == "greedy"  # which may end with a task that nothing serves
        return
    merit = table.sign * found.value
    assert merit <= best + 1e-9
    assert merit + found.gap >= best - 1e-9
    if solver == "highs" or found.optimal:
        assert merit == pytest.approx(best, abs=1e-9)
        assert found.optimal
    assert_allowed(table, found, budget, disjoint)


def assert_allowed(table, found, budget, disjoint=False):
    """What a selection says of itself is so, worked out from names alone."""
    rows = [table.names.index(network.name) for network in found.networks] if not table.mean else None
    if rows is None:  # networks of pair matrices have no names: any of the same tasks and cost
        return
    assert sum(table.costs[n] for n in rows) <= budget
    assert found.cost == pytest.approx(sum(float(table.costs[n]) for n in rows))
    assert set(found.serves) == set(table.tasks)
    assert set(found.serves.values()) == set(range(len(rows)))
    for task, at in found.serves.items():
        assert found.by_task[task] == table.values[rows[at], table.tasks.index(task)]
    if disjoint:
        assert sorted(task for network in found.networks for task in network.tasks) == sorted(table.tasks)


@settings(max_examples=20, deadline=None)
@given(tables())
def test_more_budget_is_never_worse(table):
    merits = []
    for budget in ("0.5", "1", "1.5", "2", "4", "100"):
        try:
            merits.append(table.sign * choose(table, budget).value)
        except ConfigError:
            assert not merits
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(merits))


def test_ties_prefer_fewer_networks_then_less_cost_then_fewer_tasks_then_the_table():
    def rows_of(costs, rows, budget=9):
        table = PerformanceTable(("a", "b"), tuple(map(str, range(len(rows)))), tuple(costs), rows)
        return [int(network.name) for network in choose(table, budget).networks]

    assert rows_of([1, 1, 2], [[1, nan], [nan, 1], [1, 1]]) == [2]
    assert rows_of([3, 2, 2], [[1, 1], [1, 1], [1, 1]]) == [1]
    assert rows_of([1, 1, 1], [[0, 5], [3, 1], [nan, 1]]) == [0, 2]
    assert rows_of([1, 1, 1], [[0.1, 0.2], [0.2, 0.1], [0.1 + 0.2, nan]], 1) == [0]


def test_costs_are_exact():
    table = PerformanceTable(tuple("abcdefghij"), tuple("abcdefghij"), ("0.1",) * 10, np.where(np.eye(10), 1.0, nan))
    assert choose(table, 1).cost == pytest.approx(1)
    with pytest.raises(ConfigError, match=r"`budget` must be at least 1 for every task to be served, found 0\.99"):
        choose(table, "0.99")
    with pytest.raises(ConfigError, match="`budget` must be a number of at least 0, found 'much'"):
        choose(table, "much")


@pytest.mark.parametrize(("cost", "why"), [
    ("1e400", "`cost` must be 0 or a number from 1e-15 to 1e15, found '1e400'"),
    ("1e-999999999", "from 1e-15 to 1e15"), ("9" * 30, "from 1e-15 to 1e15"), (1e300, "from 1e-15 to 1e15"),
    ("1e1e1", "`cost` must be a number of at least 0"), ("0.1234567890123456789", "multiples of one unit"),
])  # fmt: skip
def test_costs_too_fine_or_large_to_be_exact_are_refused(cost, why):
    with pytest.raises(ConfigError, match=why):
        choose(PerformanceTable(("a",), ("n", "m"), (cost, 1), [[0.5], [0.25]]), 1)


def test_one_costly_network_does_not_overflow_the_others():
    found = choose(PerformanceTable(("a", "b"), ("n", "m"), ("1e14", "0.01"), [[0.5, 0.5], [0.25, 2.0]]), "0.01")
    assert (found.groups, found.value, found.optimal) == ((("a", "b"),), 2.25, True)


def test_costs_without_a_coarse_unit_go_to_highs():
    rows = [[1, nan], [nan, 1], [1.5, 1.5]]
    table = PerformanceTable(("a", "b"), ("a", "b", "ab"), ("1.0000001", "1", "1.1"), rows)
    for budget, value in (("2", 3), ("2.0000001", 2)):
        found = choose(table, budget)
        assert (found.solver, found.value, found.optimal) == ("highs", value, True)


def test_networks_of_many_tasks_go_to_highs():
    rng = np.random.default_rng(0)
    tasks = tuple(f"t{i}" for i in range(18))
    inside = rng.random((40, 18)) < 0.5
    inside[0] = True
    table = PerformanceTable(
        tasks, tuple(map(str, range(40))), (1,) * 40, np.where(inside, rng.normal(size=(40, 18)), nan)
    )
    found = choose(table, 2)
    pairs = [inside[[i, j]].any(axis=0).all() for i, j in itertools.combinations(range(40), 2)]
    best = min(
        np.nanmin(table.values[list(rows)], axis=0).sum()
        for rows, fine in zip(itertools.combinations(range(40), 2), pairs, strict=True) if fine
    )  # fmt: skip
    assert (found.solver, found.optimal) == ("highs", True)
    assert found.value == pytest.approx(best, abs=1e-9)
    with pytest.raises(ConfigError, match="at least 1 for"):
        choose(table, 0)


def test_an_answer_that_is_not_allowed_is_never_returned(monkeypatch):
    table = PerformanceTable(("a", "b"), ("a", "b", "ab"), (1, 1, 1), [[1, nan], [nan, 1], [3, 3]])
    for wrong, why in (((0, 1), "it costs 2 of 1"), ((0,), "no network serves 'b'"), ((2, 2), "names a network twice")):
        monkeypatch.setattr(choice_file, "by_subsets", lambda *_, wrong=wrong: wrong)
        found = choose(table, 1)
        assert found.groups == (("a", "b"),)
        assert found.solver == "highs"
        [said] = found.about["rejected"]
        assert why in said
    monkeypatch.setattr(choice_file, "by_program", lambda *_, **__: Programmed((0, 1), 0.0))
    found = choose(table, 1)
    assert found.solver == "greedy"
    assert found.value == 6


def test_a_wrong_choice_is_seen_by_the_check():
    table = PerformanceTable(("a", "b"), ("a", "ab"), (1, 1), [[1, nan], [2, 2]])
    assert checked_table(table, (0, 1), Fraction(2), True) == "2 networks hold 'a'"
    assert checked_table(table, (0, 1), Fraction(2), False) == ({"a": 0, "b": 1}, {"a": 1.0, "b": 2.0})
    with pytest.raises(ConfigError, match="must be allowed, found that it costs 2 of 1"):
        selected(table, (0, 1), Fraction(1), "standley", "greedy")


# -- groups of a pair matrix -----------------------------------------------------------------------------------------


def pairs_of(matrix, **more):
    names = tuple("abcdefgh"[: len(matrix)])
    return Affinity(names, names, "co-training", "table", "", np.array(matrix), **more)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 5), st.booleans())
def test_groups_of_pairs_against_the_definition(data, count, better):
    matrix = np.array([[data.draw(values) for _ in range(count)] for _ in range(count)])
    single = data.draw(st.sampled_from([None, 0.5, "diagonal"]))
    number = data.draw(st.integers(1, count))
    lone = {None: -1e6, 0.5: 0.5, "diagonal": None}[single if better or single is not None else "diagonal"]

    def score(j, group):
        others = [i for i in group if i != j]
        return np.mean([matrix[j, i] for i in others]) if others else matrix[j, j] if lone is None else lone

    groups = [g for size in range(1, count + 1) for g in itertools.combinations(range(count), size)]
    best = None
    for chosen in itertools.combinations(groups, min(number, len(groups))):
        if all(any(j in group for group in chosen) for j in range(count)):
            pick = max if better else min
            value = np.mean([pick(score(j, group) for group in chosen if j in group) for j in range(count)])
            best = value if best is None else pick(best, value)
        if number > 3:
            break
    found = choose(pairs_of(matrix, higher_is_better=better), number, single=single)
    assert found.rule == "tag"
    if number <= 3:
        assert found.value == pytest.approx(best, abs=1e-9)


def test_invariances_of_tags_rule():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(6, 6))
    for number in (1, 2, 3, 4):
        groups = choose(pairs_of(matrix), number).groups
        shifted = matrix + rng.normal(size=(6, 1))  # a constant to each row
        assert choose(pairs_of(shifted), number).groups == groups
        assert choose(pairs_of(7.5 * matrix), number).groups == groups
    # Scaling one row makes its task count for more, and the choice may follow it.
    groups = choose(pairs_of(matrix), 2).groups
    scaled = [choose(pairs_of(matrix * np.where(np.arange(6) == j, 100, 1)[:, None]), 2).groups for j in range(6)]
    assert any(other != groups for other in scaled)


def test_a_lone_task_only_where_it_must_be():
    negative = pairs_of(-np.abs(np.random.default_rng(0).normal(size=(5, 5))) - 1)
    for number in range(1, 6):
        assert all(len(group) > 1 for group in choose(negative, number).groups)
        assert choose(negative, number).value > -1e4
    assert choose(negative, 5, single=0.0).groups == (("a",), ("b",), ("c",), ("d",), ("e",))
    assert choose(negative, 3, "disjoint").value > -1e4
    assert choose(negative, 5, "disjoint").value == max(choose(negative, n, "disjoint").value for n in (1, 2, 3, 4, 5))


def test_pairs_that_were_not_measured_score_nothing():
    found = choose(pairs_of([[0, 1, nan], [1, 0, 9], [nan, 9, 0]]), 2)
    assert found.groups == (("a", "b"), ("b", "c"))
    table = scored(pairs_of([[nan, nan], [nan, nan]], higher_is_better=False))  # losses: alone is the diagonal
    assert table.names == ()
    with pytest.raises(DataError, match="every task must be in a network, found 'a' in none"):
        choose(pairs_of([[nan, nan], [nan, nan]], higher_is_better=False), 1)


def test_a_task_without_a_score_is_in_its_group_all_the_same():
    half = pairs_of([[0, nan, 2], [9, 0, 1], [1, 1, 0]])  # a helps b; what b does to a was not measured
    found = choose(half, 2)
    assert found.groups == (("a", "b"), ("a", "c"))
    assert (found.serves, found.value) == ({"a": 1, "b": 0, "c": 1}, pytest.approx(4))
    apart = choose(half, 2, "disjoint", single=0)
    assert apart.groups == (("b",), ("a", "c"))
    assert apart.value == pytest.approx(1)
    table = as_performance(half)
    assert table.members(table.names.index("a|b")) == ("a", "b")
    assert "a|b" not in as_performance(half, disjoint=True).names


def test_names_may_hold_what_joins_them():
    names = ("a", "b", "a|b", "a\\", "|b")
    matrix = np.arange(25.0).reshape(5, 5)
    odd = choose(Affinity(names, names, "co-training", "table", "", matrix), 2)
    plain = choose(pairs_of(matrix), 2)
    assert odd.value == plain.value
    assert odd.groups == tuple(tuple(names["abcde".index(task)] for task in group) for group in plain.groups)


# -- sources of transfers ------------------------------------------------------------------------------------------


@st.composite
def transfers(draw):
    """Matrices of transfers of first and second order, with `self` and `random`."""
    targets, sources = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    names = [f"s{i}" for i in range(sources)]
    columns = names + ["|".join(pair) for pair in itertools.combinations(names, 2) if draw(st.booleans())]
    columns += [name for name in ("self", "random") if draw(st.booleans())]
    matrix = [[draw(st.sampled_from([nan, 0.5]) | values) for _ in columns] for _ in range(targets)]
    for row in matrix:
        row[0] = 0.25
    return Affinity(tuple(f"t{i}" for i in range(targets)), tuple(columns), "transfer", "table", "", np.array(matrix),
                    draw(st.booleans()))  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(transfers(), st.integers(1, 5), st.booleans(), st.sampled_from([None, "highs", "greedy"]))
def test_sources_against_brute_force(matrix, budget, priced, solver):
    costs = {"s0": "1/2"} if priced else {}
    nodes = transfer_network(matrix, costs).sources
    price = {name: Fraction(costs.get(name, 1)) for name in nodes}
    sign = 1 if matrix.higher_is_better else -1
    best = -np.inf
    for size in range(1, len(nodes) + 1):
        for opened in itertools.combinations(nodes, size):
            answer = checked_transfers(matrix, opened, price, Fraction(budget))
            if not isinstance(answer, str):
                best = max(best, sign * sum(answer[1].values()))
    found = choose(matrix, budget, source_costs=costs, solver=solver)
    if solver != "greedy":
        assert found.optimal
    assert sign * found.value <= best + 1e-9
    assert sign * found.value + found.gap >= best - 1e-9
    assert found.cost <= budget
    assert {target for network in found.networks for target in network.tasks} == set(matrix.affected)


def test_self_needs_the_target_as_a_source_and_second_order_both_of_its_sources():
    matrix = Affinity(("a", "b"), ("a", "b", "c", "a|c", "self", "random"), "transfer", "table", "",
                      np.array([[0.1, 0.2, 0.3, 0.9, 2.0, 9.0], [0.1, 0.1, 0.2, nan, 0.7, 9.0]]))  # fmt: skip
    found = choose(matrix, 2)
    assert found.about["transfers"] == {"a": "self", "b": "self"}
    assert found.value == pytest.approx(2.7)
    assert [network.name for network in found.networks] == ["a", "b"]
    found = choose(replace(matrix, readings=np.where(matrix.values == 2.0, nan, matrix.values)), 2)
    assert found.about["transfers"] == {"a": "a|c", "b": "c"}
    assert found.serves == {"a": 0, "b": 1}
    assert [network.tasks for network in found.networks] == [("a",), ("a", "b")]
    assert choose(matrix, 1).value == pytest.approx(2.1)


def test_sources_that_cannot_be_chosen():
    matrix = Affinity(("t", "u"), ("a", "b", "random"), "transfer", "table", "",
                      np.array([[1.0, nan, 0], [nan, 1.0, 0]]))  # fmt: skip
    with pytest.raises(ConfigError, match="must be at least 2 for every task to be served, found 1"):
        choose(matrix, 1)
    with pytest.raises(ConfigError, match=r"must be at least 2\.5"):
        choose(matrix, 2, source_costs={"a": "1.5"})
    with pytest.raises(ConfigError, match="a source cost must be of one of"):
        choose(matrix, 2, source_costs={"c": 1})
    with pytest.raises(DataError, match="none to 'u'"):
        choose(matrix.of(("t", "u"), ("a", "random")), 2)


def test_a_search_that_reaches_its_limit_does_not_call_itself_proven():
    rng = np.random.default_rng(0)
    names = tuple(f"s{i}" for i in range(12))
    network = transfer_network(Affinity(names, names, "transfer", "table", "", rng.normal(size=(12, 12))))
    edges = replace(network.edges, units=np.ones(12, dtype=np.int64))
    assert by_branches(edges, 4)[1]
    assert not by_branches(edges, 4, limit=3)[1]


# -- what is refused -------------------------------------------------------------------------------------------------


def test_rules_and_kinds_that_do_not_fit():
    square = np.eye(2)
    with pytest.raises(ConfigError, match="kinds are different quantities"):
        choose(pairs_of(square), 1, "taskonomy")
    with pytest.raises(ConfigError, match="no rule chooses networks from a matrix of kind 'dependence'"):
        choose(replace(pairs_of(square), kind="dependence"), 1)
    with pytest.raises(ConfigError, match="`rule` must be one of"):
        choose(replace(pairs_of(square), kind="transfer"), 1, "tag")
    table = PerformanceTable(("a",), ("a",), (1,), [[1]])
    for given_ in ({"rule": "tag"}, {"rule": "best"}, {"single": 1.0}, {"solver": "magic"}, {"source_costs": {"a": 1}},
                   {"solver": "branch and bound"}):  # fmt: skip
        with pytest.raises(ConfigError):
            choose(table, 1, **given_)
    names = tuple(map(str, range(16)))
    many = Affinity(names, names, "co-training", "table", "", np.eye(16))
    with pytest.raises(ConfigError, match="at most 14 tasks, found 16"):
        as_performance(many)


def test_tables_that_are_not_tables():
    for parts, why in (
        ((("a", "a"), ("n",), (1,), [[1, 1]]), "`tasks` must name each once"),
        ((("a",), ("n",), (1,), [[1, 1]]), "must have the shape"),
        ((("a",), ("n",), (-1,), [[1]]), "at least 0, found '-1'"),
        ((("a",), ("n",), (1,), [[np.inf]]), "must be finite"),
        ((("a",), ("n",), (1,), [[nan]]), "found none for 'n'"),
    ):
        with pytest.raises((ConfigError, DataError), match=why):
            PerformanceTable(*parts)
    table = PerformanceTable(("a",), ("n",), (1,), [[1]])
    assert table.sensed(True).sign == 1
    scale = Scale.of(table.costs, Fraction(0), 1)
    assert by_subsets(table, scale, False) is None

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiation_table import Table

from behaviours.decisions.coalition.packing import Update, unpack, unpacked_row
from behaviours.decisions.coalition.reference import descended, exhaustive, planted_problem


@pytest.mark.parametrize("members", [10, 20])
def test_what_was_planted_is_found(members):
    rows, target = planted_problem(members, seed=1)
    assert Table(rows, seed=1).negotiate(target, runs=12) == 0


def test_a_choice_adds_up_to_what_its_members_say():
    rows, target = planted_problem(12, seed=3, steps=24)
    table = Table(rows, seed=3)
    fitness = table.negotiate(target, runs=2)
    total = sum(rows[i, member.chosen] for i, member in enumerate(table.members))
    assert np.abs(target - total).sum() == fitness
    assert (table.members[5].total_w == total).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 9),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from([0.0, 0.3]),
)
def test_all_agree_whatever_happens_to_their_letters(members, seed, loss, doubling):
    rows, target = planted_problem(members, seed, schedules=5, steps=8)
    table = Table(rows, seed, loss, doubling)
    table.negotiate(target, runs=3)
    assert table.detector.agreed()
    assert len({member.best_fitness for member in table.members}) == 1
    assert all(member.is_complete for member in table.members)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(0, 10_000), st.sampled_from([0.0, 0.2]))
def test_the_end_is_never_declared_while_an_update_is_on_its_way(members, seed, loss):
    rows, target = planted_problem(members, seed, schedules=4, steps=6)
    table = Table(rows, seed, loss=loss)
    table.negotiate(target, runs=2)
    assert table.ended_in_flight == 0


@pytest.mark.parametrize("seed", range(5))
def test_further_runs_never_make_it_worse(seed):
    rows, target = planted_problem(15, seed, schedules=4, steps=24)
    table = Table(rows, seed)
    found = [table.negotiate(target) for _ in range(5)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_in_the_end_no_member_alone_can_better_the_choice(seed):
    rows, target = planted_problem(10, seed, steps=24)
    table = Table(rows, seed)
    fitness = table.negotiate(target)
    total = table.members[0].total_w
    for i, member in enumerate(table.members):
        assert np.abs(target - (total - rows[i, member.chosen] + rows[i])).sum(axis=1).min() == fitness


def test_what_is_cheap_is_preferred_among_what_fits():
    rows = np.array([[[0], [100], [100]], [[0], [100], [100]]])
    costs = np.array([[0, 50, 90], [0, 90, 50]])
    table = Table(rows, seed=1, costs=costs, weight=0.1)
    table.negotiate(np.array([200]), runs=3)
    assert [member.chosen for member in table.members] == [1, 2]


def test_a_member_that_is_gone_is_made_up_for():
    rows = np.array([[[0], [100], [200]]] * 4)
    table = Table(rows, seed=2)
    assert table.negotiate(np.array([400]), runs=2) == 0
    remaining = [0, 1, 2]
    for i in remaining:
        table.members[i].begin(9, np.array([400]), (), absent=(3,))
    table.neighbours = {i: [j for j in table.neighbours[i] if j != 3] for i in remaining}
    for i in remaining:
        table.members[i].decide()
    best = min(table.members[i].count().fitness for i in remaining)
    assert best <= 100


def test_no_set_of_schedules_leaves_a_member():
    rows, target = planted_problem(8, seed=5, schedules=40, steps=24)
    table = Table(rows, seed=5)
    table.negotiate(target, runs=1)
    told = {i: set() for i in range(8)}
    for text in table.texts:
        for member, version, raw in unpack(text, Update).choices:
            told[member].add((version, tuple(unpacked_row(raw, 25))))
    assert all(len({row for _, row in said}) < 20 for said in told.values())


def test_an_update_among_thirty_fits_into_a_letter():
    rows, target = planted_problem(30, seed=2)
    table = Table(rows, seed=2)
    table.negotiate(target)
    assert max(map(len, table.texts)) < 44_000
    assert np.mean([len(text) for text in table.texts]) < 5_000


@pytest.mark.slow
def test_eight_members_come_close_to_the_best_of_all_choices():
    qualities = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = rng.integers(-3000, 3001, (8, 6, 24))
        target = rng.integers(-6000, 6001, 24)
        best, worst = exhaustive(rows, target)
        found = Table(rows, seed).negotiate(target, runs=8)
        qualities.append((worst - found) / (worst - best))
    assert np.mean(qualities) >= 0.97
    assert min(qualities) >= 0.92


@pytest.mark.slow
def test_thirty_members_are_as_good_as_one_hand_with_twenty_restarts():
    ours, central = [], []
    for seed in range(5):
        rows, target = planted_problem(30, seed)
        ours.append(Table(rows, seed).negotiate(target, runs=20) / np.abs(target).sum())
        central.append(descended(rows, target, seed) / np.abs(target).sum())
    assert np.mean(ours) <= 1.05 * np.mean(central)

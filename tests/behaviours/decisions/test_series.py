import pytest

from behaviours.decisions.series import aligned, coverage, nmae, nrmse, pinball, skill
from ontology.errors import InvalidInput


@pytest.mark.parametrize(
    ("began_earlier_s", "expected"),
    [(0, [1.0, 2.0, 3.0, 3.0]), (900, [2.0, 3.0, 3.0, 3.0]), (-900, [1.0, 1.0, 2.0, 3.0])],
)
def test_a_series_is_read_from_now_on_and_prolonged_at_its_ends(began_earlier_s, expected):
    assert aligned([1.0, 2.0, 3.0], 9_000 - began_earlier_s, 9_000, 4, 900).tolist() == expected


def test_errors_are_shares_of_the_mean_or_of_a_given_scale():
    assert nmae([100, 300], [150, 250]) == pytest.approx(0.25)
    assert nmae([100, 300], [150, 250], scale=1000) == pytest.approx(0.05)
    assert nrmse([0, 200], [100, 300]) == pytest.approx(1.0)


def test_the_pinball_loss_punishes_the_unlikely_side():
    assert pinball([100], [80], 0.9) == pytest.approx(18)
    assert pinball([60], [80], 0.9) == pytest.approx(2)


def test_coverage_counts_what_lies_within():
    assert coverage([1, 5, 9, 20], [0, 5, 10, 10], [2, 6, 12, 15]) == 0.5


def test_skill_compares_with_a_reference():
    assert skill([10, 10], [9, 11], [8, 12]) == pytest.approx(0.5)
    assert skill([10], [9], [10]) == 0.0


def test_series_of_different_lengths_and_empty_ones_are_refused():
    with pytest.raises(InvalidInput, match="forecast"):
        nmae([1, 2], [1])
    with pytest.raises(InvalidInput, match="at least one value"):
        nmae([], [])

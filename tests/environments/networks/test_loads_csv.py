"""Files of loads: totals or phases at one instant, powers over time."""

import pytest

from behaviours.decisions.grid import radial_feeder
from environments.networks.loads_csv import read_series, read_snapshot
from ontology.errors import InvalidInput

STREET = radial_feeder("s", ["a", "b"], phases=["L2", "3P"])


@pytest.fixture
def file(tmp_path):
    def written(text):
        path = tmp_path / "loads.csv"
        path.write_text(text)
        return path

    return written


def complaints(read, *arguments):
    with pytest.raises(InvalidInput) as caught:
        read(*arguments)
    return [(each.path, each.value) for each in caught.value.problems]


def test_totals_are_on_the_phases_that_a_site_has(file):
    power = read_snapshot(file("site,power_w\nb,3000\na,500\n"), [STREET], 0.2)
    assert power.real.tolist() == [[0, 500, 0], [1000, 1000, 1000]]
    assert power.imag == pytest.approx(power.real * 0.2)


def test_powers_of_phases_are_taken_as_they_are(file):
    power = read_snapshot(file("site,l1_w,l3_w,l1_var\nb,100,-50,30\n"), [STREET], 0.2)
    assert power.tolist() == [[0, 0, 0], [100 + 30j, 0, -50]]


def test_all_problems_of_a_snapshot_are_told(file):
    path = file("site,power_w\nx,1\na,much\na,2\nb,inf\n")
    assert complaints(read_snapshot, path, [STREET], 0.2) == [
        ("line 2, site", "x"),
        ("line 3, power_w", "much"),
        ("line 4, site", "a"),
        ("line 5, power_w", "inf"),
    ]


@pytest.mark.parametrize(
    "header", ["site", "power_w", "site,power_w,l1_w", "site,watts", "site,reactive_var"]
)
def test_a_header_without_powers_is_refused(file, header):
    assert complaints(read_snapshot, file(f"{header}\n"), [STREET], 0.2) == [("line 1", header)]


def test_lines_of_another_length_are_refused(file):
    assert complaints(read_series, file("time,a\n2024-01-01T00:00Z\n"), [STREET]) == [("line 2", "1 cells")]


def test_a_series_has_a_column_for_each_site(file):
    series = read_series(file("time,b\n2024-01-01T01:00+01:00,5\n2024-01-01T00:15Z,7\n"), [STREET])
    assert series.times_s.tolist() == [1_704_067_200, 1_704_068_100]
    assert series.power_w.tolist() == [[0, 5], [0, 7]]


def test_sites_of_a_series_are_those_of_the_network_and_named_once(file):
    path = file("when,a,a,x\n2024-01-01T00:00Z,1,1,1\n")
    assert complaints(read_series, path, [STREET]) == [
        ("line 1", "when"),
        ("line 1, column 3", "a"),
        ("line 1, column 4", "x"),
    ]


def test_times_have_an_offset_and_advance(file):
    path = file("time,a\n2024-01-01T00:15Z,1\n2024-01-01T00:15Z,1\n2024-01-01T00:30,x\n")
    assert complaints(read_series, path, [STREET]) == [
        ("line 3, time", "2024-01-01T00:15Z"),
        ("line 4, time", "2024-01-01T00:30"),
        ("line 4, a", "x"),
    ]


def test_a_series_without_instants_is_refused(file):
    assert complaints(read_series, file("time,a\n"), [STREET]) == [("line 2", "")]


def test_sites_of_one_name_in_two_networks_cannot_be_told_apart(file):
    found = complaints(read_snapshot, file("site,power_w\na,1\n"), [STREET, STREET], 0.2)
    assert found == [("NETWORK", "a"), ("NETWORK", "b")]

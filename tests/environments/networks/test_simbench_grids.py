"""SimBench's low-voltage grids: solved as pandapower solves them; study cases, profiles, and wrong names."""

from datetime import UTC, datetime

import numpy as np
import pytest

from behaviours.decisions.grid import PowerFlow
from environments.networks import NetworkCase, feeder_named, load_cases, load_series
from environments.networks.simbench_grids import AVAILABLE, SIMBENCH
from ontology.errors import InvalidInput, Unavailable

needs_simbench = pytest.mark.skipif(
    not AVAILABLE, reason="SimBench is not installed: pip install parity-mas[simbench]"
)
RURAL = f"{SIMBENCH}1-LV-rural1--2-sw"


def voltages_pu(case: NetworkCase) -> dict[str, float]:
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    return dict(zip(case.network.nodes, flow.voltage_pu[0].mean(axis=1).tolist(), strict=True))


@needs_simbench
def test_a_grid_is_solved_as_pandapower_solves_it() -> None:
    import pandapower
    import simbench

    grid = simbench.get_simbench_net(RURAL.removeprefix(SIMBENCH))
    grid.trafo["tap_changer_type"] = "Ratio"
    pandapower.runpp(grid, numba=False, trafo_model="pi")
    expected = dict(zip(grid.bus.name, grid.res_bus.vm_pu, strict=True))
    (case,) = load_cases(RURAL)
    found = voltages_pu(case)
    assert found.keys() == expected.keys()
    assert max(abs(found[bus] - expected[bus]) for bus in found) < 1e-5


@needs_simbench
def test_study_cases_set_what_the_grid_above_and_the_sites_do() -> None:
    high, low = (load_cases(f"{RURAL}@{case}")[0] for case in ("hL", "lPV"))
    assert (high.network.source_pu, low.network.source_pu) == (0.965, 1.055)
    assert high.power_w.sum() > 0 > low.power_w.sum()


@needs_simbench
def test_a_step_of_the_year_is_a_row_of_the_profiles() -> None:
    series = load_series(RURAL)
    assert series.power_w.shape == (366 * 96, 41)
    assert set(np.diff(series.times_s)) == {900}
    ends = [datetime.fromtimestamp(series.times_s[step], UTC).isoformat() for step in (0, -1)]
    assert ends == ["2015-12-31T23:00:00+00:00", "2016-12-31T22:45:00+00:00"]
    for step in (1, 50, 35_136):
        (case,) = load_cases(f"{RURAL}@{step}")
        assert case.power_w.sum(axis=1) == pytest.approx(series.power_w[step - 1])
        assert case.reactive_var.sum(axis=1) == pytest.approx(series.reactive_var[step - 1])


@needs_simbench
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{RURAL}@noon", r"a study case \(hL, n1, hW, hPV, lW, lPV\), or a step of 1 to 35136"),
        (f"{RURAL}@0", "a step of 1 to 35136"),
        (f"{SIMBENCH}1-LV-nowhere", "a low-voltage grid of SimBench, such as simbench:1-LV-rural1--0-sw"),
        (f"{SIMBENCH}1-MV-rural--0-sw", "a low-voltage grid of SimBench"),
    ],
)
def test_what_is_no_grid_of_it_is_told(name: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        load_cases(name)


@needs_simbench
def test_a_scenario_may_name_it() -> None:
    assert len(feeder_named(RURAL).nodes) == 15


@pytest.mark.skipif(AVAILABLE, reason="SimBench is installed")
def test_without_simbench_its_extra_is_named() -> None:
    with pytest.raises(Unavailable, match="simbench"):
        load_cases(RURAL)

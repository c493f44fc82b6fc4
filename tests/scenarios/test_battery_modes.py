"""A battery that shaves peaks: of a feeder, by the minute, and what it does beside that when told to."""

import numpy as np
import pytest

from behaviours.site.peak_forecasting import PeakForecasting
from launch.model import CommunityModel
from launch.scenario import parse_scenario
from ontology.errors import InvalidInput
from ontology.flexibility_trading import DRSignal
from ontology.performatives import Performative

STREET = """
start: 2024-01-10T14:00
zone: Europe/Berlin
intervals: 28
step_s: 60
record: false
sites:
  - id: community
    annual_kwh: 1000
    battery: {capacity_kwh: 15, power_kw: 6, initial_state_of_charge: 0.9, mode: peak-shaving, shaves: feeder}
population: {sites: 6, shares: {pv: 0, battery: 0, ev: 0, heat_pump: 0, hot_water: 0}}
"""


def columns(run, name):
    """One row an interval, one column a site."""
    table = run.tables().sites
    return np.nan_to_num(table[name]).reshape(-1, 7)


@pytest.fixture(scope="module")
def run():
    return CommunityModel(parse_scenario(STREET)).run()


def test_a_community_battery_cuts_the_peak_of_its_feeder(run):
    import_w = 4 * (columns(run, "consumed_wh") - columns(run, "produced_wh")).sum(axis=1)
    load_w = import_w - columns(run, "bess_w").sum(axis=1)
    assert import_w[1:].max() < 0.75 * load_w[1:].max()


def test_no_interval_exceeds_the_threshold_while_the_battery_can_help_it(run):
    manager = run.community.agents["community-bess@localhost"]
    threshold_w = manager.behaviour(PeakForecasting).plan.threshold_w
    import_w = 4 * (columns(run, "consumed_wh") - columns(run, "produced_wh")).sum(axis=1)
    assert import_w[1:].max() <= threshold_w + 20  # meters count whole Wh


def test_its_site_offers_flexibility_of_the_rest_only(run):
    """The plan of the site keeps to the battery's own schedule unless something else is promised."""
    prosumer = run.community.agents["community-prosumer@localhost"]
    gateway = run.community.agents["community-gateway@localhost"]
    assert prosumer.settings.led_by == {"community-bess": "community-bess@localhost"}
    assert [device.name for device in gateway.surroundings.devices] == ["meter", "bess", "import"]


@pytest.mark.parametrize(
    ("start", "spared"),
    [
        pytest.param("2024-01-10T21:30", True, id="after-the-peak-in-full"),
        pytest.param("2024-01-10T14:00", False, id="before-it-only-what-shaving-spares"),
    ],
)
def test_what_the_dso_calls_for_is_given_beside_shaving(start, spared):
    run = CommunityModel(parse_scenario(STREET, {"intervals": 4, "start": start}))
    run.step()
    aggregator = run.community.agents["aggregator@localhost"]
    start_s = run.now_s + 900
    signal = DRSignal(
        signal_id="less",
        segment_id="segment-001",
        start_s=start_s,
        duration_s=900,
        delta_w=-3_000,
        contract_id="none",
        deadline_s=start_s,
    )
    run.at(run.now_s + 5, aggregator.tell, "community-prosumer@localhost", signal, Performative.REQUEST)
    run.run()
    power_w = columns(run, "bess_w")[:, 0]
    assert power_w[2] < -2_700 if spared else power_w[2] > -300


def test_peaks_need_minutes_and_a_feeder_one_battery():
    with pytest.raises(InvalidInput, match="must be at most 60 where a battery shaves peaks"):
        parse_scenario(STREET, {"step_s": 900})
    with pytest.raises(InvalidInput, match="must be site unless the mode is peak-shaving"):
        parse_scenario(STREET, {"sites[0].battery.mode": "least-cost"})

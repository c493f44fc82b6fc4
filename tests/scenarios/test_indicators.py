"""Every indicator of SPEC 2.9 in one agreement: what oracles tell equals what letters say, by hand."""

import math
from collections import defaultdict

import pytest
from recorded_run import RecordedRun
from scenario_helpers import LABORATORY

from behaviours.decisions.kpi import CATALOGUE
from launch.results import completed
from launch.scenario import load_scenario
from ontology.charging import EvSession
from ontology.coalition import VppPayoff
from ontology.forecasts import Forecast
from ontology.measurements import IntervalReading, Measurement
from ontology.service_level import KpiMeasure, SlaState
from ontology.vpp import Vpp

pytestmark = pytest.mark.slow

SITES = ("h001", "h002")
BEGIN_S, END_S = 1_714_687_200, 1_714_687_200 + 14 * 3_600
"""From midnight (local) of the second day until two in the afternoon."""
BELOW = ("K_SCR", "K_SSR", "K_TMIN", "K_FDR", "K_EVS", "K_AVAIL")


@pytest.fixture(scope="module")
def day() -> RecordedRun:
    """Thirty-nine hours on a transformer so small that the light turns RED; a plant in the morning."""
    indicators = [
        {
            "id": f"KPI-{name[2:]}",
            "function": name,
            "rule": "lt" if name in BELOW else "gt",
            "limit": 0.5,
            "penalty_tokens": 1,
        }
        for name in CATALOGUE
    ]
    scenario = load_scenario(
        LABORATORY,
        {
            "start": "2024-05-02",
            "intervals": 39 * 4,
            "record": False,
            "grid.transformer_kva": 3,
            "ledger": {"attestors": 1},
            "products": [{"id": "morning", "hour": 9, "hours": 1, "power_kw": -1.5, "price": 0.5}],
            "agreements": [{"id": "SLA", "after_hours": 24, "hours": 14, "indicators": indicators}],
        },
    )
    return RecordedRun(scenario).run()


def told(day: RecordedRun, site: str, function: str) -> KpiMeasure:
    return next(
        each
        for each in day.contents(KpiMeasure, sender=f"{site}-oracle")
        if each.kpi_id == f"KPI-{function[2:]}"
    )


def facts(day: RecordedRun, kind: type, subject: str) -> list:
    """Return what the repository was told about a subject within the period."""
    found = {
        getattr(each, "start_s", None) or getattr(each, "time_s", None): each
        for each in day.contents(kind, to="repository")
        if each.subject == subject
    }
    return [each for time_s, each in sorted(found.items()) if BEGIN_S <= time_s < END_S]


def net_w(day: RecordedRun, site: str) -> dict[int, int]:
    """Return the net power of each interval of the run, from the letters of the gateway."""
    readings = day.contents(IntervalReading, sender=f"{site}-gateway", to="repository")
    return {each.start_s: each.consumed_w - each.produced_w for each in readings}


def in_period(powers: dict[int, int]) -> dict[int, int]:
    return {start_s: w for start_s, w in powers.items() if BEGIN_S <= start_s < END_S}


@pytest.mark.parametrize("site", SITES)
def test_indicators_of_the_meter(day, site):
    net = in_period(net_w(day, site))
    assert told(day, site, "K_PMAX").value == max(0, *net.values())
    assert told(day, site, "K_ENERGY").value == sum(max(0, w) for w in net.values()) / 4
    assert told(day, site, "K_AVAIL").value == 1.0


@pytest.mark.parametrize("site", SITES)
def test_indicators_of_the_sun_on_the_roof(day, site):
    sun_wh = [-each.value / 4 for each in facts(day, Measurement, f"{site}-production")]
    load_wh = [
        max(0.0, w / 4 + sun) for w, sun in zip(in_period(net_w(day, site)).values(), sun_wh, strict=True)
    ]
    shared_wh = math.fsum(map(min, load_wh, sun_wh))
    assert 0 < told(day, site, "K_SCR").value < 1
    assert told(day, site, "K_SCR").value == pytest.approx(shared_wh / math.fsum(sun_wh), abs=1e-9)
    assert told(day, site, "K_SSR").value == pytest.approx(shared_wh / math.fsum(load_wh), abs=1e-9)


@pytest.mark.parametrize("site", SITES)
def test_indicators_of_the_room(day, site):
    rooms = [each.value for each in facts(day, Measurement, f"{site}-indoor")]
    assert len(rooms) == 14 * 4
    assert told(day, site, "K_TMAX").value == max(rooms)
    assert told(day, site, "K_TMIN").value == min(rooms)
    table = day.tables().sites
    chosen = (table["site"] == site) & (table["start_s"] >= BEGIN_S) & (table["start_s"] < END_S)
    assert max(rooms) == pytest.approx(float(table["indoor_degc"][chosen].max()), abs=1e-4)


@pytest.mark.parametrize("site", SITES)
def test_the_error_of_the_forecast_a_day_ahead(day, site):
    first: dict[int, int] = {}
    for forecast in day.contents(Forecast, sender=f"{site}-prosumer", to="repository"):
        for step, power_w in enumerate(forecast.power_w):
            first.setdefault(forecast.start_s + 900 * step, power_w)
    net = in_period(net_w(day, site))
    error = sum(abs(w - first[start_s]) for start_s, w in net.items())
    whole = sum(map(abs, net.values()))
    assert told(day, site, "K_FCE").value == pytest.approx(error / whole, abs=1e-9)
    assert told(day, site, "K_FCE").completeness == 1.0


def plants_of(day: RecordedRun, site: str) -> dict[str, Vpp]:
    """Return the last word on each plant of the period that the site was a member of."""
    plants = {each.vpp_id: each for each in day.contents(Vpp, to="repository")}
    who = f"{site}-prosumer@localhost"
    return {
        name: plant
        for name, plant in plants.items()
        if who in {member.agent for member in plant.members} and BEGIN_S <= plant.valid_from_s < END_S
    }


def test_the_share_of_promised_flexibility_that_was_delivered(day):
    members = {site: plants_of(day, site) for site in SITES}
    assert any(members.values())
    for site, plants in members.items():
        own = [
            member
            for payoff in day.contents(VppPayoff, to="repository")
            if payoff.vpp_id in plants
            for member in payoff.members
            if member.member == f"{site}-prosumer@localhost"
        ]
        promised = sum(each.committed_wh for each in own)
        measure = told(day, site, "K_FDR")
        if promised:
            delivered = sum(each.delivered_wh for each in own)
            assert measure.value == pytest.approx(delivered / promised, abs=1e-9)
        else:
            assert measure.completeness == 0.0


@pytest.mark.parametrize("site", SITES)
def test_the_error_of_the_baseline_outside_events(day, site):
    powers, events = net_w(day, site), set()
    for plant in plants_of(day, site).values():
        events |= set(range(plant.valid_from_s, plant.valid_to_s, 900))
    usual = {start_s: powers[start_s - 86_400] for start_s in in_period(powers) if start_s not in events}
    error = sum(abs(powers[start_s] - w) for start_s, w in usual.items())
    whole = sum(map(abs, usual.values()))
    assert told(day, site, "K_BLE").value == pytest.approx(error / whole, abs=1e-9)
    assert told(day, site, "K_BLE").completeness == 1.0


def test_the_share_of_asked_energy_that_vehicles_left_with(day):
    asked_wh = dict.fromkeys(SITES, 0)
    for site in SITES:
        sessions = [
            each
            for each in day.contents(EvSession, to="repository")
            if each.asset_id == f"{site}-ev" and BEGIN_S <= each.departure_s < END_S
        ]
        asked_wh[site] = asked = sum(each.requested_energy_wh for each in sessions)
        got = sum(min(each.delivered_energy_wh, each.requested_energy_wh) for each in sessions)
        measure = told(day, site, "K_EVS")
        expected = (got / asked, 1.0) if asked else (0.0, 0.0)
        assert (measure.value, measure.completeness) == pytest.approx(expected, abs=1e-9)
    assert any(asked_wh.values())


def test_the_longest_time_from_a_signal_to_a_set_point(day):
    longest: defaultdict[str, list[float]] = defaultdict(list)
    for site in SITES:
        longest[site] = [each.value for each in facts(day, Measurement, f"{site}-response")]
    assert any(longest.values())
    for site, times_s in longest.items():
        measure = told(day, site, "K_RESP")
        assert (measure.value, measure.completeness) == ((max(times_s), 1.0) if times_s else (0.0, 0.0))
        assert all(0 <= each <= 60 for each in times_s)


def test_all_are_judged_on_the_chain_and_what_nothing_can_be_said_of_costs_nothing(day):
    players = {name: player for player, name in day.community.cast.accounts.items()}
    for site in SITES:
        for function in CATALOGUE:
            measure = told(day, site, function)
            state, tokens = completed(
                day.community.ground.service_levels.state_of(measure.kpi_id, players[site], END_S)
            )
            violated = measure.value < 0.5 if function in BELOW else measure.value > 0.5
            if measure.completeness < 0.8:
                assert (state, tokens) == (SlaState.NOT_EVALUABLE, 0)
            else:
                assert (state, tokens) == ((SlaState.VIOLATED, 1) if violated else (SlaState.OK, 0))
    assert day.community.counts().get("errors", 0) == 0

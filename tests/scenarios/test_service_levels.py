"""SLA-2H (SPEC 8): two agreements of two hours with two indicators each, judged and paid on the ledger."""

import hashlib
from math import ceil

import msgspec
import pytest
from recorded_run import RecordedRun
from scenario_helpers import MORNING_S, SCENARIOS, Deaths, balances, offline

from behaviours.decisions.evidence import Facts
from behaviours.information.service_levels import source_hash
from launch.model import CommunityModel
from launch.results import completed
from launch.scenario import Scenario, load_scenario
from ontology.codec import encode_body
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.service_level import KpiMeasure, SlaState

HOURS_S = 3_600
ENDS_S = {"SLA1": MORNING_S + 2 * HOURS_S, "SLA2": MORNING_S + 4 * HOURS_S}
SITES = ("h001", "h002")
Run = CommunityModel | RecordedRun


def scenario(**settings) -> Scenario:
    return load_scenario(SCENARIOS / "service-levels.yaml", {"record": False, **settings})


def player(run: Run, site: str) -> str:
    return next(each for each, name in run.community.cast.accounts.items() if name == site)


def verdict(run: Run, kpi: str, site: str, end_s: int) -> tuple[SlaState | None, int]:
    return completed(run.community.ground.service_levels.state_of(kpi, player(run, site), end_s))


def penalties(run: Run, sla: str) -> dict[str, int]:
    held = completed(run.community.ground.ledger.settlement(f"sla {sla}"))
    names = run.community.cast.accounts
    return {names[account]: tokens for account, tokens in held.entries.items()} if held else {}


@pytest.fixture(scope="module")
def two_hours() -> RecordedRun:
    return RecordedRun(scenario()).run()


def metered(run: Run, column: str, site: str, start_s: int) -> list[float]:
    """Return what the table of sites says of two hours."""
    sites = run.tables().sites
    chosen = (sites["site"] == site) & (sites["start_s"] >= start_s) & (sites["start_s"] < start_s + 7_200)
    return [float(value) for value in sites[column][chosen]]


def test_each_indicator_is_judged_by_what_the_meters_said(two_hours):
    for site in SITES:
        too_warm = max(metered(two_hours, "indoor_degc", site, MORNING_S)) > 24.5
        drawn_wh = sum(metered(two_hours, "consumed_wh", site, MORNING_S))
        assert verdict(two_hours, "KPI11", site, ENDS_S["SLA1"]) == (
            (SlaState.VIOLATED, 120) if too_warm else (SlaState.OK, 0)
        )
        assert verdict(two_hours, "KPI12", site, ENDS_S["SLA1"]) == (
            (SlaState.VIOLATED, 500) if drawn_wh > 1_500 else (SlaState.OK, 0)
        )
        assert verdict(two_hours, "KPI21", site, ENDS_S["SLA2"]) == (SlaState.OK, 0)


def test_one_household_keeps_its_quota_and_the_other_does_not(two_hours):
    states = {verdict(two_hours, "KPI12", site, ENDS_S["SLA1"])[0] for site in SITES}
    assert states == {SlaState.OK, SlaState.VIOLATED}


def test_a_graded_penalty_grows_with_the_excess_beyond_its_tolerance(two_hours):
    peak_w = 4 * max(metered(two_hours, "consumed_wh", "h002", ENDS_S["SLA1"]))
    state, tokens = verdict(two_hours, "KPI22", "h002", ENDS_S["SLA2"])
    assert state is SlaState.VIOLATED
    assert tokens == ceil(400 * ((peak_w - 2_500) / 2_500 - 0.1)) > 0
    assert verdict(two_hours, "KPI22", "h001", ENDS_S["SLA2"]) == (None, 0)


@pytest.mark.parametrize(("sla", "kpis"), [("SLA1", ("KPI11", "KPI12")), ("SLA2", ("KPI21", "KPI22"))])
def test_the_penalties_of_an_agreement_go_to_the_dso_in_one_transfer_that_all_attest(two_hours, sla, kpis):
    owed = {site: sum(verdict(two_hours, kpi, site, ENDS_S[sla])[1] for kpi in kpis) for site in SITES}
    expected = {site: -tokens for site, tokens in owed.items() if tokens}
    assert expected
    assert penalties(two_hours, sla) == expected | {"grid": -sum(expected.values())}
    assert sum(balances(two_hours).values()) == completed(two_hours.community.ground.ledger.supply())
    assert two_hours.community.counts().get("errors", 0) == 0
    assert two_hours.community.counts().get("attestations disputed", 0) == 0


def test_an_agreement_is_judged_once_when_it_has_ended_and_never_before(two_hours):
    """One measure an indicator and player: nothing for what has not begun or is over."""
    measures = [
        (each.time_s, each.content) for each in two_hours.noted(KpiMeasure, to="aggregator-blockchain")
    ]
    told = [(measure.kpi_id, measure.player) for _, measure in measures]
    assert len(told) == len(set(told)) == 2 + 2 + 2 + 1
    for time_s, measure in measures:
        ends_s = ENDS_S["SLA1" if measure.kpi_id in ("KPI11", "KPI12") else "SLA2"]
        assert measure.time_s == ends_s < time_s <= ends_s + 60


def test_an_agreement_that_has_not_ended_or_not_begun_yields_nothing():
    run = RecordedRun(scenario(intervals=4)).run()
    assert run.contents(KpiMeasure) == []
    assert penalties(run, "SLA1") == penalties(run, "SLA2") == {}


def test_a_measure_names_the_hash_of_all_that_was_read_and_a_tampered_reading_does_not_have_it(two_hours):
    measure = next(
        each for each in two_hours.contents(KpiMeasure, sender="h002-oracle") if each.kpi_id == "KPI12"
    )
    readings = [
        each
        for each in two_hours.contents(IntervalReading, to="repository")
        if each.subject == "h002" and MORNING_S <= each.start_s < ENDS_S["SLA1"]
    ]
    assert len(readings) == 8
    assert hashlib.sha256(b"".join(map(encode_body, readings))).hexdigest() == measure.source_hash
    forged = msgspec.structs.replace(readings[3], consumed_wh=readings[3].consumed_wh - 1)
    assert source_hash(Facts(readings=[*readings[:3], forged, *readings[4:]])) != measure.source_hash


def test_temperatures_are_told_to_the_repository_only_and_only_where_an_agreement_is_about_them(two_hours):
    told = [
        (each.envelope.to, each.content.subject)
        for each in two_hours.noted(Measurement)
        if each.content.quantity is Quantity.TEMPERATURE_DEGC
    ]
    assert set(told) == {("repository@localhost", f"{site}-indoor") for site in SITES}
    nothing_agreed = RecordedRun(scenario(agreements=[], intervals=2)).run()
    assert nothing_agreed.contents(Measurement, to="repository") == []


def test_no_plain_name_stands_in_any_byte_that_an_oracle_sends_to_the_chain(two_hours):
    letters = [each for each in two_hours.sent_by("-oracle") if "-blockchain@" in each.to]
    assert {each.message_type for each in letters} >= {"parity:LemDataset", "parity:KpiMeasure"}
    assert [each.body for each in letters if b"h00" in each.body] == []
    events = repr(completed(two_hours.community.ground.ledger.events())[0])
    assert "h001" not in events
    assert "h002" not in events


@pytest.mark.slow
def test_too_few_readings_are_not_evaluable_and_only_the_availability_is_violated():
    model = offline(scenario(), Deaths({2: "h001-gateway"}, {6: "h001-gateway"}))
    assert verdict(model, "KPI12", "h001", ENDS_S["SLA1"]) == (SlaState.NOT_EVALUABLE, 0)
    assert verdict(model, "KPI21", "h001", ENDS_S["SLA2"])[0] is SlaState.OK
    late = offline(scenario(), Deaths({10: "h001-gateway"}, {14: "h001-gateway"}))
    assert verdict(late, "KPI21", "h001", ENDS_S["SLA2"]) == (SlaState.VIOLATED, 7)


@pytest.mark.parametrize(
    "name",
    [
        "h002-oracle",
        *(pytest.param(f"{each}", marks=pytest.mark.slow) for each in ("h002-blockchain", "repository")),
        pytest.param("aggregator-blockchain", marks=pytest.mark.slow),
    ],
)
def test_whoever_dies_when_an_agreement_ends_it_is_judged_and_paid_once(name, two_hours):
    model = offline(scenario(), Deaths({8: name}, {10: name}))
    assert verdict(model, "KPI12", "h002", ENDS_S["SLA1"])[0] is not None
    assert penalties(model, "SLA1") == penalties(two_hours, "SLA1") != {}
    assert model.community.counts().get("errors", 0) == 0

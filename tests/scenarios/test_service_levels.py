"""SLA-2H (SPEC 8): two agreements of two hours with two indicators each, judged and paid on the ledger."""

import pytest
from scenario_helpers import MORNING_S, Deaths, balances, laboratory, offline

from launch.model import CommunityModel
from launch.results import completed
from ontology.service_level import SlaState

HOURS_S = 3_600
INDICATORS = {
    "SLA1": (
        {"id": "KPI11", "function": "K_ENERGY", "rule": "gt", "limit": 10.0, "penalty_tokens": 120},
        {"id": "KPI12", "function": "K_PMAX", "rule": "gt", "limit": 40_000.0, "penalty_tokens": 500},
    ),
    "SLA2": (
        {"id": "KPI21", "function": "K_AVAIL", "rule": "lt", "limit": 0.98, "penalty_tokens": 7},
        {
            "id": "KPI22",
            "function": "K_ENERGY",
            "rule": "gt",
            "limit": 10.0,
            "penalty_tokens": 10,
            "most_tokens": 300,
            "sites": ["h002"],
        },
    ),
}
ENDS_S = {"SLA1": MORNING_S + 2 * HOURS_S, "SLA2": MORNING_S + 4 * HOURS_S}


def scenario(**settings):
    agreements = [
        {"id": name, "after_hours": 2 * n, "hours": 2, "indicators": list(INDICATORS[name])}
        for n, name in enumerate(INDICATORS)
    ]
    return laboratory(intervals=18, agreements=agreements, **settings)


def verdict(model: CommunityModel, kpi: str, site: str, end_s: int) -> tuple[SlaState | None, int]:
    player = next(each for each, name in model.community.cast.accounts.items() if name == site)
    return completed(model.community.ground.service_levels.state_of(kpi, player, end_s))


def penalties(model: CommunityModel, sla: str) -> dict[str, int]:
    held = completed(model.community.ground.ledger.settlement(f"sla {sla}"))
    names = model.community.cast.accounts
    return {names[account]: tokens for account, tokens in held.entries.items()} if held else {}


@pytest.fixture(scope="module")
def two_hours() -> CommunityModel:
    return offline(scenario(), Deaths({}))


def drawn_wh(model: CommunityModel, site: str, start_s: int) -> int:
    sites = model.tables().sites
    chosen = (sites["site"] == site) & (sites["start_s"] >= start_s) & (sites["start_s"] < start_s + 7_200)
    return int(sites["consumed_wh"][chosen].sum())


def test_each_indicator_is_judged_by_what_the_meters_said(two_hours):
    for site in ("h001", "h002"):
        energy, power = (verdict(two_hours, kpi, site, ENDS_S["SLA1"]) for kpi in ("KPI11", "KPI12"))
        violated = drawn_wh(two_hours, site, MORNING_S) > 10
        assert energy == ((SlaState.VIOLATED, 120) if violated else (SlaState.OK, 0))
        assert power == (SlaState.OK, 0)
        assert verdict(two_hours, "KPI21", site, ENDS_S["SLA2"]) == (SlaState.OK, 0)


def test_a_graded_penalty_grows_with_the_excess_up_to_its_most(two_hours):
    excess = drawn_wh(two_hours, "h002", ENDS_S["SLA1"]) - 10
    state, tokens = verdict(two_hours, "KPI22", "h002", ENDS_S["SLA2"])
    assert tokens == min(300, max(0, excess))
    assert state is (SlaState.VIOLATED if excess > 0 else SlaState.OK)
    assert verdict(two_hours, "KPI22", "h001", ENDS_S["SLA2"]) == (None, 0)


def test_the_penalties_of_an_agreement_go_to_the_dso_in_one_transfer_that_all_attest(two_hours):
    paid = penalties(two_hours, "SLA1")
    expected = {
        site: -verdict(two_hours, "KPI11", site, ENDS_S["SLA1"])[1]
        for site in ("h001", "h002")
        if verdict(two_hours, "KPI11", site, ENDS_S["SLA1"])[1]
    }
    assert expected
    assert paid == expected | {"grid": -sum(expected.values())}
    assert sum(balances(two_hours).values()) == completed(two_hours.community.ground.ledger.supply())
    assert two_hours.community.counts().get("errors", 0) == 0
    assert two_hours.community.counts().get("attestations disputed", 0) == 0


@pytest.mark.slow
def test_too_few_readings_are_not_evaluable_and_only_the_availability_is_violated():
    model = offline(scenario(), Deaths({2: "h001-gateway"}, {6: "h001-gateway"}))
    assert verdict(model, "KPI11", "h001", ENDS_S["SLA1"]) == (SlaState.NOT_EVALUABLE, 0)
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
    assert verdict(model, "KPI11", "h002", ENDS_S["SLA1"])[0] is not None
    assert penalties(model, "SLA1") != {}
    assert model.community.counts().get("errors", 0) == 0


def test_no_plain_name_stands_in_what_an_oracle_sends_to_the_chain(two_hours):
    found, _ = completed(two_hours.community.ground.ledger.events())
    text = repr(found)
    assert "h001" not in text
    assert "h002" not in text

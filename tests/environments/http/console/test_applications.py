"""Plants, ledger, agreements and the applications of aggregator, grid operator and people in the console."""

import asyncio
import re

import pytest
from console_visits import SignIn, sign
from registry_samples import ANNA, household, inline, new_registry

from behaviours.decisions.grid.network import radial_feeder
from environments.http.console.community import AgentView
from environments.http.console.grid_map import MapNode, Mark, SegmentTree, drawn
from environments.http.console.routes.ledger import movements
from environments.http.console.routes.network import node_marks
from environments.http.services import Services
from ontology.base import Concept
from ontology.control import UserOverride
from ontology.discourse import Acknowledgement
from ontology.grid import DstatcomCommand, DstatcomMode, DstatcomStatus, GridMeasurement
from ontology.ledger import LedgerEntry
from ontology.market import LemResult, LemRow
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.registration import ConsentPurpose
from ontology.roles import Role
from ontology.service_level import KpiFeature, KpiMeasure, KpiRule, Sla
from ontology.vpp import Vpp, VppMember, VppState

START_S = 1_749_999_600
A, B = "p_" + "a" * 26, "p_" + "b" * 26


class Agents:
    """Understands everything, and remembers what was said to whom."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, Concept]] = []

    async def say(self, party, to, content, act, deadline_s, *, speaker="", until_agreed=False) -> Concept:
        self.said.append((to, speaker, content))
        return Acknowledgement(of="what was said")


@pytest.fixture
def agents(services: Services) -> Agents:
    views = [
        AgentView(address=f"{site}-gateway@here", role=Role.GATEWAY, site=site) for site in ("h001", "h002")
    ]
    services.more["community"].agents = lambda: views
    services.portals = Agents()
    return services.portals


def keep(services: Services, *facts: Concept) -> None:
    asyncio.run(services.repository.store(facts))


def result(correction: int = 0, net: int = -70) -> LemResult:
    rows = [
        LemRow(
            player=A,
            consumed_wh=500,
            produced_wh=0,
            tokens_consumption=-net,
            tokens_production=0,
            tokens_flow=0,
            tokens_net=net,
        )
    ]
    return LemResult(
        start_s=START_S,
        segment_id="segment-001",
        grid_state="GREEN",
        consumed_wh=500,
        produced_wh=0,
        buy_price_ticks_per_kwh=2000,
        sell_price_ticks_per_kwh=650,
        rows=rows,
        result_hash="h",
        correction=correction,
    )


# -- plants -------------------------------------------------------------------------------------------


def test_a_plant_is_shown_on_the_map_with_target_and_commitment(
    signed_in: SignIn, services: Services
) -> None:
    services.more["networks"] = [radial_feeder("segment-001", ["h001", "h002", "h003"])]
    plant = Vpp(
        vpp_id="vpp-1",
        product="night",
        members=[VppMember(agent="h002-prosumer@here", share=1, schedule_w=[-400, -500])],
        valid_from_s=START_S,
        valid_to_s=START_S + 1800,
        target_w=[-450, -450],
        state=VppState.ACTIVE,
    )
    keep(services, plant)
    client = signed_in("aggregator")
    page = client.get("/console/vpps/vpp-1").text
    chosen = re.findall(r'<title>([^<]*)</title><circle class="chosen', page)
    assert chosen == ["segment-001-h002: 100%"]
    series = client.get("/console/vpps/vpp-1/course").json()["data"]["series"]
    assert {each["label"]: each["values"] for each in series} == {
        "target": [450.0, 450.0],
        "committed": [400.0, 500.0],
    }
    assert client.get("/console/vpps/vpp-2").status_code == 404


def test_a_map_draws_every_node_once_and_a_line_to_each_but_the_first() -> None:
    tree = SegmentTree(
        "s", 100, (MapNode("t", -1), MapNode("a", 0), MapNode("b", 1, ("h1",)), MapNode("c", 1, ("h<2>",)))
    )
    svg = drawn(tree, {"h1": Mark("good", "1.00")}, "map & more")
    assert svg.count("<circle") == 4
    assert svg.count('class="line"') == 3
    assert "h&lt;2&gt;" in svg
    assert "map &amp; more" in svg


# -- ledger and agreements ----------------------------------------------------------------------------


def test_what_accounts_moved_by_is_the_last_correction_and_what_was_paid() -> None:
    paid = LedgerEntry(time_s=START_S, debit=B, credit=A, amount_tokens=30, settlement_key="k")
    moved = movements([result(), result(1, -60)], [paid])
    assert moved == {A: -30, B: -30}


def test_the_ledger_shows_payments_and_settled_markets(signed_in: SignIn, services: Services) -> None:
    keep(services, result())
    page = signed_in("market-operator").get("/console/ledger").text
    assert "-70" in page
    assert A in page


@pytest.mark.parametrize(
    ("value", "completeness", "verdict", "penalty"),
    [(24.6, 1.0, "violated", 120), (24.5, 1.0, "ok", 0), (30.0, 0.5, "not evaluable", 0)],
)
def test_a_verdict_stands_with_the_data_behind_it(
    signed_in: SignIn, services: Services, value: float, completeness: float, verdict: str, penalty: int
) -> None:
    keep(
        services,
        Sla(sla_id="sla", parties=["dso", "h001"], kpis=["warm"], start_s=START_S, end_s=START_S + 900),
        KpiFeature(
            kpi_id="warm",
            sla_id="sla",
            function="K_TMAX",
            rule=KpiRule.ABOVE,
            limit=24.5,
            unit="degC",
            penalty_tokens=120,
            players=["h001"],
        ),
        KpiMeasure(
            kpi_id="warm", player="h001", time_s=START_S, value=value, unit="degC", completeness=completeness
        ),
    )
    page = signed_in("dso").get("/console/agreements").text
    row = page.partition("Verdicts, and what they rest on")[2]
    assert f">{verdict}<" in row
    assert f'<td class="number">{penalty}</td>' in row
    assert "above 24.5" in row


# -- grid operator ------------------------------------------------------------------------------------


def test_a_node_is_marked_by_the_phase_that_is_farthest_off() -> None:
    def at(node: str, *volts: float) -> GridMeasurement:
        return GridMeasurement(
            node_id=node,
            time_s=START_S,
            voltage_v=list(volts),
            current_a=[0.0] * 4,
            power_w=[0] * 3,
            reactive_var=[0] * 3,
        )

    marks = node_marks([at("a", 230, 231, 229), at("b", 230, 245, 229), at("c", 200, 245, 229)])
    assert {name: mark.kind for name, mark in marks.items()} == {"a": "good", "b": "strained", "c": "wrong"}


def test_a_unit_is_commanded_after_its_name_was_typed(
    signed_in: SignIn, services: Services, agents: Agents
) -> None:
    status = DstatcomStatus(
        asset_id="unit-1",
        time_s=START_S,
        mode=DstatcomMode.OFF,
        power_w=[0] * 3,
        reactive_var=[0] * 3,
        neutral_a=0.0,
        voltage_v=[230.0] * 3,
    )
    keep(services, status)
    client, path = signed_in("dso"), "/console/network/units/unit-1/command"
    assert client.post(path, data={"mode": "VOLT"}, headers=sign(client)).status_code == 422
    assert agents.said == []
    answer = client.post(path, data={"mode": "VOLT", "confirmation": "unit-1"}, headers=sign(client))
    assert answer.is_success
    assert agents.said == [("dstatcom", "dso", DstatcomCommand(asset_id="unit-1", mode=DstatcomMode.VOLT))]
    strange = client.post(path.replace("unit-1", "unit-2"), data={"mode": "VOLT"}, headers=sign(client))
    assert strange.status_code == 404


# -- people -------------------------------------------------------------------------------------------


def test_my_home_shows_energy_and_tells_agents_what_i_like(
    signed_in: SignIn, services: Services, agents: Agents
) -> None:
    keep(
        services,
        IntervalReading(
            subject="h001", start_s=START_S, consumed_wh=2500, produced_wh=0, consumed_w=10_000, produced_w=0
        ),
        Measurement(subject="h001-heat_pump", quantity=Quantity.ACTIVE_POWER_W, time_s=START_S, value=0.0),
    )
    client = signed_in("prosumer", "h001")
    assert "2.5 kWh" in client.get("/console/household").text
    path = "/console/household/h001/comfort"
    wrong = client.post(path, data={"asset_id": "h001-heat_pump", "value": "200"}, headers=sign(client))
    assert wrong.status_code == 422
    client.post(path, data={"asset_id": "h001-heat_pump", "value": "21,5"}, headers=sign(client))
    ((to, _, wish),) = agents.said
    assert to == "h001-prosumer"
    assert isinstance(wish, UserOverride)
    assert wish.setpoint_degc == 21.5


def test_i_opt_out_and_take_my_data_with_me(
    signed_in: SignIn, services: Services, agents: Agents, tmp_path
) -> None:
    registry = services.more["registry"] = new_registry(tmp_path)
    user = inline(registry.register(household(), START_S, "test", ANNA))
    client = signed_in("prosumer", "h001")
    assert "Opt out" in client.get("/console/household/h001").text
    form = {"purpose": "FLEXIBILITY", "given": "no"}
    assert client.post("/console/household/h001/consent", data=form, headers=sign(client)).is_success
    said = inline(registry.consents(user.user_id))
    assert [(each.purpose, each.given) for each in said] == [
        (ConsentPurpose.FLEXIBILITY, True),
        (ConsentPurpose.FLEXIBILITY, False),
    ]
    assert "Opt out" not in client.get("/console/household/h001").text
    exported = client.get("/console/household/h001/export").json()["data"]
    assert exported["user"]["email"] == ANNA.email
    packed = client.get("/console/household/h001/export?as_zip=true")
    assert packed.content.startswith(b"PK")
    registry.close()


def test_a_wish_for_a_car_that_is_not_there_is_not_passed_on(signed_in: SignIn, agents: Agents) -> None:
    client = signed_in("prosumer", "h001")
    form = {"energy_kwh": "10", "departure": "2030-01-01T07:00"}
    answer = client.post("/console/household/h001/charging", data=form, headers=sign(client))
    assert answer.status_code == 404
    assert agents.said == []

"""What nobody may reach or do, by any route of the console; routes are found, not listed here."""

import asyncio
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from console_visits import SignIn, sign
from litestar.testing import TestClient
from registry_samples import ANNA, BORIS, household, inline, new_registry

from behaviours.repository_port import Selection
from environments.http.access import ruled_handlers
from environments.http.access_database import AccessDatabase
from environments.http.application import application
from environments.http.console.community import AgentView, Mode
from environments.http.console.control_leases import Lease, LeaseState
from environments.http.console.routes import CONSOLE_ROUTES
from environments.http.services import Services
from environments.http.tables import METADATA, audit
from environments.repository import MemoryRepository
from environments.repository.keys import ENTITIES
from environments.repository.letter_archive import LetterArchive
from environments.repository.recorder import SqliteRecorder
from ontology.base import Concept
from ontology.coalition import DeliveryReport, MemberPayoff, VppPayoff
from ontology.codec import encode_body, message_type_of
from ontology.control import Instruction, InstructionBatch
from ontology.discourse import QueryResult
from ontology.forecasts import Forecast, ForecastKind
from ontology.ledger import LedgerEntry
from ontology.letter import Envelope
from ontology.market import LemResult, LemRow
from ontology.measurements import IntervalReading, Measurement, Quantity
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.service_level import KpiFeature, KpiMeasure, KpiRule, Sla
from ontology.storage import StorageStatus
from ontology.vpp import ProsumerMetrics, Vpp, VppMember, VppState

NOW_S = 1_750_000_500
OWN, OTHER = "h001", "h002"
FOREIGN_VALUE = 424_242
MARKS = (str(FOREIGN_VALUE), "424.242", BORIS.name, BORIS.email, "p_" + "b" * 26)
"""What is the other site's alone, wherever it stands."""
ROLES = (Role.PROSUMER, Role.UI)


class Answering:
    """Agents that answer every question with nothing, and remember what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Performative]] = []

    async def say(self, party, to, content, act, deadline_s, *, speaker="", until_agreed=False) -> Concept:
        self.said.append((to, act))
        return QueryResult(entity="parity:ProsumerMetrics", items=[])


def facts_of(site: str, account: str, value: int) -> list[Concept]:
    """Return something of every kind that pages show about a site."""
    agent = f"{site}-prosumer@here"
    span = {"start_s": NOW_S, "end_s": NOW_S + 900}
    return [
        IntervalReading(
            subject=site, start_s=NOW_S, consumed_wh=value, produced_wh=0, consumed_w=value, produced_w=0
        ),
        Forecast(subject=site, kind=ForecastKind.NET, issued_at_s=NOW_S, start_s=NOW_S, power_w=[value]),
        Measurement(
            subject=f"{site}-bess", quantity=Quantity.ACTIVE_POWER_W, time_s=NOW_S, value=float(value)
        ),
        StorageStatus(asset_id=f"{site}-bess", time_s=NOW_S, state_of_charge=0.5, power_w=value),
        ProsumerMetrics(
            player=agent,
            peak_w=value,
            load_factor=1,
            flexibility_up_wh=0,
            flexibility_down_wh=0,
            reliability=1,
            response_time_s=1,
            forecast_error=0,
            self_sufficiency=1,
            self_consumption=1,
            **span,
        ),
        LedgerEntry(
            time_s=NOW_S,
            debit="p_" + "z" * 26,
            credit=account,
            amount_tokens=value,
            settlement_key=f"k {site}",
        ),
        Sla(sla_id=f"sla-{site}", parties=[site], kpis=[f"kpi-{site}"], **span),
        KpiFeature(
            kpi_id=f"kpi-{site}",
            sla_id=f"sla-{site}",
            rule=KpiRule.ABOVE,
            limit=float(value),
            unit="W",
            penalty_tokens=1,
            players=[site],
        ),
        KpiMeasure(kpi_id=f"kpi-{site}", player=site, time_s=NOW_S, value=float(value), unit="W"),
    ]


def shared_facts() -> list[Concept]:
    """Return facts about both sites at once, of which each is to see its part."""
    accounts = {"p_" + "a" * 26: 11, "p_" + "b" * 26: FOREIGN_VALUE}
    rows = [
        LemRow(
            player=account,
            consumed_wh=value,
            produced_wh=0,
            tokens_consumption=0,
            tokens_production=0,
            tokens_flow=0,
            tokens_net=-value,
        )
        for account, value in accounts.items()
    ]
    members = [(f"{OWN}-prosumer@here", 11), (f"{OTHER}-prosumer@here", FOREIGN_VALUE)]
    return [
        LemResult(
            start_s=NOW_S,
            segment_id="segment-001",
            grid_state="GREEN",
            consumed_wh=1,
            produced_wh=0,
            buy_price_ticks_per_kwh=2000,
            sell_price_ticks_per_kwh=650,
            rows=rows,
            result_hash="h",
        ),
        Vpp(
            vpp_id="vpp-1",
            product="night",
            valid_from_s=NOW_S,
            valid_to_s=NOW_S + 900,
            target_w=[5],
            state=VppState.ACTIVE,
            members=[VppMember(agent=name, share=0.5, schedule_w=[value]) for name, value in members],
        ),
        VppPayoff(
            vpp_id="vpp-1",
            product_id="night",
            paid_ticks=11 + FOREIGN_VALUE,
            members=[
                MemberPayoff(
                    member=name,
                    committed_wh=value,
                    delivered_wh=value,
                    accuracy=1,
                    cost_ticks=value,
                    surplus_ticks=0,
                )
                for name, value in members
            ],
        ),
    ]


def letters_of(site: str, value: int) -> Iterator[tuple[str, str, Concept]]:
    told = Instruction(
        instruction_id=f"{site}-1",
        asset_id=f"{site}-bess",
        execution_time_s=NOW_S,
        valid_until_s=NOW_S + 900,
        setpoint_w=value,
    )
    yield f"{site}-prosumer", f"{site}-gateway", InstructionBatch(site=site, instructions=[told])
    yield f"{site}-gateway", f"{site}-prosumer", facts_of(site, "p_x", value)[3]
    yield (
        f"{site}-prosumer",
        "aggregator",
        DeliveryReport(
            vpp_id="vpp-1",
            member=f"{site}-prosumer@here",
            start_s=NOW_S,
            committed_wh=value,
            delivered_wh=value,
        ),
    )


class Street:
    name, mode = "street", Mode.LIVE

    def __init__(self, archive: LetterArchive) -> None:
        self.archive = archive

    def now_s(self) -> float:
        return float(NOW_S + 100)

    def agents(self) -> list[AgentView]:
        kinds = (Role.GATEWAY, Role.PROSUMER, Role.BESS, Role.EV)
        return [
            AgentView(address=f"{site}-{role}@here", role=role, site=site)
            for site, role in product((OWN, OTHER), kinds)
        ] + [AgentView(address="aggregator@here", role=Role.AGGREGATOR)]

    async def stop(self, address: str) -> None:
        raise AssertionError("nobody may stop an agent here")

    start = stop


async def never(seconds: float) -> None:
    raise TimeoutError(seconds)


@pytest.fixture(scope="module")
def services(tmp_path_factory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("street")
    with SqliteRecorder(folder / "messages.sqlite") as recorder:
        letters = [*letters_of(OWN, 11), *letters_of(OTHER, FOREIGN_VALUE)]
        for number, (sender, to, content) in enumerate(letters, 1):
            envelope = Envelope(
                "inform",
                f"{sender}@here",
                f"{to}@here",
                message_type_of(type(content)),
                f"c{number}",
                1,
                f"m{number}",
                NOW_S,
                body=encode_body(content),
            )
            recorder.record(envelope, "handled", NOW_S + 1.0)
    registry = new_registry(folder)
    for site, details in ((OWN, ANNA), (OTHER, BORIS)):
        inline(registry.register(household(site), NOW_S, "test", details))
    repository, database = MemoryRepository(), AccessDatabase()
    mine, others = facts_of(OWN, "p_" + "a" * 26, 11), facts_of(OTHER, "p_" + "b" * 26, FOREIGN_VALUE)
    asyncio.run(repository.store([*mine, *others, *shared_facts()]))
    with LetterArchive(folder / "messages.sqlite") as archive:
        more = {"community": Street(archive), "registry": registry, "sleep": never}
        services = Services(
            repository, database, lambda: NOW_S, portals=Answering(), requests_per_s=1e6, more=more
        )
        for site, value in ((OWN, 11), (OTHER, FOREIGN_VALUE)):
            services.leases.take(lease_on(site, value))
        yield services
    registry.close()
    database.close()


def lease_on(site: str, value: int) -> Lease:
    told = next(letters_of(site, value))[2].instructions[0]  # type: ignore[attr-defined]
    return Lease(
        lease_id=f"lease-{site}",
        asset_id=f"{site}-bess",
        token_id="",
        holder="-",
        from_s=NOW_S,
        until_s=NOW_S + 900,
        told=told,
        state=LeaseState.HELD,
    )


def filled(path: str, site: str, services: Services) -> list[str]:
    """Return a route's path with what is a site's in its parameters."""
    number = 1 if site == OWN else 4
    values: dict[str, Any] = {
        "site": site,
        "asset_id": f"{site}-bess",
        "address": f"{site}-gateway@here",
        "run": f"{site}-001",
        "vpp_id": "vpp-1",
        "segment": "segment-001",
        "start_s": NOW_S,
        "lease_id": f"lease-{site}",
        "user_id": services.more["registry"].user_of(site),
        "kind": "buildings",
        "path": "console.css",
    }
    if "{number}" in path:
        return [path.replace("{number}", str(number + i)) for i in range(3)]
    if path.endswith("/conversations"):
        return [f"{path}?id=c{number + i}" for i in range(3)]
    return [re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), path)]


APP = application(Services(MemoryRepository(), AccessDatabase(), lambda: NOW_S), CONSOLE_ROUTES).litestar
ROUTED = sorted(
    {(m, p) for m, p, _ in ruled_handlers(APP) if p.startswith("/console") and "/static" not in p}
)
GETS = [path for method, path in ROUTED if method == "GET" and not path.endswith("/stream")]
"""Streams never end; what they bring is what `/letters/rows` brings."""
CHANGES = [(method, path) for method, path in ROUTED if method not in ("GET", "HEAD")]


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("role", ROLES)
def test_a_prosumer_reaches_nothing_of_anothers(
    signed_in: SignIn, services: Services, role: Role, path: str
) -> None:
    client = signed_in(role, OWN, "p_" + "a" * 26)
    for site in (OWN, OTHER):
        for address in filled(path, site, services):
            answer = client.get(address)
            text = answer.text
            assert answer.status_code != 500, address
            assert [mark for mark in MARKS if mark in text] == [], address
            if site == OWN:
                assert OTHER not in text, address


@pytest.mark.parametrize("role", ["aggregator", "market-operator"])
def test_what_a_prosumer_must_not_find_is_there_to_be_found(
    signed_in: SignIn, services: Services, role: str
) -> None:
    client = signed_in(role, rights=("bodies",))
    pages = [client.get(address).text for path in GETS for address in filled(path, OTHER, services)]
    assert sum(any(mark in page for mark in MARKS) for page in pages) >= 8


@pytest.mark.parametrize("words", [f"?agent={OTHER}", "?words=424242", f"?agent={OTHER}-gateway%40here"])
@pytest.mark.parametrize("page", ["letters", "letters/rows", "letters/export"])
def test_no_search_leads_to_anothers_letters(signed_in: SignIn, page: str, words: str) -> None:
    text = signed_in("prosumer", OWN).get(f"/console/{page}{words}").text
    assert "h002-gateway<" not in text
    assert '"setpoint_w":424242' not in text.replace("\\", "")


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_prosumer_changes_nothing_of_anothers(
    signed_in: SignIn, services: Services, method: str, path: str
) -> None:
    if "/sign-" in path:
        return
    client = signed_in("prosumer", OWN)
    before, said = stored(services), list(services.portals.said)
    form = {"setpoint_w": "1", "minutes": "15", "confirmation": f"{OTHER}-bess", "purpose": "FLEXIBILITY"}
    for address in filled(path, OTHER, services):
        answer = client.request(method, address, data=form | {"given": "no"}, headers=sign(client))
        assert answer.status_code in (401, 403, 404), address
    assert stored(services) == before
    assert services.portals.said == said


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_change_must_come_from_a_page_of_the_session(
    signed_in: SignIn, services: Services, method: str, path: str
) -> None:
    if path.endswith("/sign-in"):
        return
    before = stored(services)
    client = signed_in("prosumer", OWN)
    for address in filled(path, OWN, services):
        assert client.request(method, address, data={}).status_code == 403, address
    assert stored(services) == before


@pytest.mark.parametrize("role", ["market-operator", "aggregator", "dso", "prosumer"])
def test_looking_changes_nothing(signed_in: SignIn, services: Services, role: str) -> None:
    client = signed_in(role, *((OWN,) if role == "prosumer" else ()), rights=("bodies",))
    before = stored(services)
    services.portals.said.clear()
    for path in GETS:
        for address in filled(path, OWN, services):
            assert client.get(address).status_code != 500, address
    assert stored(services) == before
    assert {act for _, act in services.portals.said} <= {Performative.QUERY_REF}


def stored(services: Services) -> dict[str, Any]:
    """Return all that is kept: facts, people, and the interface's tables but those of access."""
    own = [
        t
        for t in METADATA.sorted_tables
        if t is not audit and t.name not in ("console_sessions", "api_tokens")
    ]
    registry = services.more["registry"]
    return {
        "facts": {entity: inline(services.repository.select(Selection(entity))) for entity in ENTITIES},
        "users": registry.users(),
        "consents": [inline(registry.consents(each.user_id)) for each in registry.users()],
        "catalogues": [inline(registry.catalogue.entries(kind)) for kind in ("buildings", "asset-types")],
        **{
            table.name: services.sessions._database.run(
                lambda c, table=table: [tuple(row) for row in c.execute(sa.select(table))]
            )
            for table in own
        },
    }


@pytest.fixture(scope="module")
def shared_client(services: Services) -> Iterator[TestClient]:
    with TestClient(application(services, routes=CONSOLE_ROUTES)) as client:  # type: ignore[arg-type]
        client.follow_redirects = False
        yield client


@pytest.fixture
def client(shared_client: TestClient) -> TestClient:
    return shared_client

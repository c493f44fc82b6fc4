"""Devices in the console: their course, and control on loan."""

import asyncio
import re

import pytest
from console_visits import SignIn, sign
from litestar.testing import TestClient

from environments.http.access_database import AccessDatabase
from environments.http.answers import NotThere
from environments.http.console.community import AgentView
from environments.http.console.control_leases import Lease, LeaseState, LeaseStore
from environments.http.services import Services
from ontology.base import Concept
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
)
from ontology.errors import Conflict, ParityError, Refused
from ontology.measurements import Measurement, Quantity
from ontology.roles import Role

BATTERY = "h001-bess"
ASKED = {"setpoint_w": "500", "minutes": "15"}
NOW_S = 1_750_000_000


class Gateway:
    """Answers for all agents as it is told to, and remembers what it was told."""

    def __init__(self) -> None:
        self.answer: InstructionState | ParityError | TimeoutError = InstructionState.STARTED
        self.told: list[tuple[str, str, Instruction]] = []

    async def say(self, party, to, content, act, deadline_s, *, speaker="", until_agreed=False) -> Concept:
        instruction = content.instructions[0] if isinstance(content, InstructionBatch) else content
        self.told.append((to, speaker, instruction))
        if isinstance(self.answer, Exception):
            raise self.answer
        status = InstructionStatus(
            instruction_id=instruction.instruction_id, status=self.answer, time_s=NOW_S
        )
        in_batch = isinstance(content, InstructionBatch)
        return InstructionBatchStatus(site=content.site, statuses=[status]) if in_batch else status


@pytest.fixture(autouse=True)
def gateway(services: Services) -> Gateway:
    roles = (Role.GATEWAY, Role.BESS, Role.EV)
    agents = [
        AgentView(address=f"{site}-{role}@here", role=role, site=site)
        for site in ("h001", "h002")
        for role in roles
    ]
    services.more["community"].agents = lambda: agents
    services.portals = Gateway()
    return services.portals


def take(client: TestClient, asset_id: str = BATTERY, **changes: str):
    form = ASKED | {"confirmation": asset_id} | changes
    return client.post(f"/console/assets/{asset_id}/leases", data=form, headers=sign(client))


def test_devices_are_listed_and_charted(signed_in: SignIn, services: Services) -> None:
    measured = Measurement(subject=BATTERY, quantity=Quantity.ACTIVE_POWER_W, time_s=NOW_S - 900, value=250.0)
    asyncio.run(services.repository.store([measured]))
    client = signed_in("prosumer", "h001")
    page = client.get("/console/assets").text
    assert f"/console/assets/{BATTERY}" in page
    assert "h002" not in page
    (series,) = client.get(f"/console/assets/{BATTERY}/course").json()["data"]["series"]
    assert (series["label"], series["values"]) == ("measured", [250.0])


def test_preview_changes_nothing(signed_in: SignIn, gateway: Gateway) -> None:
    client = signed_in("prosumer", "h001")
    answer = client.post(f"/console/assets/{BATTERY}/leases/preview", data=ASKED, headers=sign(client))
    assert "500 W" in answer.text
    assert gateway.told == []
    assert "Never yet" in client.get(f"/console/assets/{BATTERY}").text


def test_a_lease_tells_the_gateway_and_says_until_when(signed_in: SignIn, gateway: Gateway) -> None:
    client = signed_in("prosumer", "h001")
    assert "held" in take(client).text
    ((to, _, told),) = gateway.told
    assert (to, told.setpoint_w) == ("h001-gateway", 500)
    assert told.valid_until_s == NOW_S + 900
    assert take(client).status_code == 409
    page = client.get(f"/console/assets/{BATTERY}").text
    assert page.partition("Written down of your changes")[2].count("POST") == 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (InstructionState.REJECTED, LeaseState.TURNED_DOWN),
        (Refused("not now"), LeaseState.TURNED_DOWN),
        (InstructionState.ABORTED, LeaseState.FAILED),
        (NotThere("no such agent"), LeaseState.FAILED),
        (TimeoutError(), LeaseState.FAILED),
    ],
)
def test_what_did_not_work_is_written_down_and_can_be_tried_again(
    signed_in: SignIn, services: Services, gateway: Gateway, answer, state
) -> None:
    client = signed_in("prosumer", "h001")
    gateway.answer = answer
    assert take(client).is_success
    assert [each.state for each in services.leases.of(BATTERY, NOW_S)] == [state]
    gateway.answer = InstructionState.STARTED
    assert "held" in take(client).text


def test_a_device_is_given_back_before_its_time(
    signed_in: SignIn, services: Services, gateway: Gateway
) -> None:
    client = signed_in("prosumer", "h001")
    take(client)
    (lease,) = services.leases.of(BATTERY, NOW_S)
    path = f"/console/assets/{BATTERY}/leases/{lease.lease_id}/end"
    assert "given back" in client.post(path, headers=sign(client)).text
    told = gateway.told[-1][2]
    assert (told.mode, told.valid_until_s) == ("auto", NOW_S + 1)
    assert client.post(path, headers=sign(client)).status_code == 404


def test_another_token_does_not_give_it_back(signed_in: SignIn, services: Services, gateway: Gateway) -> None:
    take(signed_in("prosumer", "h001"))
    (lease,) = services.leases.of(BATTERY, NOW_S)
    other = signed_in("ui", "h001")
    path = f"/console/assets/{BATTERY}/leases/{lease.lease_id}/end"
    assert other.post(path, headers=sign(other)).status_code == 403
    assert len(gateway.told) == 1


@pytest.mark.parametrize(
    ("role", "sites", "asset_id", "status"),
    [
        ("prosumer", ("h001",), "h002-bess", 404),
        ("aggregator", (), BATTERY, 403),
        ("dso", (), BATTERY, 403),
        ("market-operator", (), BATTERY, 403),
    ],
)
def test_who_may_not_steer_a_device_is_refused(
    signed_in: SignIn, gateway: Gateway, role: str, sites: tuple[str, ...], asset_id: str, status: int
) -> None:
    assert take(signed_in(role, *sites), asset_id).status_code == status
    assert gateway.told == []


def test_the_aggregator_limits_a_charger(signed_in: SignIn, gateway: Gateway) -> None:
    client = signed_in("aggregator")
    assert "held" in take(client, "h001-ev", power_max_w="2000", setpoint_w="").text
    ((to, speaker, told),) = gateway.told
    assert (to, speaker, told.power_max_w) == ("h001-ev", "aggregator", 2000)


def test_all_that_is_wrong_is_said_at_once(signed_in: SignIn) -> None:
    client = signed_in("prosumer", "h001")
    wrong = {"setpoint_w": "much", "minutes": "9999"}
    answer = client.post(f"/console/assets/{BATTERY}/leases/preview", data=wrong, headers=sign(client))
    assert answer.status_code == 422
    assert set(re.findall(r"<strong>(\w+)</strong>", answer.text)) >= {"setpoint_w", "minutes"}


def lease(name: str, from_s: int = NOW_S, until_s: int = NOW_S + 900) -> Lease:
    told = Instruction(
        instruction_id=name, asset_id=BATTERY, execution_time_s=from_s, valid_until_s=until_s, setpoint_w=1
    )
    return Lease(
        lease_id=name,
        asset_id=BATTERY,
        token_id="t",
        holder="Anna",
        from_s=from_s,
        until_s=until_s,
        told=told,
        state=LeaseState.ASKED,
    )


def test_a_console_that_died_before_the_answer_leaves_a_line_and_blocks_nobody_for_longer_than_the_lease(
    tmp_path,
):
    url = f"sqlite:///{tmp_path / 'access.sqlite'}"
    LeaseStore(AccessDatabase(url)).take(lease("first"))
    again = LeaseStore(AccessDatabase(url))
    assert [each.state for each in again.of(BATTERY, NOW_S + 5)] == [LeaseState.ASKED]
    with pytest.raises(Conflict):
        again.take(lease("second", NOW_S + 5, NOW_S + 905))
    again.take(lease("third", NOW_S + 900, NOW_S + 1800))
    assert [each.lease_id for each in again.of(BATTERY, NOW_S + 900)] == ["third", "first"]


def test_a_lease_that_has_ended_is_over(tmp_path):
    store = LeaseStore(AccessDatabase())
    store.take(lease("first"))
    store.settle("first", LeaseState.HELD, "started")
    assert [store.of(BATTERY, t)[0].state for t in (NOW_S + 899, NOW_S + 900)] == [
        LeaseState.HELD,
        LeaseState.OVER,
    ]

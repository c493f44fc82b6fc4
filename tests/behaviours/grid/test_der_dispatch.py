"""The DSO instructs what it controls directly; a gateway obeys it for that, and for nothing else."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from post_office import START_S, Town

from behaviours.decisions.active_network.own_assets import AssetKind, OwnAsset
from behaviours.decisions.grid import radial_feeder
from behaviours.grid.der_dispatch import DerDispatch
from behaviours.grid.dso_settings import DsoSettings
from behaviours.signing import Signer
from behaviours.site.contacts import SiteContacts
from behaviours.site.device_control import DeviceControl
from behaviours.site.direct_control import DirectControl
from behaviours.site.metering import GatewaySettings
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.discourse import Refusal
from ontology.performatives import Performative
from ontology.roles import Role
from ontology.storage import StorageStatus

NETWORK = radial_feeder("segment-001", ["h001", "h002"])
END_S = START_S + 900


@dataclass
class Shelf:
    """A battery that notes what it is told."""

    name: str = "bess"
    told: list[Instruction] = field(default_factory=list)

    async def percepts(self) -> list[StorageStatus]:
        return [StorageStatus(asset_id="h001-bess", time_s=START_S, state_of_charge=0.5, power_w=0)]

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        self.told.append(instruction)
        return InstructionStatus(
            instruction_id=instruction.instruction_id, status=InstructionState.STARTED, time_s=START_S
        )


def instruction(**changes: Any) -> Instruction:
    told = Instruction(
        instruction_id="i",
        asset_id="h001-bess",
        execution_time_s=START_S,
        valid_until_s=END_S,
        setpoint_w=-5_000,
        priority=Priority.CONTRACT,
    )
    return msgspec.structs.replace(told, **changes)


class Street:
    """A DSO with a battery at h001, the gateway there, a prosumer and a rival."""

    def __init__(self, town: Town) -> None:
        self.town, self.battery = town, Shelf()
        contacts = SiteContacts(dso="dso@town", prosumer="h001-prosumer@town", gateway="h001-gateway@town")
        self.gateway_settings = GatewaySettings(
            site="h001", contacts=contacts, controlled_by_dso=("h001-bess",), of_dso=("h001-bess",)
        )
        asset = OwnAsset(
            asset_id="h001-bess",
            site="h001",
            segment_id="segment-001",
            gateway="h001-gateway@town",
            kind=AssetKind.BATTERY,
            power_max_w=10_000,
            shares=(1 / 3, 1 / 3, 1 / 3),
            eur_per_kwh=0.05,
            capacity_wh=20_000,
            floor_wh=1_000,
        )
        self.dso_settings = DsoSettings(
            networks=(NETWORK,), repository="r@town", aggregator="a@town", own_assets=(asset,)
        )

    def gateway(self) -> None:
        settings = self.gateway_settings
        self.town.agent(
            "h001-gateway", Role.GATEWAY, DeviceControl, DirectControl, settings=settings, site="h001"
        )

    def dso(self) -> Any:
        signer = Signer(b"dso".ljust(32))
        return self.town.agent("dso", Role.DSO, DerDispatch, settings=self.dso_settings, signer=signer)


@pytest.fixture
def street(town: Town, monkeypatch: pytest.MonkeyPatch) -> Street:
    made = Street(town)
    usual = town.surroundings

    def with_devices(*args: Any) -> Any:
        from dataclasses import replace

        return replace(usual(*args), devices=(made.battery,))

    monkeypatch.setattr(town, "surroundings", with_devices)
    made.gateway()
    return made


def ask(street: Street, sender: str, role: Role, *letters: Any) -> Any:
    """Send one thing after another to the gateway and return the last answer."""
    mailbox = street.town.mailbox(
        sender, role, signer=Signer(sender.ljust(32).encode()), site="h001" if "h001" in sender else ""
    )
    for told, act in letters:
        street.town.soon(mailbox.send, "h001-gateway@town", told, act)
        street.town.run(2)
    return mailbox.read[-1].content if mailbox.read else None


def test_the_dso_is_obeyed_for_its_own_battery(street: Street) -> None:
    answer = ask(street, "dso", Role.DSO, (instruction(), Performative.REQUEST))
    assert isinstance(answer, InstructionStatus)
    assert answer.status is InstructionState.STARTED
    assert [each.setpoint_w for each in street.battery.told] == [-5_000]


@pytest.mark.parametrize(
    ("sender", "role", "told"),
    [
        ("rival", Role.DSO, instruction()),
        ("dso", Role.DSO, instruction(asset_id="h001-ev")),
        ("dso", Role.DSO, instruction(priority=Priority.MARKET)),
    ],
    ids=["another DSO", "another asset", "not by contract"],
)
def test_anything_else_is_refused(street: Street, sender: str, role: Role, told: Instruction) -> None:
    assert isinstance(ask(street, sender, role, (told, Performative.REQUEST)), Refusal)
    assert not street.battery.told


def test_nobody_at_the_site_steers_the_battery_of_the_dso(street: Street) -> None:
    batch = InstructionBatch(site="h001", instructions=[instruction(priority=Priority.LOCAL_OPT)])
    answer = ask(street, "h001-prosumer", Role.PROSUMER, (batch, Performative.REQUEST))
    assert isinstance(answer, InstructionBatchStatus)
    assert [each.status for each in answer.statuses] == [InstructionState.REJECTED]
    assert not street.battery.told


def test_what_is_withdrawn_is_given_back(street: Street) -> None:
    letters = [(instruction(), act) for act in (Performative.REQUEST, Performative.CANCEL)]
    answer = ask(street, "dso", Role.DSO, *letters)
    assert answer.status is InstructionState.REVOKED
    assert street.battery.told[-1].mode == "auto"


def test_an_asset_is_dispatched_written_down_repeated_after_a_restart_and_withdrawn(street: Street) -> None:
    town, dso = street.town, street.dso()
    town.run(310)
    dispatch = dso.behaviour(DerDispatch)
    assert [state.stored_wh for _, state in dispatch.assets("segment-001")] == [10_000]
    now_s = int(town.clock.now_s())
    town.soon(dispatch.dispatch, NETWORK, {"h001-bess": -4_000.0}, now_s, now_s + 600)
    town.run(2)
    assert [each.outcome for each in dispatch.records] == [InstructionState.STARTED]
    assert dispatch.given_w("segment-001").sum() == pytest.approx(-4_000)
    dso.commit()
    dso.kill()
    dispatch = street.dso().behaviour(DerDispatch)
    town.run(2)
    assert [each.setpoint_w for each in street.battery.told] == [-4_000, -4_000]
    town.run(300)
    now_s = int(town.clock.now_s())
    town.soon(dispatch.dispatch, NETWORK, {}, now_s, now_s + 600)
    town.run(2)
    assert dispatch.records[-1].outcome is InstructionState.REVOKED
    assert dispatch.given_w("segment-001").sum() == 0

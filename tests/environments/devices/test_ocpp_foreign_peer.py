"""A charge point of another project (npm ocpp-rpc, strict mode) charges and is told a day's plan."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ocpp_helpers import PASSWORD, Yard, in_yard, of_kind, until

from ontology.charging import ChargingSchedule, EvConnectionEvent, EvDisconnectionEvent, EvSocUpdate
from ontology.control import InstructionState

PEER = Path(__file__).with_name("ocpp_rpc_peer.cjs")
MODULES = Path(__file__).parents[3] / ".servers" / "node_modules"


def node() -> str:
    """Return Node.js; skip (fail, where servers are required) without it or ocpp-rpc."""
    program = shutil.which("node")
    if program is None or not (MODULES / "ocpp-rpc").is_dir():
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("ocpp-rpc is not installed: scripts/install-servers installs it")
    assert program is not None
    return program


class Peer:
    """The charge point's process, and what it printed."""

    def __init__(self, program: str, yard: Yard) -> None:
        self.said: list[dict[str, Any]] = []
        self._command = [program, str(PEER), yard.central.url, "CP-1"]

    async def __aenter__(self) -> "Peer":
        surroundings = os.environ | {"NODE_PATH": str(MODULES), "OCPP_PASSWORD": PASSWORD}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE, env=surroundings
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.said.append(json.loads(line))

    def of(self, what: str) -> list[Any]:
        failed = [each["content"] for each in self.said if each["what"] == "failed"]
        assert not failed, failed
        return [each["content"] for each in self.said if each["what"] == what]


@pytest.mark.server
def test_a_foreign_charge_point_boots_charges_and_takes_a_plan_of_96_periods(tmp_path: Path) -> None:
    program = node()

    async def act(yard: Yard) -> None:
        async with Peer(program, yard) as peer:
            running = await until(lambda: peer.of("StartTransaction") and yard.station.record.running(1), 20)
            await until(lambda: yard.delivered_wh)
            reports = await yard.device().percepts()
            (progress,) = of_kind(EvSocUpdate, reports)
            assert (progress.energy_delivered_wh, progress.power_w) == (250, 7_200)
            assert progress.state_of_charge == pytest.approx(0.415)
            powers = [5_000 + 37 * step for step in range(96)]
            start_s = int(yard.clock.now_s())
            plan = ChargingSchedule(session_id=running.session_id, start_s=start_s, power_w=powers)
            assert await yard.device().follow(plan) is InstructionState.STARTED
            await until(lambda: peer.of("done"), 20)

            assert peer.of("BootNotification")[0]["status"] == "Accepted"
            assert peer.of("Authorize")[0]["idTagInfo"]["status"] == "Accepted"
            first, again = peer.of("StartTransaction")
            assert first == again  # the same start twice is one transaction
            profiles = [each["csChargingProfiles"] for each in peer.of("SetChargingProfile")]
            assert {each["chargingProfilePurpose"] for each in profiles[:-1]} == {
                "ChargePointMaxProfile",
                "TxDefaultProfile",
            }
            periods = profiles[-1]["chargingSchedule"]["chargingSchedulePeriod"]
            assert [each["limit"] for each in periods] == pytest.approx(powers)
            reports = await yard.device().percepts()
            (end,) = of_kind(EvDisconnectionEvent, reports)
            assert (end.energy_delivered_wh, end.reason) == (900, "EVDisconnected")
            assert of_kind(EvConnectionEvent, reports) == []
            assert yard.station.health().vendor == "ocpp-rpc"

    in_yard(act, tmp_path, "1.6")

"""DER dispatch: signals to the assets that the DSO controls directly, and to no others (D8.1 3.9, SPEC 4.10).

```
gateway ── inform StorageStatus | Measurement ──> DSO
DSO ── request Instruction (signed) ──> gateway ── inform InstructionStatus | refuse ──> DSO
DSO ── cancel Instruction ──> gateway      (when it is over before its time)
```
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from behaviours.behaviour import Behaviour, on, when
from behaviours.decisions.active_network.own_assets import AssetKind, AssetState, OwnAsset
from behaviours.decisions.grid.network import Network
from behaviours.grid.dso_settings import DsoSettings
from ontology.control import Instruction, InstructionState, InstructionStatus, Priority
from ontology.errors import ParityError, Refused
from ontology.letter import Letter
from ontology.measurements import Measurement
from ontology.performatives import Performative
from ontology.storage import StorageStatus

__all__ = ["DerDispatch", "DispatchRecord"]

log = structlog.get_logger()

Array = NDArray[np.float64]

FRESH_S = 1_200
"""An asset that has not reported for so long is not counted on."""
LEAST_W = 10
"""A smaller change is not sent."""
ALIKE_W = 200
"""An instruction that differs less from the one that holds is not sent again."""
RECORDS = 10_000
_IN_FORCE = "dispatched "


@dataclass(frozen=True)
class DispatchRecord:
    """An instruction that was sent, and what came of it: a state, or why it was not served."""

    time_s: int
    instruction: Instruction
    outcome: str


class DerDispatch(Behaviour):
    """Instructs the DSO's own assets, writes down what came of it, and withdraws what is over."""

    settings: DsoSettings

    def setup(self) -> None:
        """Know the assets; none has reported."""
        self._assets = {each.asset_id: each for each in self.settings.own_assets}
        self._states: dict[str, AssetState] = {}
        self.records: deque[DispatchRecord] = deque(maxlen=RECORDS)

    @on(StorageStatus)
    def note_storage(self, status: StorageStatus, letter: Letter) -> None:
        """Note what a battery of the DSO's has stored.

        Raises: Refused when it is not one of them, or another than its gateway tells.
        """
        asset = self._require_own(status.asset_id, letter)
        stored_wh = status.state_of_charge * asset.capacity_wh
        self._states[asset.asset_id] = AssetState(self.now_s(), float(status.power_w), stored_wh)

    @on(Measurement)
    def note_power(self, measured: Measurement, letter: Letter) -> None:
        """Note what a plant or a load that the DSO may limit draws.

        Raises: Refused when it is not one of them, or another than its gateway tells.
        """
        asset = self._require_own(measured.subject, letter)
        self._states[asset.asset_id] = AssetState(self.now_s(), measured.value)

    def assets(self, segment_id: str) -> list[tuple[OwnAsset, AssetState]]:
        """Return the assets of a segment that can be counted on, with what they reported."""
        since_s = self.now_s() - FRESH_S
        return [
            (asset, state)
            for asset in self.settings.own_assets
            if asset.segment_id == segment_id
            and (state := self._states.get(asset.asset_id)) is not None
            and state.time_s >= since_s
        ]

    def dispatch(
        self,
        network: Network,
        changes_w: Mapping[str, float],
        start_s: int,
        end_s: int,
        priority: Priority = Priority.CONTRACT,
    ) -> None:
        """Instruct the assets of a segment for an interval; withdraw what holds still and is not wanted.

        Args:
            network: the segment.
            changes_w: by asset, W that it is to draw more than it would.
            start_s: from when.
            end_s: until when.
            priority: CONTRACT, or DSO_RED in an emergency.
        """
        wanted = {}
        for asset, state in self.assets(network.segment_id):
            if abs(changes_w.get(asset.asset_id, 0.0)) >= LEAST_W:
                wanted[asset.asset_id] = self._instruction(
                    asset, state, changes_w[asset.asset_id], start_s, end_s, priority
                )
        for asset in self.settings.own_assets:
            if asset.segment_id != network.segment_id:
                continue
            held = self.kept(_IN_FORCE + asset.asset_id, Instruction)
            told = wanted.get(asset.asset_id)
            if told is not None and held is not None and _is_alike(told, held):
                continue
            if told is not None:
                self.keep(_IN_FORCE + asset.asset_id, told)
                self.agent.spawn(self._send(asset, told))
            elif held is not None:
                self.keep(_IN_FORCE + asset.asset_id, None)
                if held.valid_until_s > start_s:
                    self.agent.spawn(self._withdraw(asset, held))

    def given_w(self, segment_id: str) -> Array:
        """Return what the batteries of a segment draw by instructions that hold now, by phase (3) in W."""
        total_w = np.zeros(3)
        for asset in self.settings.own_assets:
            held = self.kept(_IN_FORCE + asset.asset_id, Instruction)
            if asset.segment_id != segment_id or held is None or held.setpoint_w is None:
                continue
            if held.execution_time_s <= self.now_s() < held.valid_until_s:
                total_w += held.setpoint_w * np.array(asset.shares)
        return total_w

    @when("started")
    async def repeat(self) -> None:
        """Send once more what still holds, after a restart: whether it arrived is not known."""
        for asset in self.settings.own_assets:
            told = self.kept(_IN_FORCE + asset.asset_id, Instruction)
            if told is not None and told.valid_until_s > self.now_s():
                await self._send(asset, told)

    def _instruction(
        self,
        asset: OwnAsset,
        state: AssetState,
        change_w: float,
        start_s: int,
        end_s: int,
        priority: Priority,
    ) -> Instruction:
        power_w = round(change_w if asset.kind is AssetKind.BATTERY else state.power_w + change_w)
        return Instruction(
            instruction_id=f"dso-{asset.asset_id}-{start_s}-{self.now_s()}",
            asset_id=asset.asset_id,
            execution_time_s=start_s,
            valid_until_s=end_s,
            setpoint_w=power_w if asset.kind is AssetKind.BATTERY else None,
            power_min_w=min(0, power_w) if asset.kind is AssetKind.PLANT else None,
            power_max_w=max(0, power_w) if asset.kind is AssetKind.LOAD else None,
            reason="network",
            priority=priority,
        )

    async def _send(self, asset: OwnAsset, told: Instruction) -> None:
        """Send an instruction and write down what came of it."""
        try:
            status = await self.ask(asset.gateway, told, InstructionStatus, within_s=5)
        except ParityError as error:
            self.agent.counts["assets not dispatched"] += 1
            self._record(told, f"failed: {error}")
            return
        self._record(told, status.status)
        is_taken = status.status is not InstructionState.REJECTED
        self.agent.counts["assets dispatched" if is_taken else "assets not dispatched"] += 1

    async def _withdraw(self, asset: OwnAsset, held: Instruction) -> None:
        """Give an asset back to itself before its instruction ends."""
        try:
            status = await self.ask(
                asset.gateway, held, InstructionStatus, act=Performative.CANCEL, within_s=5
            )
        except ParityError as error:
            self._record(held, f"not withdrawn: {error}")
            return
        self._record(held, status.status)
        self.agent.counts["assets withdrawn"] += 1

    def _record(self, told: Instruction, outcome: str) -> None:
        self.records.append(DispatchRecord(self.now_s(), told, outcome))
        log.info("asset dispatched", instruction=told.instruction_id, outcome=str(outcome))

    def _require_own(self, asset_id: str, letter: Letter) -> OwnAsset:
        asset = self._assets.get(asset_id)
        if asset is None or letter.sender != asset.gateway:
            raise Refused(f"{letter.sender} does not tell of {asset_id} here")
        return asset


def _is_alike(told: Instruction, held: Instruction) -> bool:
    """Tell whether an instruction says what one that holds says already."""
    if (told.valid_until_s, told.priority) != (held.valid_until_s, held.priority):
        return False
    pairs = (
        (told.setpoint_w, held.setpoint_w),
        (told.power_min_w, held.power_min_w),
        (told.power_max_w, held.power_max_w),
    )
    return all(
        one is other or (one is not None and other is not None and abs(one - other) < ALIKE_W)
        for one, other in pairs
    )

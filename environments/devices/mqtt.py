"""The `Device` port over MQTT: what a topic map says is read from and written to a broker."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec
import structlog

from behaviours.ports import Clock
from environments.devices.topic_map import (
    Acknowledged,
    TopicCommand,
    TopicMap,
    TopicValue,
    require_consistent,
    steps_of,
)
from environments.wire.mqtt_link import Broker, MqttLink, Received
from environments.wire.pauses import USUAL_PAUSES, Pauses
from ontology.base import Concept
from ontology.control import Instruction, InstructionState, InstructionStatus
from ontology.errors import InvalidInput, Unavailable
from ontology.measurements import Measurement, Quantity
from ontology.storage import StorageStatus, ThermalStatus

__all__ = ["MqttDevice", "found_in", "value_in"]

log = structlog.get_logger()

_PARTS = ("setpoint_w", "setpoint_degc", "power_max_w", "power_min_w")
RELEASE_MODE = "auto"


class MqttDevice:
    """A device at a broker; it is away when it says so, when its last will does, or when it is silent.

    A command counts as obeyed when the device has acknowledged it, or, where its map names no
    acknowledgement, when the broker has it. What an instruction set is given back when its time is over.
    """

    def __init__(
        self, topic_map: TopicMap, broker: Broker, clock: Clock, *, pauses: Pauses = USUAL_PAUSES
    ) -> None:
        """Prepare to speak with a device.

        Args:
            topic_map: how it speaks.
            broker: where.
            clock: the time of instructions and reports.
            pauses: between attempts to connect.

        Raises: InvalidInput naming everything that does not fit together in the map.
        """
        require_consistent(topic_map)
        self.name = topic_map.device_name
        self.asset_id = topic_map.asset
        self._map, self._clock = topic_map, clock
        self._told: dict[str, tuple[float, float]] = {}
        self._is_online = topic_map.availability is None
        self._answers: dict[str, asyncio.Future[bool]] = {}
        self._turn = asyncio.Lock()
        self._later: set[asyncio.Task[None]] = set()
        self._release: asyncio.Task[None] | None = None
        self._link = MqttLink(
            broker,
            f"device-{topic_map.asset}",
            clock,
            subscribe=sorted(_topics(topic_map)),
            receive=self._receive,
            pauses=pauses,
        )
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Messages that were not understood, commands given and not acknowledged; how often the link went."""
        return self._counts + self._link.counts

    async def start(self, wait_s: float = 5.0) -> None:
        """Begin to listen; where the broker is away the link goes on trying."""
        try:
            await self._link.start(wait_s)
        except Unavailable:
            self._counts["late connections"] += 1

    async def close(self) -> None:
        """Disconnect."""
        for task in (*self._later, *([self._release] if self._release is not None else [])):
            task.cancel()
        await self._link.close()

    # -- up ------------------------------------------------------------------------------------

    async def percepts(self) -> Sequence[Concept]:
        """Return what the device told last.

        Raises: Unavailable when it is away or silent, or has not told all that its kind needs.
        """
        if not self._is_online:
            raise Unavailable(f"{self.asset_id} is offline")
        values, oldest_s = {}, self._clock.now_s()
        for name, (value, at_s) in self._told.items():
            values[name], oldest_s = value, min(oldest_s, at_s)
        missing = [each.quantity for each in self._map.values if each.quantity not in values]
        if missing:
            raise Unavailable(f"{self.asset_id} has not told {', '.join(missing)} yet")
        silent_s = self._clock.now_s() - oldest_s
        if self._map.stale_after_s and silent_s > self._map.stale_after_s:
            raise Unavailable(f"{self.asset_id} has been silent for {silent_s:.0f} s")
        return reports_of(self._map, values, int(oldest_s))

    def _receive(self, message: Received) -> None:
        availability, answer = self._map.availability, self._map.acknowledgement
        if availability is not None and message.topic == availability.topic:
            self._is_online = message.payload.decode(errors="replace").strip() == availability.online
        if answer is not None and message.topic == answer.topic and not message.is_retained:
            self._acknowledge(answer, message.payload)
        for value in self._map.values:
            if value.topic == message.topic:
                self._note(value, message.payload)

    def _note(self, value: TopicValue, payload: bytes) -> None:
        try:
            self._told[value.quantity] = (value_in(payload, value), self._clock.now_s())
        except InvalidInput as error:
            self._counts["malformed"] += 1
            if self._counts["malformed"] <= 20:
                log.warning("message of a device not understood", asset=self.asset_id, found=str(error))

    # -- down ----------------------------------------------------------------------------------

    async def instruct(self, instruction: Instruction) -> InstructionStatus:
        """Have the device do what its map has commands for, and say what became of it.

        ACCEPTED is what begins later, STARTED what it obeys, REJECTED what it cannot do or will not.

        Raises: Unavailable when it is away, or does not answer in time.
        """
        now_s = self._clock.now_s()
        commands = self._commands_for(instruction)
        if not commands or instruction.valid_until_s <= now_s:
            return self._status(instruction, InstructionState.REJECTED)
        if not self._is_online:
            raise Unavailable(f"{self.asset_id} is offline")
        if instruction.execution_time_s > now_s + 1:
            task = asyncio.create_task(self._in_time(instruction, commands))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            return self._status(instruction, InstructionState.ACCEPTED)
        obeys = await self._carry_out(instruction, commands)
        return self._status(instruction, InstructionState.STARTED if obeys else InstructionState.REJECTED)

    async def _carry_out(
        self, instruction: Instruction, commands: Sequence[tuple[TopicCommand, float]]
    ) -> bool:
        """Give the commands of an instruction, and return whether the device obeys them all."""
        async with self._turn:
            for command, value in commands:
                if not await self._give(command, value, instruction.instruction_id):
                    return False
            self._hold(instruction)
        return True

    async def _in_time(
        self, instruction: Instruction, commands: Sequence[tuple[TopicCommand, float]]
    ) -> None:
        """Carry an instruction out when its time comes."""
        await self._clock.sleep_until(instruction.execution_time_s)
        try:
            obeys = await self._carry_out(instruction, commands)
        except Unavailable as error:
            obeys = False
            log.warning("device not there for what it was to do", asset=self.asset_id, why=str(error))
        self._counts["not carried out"] += not obeys

    def _commands_for(self, instruction: Instruction) -> list[tuple[TopicCommand, float]]:
        """Return all commands that an instruction takes, or none where the map lacks one of them."""
        known = {command.is_for: command for command in self._map.commands}
        wanted = {part: getattr(instruction, part) for part in _PARTS}
        parts = {part: value for part, value in wanted.items() if value is not None}
        if not parts and instruction.mode.lower() == RELEASE_MODE:
            parts = {"release": 0.0}
        if any(part not in known for part in parts):
            return []
        return [(known[part], float(value)) for part, value in parts.items()]  # type: ignore[index]

    async def _give(self, command: TopicCommand, value: float, instruction_id: str) -> bool:
        """Publish a command and return whether the device obeys.

        Raises: Unavailable when there is no connection, or no answer in time.
        """
        payload = message_for(command, value, instruction_id)
        answer = self._map.acknowledgement
        if answer is None:
            await self._link.publish(command.topic, payload)
            self._counts["commands"] += 1
            return True
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[instruction_id if answer.path else ""] = waiting
        try:
            await self._link.publish(command.topic, payload)
            async with asyncio.timeout(self._map.answer_s):
                obeys = await waiting
        except TimeoutError:
            self._counts["not acknowledged"] += 1
            raise Unavailable(f"{self.asset_id} does not acknowledge") from None
        finally:
            self._answers.clear()
        self._counts["commands"] += 1
        return obeys

    def _acknowledge(self, answer: Acknowledged, payload: bytes) -> None:
        try:
            of = str(found_in(payload, answer.path)) if answer.path else ""
            status = str(found_in(payload, answer.status_path)) if answer.status_path else answer.accepted[0]
        except InvalidInput as error:
            self._counts["malformed"] += 1
            log.warning("acknowledgement of a device not understood", asset=self.asset_id, found=str(error))
            return
        waiting = self._answers.get(of)
        if waiting is not None and not waiting.done():
            waiting.set_result(status in answer.accepted)

    def _hold(self, instruction: Instruction) -> None:
        """Give the device back to itself when the last instruction is over, where its map says how."""
        release = next((each for each in self._map.commands if each.is_for == "release"), None)
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if release is not None and instruction.mode.lower() != RELEASE_MODE:
            self._release = asyncio.create_task(self._give_back(release, instruction))

    async def _give_back(self, release: TopicCommand, instruction: Instruction) -> None:
        await self._clock.sleep_until(instruction.valid_until_s)
        try:
            async with self._turn:
                await self._give(release, 0.0, f"{instruction.instruction_id} over")
        except Unavailable as error:
            self._counts["not given back"] += 1
            log.warning("device not given back to itself", asset=self.asset_id, why=str(error))

    def _status(self, instruction: Instruction, state: InstructionState) -> InstructionStatus:
        return InstructionStatus(
            instruction_id=instruction.instruction_id, status=state, time_s=int(self._clock.now_s())
        )


def reports_of(topic_map: TopicMap, values: Mapping[str, float], time_s: int) -> list[Concept]:
    """Return what a device of a kind reports, from its values."""
    power_w, asset_id = values["power_w"], topic_map.asset
    if topic_map.kind == "storage":
        charge = min(1.0, max(0.0, values["state_of_charge"]))
        return [
            StorageStatus(asset_id=asset_id, time_s=time_s, state_of_charge=charge, power_w=round(power_w))
        ]
    if topic_map.kind == "thermal":
        return [
            ThermalStatus(
                asset_id=asset_id,
                time_s=time_s,
                temperature_degc=values["temperature_degc"],
                outdoor_degc=values["outdoor_degc"],
                power_w=round(power_w),
            )
        ]
    measured = [(Quantity.ACTIVE_POWER_W, power_w)]
    if "energy_wh" in values:
        measured.append((Quantity.ENERGY_WH, values["energy_wh"]))
    return [
        Measurement(subject=asset_id, quantity=quantity, time_s=time_s, value=value)
        for quantity, value in measured
    ]


def value_in(payload: bytes, value: TopicValue) -> float:
    """Return a value of a message in our unit and sign.

    Raises: InvalidInput when there is no number where the map says.
    """
    found = found_in(payload, value.path)
    try:
        number = float(found)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(found, bool) or not isfinite(number):
        raise InvalidInput(f"{value.topic} {value.path}: {str(found)[:60]!r} is no number")
    return value.sign * value.scale * number + value.offset


def found_in(payload: bytes, path: str) -> Any:
    """Return what stands at a path of a JSON message; the text itself for an empty path.

    Raises: InvalidInput when it is not JSON, or nothing stands there.
    """
    if not path:
        return payload.decode(errors="replace").strip()
    try:
        found = msgspec.json.decode(payload)
        for step in steps_of(path):
            found = found[step]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{payload[:60].decode(errors='replace')!r} is no JSON: {error}") from None
    except (KeyError, IndexError, TypeError):
        raise InvalidInput(f"there is nothing at {path}") from None
    return found


def message_for(command: TopicCommand, value: float, instruction_id: str) -> bytes:
    """Return the message that has a device do something."""
    number = round(command.sign * command.scale * value, command.decimals)
    shown = f"{number:.{command.decimals}f}".rstrip("0").rstrip(".") if command.decimals else f"{number:.0f}"
    text = command.template.replace("{value}", "0" if shown in ("-0", "") else shown)
    return text.replace("{id}", msgspec.json.encode(instruction_id).decode()[1:-1]).encode()


def _topics(topic_map: TopicMap) -> set[str]:
    topics = {value.topic for value in topic_map.values}
    topics |= {each.topic for each in (topic_map.availability, topic_map.acknowledgement) if each is not None}
    return topics

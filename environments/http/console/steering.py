"""Steering a device from a page: who may, by which way, and what a form asks for.

preview ─> typed confirmation ─> lease, written down ─> instruction to the agent ─> outcome, written down
"""

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from environments.http.answers import NotThere, TimedOut
from environments.http.console.control_leases import LONGEST_S, SHORTEST_S, Lease, LeaseState, settled_state
from environments.http.services import Services
from environments.http.tokens import Caller
from ontology.base import Concept
from ontology.control import (
    Instruction,
    InstructionBatch,
    InstructionBatchStatus,
    InstructionState,
    InstructionStatus,
    Priority,
)
from ontology.errors import InvalidInput, ParityError, Problem, Unavailable, problem
from ontology.ownership import Party
from ontology.performatives import Performative
from ontology.roles import Role

__all__ = ["HEATED", "Way", "asked_for", "freed", "lease_of", "send", "way_to"]

MINUTE_S = 60
MOST_W = 100_000
WARMEST_DEGC = 70
HEATED = ("heat_pump", "hvac", "dhw")
"""Ends of the names of devices that keep a temperature."""


class Way(NamedTuple):
    """How somebody reaches a device: which agent is told, by whom, and what can be asked of it."""

    to: str
    speaker: str
    fields: tuple[str, ...]
    priority: Priority
    in_batch: bool


def way_to(caller: Caller, site: str, asset_id: str) -> Way | None:
    """Return how somebody may steer a device; None for who may not.

    People steer what is at their own site, through its gateway; the aggregator limits chargers, through their
    managers (D8.1 3.1, 3.5).
    """
    if caller.role in (Role.PROSUMER, Role.UI) and caller.party.owns(site):
        fields = ("setpoint_w", "setpoint_degc") if asset_id.endswith(HEATED) else ("setpoint_w",)
        return Way(f"{site}-gateway", "", fields, Priority.USER, True)
    if caller.role is Role.AGGREGATOR and asset_id == f"{site}-ev":
        return Way(asset_id, "aggregator", ("power_max_w",), Priority.CONTRACT, False)
    return None


def asked_for(way: Way, asset_id: str, form: Mapping[str, str], now_s: int) -> Instruction:
    """Return the instruction that a form asks for: one of the way's values, and for how many minutes.

    Raises: InvalidInput with everything that is wrong.
    """
    problems: list[Problem] = []
    given = {field: form.get(field, "").strip() for field in way.fields}
    values = {field: _number(field, text, problems) for field, text in given.items() if text}
    if len(values) != 1:
        wanted = " or ".join(way.fields)
        problems.append(problem(way.fields[0], "", f"exactly one of {wanted}" if len(given) > 1 else wanted))
    shortest, longest = SHORTEST_S // MINUTE_S, LONGEST_S // MINUTE_S
    minutes = form.get("minutes", "").strip()
    if not minutes.isdecimal() or not shortest <= int(minutes[:9]) <= longest:
        problems.append(problem("minutes", minutes, f"a whole number, {shortest} to {longest}"))
    if problems:
        raise InvalidInput(problems)
    return Instruction(
        instruction_id=f"console-{secrets.token_hex(8)}",
        asset_id=asset_id,
        execution_time_s=now_s,
        valid_until_s=now_s + int(minutes) * MINUTE_S,
        priority=way.priority,
        reason="by hand, from the console",
        **values,  # type: ignore[arg-type]
    )


def freed(told: Instruction, now_s: int) -> Instruction:
    """Return the instruction that gives a device back to its own plans before its lease ends."""
    return Instruction(
        instruction_id=f"{told.instruction_id}-back",
        asset_id=told.asset_id,
        execution_time_s=now_s,
        valid_until_s=now_s + 1,
        mode="auto",
        power_max_w=MOST_W if told.power_max_w is not None else None,
        priority=told.priority,
        reason="given back, from the console",
    )


def lease_of(told: Instruction, caller: Caller) -> Lease:
    """Return the lease under which an instruction is to be sent."""
    return Lease(
        lease_id=told.instruction_id,
        asset_id=told.asset_id,
        token_id=caller.token_id,
        holder=caller.name,
        from_s=told.execution_time_s,
        until_s=told.valid_until_s,
        told=told,
        state=LeaseState.ASKED,
    )


async def send(
    services: Services, caller: Caller, site: str, way: Way, told: Instruction
) -> tuple[LeaseState, str]:
    """Tell the agent, and return what became of it, in words too; what the agent raises becomes words."""
    content: Concept = InstructionBatch(site=site, instructions=[told]) if way.in_batch else told
    try:
        answer = await _said(services, caller, site, way, content)
    except TimeoutError:
        return LeaseState.FAILED, f"{way.to} has not answered within {services.deadline_s:g} s"
    except (Unavailable, NotThere, TimedOut) as error:
        return LeaseState.FAILED, str(error)
    except ParityError as error:
        return LeaseState.TURNED_DOWN, str(error)
    status = _status(answer)
    words = "nothing was said of the device" if status is None else f"{way.to}: {status.lower()}"
    return (LeaseState.FAILED if status is None else settled_state(status)), words


async def _said(services: Services, caller: Caller, site: str, way: Way, content: Concept) -> Concept:
    if services.portals is None:
        raise Unavailable("no community runs here: nothing can be steered")
    party = Party(caller.role, (site,)) if caller.party.is_bound else caller.party
    return await services.portals.say(
        party, way.to, content, Performative.REQUEST, services.deadline_s, speaker=way.speaker
    )


def _status(answer: Concept) -> InstructionState | None:
    if isinstance(answer, InstructionBatchStatus):
        return answer.statuses[0].status if answer.statuses else None
    return answer.status if isinstance(answer, InstructionStatus) else None


def _number(field: str, text: str, problems: list[Problem]) -> int | float | None:
    low, high = (0, WARMEST_DEGC) if field.endswith("degc") else (-MOST_W, MOST_W)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    whole = field.endswith("_w")
    if not low <= value <= high or (whole and value != int(value)):
        problems.append(problem(field, text, f"a {'whole ' if whole else ''}number, {low} to {high}"))
        return None
    return int(value) if whole else value

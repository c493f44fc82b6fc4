"""What the grid operator of a run has told its own assets, as a table."""

from collections.abc import Iterable
from typing import Any

from agents.dso import Dso
from behaviours.agent import Agent
from behaviours.grid.der_dispatch import DerDispatch, DispatchRecord
from ontology.control import Instruction

__all__ = ["dispatch_columns"]


def dispatch_columns(agents: Iterable[Agent]) -> dict[str, list[Any]]:
    """Return a row for each instruction that was sent, with what came of it."""
    found = [each.behaviour(DerDispatch).records for each in agents if isinstance(each, Dso)]
    rows = [_row(record) for records in found for record in records]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _row(record: DispatchRecord) -> dict[str, Any]:
    told = record.instruction
    return {
        "time_s": record.time_s,
        "asset": told.asset_id,
        "from_s": told.execution_time_s,
        "to_s": told.valid_until_s,
        "power_w": _power_w(told),
        "priority": told.priority.name,
        "outcome": str(record.outcome),
    }


def _power_w(told: Instruction) -> int:
    """Return the set-point or the limit that an instruction names."""
    named = (told.setpoint_w, told.power_min_w, told.power_max_w)
    return next((round(each) for each in named if each is not None), 0)

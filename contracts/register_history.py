"""What has been written into the register, read from its events: interval by interval, all segments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from behaviours.ports import RegisteredInterval, RegisteredMarket
from contracts.calldata import key_hash
from contracts.events import ContractEvent
from contracts.register_values import GRID_STATES, hash_text, tariff_of
from ontology.base import INTERVAL_S
from ontology.grid import GridConstraint, GridState
from ontology.market import LemParameters, LemState

__all__ = ["RegisterHistory"]

Place = tuple[str, int]
"""Segment, and start of the interval in epoch seconds."""
Values = Mapping[str, Any]


class RegisterHistory:
    """Follows the events of registry.vy in their order.

    Args:
        segments: whose entries are of interest; the chain knows hashes of their names only.
        aggregator: whose markets are of interest, by address.
    """

    def __init__(self, segments: Iterable[str], aggregator: str) -> None:
        self._segments = {key_hash(name).hex(): name for name in segments}
        self._aggregator = aggregator.lower()
        self._states: dict[Place, GridState] = {}
        self._constraints: dict[str, list[GridConstraint]] = {name: [] for name in self._segments.values()}
        self._tariffs: dict[GridState, LemParameters | None] = {}
        self._tariff_of: dict[Place, LemParameters | None] = {}
        self._markets: dict[Place, RegisteredMarket] = {}
        self._places: dict[str, Place] = {}

    def follow(self, events: Iterable[ContractEvent]) -> None:
        """Take in what the contract has told next; what is about others is left out."""
        readers: Mapping[str, Callable[[Values], None]] = {
            "GridStateSet": self._grid_state_set,
            "ConstraintSet": self._constraint_set,
            "ParametersSet": self._parameters_set,
            "LemOpened": self._lem_opened,
            "LemClosed": self._lem_closed,
            "LemSolved": self._lem_solved,
        }
        for event in events:
            if event.name in readers:
                readers[event.name](event.values)

    def intervals(self, start_s: int, end_s: int) -> list[RegisteredInterval]:
        """Return what stands in the register of each segment in each interval that begins in a time."""
        return [
            RegisteredInterval(
                start_s=each_s,
                segment_id=segment,
                grid_state=self._states.get((segment, each_s)),
                constraint=in_force(self._constraints[segment], each_s),
                parameters=self._tariff_of.get((segment, each_s)),
                market=self._markets.get((segment, each_s)),
            )
            for each_s in range(start_s, end_s, INTERVAL_S)
            for segment in self._segments.values()
        ]

    def _grid_state_set(self, values: Values) -> None:
        segment = self._segments.get(values["segment"])
        if segment is not None:
            self._states[segment, values["start_s"]] = GRID_STATES[values["grid_state"] - 1]

    def _constraint_set(self, values: Values) -> None:
        segment = self._segments.get(values["segment"])
        if segment is not None:
            self._constraints[segment].append(
                GridConstraint(
                    segment_id=segment,
                    start_s=values["start_s"],
                    import_max_w=[values["import_w"]],
                    export_max_w=[values["export_w"]],
                )
            )

    def _parameters_set(self, values: Values) -> None:
        state = GRID_STATES[values["grid_state"] - 1]
        self._tariffs[state] = tariff_of(state, values["parameters"])

    def _lem_opened(self, values: Values) -> None:
        segment = self._segments.get(values["segment"])
        if segment is None or values["aggregator"].lower() != self._aggregator:
            return
        state = GRID_STATES[values["grid_state"] - 1]
        place = self._places[values["lem"]] = segment, values["start_s"]
        self._tariff_of[place] = self._tariffs.get(state)
        self._markets[place] = RegisteredMarket(
            start_s=values["start_s"],
            end_s=values["end_s"],
            segment_id=segment,
            grid_state=state,
            players=hash_text(bytes.fromhex(values["players"])),
        )

    def _lem_closed(self, values: Values) -> None:
        datasets = hash_text(bytes.fromhex(values["datasets"]))
        self._change(values["lem"], state=LemState.CLOSED, datasets=datasets)

    def _lem_solved(self, values: Values) -> None:
        result = hash_text(bytes.fromhex(values["result"]))
        self._change(values["lem"], state=LemState.SOLVED, result=result)

    def _change(self, lem: str, **changes: Any) -> None:
        place = self._places.get(lem)
        if place is not None:
            self._markets[place] = msgspec.structs.replace(self._markets[place], **changes)


def in_force(constraints: Sequence[GridConstraint], start_s: int) -> GridConstraint | None:
    """Return the constraint that holds at a time, of those of a segment in the order of their setting."""
    begun = [each for each in constraints if each.start_s <= start_s]
    return begun[-1] if begun else None

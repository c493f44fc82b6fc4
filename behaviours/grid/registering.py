"""The DSO's side of the register: states and constraints of the grid (D8.1 3.9.3, SPEC 2.3)."""

from behaviours.behaviour import on
from behaviours.information.register_writing import RegisterWriting
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.ports import MarketRegister
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.grid import GridConstraint, GridStatusEvent
from ontology.letter import Letter

__all__ = ["GridRegistering"]

_STATE, _CONSTRAINT = "state to write ", "constraint to write "


class GridRegistering(RegisterWriting):
    """Keeps the newest state and constraint of each segment, and writes all of them into the register."""

    settings: BlockchainSettings

    @on(GridStatusEvent)
    def take_state(self, event: GridStatusEvent, letter: Letter) -> Acknowledgement:
        """Keep a state of the grid.

        Raises: Refused when another than the DSO's oracle brings it.
        """
        self._require_oracle(letter)
        self.keep(f"grid state {event.segment_id}", event)
        if self.register is not None:
            self.keep(f"{_STATE}{event.start_s} {event.segment_id}", event)
            self.write_soon()
        return Acknowledgement(of=letter.message_id)

    @on(GridConstraint)
    def take_constraint(self, constraint: GridConstraint, letter: Letter) -> Acknowledgement:
        """Keep a constraint, unless a newer one is known: the register does not go back.

        Raises: Refused when another than the DSO's oracle brings it.
        """
        self._require_oracle(letter)
        name = f"grid constraint {constraint.segment_id}"
        newest = self.kept(name, GridConstraint)
        if newest is None or newest.start_s <= constraint.start_s:
            self.keep(name, constraint)
            if self.register is not None:
                self.keep(f"{_CONSTRAINT}{constraint.start_s} {constraint.segment_id}", constraint)
                self.write_soon()
        return Acknowledgement(of=letter.message_id)

    async def write_down(self, register: MarketRegister) -> None:
        """Write all states in one transaction an interval, then the constraints that have changed."""
        names = self.waiting(_STATE)
        events = [event for name in names if (event := self.kept(name, GridStatusEvent))]
        if events:
            await register.set_grid_states(events, self.now_s())
            self.written(names)
        for name in self.waiting(_CONSTRAINT):
            constraint = self.kept(name, GridConstraint)
            if constraint is not None:
                await register.set_constraint(constraint, self.now_s())
            self.written([name])

    def _require_oracle(self, letter: Letter) -> None:
        if letter.sender != self.settings.contacts.oracle:
            raise Refused(f"{letter.sender} does not speak for the DSO")

"""Serving requests to manage a charger's load (D8.1 3.5: the API for the aggregator's DER dispatch)."""

from behaviours.behaviour import Behaviour, on
from behaviours.site.ev_management import EvSettings
from ontology.control import Instruction, InstructionBatch, InstructionBatchStatus, InstructionStatus
from ontology.errors import Failed, InvalidInput, Refused, problem
from ontology.letter import Letter
from ontology.performatives import Performative

__all__ = ["LoadManagement"]


class LoadManagement(Behaviour):
    """Hands the aggregator's limits on to the gateway, which keeps to the order of priorities."""

    settings: EvSettings

    @on(Instruction, Performative.REQUEST)
    async def obey(self, told: Instruction, letter: Letter) -> InstructionStatus:
        """Limit or set the charger's power, and say what became of it.

        Raises: Refused when it is not the aggregator's or is about another charger, InvalidInput when it
            names neither a limit nor a set-point.
        """
        if letter.sender != self.settings.contacts.aggregator or told.asset_id != self.settings.asset_id:
            raise Refused(f"{self.settings.asset_id} serves its aggregator's requests only")
        if told.power_max_w is None and told.power_min_w is None and told.setpoint_w is None:
            raise InvalidInput(problem("power_max_w", None, "a limit or set-point of the charger's power"))
        batch = InstructionBatch(site=self.settings.site, instructions=[told])
        done = await self.ask(self.settings.contacts.gateway, batch, InstructionBatchStatus)
        if not done.statuses:
            raise Failed("the gateway said nothing of the charger")
        return done.statuses[0]

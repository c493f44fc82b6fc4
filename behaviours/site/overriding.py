"""What becomes of a site's promises when its people do as they like (SPEC 4.8)."""

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.comfort import reliability_after_days, reliability_after_override
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.base import INTERVAL_S
from ontology.control import Instruction, Priority, UserOverride
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.roles import Role

__all__ = ["OverrideHeeding"]

DAY_S = 86_400
AUTOMATIC = "auto"
"""The mode in which a device is given back to the site's plans."""


class OverrideHeeding(Behaviour):
    """Passes overrides of the user's app on, and counts how far the site keeps to its plans.

    The manager of the device answers with a new envelope, from which the next plan is made.
    """

    settings: ProsumerSettings

    def setup(self) -> None:
        """Nobody has overridden anything yet."""
        self._kept, self._noted_s = 1.0, self.now_s()
        self._by_hand: dict[str, range] = {}

    @on(UserOverride)
    async def heed(self, override: UserOverride, letter: Letter) -> Acknowledgement | None:
        """Hand an override of the app to the manager, or note one that the manager tells of.

        Raises: Refused for anyone but the site's manager and its users.
        """
        manager = self.settings.contacts.p2h
        if letter.sender == manager:
            self._kept, self._noted_s = reliability_after_override(self.kept_to_plans), self.now_s()
            return None
        if self.agent.surroundings.membership[letter.sender].role is not Role.UI or not manager:
            raise Refused("only the users of a site override its plans, of what is heated or lit")
        return await self.ask(manager, override, Acknowledgement)

    @on(Instruction)
    def plan_with(self, told: Instruction, letter: Letter) -> None:
        """Plan anew with what a person has told a device at the gateway, for as long as it holds.

        A device that is given back before is planned for as ever.

        Raises: Refused for anyone but the site's gateway.
        """
        if letter.sender != self.settings.contacts.gateway or told.priority is not Priority.USER:
            raise Refused("only the site's gateway tells what its people told devices")
        planning = self.sibling(SitePlanning)
        if told.mode == AUTOMATIC:
            planning.release(told.asset_id, self._by_hand.pop(told.asset_id, ()))
            return
        self._kept, self._noted_s = reliability_after_override(self.kept_to_plans), self.now_s()
        if told.setpoint_w is not None:
            first_s = told.execution_time_s // INTERVAL_S * INTERVAL_S
            starts = self._by_hand[told.asset_id] = range(first_s, told.valid_until_s, INTERVAL_S)
            planning.pin({told.asset_id: dict.fromkeys(starts, told.setpoint_w)})

    @property
    def kept_to_plans(self) -> float:
        """How far the site keeps to its plans, 0 to 1; it recovers day by day."""
        return reliability_after_days(self._kept, (self.now_s() - self._noted_s) / DAY_S)

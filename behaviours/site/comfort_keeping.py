"""Doing what people at the site want, and learning from it what they like (SPEC 4.8, D8.1 3.1)."""

import msgspec

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.comfort import learnt_band
from behaviours.site.building_learning import BuildingLearning
from behaviours.site.heat_settings import HeatSettings
from ontology.control import OVERRIDE_S, Instruction, InstructionBatch, Priority, UserOverride
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.storage import ThermalModel

__all__ = ["ComfortKeeping"]

_WISHES = "wishes"
_HELD = "override "


class ComfortKeeping(Behaviour):
    """Gives each override its two hours, learns the comfort band from them, and tells the prosumer.

    ```
    thermostat  UserOverride → gateway → here → prosumer             turned by hand: in force already
    user's app  UserOverride → prosumer → here → Instruction → gateway
    ```
    """

    settings: HeatSettings

    def setup(self) -> None:
        """Recall the wishes of the past and the overrides that may still hold."""
        self._wishes_degc: list[float] = msgspec.json.decode(
            self.agent.kept_bytes(_WISHES) or b"[]", type=list[float]
        )
        self._held: dict[str, UserOverride] = {}
        for name in self.agent.kept_names(_HELD):
            override = self.kept(name, UserOverride)
            if override is not None:
                self._held[override.asset_id] = override
        self.changed = False
        """Whether somebody has said something, or an override has ended, since the last offer."""

    @on(UserOverride)
    def obey(self, override: UserOverride, letter: Letter) -> Acknowledgement:
        """Let a person's will be done for two hours, whatever is planned.

        Raises: Refused for what this manager does not steer, or from anyone outside the site.
        """
        contacts = self.settings.contacts
        if letter.sender not in (contacts.gateway, contacts.prosumer):
            raise Refused("only the site's own people override its plans")
        if override.asset_id not in self.assets:
            raise Refused(f"{override.asset_id} is not steered here")
        if letter.sender != contacts.gateway:
            self._instruct(override)
        self._learn(override)
        self._held[override.asset_id] = override
        self.keep(_HELD + override.asset_id, override)
        self.changed = True
        self.tell(contacts.prosumer, override)
        return Acknowledgement(of=letter.message_id)

    def held(self, asset_id: str) -> UserOverride | None:
        """Return the override that a device follows now; once it is over it is forgotten."""
        override = self._held.get(asset_id)
        if override is not None and override.time_s + OVERRIDE_S <= self.now_s():
            del self._held[asset_id]
            self.keep(_HELD + asset_id, None)
            self.changed = True
            return None
        return override

    def building(self) -> ThermalModel | None:
        """Return the building as it is known, with the comfort band that its people have taught."""
        model = self.sibling(BuildingLearning).model
        if model is None or self.settings.building is None:
            return None
        told = self.settings.building
        low, high = learnt_band(self._wishes_degc, (told.temperature_min_degc, told.temperature_max_degc))
        return msgspec.structs.replace(model, temperature_min_degc=low, temperature_max_degc=high)

    @property
    def assets(self) -> list[str]:
        """The devices that this manager steers."""
        known = (self.settings.building, self.settings.tank, self.settings.lighting)
        return [each.asset_id for each in known if each is not None]

    def _learn(self, override: UserOverride) -> None:
        """Remember a temperature that somebody wanted of the building."""
        building = self.settings.building
        if building is None or override.asset_id != building.asset_id or override.setpoint_degc is None:
            return
        self._wishes_degc = [*self._wishes_degc, override.setpoint_degc][-20:]
        self.keep(_WISHES, msgspec.json.encode(self._wishes_degc))

    def _instruct(self, override: UserOverride) -> None:
        now_s = self.now_s()
        instruction = Instruction(
            instruction_id=f"{override.asset_id}-user-{override.time_s}",
            asset_id=override.asset_id,
            execution_time_s=now_s,
            valid_until_s=max(override.time_s + OVERRIDE_S, now_s + 1),
            setpoint_degc=override.setpoint_degc,
            setpoint_w=override.setpoint_w,
            reason="override",
            priority=Priority.USER,
        )
        batch = InstructionBatch(site=self.settings.site, instructions=[instruction])
        self.tell(self.settings.contacts.gateway, batch, Performative.REQUEST)

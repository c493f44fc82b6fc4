"""A prosumer's people decide whether their devices take part in flexibility (GDPR Art. 7)."""

from behaviours.behaviour import Behaviour, on, when
from behaviours.information.directory import DirectoryMembership
from behaviours.site.planning import SitePlanning
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.vpp.membership import VppMembership
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.registration import Consent, ConsentPurpose

__all__ = ["ConsentHeeding"]

_SAID = "consent"


class ConsentHeeding(Behaviour):
    """Takes the site out of plants, offers and reserves when consent is withdrawn, and back in when given."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """Recall what was said before a restart; where consent is heeded, nothing said means no."""
        said = self.kept(_SAID, Consent)
        self.allows = said.given if said else not self.settings.heeds_consent
        self._said_s = said.time_s if said else 0

    @when("started")
    def listen(self) -> None:
        """Ask to be told of the site's consents."""
        self._apply()
        if self.settings.heeds_consent:
            self.subscribe(self.settings.contacts.repository, Consent, self.settings.site)

    @on(Consent)
    def heed(self, consent: Consent, letter: Letter) -> None:
        """Do as the people say; what was said earlier than what is known is past.

        Raises: Refused when it is not the repository that tells.
        """
        if letter.sender != self.settings.contacts.repository:
            raise Refused("the repository tells of consents")
        mine = consent.subject == self.settings.site and consent.purpose is ConsentPurpose.FLEXIBILITY
        if mine and consent.time_s >= self._said_s:
            self.keep(_SAID, consent)
            self.allows, self._said_s = consent.given, consent.time_s
            self._apply()

    def _apply(self) -> None:
        directory, planning = self.sibling(DirectoryMembership), self.sibling(SitePlanning)
        changed = directory.offers_products != self.allows
        directory.offers_products = planning.tells_flexibility = self.allows
        self.sibling(VppMembership).takes_part = self.allows
        if not self.allows:
            self.sibling(VppMembership).withdraw()
        if changed and self.settings.heeds_consent:
            directory.renew()

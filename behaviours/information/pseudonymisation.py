"""The link table: which pseudonym is whose in an epoch, sealed, at the repository (SPEC 7.2)."""

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.pseudonyms import EPOCH_S, epoch_of
from behaviours.information.delivery import OracleSettings, player_of
from behaviours.sealing import sealed_subject
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError
from ontology.privacy import PseudonymRecord, PseudonymScope

__all__ = ["PseudonymRecording", "pseudonym_record"]

_RECORDED = "recorded "


class PseudonymRecording(Behaviour):
    """Brings the repository each pseudonym that its player gets, with the player's name sealed."""

    settings: OracleSettings

    @every(minutes=15, offset_s=35)
    async def record(self) -> None:
        """Bring the pseudonym of the running epoch until the repository has it."""
        epoch = epoch_of(self.now_s())
        if self.agent.kept_bytes(f"{_RECORDED}{epoch}") is not None:
            return
        try:
            await self.ask(self.settings.contacts.repository, self._record(epoch), Acknowledgement)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return
        self.keep(f"{_RECORDED}{epoch}", b"")

    def _record(self, epoch: int) -> PseudonymRecord:
        settings = self.settings
        player = player_of(settings, epoch * EPOCH_S)
        return pseudonym_record(player, PseudonymScope.LEM, epoch, settings.subject, settings.subject_key)


def pseudonym_record(
    pseudonym: str, scope: PseudonymScope, epoch: int, subject: str, subject_key: bytes
) -> PseudonymRecord:
    """Return a line of the link table: whose a pseudonym is, for who has the subject's key."""
    return PseudonymRecord(
        scope=scope,
        pseudonym=pseudonym,
        subject_encrypted=sealed_subject(subject, subject_key, pseudonym),
        key_id="subject",
        valid_from_s=epoch * EPOCH_S,
        valid_to_s=(epoch + 1) * EPOCH_S,
    )

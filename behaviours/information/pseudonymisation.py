"""The link table: which pseudonym is whose in an epoch, sealed, at the repository (SPEC 7.2)."""

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from behaviours.behaviour import Behaviour, every
from behaviours.decisions.pseudonyms import EPOCH_S, epoch_of
from behaviours.information.delivery import OracleSettings, player_of
from ontology.discourse import Acknowledgement
from ontology.errors import InvalidInput, ParityError, problem
from ontology.privacy import PseudonymRecord, PseudonymScope

__all__ = ["PseudonymRecording", "opened_subject", "sealed_subject"]

_RECORDED = "recorded "
SEALING_KEY_BYTES = 64


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
        begins_s = epoch * EPOCH_S
        return PseudonymRecord(
            scope=PseudonymScope.LEM,
            pseudonym=player_of(settings, begins_s),
            subject_encrypted=sealed_subject(settings.subject, settings.pseudonym_keys.keys[epoch]),
            key_id=f"{PseudonymScope.LEM} {epoch}",
            valid_from_s=begins_s,
            valid_to_s=begins_s + EPOCH_S,
        )


def sealed_subject(subject: str, epoch_key: bytes) -> str:
    """Return a name sealed under the key of an epoch (AES-SIV, RFC 5297: the same each time), as text."""
    sealed = _cipher(epoch_key).encrypt(subject.encode(), None)
    return base64.urlsafe_b64encode(sealed).decode()


def opened_subject(sealed: str, epoch_key: bytes) -> str:
    """Return the name that was sealed under the key of an epoch.

    Raises: InvalidInput when it was sealed under another key, or is no seal.
    """
    try:
        return _cipher(epoch_key).decrypt(base64.urlsafe_b64decode(sealed), None).decode()
    except (InvalidTag, ValueError) as error:
        raise InvalidInput(problem("sealed", sealed, "sealed under this key")) from error


def _cipher(epoch_key: bytes) -> AESSIV:
    """Derive a key of its own for the seal, so that the two uses of an epoch's key never meet."""
    derived = HKDF(SHA256(), SEALING_KEY_BYTES, salt=None, info=b"parity-mas|link table").derive(epoch_key)
    return AESSIV(derived)

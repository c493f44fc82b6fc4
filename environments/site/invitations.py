"""One-time codes with which a new site enrols: drawn, kept as hashes, used once, void after some errors.

```
operator  parity-mas community invite SITE     draws the code, which is told the installer
site      EnrolmentRequest(code, public keys)  over verified TLS
```
"""

import hashlib
import hmac
import secrets
from pathlib import Path

import msgspec

from environments.site.files import write_whole
from ontology.errors import InvalidInput, Refused, problem

__all__ = ["Invitations"]

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without letters and digits that are taken for each other."""
GROUPS, GROUP = 4, 5
"""Four groups of five: 99 bits."""
ERRORS_MAX = 10


class _Invitation(msgspec.Struct, frozen=True):
    code_sha256: str
    expires_s: int
    errors: int = 0


class Invitations:
    """The invitations of a community, a file each; a code stands in none of them."""

    def __init__(self, folder: Path) -> None:
        """Keep invitations in a folder."""
        self._folder = folder

    def invite(self, site: str, expires_s: int) -> str:
        """Draw a code for a site, in place of one that was drawn before.

        Raises: Unavailable when the disk does not take it.
        """
        groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
        code = "-".join(groups)
        self._write(site, _Invitation(_digest(code), expires_s))
        return code

    def require(self, site: str, code: str, now_s: float) -> None:
        """Check a code without using it up.

        Raises: Refused, always in the same words, when the site is not invited or the code is not its own,
            has expired or was tried wrongly too often.
        """
        invitation = self._read(site)
        known = invitation.code_sha256 if invitation else ""
        is_right = hmac.compare_digest(known, _digest(code))
        if invitation is not None and not is_right:
            self._write(site, msgspec.structs.replace(invitation, errors=invitation.errors + 1))
        if (
            invitation is None
            or not is_right
            or now_s >= invitation.expires_s
            or invitation.errors >= ERRORS_MAX
        ):
            raise Refused(
                "this site is not invited with this code: ask the community's operator for a new one"
            )

    def use_up(self, site: str) -> None:
        """Let an invitation go."""
        self._file(site).unlink(missing_ok=True)

    def open_for(self, now_s: float) -> dict[str, int]:
        """Return which sites are invited, and until when."""
        found = {file.stem: self._read(file.stem) for file in sorted(self._folder.glob("*.json"))}
        return {site: each.expires_s for site, each in found.items() if each and now_s < each.expires_s}

    def _file(self, site: str) -> Path:
        if not site or not all(each.isalnum() or each == "-" for each in site):
            raise InvalidInput(problem("site", site, "letters, digits and hyphens"))
        return self._folder / f"{site}.json"

    def _read(self, site: str) -> _Invitation | None:
        try:
            return msgspec.json.decode(self._file(site).read_bytes(), type=_Invitation)
        except (OSError, msgspec.DecodeError):
            return None

    def _write(self, site: str, invitation: _Invitation) -> None:
        write_whole(self._file(site), msgspec.json.encode(invitation), mode=0o600)


def _digest(code: str) -> str:
    """Return the hash of a code, however it was typed; with 99 bits it needs no slow hash."""
    plain = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()

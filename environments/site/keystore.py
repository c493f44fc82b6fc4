"""The keystore of a host: for each agent its XMPP password, its signing key and its key on the ledger.

One file (JSON, 0600), made whole or not at all. It is read from the folder of credentials that systemd hands
a service (`LoadCredential=`), where there is one.
"""

import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from behaviours.signing import Signer
from environments.site.files import write_whole
from ontology.errors import InvalidInput, problem

__all__ = ["AgentKeys", "Keystore", "keystore_file"]

CREDENTIAL = "keystore"


class AgentKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one agent proves itself with; keys are 32 bytes, hexadecimal."""

    password: str
    signing_key: str
    ledger_key: str

    def __repr__(self) -> str:
        return "AgentKeys(…)"

    def signer(self) -> Signer:
        """Return the signer of letters."""
        return Signer(bytes.fromhex(self.signing_key))


class Keystore:
    """The keys of a host's agents by address, and one secret of the host itself."""

    def __init__(self, agents: Mapping[str, AgentKeys], secret: bytes) -> None:
        """Hold keys that were drawn or read."""
        self.agents = dict(agents)
        self.secret = secret

    def __repr__(self) -> str:
        return f"Keystore({len(self.agents)} agents)"

    @classmethod
    def drawn(cls, addresses: Iterable[str]) -> "Keystore":
        """Draw new keys, from the system's source of chance, for agents by address."""
        return cls({address: _drawn() for address in addresses}, secrets.token_bytes(32))

    @classmethod
    def read(cls, file: Path) -> "Keystore":
        """Read a keystore.

        Raises: InvalidInput when it is missing, damaged, or can be read by others.
        """
        try:
            mode, written = file.stat().st_mode, file.read_bytes()
        except OSError as error:
            reason = error.strerror or "not readable"
            raise InvalidInput(problem(str(file), reason, "the host's keystore: enrol it first")) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and not _is_credential(file):
            raise InvalidInput(problem(str(file), "open to others", "mode 0600: `chmod 600` it"))
        try:
            content = json.loads(written)
            agents = msgspec.convert(content["agents"], dict[str, AgentKeys])
            return cls(agents, bytes.fromhex(content["secret"]))
        except (ValueError, KeyError, TypeError, msgspec.ValidationError):
            raise InvalidInput(problem(str(file), "…", "a keystore as enrolment writes it")) from None

    def write(self, file: Path) -> None:
        """Write the keystore for its owner alone; after a crash the old one or the new one is there.

        Raises: Unavailable when the disk does not take it.
        """
        content = {"agents": msgspec.to_builtins(self.agents), "secret": self.secret.hex()}
        write_whole(file, json.dumps(content, indent=1).encode(), mode=0o600)

    def extended(self, addresses: Iterable[str]) -> "Keystore":
        """Return the same keys, and new ones for agents that have none."""
        new = {address: _drawn() for address in addresses if address not in self.agents}
        return Keystore({**self.agents, **new}, self.secret)


def keystore_file(data: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where a host's keystore is: systemd's credential if there is one, or in the data folder."""
    handed = Path(environment.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    if environment.get("CREDENTIALS_DIRECTORY") and handed.is_file():
        return handed
    return data / "keystore.json"


def _is_credential(file: Path) -> bool:
    """Tell whether systemd keeps a file from others by its folder, not by its mode."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and file.parent == Path(folder)


def _drawn() -> AgentKeys:
    return AgentKeys(
        password=secrets.token_urlsafe(24),
        signing_key=secrets.token_hex(32),
        ledger_key=secrets.token_hex(32),
    )

"""Who takes part outside: domains, their roles, where they listen and by which key they are known."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import yaml

from environments.uftp import elements
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import VerifyKey
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["AddressBook", "Participant"]

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


class Participant(NamedTuple):
    """One who takes part: domain and role, the public key, and the address to post messages to."""

    domain: str
    role: ParticipantRole
    key: VerifyKey
    url: str


class AddressBook:
    """The participants that one deals with; nobody else is heard.

    Raises: InvalidInput when a domain is none or is there twice in a role, or an address is not https (http
        does on this machine).
    """

    def __init__(self, participants: Iterable[Participant]) -> None:
        listed = list(participants)
        self._by_name = {(each.domain, each.role): each for each in listed}
        wrong = [found for i, each in enumerate(listed) for found in _problems(i, each)]
        if len(self._by_name) < len(listed):
            wrong.append(problem("participants", len(listed), "each domain once in a role"))
        if wrong:
            raise InvalidInput(wrong)

    @classmethod
    def from_file(cls, path: Path) -> "AddressBook":
        """Read participants from a YAML list of `domain`, `role`, `url` and `key_file`, beside the file.

        Raises: InvalidInput.
        """
        try:
            entries = msgspec.convert(yaml.safe_load(path.read_text("utf-8")), list[_Entry])
        except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
            raise InvalidInput(problem(str(path), "", f"a list of participants: {error}")) from error
        keys = [VerifyKey.from_file(path.parent / each.key_file) for each in entries]
        pairs = zip(entries, keys, strict=True)
        return cls(Participant(each.domain, each.role, key, each.url) for each, key in pairs)

    def find(self, domain: str, role: ParticipantRole) -> Participant | None:
        """Return the participant of a domain in a role, if there is one."""
        return self._by_name.get((domain, role))

    def knows(self, domain: str) -> bool:
        """Tell whether a domain takes part in any role."""
        return any(known == domain for known, _ in self._by_name)


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A participant as a file has it."""

    domain: str
    role: ParticipantRole
    url: str
    key_file: str


def _problems(index: int, participant: Participant) -> Iterable[Problem]:
    if not elements.DOMAIN.pattern.fullmatch(participant.domain):
        yield problem(f"participants[{index}].domain", participant.domain, elements.DOMAIN.expected)
    url = urlsplit(participant.url)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _THIS_MACHINE):
        yield problem(f"participants[{index}].url", participant.url, "an https address")

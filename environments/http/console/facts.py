"""What pages read: facts of the repository and what letters said, as who is signed in may see them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from litestar import Request

from behaviours.repository_port import END_OF_TIME_S, Selection
from environments.http.access import caller_of
from environments.http.console.community import AgentView, Community
from environments.http.console.signing_in import may_read_bodies
from environments.http.services import services_of
from environments.repository.letter_archive import MOST_LETTERS, LetterSelection, RecordedLetter
from ontology.base import Concept
from ontology.codec import decode_body, message_type_of
from ontology.errors import ParityError
from ontology.ownership import Party, as_seen_by
from ontology.policy import may_read

__all__ = [
    "Saying",
    "facts",
    "may_see_letter",
    "newest",
    "newest_of_each",
    "own_site",
    "party_of",
    "sayings",
    "sites_of",
    "visible_agents",
]

C = TypeVar("C", bound=Concept)
Any_ = Request[Any, Any, Any]


class Saying(NamedTuple):
    """What a letter said, and the letter."""

    content: Any
    letter: RecordedLetter

    @property
    def speaker(self) -> str:
        """Who said it, without the domain."""
        return self.letter.envelope.sender.partition("@")[0]


async def facts(
    request: Any_,
    kind: type[C],
    subjects: Sequence[str] = (),
    start_s: int = 0,
    end_s: int = END_OF_TIME_S,
) -> list[C]:
    """Return facts of a type in [start_s, end_s), ascending; none where the role may not read the type."""
    entity, caller = message_type_of(kind), caller_of(request)
    if not may_read(caller.role, entity):
        return []
    repository = services_of(request).repository_of(caller)
    found = await repository.select(Selection(entity, tuple(subjects), max(0, start_s), end_s))
    party = party_of(request)
    seen = (as_seen_by(party, each) for each in found if isinstance(each, kind))
    return [each for each in seen if each is not None]


async def newest(request: Any_, kind: type[C], subject: str = "") -> C | None:
    """Return the newest fact of a type about a subject, or about any."""
    entity, caller = message_type_of(kind), caller_of(request)
    if not may_read(caller.role, entity):
        return None
    found = await services_of(request).repository_of(caller).latest(entity, subject)
    return as_seen_by(party_of(request), found) if isinstance(found, kind) else None


async def newest_of_each(request: Any_, kind: type[C]) -> list[C]:
    """Return the newest fact of a type about each subject, by subject."""
    entity, caller = message_type_of(kind), caller_of(request)
    if not may_read(caller.role, entity):
        return []
    subjects = await services_of(request).repository_of(caller).subjects(entity)
    found = [await newest(request, kind, subject) for subject in subjects]
    return [each for each in found if each is not None]


def sayings(
    request: Any_,
    kinds: Iterable[type[Concept]],
    agent: str = "",
    most: int = 50,
    span_s: tuple[float, float] | None = None,
) -> list[Saying]:
    """Return what letters said of some types, the newest first, that an agent (or a site's) sent or got.

    Args:
        request: of the page.
        kinds: what they said.
        agent: one side of the letters; empty: any.
        most: letters of each type that are looked at.
        span_s: when they were read, half-open.

    Nothing where letters are not recorded, or what they say may not be read; a letter that went to several
    comes several times.
    """
    community: Community = services_of(request).more["community"]
    caller = caller_of(request)
    if community.archive is None or not may_read_bodies(caller):
        return []
    if caller.party.is_bound and not caller.party.owns(agent):
        return []
    found: list[Saying] = []
    for kind in kinds:
        start_s, end_s = span_s or (None, None)
        wanted = LetterSelection(
            agent=agent, message_type=message_type_of(kind), start_s=start_s, end_s=end_s
        )
        letters = community.archive.select(wanted, limit=min(most, MOST_LETTERS))
        found += [said for each in letters if (said := _read(each, kind, caller.party)) is not None]
    return sorted(found, key=lambda each: -each.letter.number)


def party_of(request: Any_) -> Party:
    """Return the caller with the pseudonyms of its own sites, where the registry of users is served here."""
    party: Party = caller_of(request).party
    registry = services_of(request).more.get("registry")
    if registry is None or not party.is_bound:
        return party
    known: Party | None = request.scope.get("party")  # type: ignore[assignment]
    if known is None:
        users = [user for site in party.subjects if (user := registry.user_of(site)) is not None]
        accounts = [account for user in users for account in registry.accounts(user)]
        known = Party(party.role, (*party.subjects, *accounts))
        request.scope["party"] = known  # type: ignore[typeddict-unknown-key]
    return known


def own_site(request: Any_) -> str:
    """Return the first site of who is bound to some, otherwise nothing."""
    party = caller_of(request).party
    return party.subjects[0] if party.is_bound and party.subjects else ""


def sites_of(request: Any_) -> list[str]:
    """Return the sites that the caller may see."""
    return sorted({agent.site for agent in visible_agents(request)} - {""})


def visible_agents(request: Any_) -> list[AgentView]:
    """Return the agents that the caller may see: who is bound to a site sees its own."""
    community: Community = services_of(request).more["community"]
    party = caller_of(request).party
    return [agent for agent in community.agents() if not party.is_bound or party.owns(agent.address)]


def may_see_letter(party: Party, letter: RecordedLetter) -> bool:
    """Tell whether somebody may see a letter: who is bound to a site sees those of its own agents."""
    return not party.is_bound or party.owns(letter.envelope.sender) or party.owns(letter.envelope.to)


def _read(letter: RecordedLetter, kind: type[Concept], party: Party) -> Saying | None:
    if not may_see_letter(party, letter):
        return None
    try:
        content = decode_body(letter.envelope.message_type, letter.envelope.body)
    except ParityError:
        return None
    return Saying(content, letter) if isinstance(content, kind) else None

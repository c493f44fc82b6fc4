"""Trade by UFTP in a scenario: who stands for whom, and the place in the market outside."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from agents.flexibility_gateway import AggregatorGateway, DsoGateway
from behaviours.exchange.correspondence import ExchangeSettings
from behaviours.ports import AgentStore, Clock, FlexibilityExchange
from environments.simulation.clock import WallClock
from environments.uftp.exchange import UftpOffice
from environments.uftp.gateway import Identity
from environments.uftp.participants import AddressBook, Participant
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SigningKey, VerifyKey
from environments.uftp.terms import MarketTerms
from launch.parts import AddressBook as Addresses
from launch.parts import Part
from launch.schema import Scenario, Uftp, UftpCounterparty
from ontology.errors import InvalidInput, Problem, Unavailable

__all__ = [
    "buyers_of",
    "exchanges_of",
    "gateway_name",
    "gateways_of",
    "listen_at",
    "market_terms",
    "office_of",
    "sellers_of",
    "start_office",
    "trade_problems",
]

_ROLES = {"dso": ParticipantRole.DSO, "agr": ParticipantRole.AGR}
_STAND_IN = SigningKey(bytes(32)).verify_key


def gateway_name(domain: str) -> str:
    """Return the name of the agent that stands for a participant outside."""
    return f"uftp.{domain}"


def gateways_of(scenario: Scenario, at: Addresses) -> Iterator[Part]:
    """Cast an agent for each participant outside."""
    trade = scenario.flexibility_market.uftp
    if trade is None:
        return
    for each in trade.counterparties:
        settings = ExchangeSettings(
            domain=each.domain,
            inside=at["dso" if trade.role == "dso" else "aggregator"],
            repository=at["repository"],
            zone=_zone(scenario, trade),
        )
        agent = AggregatorGateway if trade.role == "dso" else DsoGateway
        yield Part(agent, at[gateway_name(each.domain)], settings, ports={"exchange": ...})


def sellers_of(
    scenario: Scenario, at: Addresses, segments: Sequence[str]
) -> Mapping[str, tuple[str, ...]] | None:
    """Return whom the DSO asks at each segment: nobody where a DSO outside buys; None is the usual."""
    trade = scenario.flexibility_market.uftp
    if trade is None:
        return None
    own = at["aggregator"]
    if trade.role == "agr":
        return {each: (own,) for each in segments if each not in buyers_of(scenario, at)}
    sellers = {segment: [own] for segment in segments}
    for each in trade.counterparties:
        for segment in _listed(trade):
            if _at(each, segment):
                sellers[segment].append(at[gateway_name(each.domain)])
    return {segment: tuple(who) for segment, who in sellers.items()}


def buyers_of(scenario: Scenario, at: Addresses) -> Mapping[str, str]:
    """Return who buys of the aggregator at a segment, where it is a DSO outside."""
    trade = scenario.flexibility_market.uftp
    if trade is None or trade.role != "agr":
        return {}
    return {
        segment: at[gateway_name(each.domain)]
        for each in trade.counterparties
        for segment in _listed(trade)
        if _at(each, segment)
    }


def office_of(scenario: Scenario, trade: Uftp, store: AgentStore, clock: Clock) -> UftpOffice:
    """Return the community's place in the market outside, not listening yet.

    Raises: InvalidInput when a key file has changed since the scenario was read.
    """
    role = _ROLES[trade.role]
    other = ParticipantRole.AGR if role is ParticipantRole.DSO else ParticipantRole.DSO
    book = AddressBook(
        Participant(each.domain, other, VerifyKey.from_file(Path(each.public_key_file)), each.endpoint)
        for each in trade.counterparties
    )
    return UftpOffice(
        Identity(trade.domain, role, SigningKey.from_file(Path(trade.key_file))),
        market_terms(scenario, trade),
        book,
        [each.domain for each in trade.counterparties],
        store,
        clock,
        network=WallClock(),
    )


async def start_office(office: UftpOffice, trade: Uftp) -> None:
    """Let the gateway listen.

    Raises: Unavailable when the address is taken.
    """
    host, port = listen_at(trade)
    try:
        await office.start(host, port)
    except OSError as error:
        raise Unavailable(f"cannot listen at {trade.listen} for UFTP: {error}") from error


def exchanges_of(
    parts: Sequence[Part], by_domain: Mapping[str, FlexibilityExchange]
) -> Mapping[str, FlexibilityExchange]:
    """Return the exchange of each gateway, by its address."""
    return {part.address: by_domain[part.settings.domain] for part in parts if "exchange" in part.ports}


def market_terms(scenario: Scenario, trade: Uftp) -> MarketTerms:
    """Return what is agreed on outside: the zone of days, and what segments and their meters are called.

    Raises: InvalidInput with all that is wrong.
    """
    return MarketTerms(
        _zone(scenario, trade),
        inside_zone="UTC",
        congestion_points={each.segment: each.address for each in trade.congestion_points},
        meters={each.segment: each.meter for each in trade.congestion_points if each.meter},
    )


def listen_at(trade: Uftp) -> tuple[str, int]:
    """Return host and port at which the gateway listens.

    Raises: ValueError when they are none.
    """
    parts = urlsplit(f"//{trade.listen}")
    if not parts.hostname or parts.port is None or parts.path:
        raise ValueError(trade.listen)
    return parts.hostname, parts.port


def _zone(scenario: Scenario, trade: Uftp) -> str:
    return trade.zone or scenario.zone


def _listed(trade: Uftp) -> list[str]:
    return [each.segment for each in trade.congestion_points]


def _at(counterparty: UftpCounterparty, segment: str) -> bool:
    """Tell whether one trades with a participant at a segment."""
    return not counterparty.segments or segment in counterparty.segments


# ------------------------------------------------------------------------------------ what is wrong


def trade_problems(scenario: Scenario, trade: Uftp) -> Iterator[tuple[str, object, str]]:
    """Yield path (below `uftp`), value and what would be right, for keys, names and addresses."""
    try:
        listen_at(trade)
    except ValueError:
        yield "listen", trade.listen, "must be a host and a port, such as 127.0.0.1:8080"
    try:
        SigningKey.from_file(Path(trade.key_file))
    except InvalidInput as error:
        yield "key_file", trade.key_file, f"must be {error.problems[0].expected}"
    try:
        market_terms(scenario, trade)
    except InvalidInput as error:
        yield from (_of_terms(each, trade) for each in error.problems)
    yield from _book_problems(trade)


def _of_terms(found: Problem, trade: Uftp) -> tuple[str, object, str]:
    """Return a problem with the terms as one of the scenario's keys."""
    expected = f"must be {found.expected}"
    if found.path == "TimeZone":
        return "zone", found.value, expected
    for i, each in enumerate(trade.congestion_points):
        key = "meter" if found.path.startswith("meters") else "address"
        if found.path.endswith(f"[{each.segment}]"):
            return f"congestion_points[{i}].{key}", found.value, expected
    return "congestion_points", found.value, expected


def _book_problems(trade: Uftp) -> Iterator[tuple[str, object, str]]:
    participants = []
    for i, each in enumerate(trade.counterparties):
        key = _STAND_IN
        try:
            key = VerifyKey.from_file(Path(each.public_key_file))
        except InvalidInput as error:
            path = f"counterparties[{i}].public_key_file"
            yield path, each.public_key_file, f"must be {error.problems[0].expected}"
        participants.append(Participant(each.domain, ParticipantRole.AGR, key, each.endpoint))
    own = Participant(trade.domain, ParticipantRole.CRO, _STAND_IN, "https://localhost")
    try:
        AddressBook([*participants, own])
    except InvalidInput as error:
        own_path = f"participants[{len(participants)}]."
        for found in error.problems:
            path = found.path.replace(own_path, "").replace("participants", "counterparties")
            yield path.replace(".url", ".endpoint"), found.value, f"must be {found.expected}"

"""FIPA's interaction protocols as tables, and whether a conversation keeps to one.

```
fipa-request              SC00026   request → refuse | agree? → failure | inform
fipa-query                SC00027   query-ref, query-if → refuse | agree? → failure | inform
fipa-contract-net         SC00029   cfp → refuse | propose → reject | accept → failure | inform
fipa-iterated-contract-net SC00030  as above; instead of accept or reject another cfp
fipa-propose              SC00036   propose → reject-proposal | accept-proposal
fipa-subscribe            SC00035   subscribe → refuse | agree? → inform*, failure
fipa-cancel               (in each) cancel → inform (done) | failure
```
In all of them the other side may answer `not-understood`. The cancel meta-protocol runs beside what it
cancels, in the same conversation: its letters may cross those that it is about.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from ontology.performatives import Performative as Act

__all__ = [
    "PROTOCOLS",
    "Conversation",
    "Said",
    "Side",
    "Violation",
    "protocol_of",
    "violations",
    "violations_of",
]


class Side(StrEnum):
    """Who speaks: the one who began, or the other."""

    INITIATOR = "initiator"
    PARTICIPANT = "participant"


class Violation(NamedTuple):
    """An act that its protocol does not allow where it was said, and what it would have allowed."""

    place: int
    side: Side
    act: Act
    allowed: tuple[str, ...]


class Said(NamedTuple):
    """What is known of a letter when its conversation is checked."""

    message_id: str
    sender: str
    act: Act
    in_reply_to: str = ""


Step = tuple[Side, Act]
Table = Mapping[str, Mapping[Step, str]]

_I, _P = Side.INITIATOR, Side.PARTICIPANT
_BEGIN, _END = "begin", "end"

_ANSWERED: Mapping[Step, str] = {
    (_P, Act.INFORM): _END,
    (_P, Act.INFORM_REF): _END,
    (_P, Act.INFORM_IF): _END,
    (_P, Act.FAILURE): _END,
}
_DECLINED: Mapping[Step, str] = {(_P, Act.REFUSE): _END, (_P, Act.NOT_UNDERSTOOD): _END}


def _asked(*acts: Act) -> Table:
    """Return a protocol in which something is asked for and done or told."""
    return {
        _BEGIN: {(_I, act): "asked" for act in acts},
        "asked": {**_DECLINED, **_ANSWERED, (_P, Act.AGREE): "agreed"},
        "agreed": _ANSWERED,
    }


def _tendered(*, again: bool) -> Table:
    """Return the contract net; the iterated one may call for revised proposals."""
    revised = {(_I, Act.CFP): "called"} if again else {}
    return {
        _BEGIN: {(_I, Act.CFP): "called"},
        "called": {**_DECLINED, (_P, Act.PROPOSE): "proposed", **revised},
        "proposed": {
            (_I, Act.ACCEPT_PROPOSAL): "accepted",
            (_I, Act.REJECT_PROPOSAL): _END,
            (_P, Act.NOT_UNDERSTOOD): _END,
            **revised,
        },
        "accepted": {**_ANSWERED, (_P, Act.NOT_UNDERSTOOD): _END},
    }


PROTOCOLS: Mapping[str, Table] = {
    "fipa-request": _asked(Act.REQUEST),
    "fipa-query": _asked(Act.QUERY_REF, Act.QUERY_IF),
    "fipa-contract-net": _tendered(again=False),
    "fipa-iterated-contract-net": _tendered(again=True),
    "fipa-cancel": {
        _BEGIN: {(_I, Act.CANCEL): "asked"},
        "asked": {**_ANSWERED, (_P, Act.NOT_UNDERSTOOD): _END},
    },
    "fipa-propose": {
        _BEGIN: {(_I, Act.PROPOSE): "proposed"},
        "proposed": {
            **_DECLINED,
            (_P, Act.ACCEPT_PROPOSAL): _END,
            (_P, Act.REJECT_PROPOSAL): _END,
            (_P, Act.FAILURE): _END,
        },
    },
    "fipa-subscribe": {
        _BEGIN: {(_I, Act.SUBSCRIBE): "asked"},
        "asked": {
            **_DECLINED,
            (_P, Act.AGREE): "subscribed",
            (_P, Act.INFORM): "subscribed",
            (_P, Act.INFORM_REF): "subscribed",
            (_P, Act.FAILURE): _END,
        },
        "subscribed": {
            (_P, Act.INFORM): "subscribed",
            (_P, Act.INFORM_REF): "subscribed",
            (_P, Act.FAILURE): _END,
        },
    },
}
"""Each protocol: what may be said in which state, and to which state that leads."""

_BEGUN_BY: Mapping[Act, str] = {
    Act.REQUEST: "fipa-request",
    Act.QUERY_REF: "fipa-query",
    Act.QUERY_IF: "fipa-query",
    Act.CFP: "fipa-iterated-contract-net",
    Act.PROPOSE: "fipa-propose",
    Act.SUBSCRIBE: "fipa-subscribe",
    Act.CANCEL: "fipa-cancel",
}


def protocol_of(act: Act) -> str:
    """Return the protocol that an act begins when it names none, or nothing when it begins none."""
    return _BEGUN_BY.get(act, "")


class Conversation:
    """Follows a conversation of two through its protocol."""

    def __init__(self, protocol: str) -> None:
        """Begin with nothing said.

        Raises: KeyError when no such protocol is known.
        """
        self._table = PROTOCOLS[protocol]
        self._state = _BEGIN
        self._said = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more may be said."""
        return self._state == _END

    @property
    def begun(self) -> bool:
        """Whether anything has been said."""
        return self._state != _BEGIN

    def allowed(self, side: Side) -> tuple[Act, ...]:
        """Return what a side may say now."""
        return tuple(act for who, act in self._table.get(self._state, {}) if who is side)

    def say(self, side: Side, act: Act) -> Violation | None:
        """Take an act; one that is not allowed changes nothing and is returned as a violation."""
        self._said += 1
        following = self._table.get(self._state, {}).get((side, act))
        if following is None:
            return Violation(self._said, side, act, self.allowed(side))
        self._state = following
        return None


def violations(protocol: str, acts: Iterable[Step]) -> list[Violation]:
    """Return every act of a conversation that its protocol does not allow."""
    conversation = Conversation(protocol)
    found = (conversation.say(side, act) for side, act in acts)
    return [each for each in found if each is not None]


def violations_of(conversation: Iterable[Said]) -> list[Violation]:
    """Return what a conversation of letters violates: a contract net or whatever began it, and cancels.

    What is said of a cancel is told by `in_reply_to`. An act that begins no protocol is no conversation.
    """
    main: list[Step] = []
    cancels: dict[str, list[Step]] = {}
    initiator = protocol = ""
    for said in conversation:
        if not protocol:
            initiator, protocol = said.sender, protocol_of(said.act)
        step = (_I if said.sender == initiator else _P, said.act)
        if said.act is Act.CANCEL and protocol != "fipa-cancel":
            cancels[said.message_id] = [step]
        else:
            cancels.get(said.in_reply_to, main).append(step)
    found = violations(protocol, main) if protocol else []
    return found + [each for steps in cancels.values() for each in violations("fipa-cancel", steps)]

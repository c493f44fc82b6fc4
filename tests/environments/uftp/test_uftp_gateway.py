"""The gateway on loopback: what it takes, what it refuses, and what it does again."""

import asyncio
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from uftp_examples import ORDINARY, TERMS, UUIDS, asked, changed, framed, metadata
from uftp_parties import DOMAINS, KEYS, Party, free_port, listening, url

from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
from environments.uftp.archive import Archive, Sent
from environments.uftp.delivery import RetryPolicy
from environments.uftp.endpoint import MESSAGE_PATH
from environments.uftp.gateway import Incoming
from environments.uftp.messages import Content, Message, from_xml, to_xml
from environments.uftp.roles import ParticipantRole
from environments.uftp.signing import SignedMessage, SigningKey
from ontology.base import Concept
from ontology.discourse import Acknowledgement, Query, Refusal
from ontology.errors import InvalidInput, Refused, Unavailable
from ontology.flexibility_trading import (
    DPrognosis,
    FlexOffer,
    FlexOfferRevocation,
    FlexRequest,
    FlexResponse,
    OfferOption,
    PowerInterval,
    ResponseResult,
)
from ontology.performatives import Performative as Act

AGR, DSO = ParticipantRole.AGR, ParticipantRole.DSO
NOBODY = 9
"""A port on which nobody listens."""


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def signed(
    content: Content, *, role: ParticipantRole = DSO, key: SigningKey | None = None, **about: str
) -> bytes:
    """A message as the DSO would post it, or somebody who pretends to be."""
    payload = to_xml(Message(changed(metadata(), **about), content), TERMS)
    sealed = (key or KEYS[DSO]).seal(payload)
    return SignedMessage(sender_domain=DOMAINS[DSO], sender_role=role, body=sealed).to_xml()


async def posted(port: int, body: bytes, kind: str = "text/xml; charset=utf-8") -> tuple[int, str]:
    """Post to a party as anybody could."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(url(port), data=body, headers={"Content-Type": kind}) as answer,
    ):
        return answer.status, await answer.text()


def prognosis() -> DPrognosis:
    return DPrognosis(**framed(), revision=1, intervals=[PowerInterval(start_s=ORDINARY.start_s, power_w=1)])


def offer(request_id: str) -> FlexOffer:
    power = PowerInterval(start_s=ORDINARY.start_of(73), power_w=-1)
    option = OfferOption(option_reference="a", price_ticks=1, intervals=[power])
    return FlexOffer(
        **framed(), expiration_s=ORDINARY.start_s, request_message_id=request_id, options=[option]
    )


class Catcher:
    """Takes posts, answers each with the next status, and keeps what it took."""

    def __init__(self, statuses: Iterable[int] = ()) -> None:
        self._statuses = iter(statuses)
        self.bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self.posts = 0
        app = web.Application()
        app.router.add_post(MESSAGE_PATH, self._take)
        self._runner = web.AppRunner(app)

    async def _take(self, request: web.Request) -> web.Response:
        self.posts += 1
        status = next(self._statuses, 200)
        if status == 200:
            self.bodies.put_nowait(await request.read())
        return web.Response(status=status, text="so it is")

    async def __aenter__(self) -> "Catcher":
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


# ------------------------------------------------------------------------------------ taking


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<SignedMessage", 400, "XML"),
        (signed(asked(), key=SigningKey(b"!" * 32)), 401, "signature"),
        (signed(asked()).replace(b"dso.example.org", b"who.example.org"), 403, "Unknown SenderDomain"),
        (signed(asked(), role=AGR), 403, "Invalid Sender combination"),
        (signed(asked(), role=ParticipantRole.CRO), 403, "Invalid Sender combination"),
        (
            SignedMessage(
                sender_domain=DOMAINS[DSO], sender_role=DSO, body=KEYS[DSO].seal(b"<FlexRequest/>")
            ).to_xml(),
            400,
            "FlexRequest.Period",
        ),
    ],
    ids=["no XML", "another's key", "unknown domain", "wrong role", "role outside the trade", "schema"],
)
def test_what_is_not_a_participants_message_is_refused(body: bytes, status: int, reason: str) -> None:
    async def attempt() -> None:
        async with listening(Party(AGR, NOBODY)) as party:
            answered = await posted(party.gateway.port, body)
            assert answered[0] == status
            assert reason in answered[1]
            assert party.heard == []

    run(attempt())


@pytest.mark.parametrize(
    ("content", "about", "reason"),
    [
        (asked(), {"sender_domain": "who.example.org"}, "Mismatch SenderDomain"),
        (asked(), {"recipient_domain": "who.example.org"}, "Unknown RecipientDomain"),
        (prognosis(), {}, "Invalid Message: DPrognosis of DSO"),
    ],
    ids=["sender", "recipient", "not theirs to say"],
)
def test_a_signed_message_that_is_not_in_order_is_responded_to_as_rejected(
    content: Concept, about: dict[str, str], reason: str
) -> None:
    async def attempt() -> None:
        async with Catcher() as dso, listening(Party(AGR, dso.port)) as party:
            assert (await posted(party.gateway.port, signed(content, **about)))[0] == 200
            response = await read(dso)
            assert response.result is ResponseResult.REJECTED
            assert response.reference_message_id == UUIDS[0]
            assert reason in response.reasons[0]
            assert party.heard == []

    run(attempt())


async def read(catcher: Catcher) -> Any:
    """What the next message that was caught says."""
    wrapper = SignedMessage.from_xml(await asyncio.wait_for(catcher.bodies.get(), 30))
    return from_xml(KEYS[wrapper.sender_role].verify_key.unseal(wrapper.body), TERMS).content


def test_a_message_that_breaks_the_markets_terms_is_responded_to_with_every_reason() -> None:
    async def attempt() -> None:
        payload = (
            to_xml(Message(metadata(), asked()), TERMS).replace(b"PT15M", b"PT30M").replace(b'"75"', b'"97"')
        )
        body = SignedMessage(
            sender_domain=DOMAINS[DSO], sender_role=DSO, body=KEYS[DSO].seal(payload)
        ).to_xml()
        async with Catcher() as dso, listening(Party(AGR, dso.port)) as party:
            assert (await posted(party.gateway.port, body))[0] == 200
            reasons = (await read(dso)).reasons
            assert [each.split(":")[0] for each in reasons] == ["ISP duration rejected", "ISPs out of bounds"]

    run(attempt())


@pytest.mark.parametrize(
    "kind",
    ["application/json", "text/xml; charset=latin-1", "application/octet-stream"],
    ids=["json", "latin", "bytes"],
)
def test_only_xml_in_utf_8_is_taken(kind: str) -> None:
    async def attempt() -> None:
        async with listening(Party(AGR, NOBODY)) as party:
            assert (await posted(party.gateway.port, signed(asked()), kind))[0] == 400

    run(attempt())


def test_a_post_without_length_or_of_many_megabytes_is_refused() -> None:
    async def pieces() -> Any:
        yield signed(asked())

    async def attempt() -> None:
        async with listening(Party(AGR, NOBODY)) as party:
            assert (await posted(party.gateway.port, pieces()))[0] == 411
            assert (await posted(party.gateway.port, b" " * 4_000_001))[0] == 413

    run(attempt())


def test_a_message_that_comes_again_is_answered_the_same_and_delivered_once() -> None:
    async def attempt() -> None:
        async with Catcher() as dso, listening(Party(AGR, dso.port)) as party:
            body = signed(asked())
            assert await posted(party.gateway.port, body) == (200, "")
            call = await party.hears(FlexRequest)
            party.say(Refusal(reason="no battery is left"), "no", in_reply_to=call.message_id)
            first = await asyncio.wait_for(dso.bodies.get(), 30)

            assert await posted(party.gateway.port, body) == (200, "")
            assert await asyncio.wait_for(dso.bodies.get(), 30) == first
            assert [each.message_id for each in party.heard] == [UUIDS[0]]

    run(attempt())


def test_another_message_of_the_same_id_is_rejected_as_a_duplicate() -> None:
    async def attempt() -> None:
        async with Catcher() as dso, listening(Party(AGR, dso.port)) as party:
            await posted(party.gateway.port, signed(asked()))
            await posted(party.gateway.port, signed(changed(asked(), revision=2)))
            assert (await read(dso)).reasons == [f"Duplicate Identifier: {UUIDS[0]}"]
            await party.hears(FlexRequest)
            assert len(party.heard) == 1

    run(attempt())


def test_a_bug_in_what_is_told_does_not_stop_the_next_message() -> None:
    async def attempt() -> None:
        async def stumble(incoming: Incoming) -> None:
            if incoming.message_id == UUIDS[0]:
                raise ZeroDivisionError

        async with Catcher() as dso, listening(Party(AGR, dso.port, deliver=stumble)) as party:
            await posted(party.gateway.port, signed(asked()))
            await posted(party.gateway.port, signed(asked(), message_id=UUIDS[5]))
            assert (await party.hears(FlexRequest)).message_id == UUIDS[5]

    run(attempt())


# ----------------------------------------------------------------------------------- sending


def test_a_message_is_posted_again_until_it_is_taken() -> None:
    async def attempt() -> None:
        async with Catcher([503, 404, 429, 500]) as agr, listening(Party(DSO, agr.port)) as party:
            party.say(asked(), "call 1")
            assert await read(agr) == asked()
            assert agr.posts == 5
            assert party.given_up.empty()

    run(attempt())


def test_a_message_waits_for_a_participant_that_is_away() -> None:
    async def attempt() -> None:
        port = free_port()
        async with listening(Party(DSO, port)) as dso:
            dso.say(asked(), "call 1")
            async with listening(Party(AGR, dso.gateway.port), port) as agr:
                await agr.hears(FlexRequest)

    run(attempt())


def test_a_message_that_is_refused_for_good_is_not_posted_again() -> None:
    async def attempt() -> None:
        async with Catcher([401]) as agr, listening(Party(DSO, agr.port)) as party:
            party.say(asked(), "call 1")
            assert await party.given_up.get() == ("call 1", "refused with 401: so it is")
            party.say(changed(asked(), revision=2), "call 2")
            assert (await read(agr)).revision == 2
            assert agr.posts == 2

    run(attempt())


def test_a_message_is_given_up_when_time_is_up() -> None:
    async def attempt() -> None:
        retry = RetryPolicy(first_s=0.01, give_up_s=0.05)
        async with listening(Party(DSO, NOBODY, retry=retry)) as party:
            party.say(asked(), "call 1")
            letter, why = await party.given_up.get()
            assert letter == "call 1"
            assert why.startswith("not taken in")

    run(attempt())


def test_attempts_grow_rarer_up_to_a_limit() -> None:
    waits = [RetryPolicy().wait_s(attempts) for attempts in (1, 2, 3, 9, 10, 1000)]
    assert waits == [1, 2, 4, 256, 300, 300]


def test_messages_to_a_participant_arrive_in_order() -> None:
    async def attempt() -> None:
        async with Catcher([500, 200, 500]) as agr, listening(Party(DSO, agr.port)) as party:
            for revision in range(5):
                party.say(changed(asked(), revision=revision), f"call {revision}")
            assert [(await read(agr)).revision for _ in range(5)] == [0, 1, 2, 3, 4]

    run(attempt())


def test_an_offer_accepts_the_request_that_it_answers_and_is_about_its_period() -> None:
    async def attempt() -> None:
        port = free_port()
        async with (
            listening(Party(DSO, port)) as dso,
            listening(Party(AGR, dso.gateway.port), port) as agr,
        ):
            evening = {"period_start_s": ORDINARY.start_of(73), "period_end_s": ORDINARY.start_of(77)}
            dso.say(changed(asked(), **evening), "call 1", conversation="evening")
            call = await agr.hears(FlexRequest)
            agr.say(offer(call.message_id), "offer 1", conversation=call.conversation)
            taken, proposed = await dso.hears(FlexResponse), await dso.hears(FlexOffer)
            assert (taken.act, taken.content.result) == (Act.INFORM, ResponseResult.ACCEPTED)
            assert (proposed.act, proposed.in_reply_to, proposed.conversation) == (
                Act.PROPOSE,
                "call 1",
                "evening",
            )
            assert {each: getattr(proposed.content, each) for each in evening} == evening

    run(attempt())


def test_each_side_can_test_that_the_other_is_there() -> None:
    async def attempt() -> None:
        port = free_port()
        async with listening(Party(DSO, port)) as dso:
            with pytest.raises(Unavailable):
                await dso.gateway.test(dso.partner, "test 1", within_s=0.05)
            async with listening(Party(AGR, dso.gateway.port), port) as agr:
                await dso.gateway.test(dso.partner, "test 2")
                await agr.gateway.test(agr.partner, "test 3")
                assert dso.heard == agr.heard == []

    run(attempt())


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (prognosis(), Refused),
        (changed(asked(), congestion_point="lv3"), InvalidInput),
        (Query(entity="parity:Lem"), InvalidInput),
        (Acknowledgement(of="x"), InvalidInput),
        (FlexOfferRevocation(offer_message_id="x"), Refused),
    ],
    ids=["not its own", "no address", "no document", "answer to nothing", "another's"],
)
def test_what_cannot_be_said_outside_is_refused_at_once(content: Concept, error: type[Exception]) -> None:
    async def attempt() -> None:
        async with listening(Party(DSO, NOBODY)) as party:
            with pytest.raises(error):
                party.say(content, "letter")
            with pytest.raises(Refused, match="no AGR that this gateway deals with"):
                party.gateway.say(asked(), to="who.example.org", message_id="letter", conversation="c")

    run(attempt())


def test_a_letter_goes_out_once() -> None:
    async def attempt() -> None:
        async with Catcher() as agr, listening(Party(DSO, agr.port)) as party:
            party.say(asked(), "call 1")
            with pytest.raises(InvalidInput, match="an id of its own"):
                party.say(asked(), "call 1")

    run(attempt())


# ---------------------------------------------------------------------------------- restarts


def test_after_a_restart_what_was_not_posted_is_and_ids_are_still_known(tmp_path: Path) -> None:
    async def attempt() -> None:
        port = free_port()
        store = SqliteAgentStore(tmp_path / "dso.sqlite")
        async with listening(Party(DSO, port, store=store)) as dso:
            dso.say(asked(), "call 1", conversation="evening")
            our_port = dso.gateway.port
        store.close()
        again = SqliteAgentStore(tmp_path / "dso.sqlite")
        async with (
            listening(Party(AGR, our_port), port) as agr,
            listening(Party(DSO, port, store=again), our_port) as dso,
        ):
            call = await agr.hears(FlexRequest)
            agr.say(offer(call.message_id), "offer 1", conversation=call.conversation)
            await dso.hears(FlexResponse)
            proposed = await dso.hears(FlexOffer)
            assert (proposed.in_reply_to, proposed.conversation) == ("call 1", "evening")

    run(attempt())


def test_after_a_restart_a_message_is_not_delivered_again_but_one_that_was_not_handled_is() -> None:
    async def attempt() -> None:
        store, never = MemoryAgentStore(), asyncio.Event()
        async with Catcher() as dso:
            party = Party(AGR, dso.port, store=store)
            async with listening(party):
                await posted(party.gateway.port, signed(asked()))
                await party.hears(FlexRequest)
            stuck = Party(AGR, dso.port, store=store, deliver=lambda _: never.wait())
            async with listening(stuck):
                await posted(stuck.gateway.port, signed(asked()))
                await posted(stuck.gateway.port, signed(asked(), message_id=UUIDS[5]))
            async with listening(Party(AGR, dso.port, store=store)) as party:
                assert (await party.hears(FlexRequest)).message_id == UUIDS[5]
                assert len(party.heard) == 1

    run(attempt())


def test_what_is_old_and_done_is_forgotten() -> None:
    def sent(letter: str, at_s: float, done: bool) -> Sent:
        about = {"conversation": letter, "domain": DOMAINS[AGR], "role": AGR, "body": b""}
        return Sent(message_id=archive.uuid_of(letter), letter_id=letter, sent_at_s=at_s, done=done, **about)

    store = MemoryAgentStore()
    archive = Archive(store, "dso", older_s=0)
    archive.keep(sent("old", 1, True), sent("old and waiting", 1, False), sent("new", 3, True))
    again = Archive(store, "dso", older_s=2)
    assert sorted(each.letter_id for each in again.sent.values()) == ["new", "old and waiting"]
    assert again.letter_of(archive.uuid_of("new")) == "new"
    assert again.letter_of(archive.uuid_of("old")) == archive.uuid_of("old")
    assert Archive(store, "dso", older_s=0).sent == again.sent

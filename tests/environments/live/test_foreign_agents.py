"""Agents that are not ours understand the wire: a plain SPADE agent, and an aioxmpp client, over Prosody."""

import asyncio

import msgspec
import pytest
from live_helpers import Inbox, connected, fresh_accounts, run
from spade.agent import Agent
from spade.behaviour import CyclicBehaviour, OneShotBehaviour
from spade.message import Message

from agents.repository import RepositoryAgent
from behaviours.agent import Surroundings
from behaviours.membership import Member
from environments.repository.agent_store import MemoryAgentStore
from environments.repository.memory import MemoryRepository
from environments.simulation.clock import WallClock
from ontology.codec import encode_body, message_type_of, open_letter
from ontology.discourse import Acknowledgement, Query
from ontology.errors import Unavailable
from ontology.letter import Envelope
from ontology.measurements import IntervalReading
from ontology.roles import Role

pytestmark = pytest.mark.server

QUESTION = Query(entity="parity:Lem", subject="<feeder & 1>", start_s=0, end_s=900)


class Answering(CyclicBehaviour):
    """What a SPADE user writes to answer requests."""

    async def run(self):
        request = await self.receive(timeout=5)
        if request is None or request.get_metadata("performative") != "request":
            return
        answer = Message(to=str(request.sender.bare), thread=request.thread)
        answer.set_metadata("performative", "inform")
        answer.set_metadata("inReplyTo", request.get_metadata("msgId"))
        answer.body = acknowledging(request.get_metadata("msgId"))
        await self.send(answer)


class Asking(OneShotBehaviour):
    """What a SPADE user writes to ask one of our agents."""

    async def run(self):
        request = Message(to=self.agent.asked, thread="from-spade", body=encode_body(QUESTION).decode())
        request.set_metadata("performative", "request")
        await self.send(request)
        self.agent.answer = await self.receive(timeout=5)


def acknowledging(message_id: str) -> str:
    return encode_body(Acknowledgement(of=message_id)).decode()


def our_request(sender: str, to: str) -> Envelope:
    return Envelope(
        performative="request",
        sender=sender,
        to=to,
        message_type=message_type_of(Query),
        conversation="from-us",
        sequence=1,
        message_id="question-1",
        sent_at_s=1_767_225_600.5,
        protocol="fipa-request",
        body=encode_body(QUESTION),
    )


def answer_as_ours(transport, address, replies):
    """Let an address of ours answer each request, as one of our agents would."""

    def receive(envelope):
        letter = open_letter(envelope)
        replies.append(letter)
        transport.send(
            Envelope(
                performative="inform",
                sender=address,
                to=letter.sender,
                message_type=message_type_of(Acknowledgement),
                conversation=letter.conversation,
                sequence=1,
                message_id="answer-1",
                sent_at_s=1_767_225_601,
                in_reply_to=letter.message_id,
                body=acknowledging(letter.message_id).encode(),
            )
        )

    transport.deliver_to(address, receive)


async def plain_spade_agent(server, behaviour, **attributes):
    ((address, password),) = fresh_accounts(server, "foreigner").items()
    agent = Agent(address, password, port=server.port, verify_security=False)
    for name, value in attributes.items():
        setattr(agent, name, value)
    agent.add_behaviour(behaviour)
    await asyncio.wait_for(agent.start(auto_register=False), 10)
    return agent, address


def test_a_plain_spade_agent_answers_our_request(prosody):
    async def scenario():
        async with connected(prosody, "aggregator") as (transport, (ours,)):
            agent, address = await plain_spade_agent(prosody, Answering())
            inbox = Inbox(transport, ours)
            transport.send(our_request(ours, address))
            answer = open_letter(await inbox.next())
            await agent.stop()
        assert (answer.sender, answer.performative, answer.in_reply_to) == (address, "inform", "question-1")
        assert answer.conversation == "from-us"
        assert answer.content == Acknowledgement(of="question-1")

    run(scenario())


def test_we_answer_the_request_of_a_plain_spade_agent(prosody):
    async def scenario():
        asked = []
        async with connected(prosody, "aggregator") as (transport, (ours,)):
            answer_as_ours(transport, ours, asked)
            asking = Asking()
            agent, address = await plain_spade_agent(prosody, asking, asked=ours)
            await asking.join(timeout=10)
            await agent.stop()
        assert (asked[0].sender, asked[0].content) == (address, QUESTION)
        assert (asked[0].conversation, asked[0].sequence) == ("from-spade", 0)
        assert agent.answer.thread == "from-spade"
        assert agent.answer.get_metadata("performative") == "inform"
        assert msgspec.json.decode(agent.answer.body)["of"] == asked[0].message_id

    run(scenario())


# ------------------------------------------------------------------------------------------- aioxmpp


class AioxmppClient:
    """A client on aioxmpp that speaks FIPA in SPADE's data form."""

    def __init__(self, server, address, password):
        self.aioxmpp = aioxmpp = pytest.importorskip("aioxmpp", reason="aioxmpp needs Python < 3.13")
        from OpenSSL import SSL

        def trusting_the_authority():
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.load_verify_locations(str(server.ca_file))
            return context

        class ByOpenssl(aioxmpp.security_layer.CertificateVerifier):
            """aioxmpp's own verifier calls what pyOpenSSL no longer has."""

            def verify_callback(self, connection, certificate, error, depth, verified):
                return verified

            async def post_handshake(self, transport):
                return

        layer = aioxmpp.make_security_layer(password, ssl_context_factory=trusting_the_authority)
        self.received = asyncio.Queue()
        self.client = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(address),
            layer._replace(certificate_verifier_factory=ByOpenssl),
            override_peer=[(server.host, server.port, aioxmpp.connector.STARTTLSConnector())],
        )
        dispatcher = self.client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        dispatcher.register_callback(aioxmpp.MessageType.CHAT, None, self.received.put_nowait)

    def send(self, to, thread, metadata, body):
        aioxmpp = self.aioxmpp
        message = aioxmpp.Message(to=aioxmpp.JID.fromstr(to), type_=aioxmpp.MessageType.CHAT)
        message.body[None] = body
        message.thread = aioxmpp.stanza.Thread()
        message.thread.identifier = thread
        form = aioxmpp.forms.Data(aioxmpp.forms.xso.DataType.FORM)
        form.title = "spade:x:metadata"
        for name, value in metadata.items():
            kind = aioxmpp.forms.xso.FieldType.TEXT_SINGLE
            form.fields.append(aioxmpp.forms.Field(type_=kind, var=name, values=[value]))
        message.xep0004_data.append(form)
        self.client.enqueue(message)

    async def next(self):
        message = await asyncio.wait_for(self.received.get(), 10)
        (form,) = message.xep0004_data
        assert form.title == "spade:x:metadata"
        return message, {field.var: field.values[0] for field in form.fields}


def test_an_aioxmpp_client_answers_our_request(prosody):
    async def scenario():
        ((address, password),) = fresh_accounts(prosody, "operator").items()
        foreign = AioxmppClient(prosody, address, password)
        async with connected(prosody, "aggregator") as (transport, (ours,)), foreign.client.connected():
            inbox = Inbox(transport, ours)
            transport.send(our_request(ours, address))
            request, metadata = await foreign.next()
            assert (metadata["performative"], metadata["sentAt"]) == ("request", "2026-01-01T00:00:00.5Z")
            assert msgspec.json.decode(request.body.any(), type=Query) == QUESTION
            told = {"performative": "inform", "inReplyTo": metadata["msgId"]}
            foreign.send(ours, request.thread.identifier, told, acknowledging(metadata["msgId"]))
            answer = open_letter(await inbox.next())
        assert (answer.sender, answer.conversation, answer.in_reply_to) == (address, "from-us", "question-1")
        assert answer.content == Acknowledgement(of="question-1")

    run(scenario())


def test_we_answer_the_request_of_an_aioxmpp_client(prosody):
    async def scenario():
        asked = []
        ((address, password),) = fresh_accounts(prosody, "operator").items()
        foreign = AioxmppClient(prosody, address, password)
        async with connected(prosody, "aggregator") as (transport, (ours,)), foreign.client.connected():
            answer_as_ours(transport, ours, asked)
            foreign.send(ours, "from-aioxmpp", {"performative": "request"}, encode_body(QUESTION).decode())
            answer, metadata = await foreign.next()
        assert (asked[0].sender, asked[0].content) == (address, QUESTION)
        assert (answer.thread.identifier, metadata["performative"]) == ("from-aioxmpp", "inform")
        assert msgspec.json.decode(answer.body.any())["of"] == asked[0].message_id

    run(scenario())


# ------------------------------------------------------------------------------------ our own agents


class NoWeather:
    async def forecast(self, zone):
        raise Unavailable("no provider in this test")


def our_repository(transport, address, members):
    """Return the repository agent, as a pilot would run it, on the wall's clock."""
    membership = {member.address: member for member in members} | {address: Member(address, Role.REPOSITORY)}
    surroundings = Surroundings(
        clock=WallClock(),
        transport=transport,
        membership=membership,
        store=MemoryAgentStore(),
        run_id="foreign",
        repository=MemoryRepository(),
        weather=NoWeather(),
    )
    return RepositoryAgent(membership[address], None, surroundings)


class AskingTwice(OneShotBehaviour):
    """Ask an agent of ours for facts: once as a SPADE user would, once with a body that is none."""

    async def run(self):
        self.agent.answers = []
        for body in (encode_body(READINGS).decode(), '{"type": "parity:Query", "wish": 1}'):
            request = Message(to=self.agent.asked, body=body)
            request.set_metadata("performative", "query-ref")
            await self.send(request)
            self.agent.answers.append(await self.receive(timeout=5))


READINGS = Query(entity="parity:IntervalReading", subject="h001", latest=True)
READING = IntervalReading(
    subject="h001", start_s=1_767_225_600, consumed_wh=120, produced_wh=0, consumed_w=480, produced_w=0
)


def test_a_plain_spade_agent_that_is_a_member_gets_facts_from_our_repository_agent(prosody):
    async def scenario():
        async with connected(prosody, "repository") as (transport, (ours,)):
            asking = AskingTwice()
            agent, address = await plain_spade_agent(prosody, asking, asked=ours)
            repository = our_repository(transport, ours, [Member(address, Role.DSO)])
            await repository.surroundings.repository.store([READING])
            repository.start()
            await asking.join(timeout=10)
            await agent.stop()
            repository.kill()
        facts, rejection = agent.answers
        assert facts.get_metadata("performative") == "inform"
        assert msgspec.json.decode(facts.body)["items"][0]["consumed_wh"] == 120
        assert rejection.get_metadata("performative") == "not-understood"

    run(scenario())


def test_a_plain_spade_agent_that_is_no_member_gets_nothing_from_our_repository_agent(prosody):
    async def scenario():
        async with connected(prosody, "repository") as (transport, (ours,)):
            asking = Asking()
            agent, _ = await plain_spade_agent(prosody, asking, asked=ours)
            repository = our_repository(transport, ours, [])
            repository.start()
            await asking.join(timeout=10)
            await agent.stop()
            repository.kill()
        assert agent.answer is None
        assert repository.post.counts["refused"] == 1

    run(scenario())

"""The Transport port over XMPP: letters arrive whole and in order, and connections come back."""

import asyncio
import socket
import time
from xml.etree import ElementTree as ET

import pytest
from live_helpers import Inbox, connected, fresh_accounts, letter, run, until
from structlog.testing import capture_logs

from environments.live.certificates import issue_certificate
from environments.live.endpoint import Endpoint, verified_context
from environments.live.server import new_accounts
from environments.live.stanzas import read_stanza, write_stanza
from environments.live.xmpp import XmppTransport
from ontology.codec import decode_body
from ontology.errors import InvalidInput, Unavailable


def test_an_envelope_arrives_as_it_was_sent(server):
    async def scenario():
        async with connected(server, "prosumer", "aggregator") as (transport, (prosumer, aggregator)):
            inbox = Inbox(transport, aggregator)
            sent = letter(prosumer, aggregator, signature="c2ln", key_id="key-1", in_reply_to="earlier")
            transport.send(sent)
            assert await inbox.next() == sent

    run(scenario())


def test_the_longest_body_arrives(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            inbox = Inbox(transport, b)
            sent = letter(a, b, body=b'{"type":"x","text":"' + b"&" * 47_000 + b'"}')
            transport.send(sent)
            assert await inbox.next() == sent

    run(scenario())


def test_letters_arrive_in_the_order_in_which_they_were_sent(server):
    async def scenario():
        async with connected(server, "a", "b", "c") as (transport, (a, b, c)):
            inbox = Inbox(transport, c)
            for sequence in range(1, 101):
                transport.send(letter(a, c, sequence))
                transport.send(letter(b, c, sequence))
            letters = await inbox.take(200)
            for sender in (a, b):
                assert [each.sequence for each in letters if each.sender == sender] == list(range(1, 101))

    run(scenario())


def test_a_letter_to_oneself_takes_the_wire_too(server):
    async def scenario():
        async with connected(server, "a") as (transport, (a,)):
            inbox = Inbox(transport, a)
            transport.send(letter(a, a))
            assert inbox.empty()
            assert (await inbox.next()).sender == a

    run(scenario())


@pytest.mark.parametrize("outside", ["dso@elsewhere.example", "dso", "dso@localhost.example", ""])
def test_a_letter_to_another_domain_never_leaves(server, outside):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            with pytest.raises(Unavailable, match="outside localhost"):
                transport.send(letter(a, outside))
            inbox = Inbox(transport, b)
            transport.send(letter(a, b))
            await inbox.next()
            assert transport.counts["sent"] == 1

    run(scenario())


def test_the_embedded_server_outlives_a_message_to_another_domain(embedded):
    async def scenario():
        async with connected(embedded, "a", "b") as (transport, (a, b)):
            stray = write_stanza("dso@elsewhere.example", "stray", "", {"performative": "inform"}, "{}")
            transport._accounts[a].host.write(stray)
            await until(lambda: transport.counts["bounced"] == 1)
            inbox = Inbox(transport, b)
            transport.send(letter(a, b))
            await inbox.next()
            assert embedded.running

    run(scenario())


def test_a_sender_without_an_account_here_is_told_so(server):
    async def scenario():
        async with connected(server, "a") as (transport, (a,)):
            with pytest.raises(Unavailable, match="nobody@localhost is not connected here"):
                transport.send(letter("nobody@localhost", a))

    run(scenario())


def test_a_letter_that_xml_cannot_carry_is_refused_before_it_tears_the_stream_down(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            with pytest.raises(InvalidInput):
                transport.send(letter(a, b, protocol="fipa\0request"))
            inbox = Inbox(transport, b)
            transport.send(letter(a, b))
            await inbox.next()

    run(scenario())


def test_a_malformed_letter_is_counted_and_answered_with_not_understood(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            answers, inbox = Inbox(transport, a), Inbox(transport, b)
            malformed = {"performative": "request", "msgType": "parity:Query", "sequence": "many"}
            transport._accounts[a].host.write(write_stanza(b, "m1", "talk", malformed, "{}"))
            answer = await answers.next()
            assert (answer.performative, answer.conversation, answer.in_reply_to) == (
                "not-understood",
                "talk",
                "m1",
            )
            rejection = decode_body(answer.message_type, answer.body)
            assert rejection.problems[0].path == "metadata.sequence"
            assert transport.counts["malformed"] == 1
            transport.send(letter(a, b))
            await inbox.next()

    run(scenario())


def test_a_message_that_is_no_letter_is_counted_and_dropped(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            answers, inbox = Inbox(transport, a), Inbox(transport, b)
            transport._accounts[a].host.write(f'<message to="{b}" type="chat"><body>Hello</body></message>')
            transport.send(letter(a, b))
            await inbox.next()
            assert transport.counts["malformed"] == 1
            assert answers.empty()

    run(scenario())


def test_a_receiver_that_raises_stops_nothing(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            transport.deliver_to(b, lambda _: 1 / 0)
            transport.send(letter(a, b, 1))
            await until(lambda: transport.counts["failed"] == 1)
            inbox = Inbox(transport, b)
            transport.send(letter(a, b, 2))
            assert (await inbox.next()).sequence == 2

    run(scenario())


def test_nothing_is_delivered_to_a_forgotten_address(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            inbox = Inbox(transport, b)
            transport.forget(b)
            transport.send(letter(a, b))
            await until(lambda: transport.counts["undelivered"] == 1)
            assert inbox.empty()

    run(scenario())


# ------------------------------------------------------------------------------------------ starting


def test_starting_without_a_server_ends_in_time_and_says_where_and_why(tmp_path):
    async def scenario():
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            context = verified_context(issue_certificate(tmp_path, "localhost"))
            endpoint = Endpoint("127.0.0.1", nobody.getsockname()[1], "localhost", context)
            began = time.perf_counter()
            with pytest.raises(Unavailable, match=rf"a@localhost .* 127\.0\.0\.1:{endpoint.port}: .*111"):
                await XmppTransport(endpoint, start_timeout_s=0.5).start("a@localhost", "secret")
            assert time.perf_counter() - began < 20

    run(scenario())


def test_a_server_that_never_answers_ends_the_start_in_time(embedded):
    async def scenario():
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        endpoint = embedded.endpoint()._replace(port=silent.sockets[0].getsockname()[1])
        with pytest.raises(Unavailable, match="no answer"):
            await XmppTransport(endpoint, start_timeout_s=0.5).start("a@localhost", "secret")
        silent.close()

    run(scenario())


def test_a_wrong_password_is_told_at_once_and_written_nowhere(server):
    async def scenario():
        (address,) = fresh_accounts(server, "a")
        transport = XmppTransport(server.endpoint(), start_timeout_s=60)
        began = time.perf_counter()
        with capture_logs() as logs, pytest.raises(Unavailable, match="the password was refused") as caught:
            await transport.start(address, "not-the-password")
        assert time.perf_counter() - began < 30
        assert "not-the-password" not in f"{logs} {caught.value}"
        with pytest.raises(Unavailable):
            transport.send(letter(address, address))

    run(scenario())


def test_an_account_that_does_not_exist_is_refused(server):
    async def scenario():
        transport = XmppTransport(server.endpoint(), start_timeout_s=60)
        with pytest.raises(Unavailable, match="the password was refused"):
            await transport.start("nobody@localhost", "secret")

    run(scenario())


def test_a_server_whose_authority_is_unknown_is_refused(server, tmp_path):
    async def scenario():
        accounts = fresh_accounts(server, "a")
        of_a_stranger = verified_context(issue_certificate(tmp_path, server.domain))
        endpoint = server.endpoint()._replace(ssl_context=of_a_stranger)
        began = time.perf_counter()
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await XmppTransport(endpoint, start_timeout_s=60).start_all(accounts)
        assert time.perf_counter() - began < 30

    run(scenario())


def test_when_one_of_many_cannot_start_none_does(server):
    async def scenario():
        accounts = fresh_accounts(server, "a", "b", "c")
        wrong = dict(zip(accounts, [*list(accounts.values())[:2], "wrong"], strict=True))
        transport = XmppTransport(server.endpoint(), start_timeout_s=60)
        with pytest.raises(Unavailable):
            await transport.start_all(wrong)
        assert not any(transport.connected(address) for address in accounts)
        await transport.start_all(accounts)
        assert all(transport.connected(address) for address in accounts)
        await transport.stop_all()

    run(scenario())


# ------------------------------------------------------------------------- losing and regaining connections


def test_letters_sent_while_the_server_is_down_arrive_when_it_is_back(server):
    async def scenario():
        async with connected(server, "a", "b", "c") as (transport, (a, b, c)):
            inbox = Inbox(transport, c)
            transport.send(letter(a, c, 1))
            await inbox.next()
            await server.kill()
            await until(lambda: not any(map(transport.connected, (a, b, c))))
            for sequence in range(2, 22):
                transport.send(letter(a, c, sequence))
                transport.send(letter(b, c, sequence))
            await server.start()
            letters = await inbox.take(40, timeout_s=20)
            for sender in (a, b):
                assert [each.sequence for each in letters if each.sender == sender] == list(range(2, 22))

    run(scenario(), timeout_s=40)


def test_connections_come_back_after_an_orderly_restart_of_the_server(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            inbox = Inbox(transport, b)
            await server.restart()
            await until(lambda: transport.connected(a) and transport.connected(b), timeout_s=20)
            transport.send(letter(a, b))
            await inbox.next()

    run(scenario(), timeout_s=40)


def test_the_outbox_keeps_the_newest_letters(embedded):
    async def scenario():
        async with connected(embedded, "a", "b", outbox_max=5) as (transport, (a, b)):
            inbox = Inbox(transport, b)
            await embedded.kill()
            await until(lambda: not transport.connected(a) and not transport.connected(b))
            for sequence in range(1, 9):
                transport.send(letter(a, b, sequence))
            await embedded.start()
            assert [each.sequence for each in await inbox.take(5, timeout_s=20)] == [4, 5, 6, 7, 8]
            assert transport.counts["dropped"] == 3

    run(scenario(), timeout_s=40)


def test_killing_one_agent_leaves_the_others(server):
    async def scenario():
        async with connected(server, "a", "b", "victim") as (transport, (a, b, victim)):
            inbox = Inbox(transport, b)
            transport.kill(victim)
            transport.send(letter(a, victim))
            transport.send(letter(a, b))
            assert (await inbox.next()).to == b
            assert transport.connected(a)
            assert not transport.connected(victim)

    run(scenario())


def test_a_killed_agent_can_start_again_under_its_address(server):
    async def scenario():
        accounts = fresh_accounts(server, "a", "victim")
        a, victim = accounts
        transport = XmppTransport(server.endpoint())
        await transport.start_all(accounts)
        transport.kill(victim)
        await transport.start(victim, accounts[victim])
        inbox = Inbox(transport, victim)
        transport.send(letter(a, victim, 2))
        assert (await inbox.next()).sequence == 2
        await transport.stop_all()

    run(scenario())


def test_what_an_agent_sent_before_it_stopped_arrives(server):
    async def scenario():
        async with connected(server, "a", "b") as (transport, (a, b)):
            inbox = Inbox(transport, b)
            for sequence in range(1, 51):
                transport.send(letter(a, b, sequence))
            await transport.stop(a)
            assert [each.sequence for each in await inbox.take(50)] == list(range(1, 51))

    run(scenario())


def test_two_transports_exchange_letters_as_two_machines_would(server):
    async def scenario():
        async with (
            connected(server, "here") as (first, (here,)),
            connected(server, "there") as (second, (there,)),
        ):
            inbox = Inbox(second, there)
            first.send(letter(here, there))
            assert (await inbox.next()).sender == here

    run(scenario())


def test_reconnection_is_tried_at_different_moments_by_different_agents_and_alike_for_a_seed(server):
    async def pauses(seed):
        accounts = new_accounts(["a@localhost", "b@localhost"])
        for account in accounts.items():
            server.register(*account)
        transport = XmppTransport(server.endpoint(), seed=seed)
        await transport.start_all(accounts)
        drawn = [
            [pause for pause, _ in zip(transport._accounts[each].host._pauses(), range(8), strict=False)]
            for each in accounts
        ]
        await transport.stop_all()
        return drawn

    async def scenario():
        assert await pauses(1) == (first := await pauses(1))
        assert first != await pauses(2)
        assert first[0] != first[1]
        assert all(0.05 <= pause <= 30 for each in first for pause in each)

    run(scenario())


@pytest.mark.server
def test_a_cut_stream_is_resumed_and_nothing_on_its_way_is_lost(prosody):
    async def scenario():
        async with (
            connected(prosody, "a", resumes=True) as (here, (a,)),
            connected(prosody, "b", resumes=True) as (there, (b,)),
        ):
            inbox = Inbox(there, b)
            for sequence in range(1, 201):
                here.send(letter(a, b, sequence))
                if sequence % 50 == 0:
                    await asyncio.sleep(0)  # noqa: TID251 - lets what was sent so far be written
                    cut(here, a)
                    cut(there, b)
                    await until(lambda: not (here.connected(a) or there.connected(b)))
                    await until(lambda: here.connected(a) and there.connected(b))
            letters = [each.sequence for each in await inbox.take(200)]
            assert letters == list(range(1, 201))
            assert here._accounts[a].host.resumed == 4

    run(scenario())


@pytest.mark.server
def test_letters_on_their_way_when_the_server_dies_are_written_again_on_the_new_stream(prosody):
    async def scenario():
        async with connected(prosody, "a", "b", resumes=True) as (transport, (a, b)):
            inbox = Inbox(transport, b)
            transport.send(letter(a, b, 1))
            await inbox.next()
            await prosody.kill()
            await until(lambda: not transport.connected(a))
            transport.send(letter(a, b, 2))
            await prosody.start()
            read = {(await inbox.next()).sequence}
            while 2 not in read:
                read.add((await inbox.next()).sequence)

    run(scenario())


def cut(transport, address):
    """Break a connection off below TLS, as a link does that fails."""
    transport._accounts[address].host.client.transport.abort()


# --------------------------------------------------------------------------------------------- stanzas


def test_a_stanza_reads_back_as_it_was_written():
    metadata = {"performative": "request", "a<b>&\"c'": "<&>\"'"}
    text = write_stanza("b@localhost", "id-1", "talk <1>", metadata, '{"a":"<&>"}')
    wrapped = ET.fromstring(f'<stream xmlns="jabber:client">{text}</stream>')
    stanza = read_stanza(wrapped[0])
    assert (stanza.id, stanza.kind, stanza.thread) == ("id-1", "chat", "talk <1>")
    assert (stanza.metadata, stanza.body) == (metadata, '{"a":"<&>"}')


def test_a_form_that_is_not_of_spade_is_no_metadata():
    form = '<x xmlns="jabber:x:data" type="form"><title>other</title></x>'
    message = ET.fromstring(f'<message xmlns="jabber:client"><body>x</body>{form}</message>')
    assert read_stanza(message).metadata is None


@pytest.mark.server
def test_prosody_tells_when_a_connection_is_gone_and_when_it_is_back(prosody):
    async def scenario():
        async with connected(prosody, "facilitator", "member") as (transport, (facilitator, member)):
            news = []
            transport.watch(facilitator, member, lambda *what: news.append(what))
            await until(lambda: news[-1:] == [(member, True)])
            password = transport._accounts[member].host.password
            transport.kill(member)
            await until(lambda: news[-1:] == [(member, False)])
            await transport.start(member, password)
            await until(lambda: news[-1:] == [(member, True)])

    run(scenario())

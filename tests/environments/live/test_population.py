"""Thousands of agents on one connection: an external component of Prosody's."""

from contextlib import asynccontextmanager

import pytest
from live_helpers import letter, run, until

from environments.live.population import Component, PopulationTransport
from environments.live.prosody import ProsodyServer
from environments.live.server import new_accounts
from environments.live.xmpp import XmppTransport
from ontology.errors import Unavailable

pytestmark = pytest.mark.server

DOMAIN = "population.localhost"


@asynccontextmanager
async def town(**settings):
    server = ProsodyServer(domain="xmpp.localhost")
    server.admit(DOMAIN)
    async with server:
        population = PopulationTransport(server.component(DOMAIN), reachable=("xmpp.localhost",), **settings)
        await population.connect()
        try:
            yield server, population
        finally:
            await population.stop_all()


def inbox(transport, address):
    received = []
    transport.deliver_to(address, received.append)
    return received


def test_a_thousand_agents_write_to_each_other_over_one_connection(prosody_is_here):
    async def scenario():
        async with town() as (_, population):
            addresses = [f"a{i}@{DOMAIN}" for i in range(1000)]
            boxes = [inbox(population, address) for address in addresses]
            for i, address in enumerate(addresses):
                population.send(letter(address, addresses[(i + 1) % 1000]))
            await until(lambda: all(len(box) == 1 for box in boxes), 60)
            assert boxes[1][0].sender == addresses[0]

    run(scenario(), 120)


def test_an_agent_of_the_population_is_seen_by_an_ordinary_client(prosody_is_here):
    async def scenario():
        async with town() as (server, population):
            accounts = new_accounts(["ann@xmpp.localhost"])
            for address, password in accounts.items():
                server.register(address, password)
            client = XmppTransport(server.endpoint())
            await client.start_all(accounts)
            here = inbox(client, "ann@xmpp.localhost")
            population.send(letter(f"bob@{DOMAIN}", "ann@xmpp.localhost"))
            await until(lambda: here, 60)
            assert here[0].sender == f"bob@{DOMAIN}"
            await client.stop_all()

    run(scenario(), 120)


def test_a_server_that_comes_back_is_joined_again_and_what_waited_leaves(prosody_is_here):
    async def scenario():
        async with town() as (server, population):
            box = inbox(population, f"b@{DOMAIN}")
            await server.kill()
            await until(lambda: not population.connected, 60)
            population.send(letter(f"a@{DOMAIN}", f"b@{DOMAIN}"))
            await server.start()
            await until(lambda: box, 60)

    run(scenario(), 120)


def test_a_wrong_secret_is_told_and_written_nowhere(prosody_is_here, caplog):
    async def scenario():
        async with town() as (server, _):
            impostor = Component(server.host, server.component_port, DOMAIN, "not-the-secret")
            with pytest.raises(Unavailable) as caught:
                await PopulationTransport(impostor, start_timeout_s=30).connect()
            assert "not-the-secret" not in f"{caught.value} {impostor!r} {caplog.text}"

    run(scenario(), 120)


def test_nothing_leaves_for_a_domain_that_is_not_the_communitys(prosody_is_here):
    async def scenario():
        async with town() as (_, population):
            with pytest.raises(Unavailable):
                population.send(letter(f"a@{DOMAIN}", "b@elsewhere.example"))
            with pytest.raises(Unavailable):
                population.send(letter("a@xmpp.localhost", f"b@{DOMAIN}"))

    run(scenario(), 120)


def test_who_does_not_listen_gets_nothing(prosody_is_here):
    async def scenario():
        async with town() as (_, population):
            population.send(letter(f"a@{DOMAIN}", f"b@{DOMAIN}"))
            await until(lambda: population.counts["undelivered"] == 1, 60)

    run(scenario(), 120)

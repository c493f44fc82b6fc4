"""Sites join a community's server: with a code, over verified TLS, and only as long as they are members."""

import asyncio
import os
import shutil

import msgspec
import pytest
from site_street import CLOCK, Street, until

from environments.live.certificates import Authority
from environments.live.prosody import available
from environments.site.enrolled import read_enrolled
from launch.community_members import revoke_site
from launch.fleet import fleet_of
from launch.site.checking import check_site
from launch.site.joining import join
from launch.site.loading import load_site
from ontology.codec import encode_body, message_type_of
from ontology.control import Instruction
from ontology.errors import Conflict, Refused, Unavailable
from ontology.letter import Envelope
from ontology.site_status import DeviceState, SiteStatus

pytestmark = pytest.mark.server


@pytest.fixture
def street(tmp_path, mosquitto_of_ours):
    if not available():
        reason = "Prosody is not installed: scripts/install-servers installs it"
        if os.environ.get("PARITY_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return Street(tmp_path, mosquitto_of_ours.port)


async def found(street):
    """Return what `site check` finds, by what it looked at."""
    return {each.what: each async for each in check_site(load_site(street.site_file))}


def test_a_site_enrols_joins_and_is_seen_by_the_operator(street):
    async def scene():
        async with street.prosody(), street.devices(), street.community_runs() as community:
            code = street.invite()
            await join(street.site, code)
            with pytest.raises(Conflict, match="already"):
                await join(street.site, code)
            with pytest.raises(Refused, match="not invited with this code"):
                await join(street.site, code, again=True)
            looked_at = await found(street)
            assert [each for each in looked_at.values() if not each.is_well] == []
            assert "6 accounts, certificate trusted" in looked_at["server"].said

            site = street.host()
            await site.start()
            with pytest.raises(Conflict, match="running already"):
                street.host()
            await until(lambda: not site.wire.away())
            gateway = community.register["h001-gateway@localhost"]
            assert gateway.verify_key == site.register[gateway.address].verify_key
            await until(lambda: site.health.status(int(CLOCK.now_s())).devices[2].state is DeviceState.OK)
            status = await stored_status(community)
            assert (status.site, status.letters_refused) == ("h001", 0)
            rows = {row.site: row for row in await fleet_of(street.community)}
            assert rows["h001"].link == "up"
            assert rows["h002"].link == "not enrolled"
            await site.stop()

    asyncio.run(scene())


async def stored_status(community):
    async with asyncio.timeout(20):
        while True:
            status = await community._repository.latest(message_type_of(SiteStatus), "h001")
            if status is not None:
                return status
            await CLOCK.sleep_until(CLOCK.now_s() + 0.1)


def test_letters_of_a_site_that_is_no_member_any_more_are_refused_and_counted(street):
    async def scene():
        async with street.prosody(), street.devices(), street.community_runs() as community:
            site = await street.joined()
            await site.start()
            await until(lambda: not site.wire.away())
            await stored_status(community)
            assert revoke_site(street.community, "h001") == 6
            for certificate in community.members.read():
                community.register.learn(certificate)
            repository = community.agents.agents["repository@localhost"]
            before = repository.post.counts["refused"]
            site.agents["h001-gateway@localhost"].tell(
                "repository@localhost", site.health.status(int(CLOCK.now_s()))
            )
            await until(lambda: repository.post.counts["refused"] > before)
            rows = {row.site: row for row in await fleet_of(street.community)}
            assert rows["h001"].link == "revoked"
            await site.stop()

    asyncio.run(scene())


def bad_orders(community):
    """Yield orders to charge: by a role that may not, by a stranger's key, altered, and an hour old."""
    now_s = int(CLOCK.now_s())
    order = Instruction(
        instruction_id="intruder",
        asset_id="h001-bess",
        execution_time_s=now_s,
        valid_until_s=now_s + 900,
        setpoint_w=4_000,
    )
    plain = Envelope(
        performative="request",
        sender="aggregator@localhost",
        to="h001-gateway@localhost",
        message_type=message_type_of(Instruction),
        conversation="intruder",
        sequence=0,
        message_id="intruder",
        sent_at_s=float(now_s),
        key_id="aggregator@localhost",
        body=encode_body(order),
    )

    def signed(by="aggregator@localhost", **changes):
        envelope = msgspec.structs.replace(plain, **changes)
        return msgspec.structs.replace(envelope, signature=community.signers[by].sign(envelope))

    yield signed("repository@localhost", sender="repository@localhost", key_id="repository@localhost")
    yield signed("dso@localhost")
    yield msgspec.structs.replace(signed(), body=plain.body.replace(b"4000", b"9000"))
    yield signed(sent_at_s=now_s - 3_600.0)


def test_orders_from_who_may_not_give_them_are_refused_counted_and_shown(street):
    async def scene():
        async with street.prosody(), street.devices() as told, street.community_runs() as community:
            site = await street.joined()
            await site.start()
            await until(lambda: not site.wire.away())
            gateway = site.agents["h001-gateway@localhost"].post
            for number, envelope in enumerate(bad_orders(community), start=1):
                community.wire.send(envelope)
                await until(lambda wanted=number: gateway.counts["refused"] == wanted)
            assert told == []
            status = site.health.status(int(CLOCK.now_s()))
            assert status.letters_refused == 4
            await community.agents.ground.repository.store([status])
            rows = {row.site: row for row in await fleet_of(street.community)}
            assert "4 letters refused" in rows["h001"].alarms
            await site.stop()

    asyncio.run(scene())


def test_a_server_with_another_authority_is_not_trusted_and_the_check_says_so(street, tmp_path):
    async def scene():
        async with street.prosody(), street.devices(), street.community_runs():
            await join(street.site, street.invite())
            (tmp_path / "other").mkdir()
            shutil.copy(Authority(tmp_path / "other").ca_file, street.folder / "site" / "ca.pem")
            looked_at = await found(street)
            assert not looked_at["server"].is_well
            assert "certificate is not trusted" in looked_at["server"].said
            assert "certificate is not trusted" in looked_at["clock"].said
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                await join(street.site, street.invite(), again=True)

    asyncio.run(scene())


def test_a_site_works_on_while_its_server_is_away_and_is_back_by_itself(street):
    async def scene():
        async with street.devices():
            async with street.prosody(), street.community_runs():
                site = await street.joined()
            await site.start()
            gateway = site.agents["h001-gateway@localhost"]
            near = site.transport.counts["near"]
            await until(lambda: site.transport.counts["near"] > near + 5)
            assert len(site.wire.away()) == 6
            assert gateway.is_running
            async with street.prosody():
                await until(lambda: not site.wire.away(), within_s=60)
            await site.stop()

    asyncio.run(scene())


def test_a_blank_card_joins_again_and_says_no_number_twice(street):
    async def scene():
        async with street.prosody(), street.devices(), street.community_runs() as community:
            site = await street.joined()
            first = site._store.incarnation
            await site.start()
            await until(lambda: not site.wire.away())
            await stored_status(community)
            await site.stop()
            old = read_enrolled(street.site.data).terms
            shutil.rmtree(street.site.data)
            again = await street.joined()
            assert again.enrolled.terms == old
            assert again._store.incarnation != first
            await again.start()
            await until(lambda: not again.wire.away())
            gateway = again.agents["h001-gateway@localhost"]
            assert again._store.incarnation in gateway.post.conversation_with("repository@localhost")
            began_s = again.health.status(0).started_at_s
            async with asyncio.timeout(20):
                while (await stored_status(community)).started_at_s != began_s:
                    await CLOCK.sleep_until(CLOCK.now_s() + 0.1)
            await again.stop()

    asyncio.run(scene())

"""A link to a Modbus server that misbehaves in every way that servers do."""

import asyncio

import pytest
from modbus_peer import SOON, answered, exception, frame, link_to, passing, peer

from environments.devices.modbus.address import ModbusAddress
from environments.devices.modbus.link import RegistersRefused
from ontology.errors import Unavailable

REGISTERS = {address: address for address in range(300)}


def soon():
    return passing(SOON.longest_s + 0.05)


def with_peer(test):
    """Run a test against a peer and a link to it."""

    async def run():
        async with peer(REGISTERS) as server, link_to(server.address) as link:
            await test(server, link)

    asyncio.run(run())


def test_it_reads_more_registers_than_one_request_can_ask_for():
    async def test(server, link):
        assert await link.read(1, 10, 260) == list(range(10, 270))
        assert [count for _, _, _, count in server.asked] == [125, 125, 10]

    with_peer(test)


def test_it_writes_and_reads_back_and_knows_how_the_unit_does():
    async def test(server, link):
        await link.write(7, 20, [1, 2, 3])
        assert await link.read(7, 20, 3, is_input=True) == [1, 2, 3]
        assert [(unit, function) for unit, function, *_ in server.asked] == [(7, 16), (7, 4)]
        health = link.health_of(7).report()
        assert health.is_up
        assert health.counts == {"answers": 2}
        assert 0 < health.median_ms < 300

    with_peer(test)


def test_one_request_is_under_way_at_a_time():
    async def test(server, link):
        under_way, most = 0, 0

        async def slowly(tid, unit, pdu):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await passing(0.01)
            under_way -= 1
            return answered(tid, unit, pdu, server.registers)

        server.script = [slowly] * 8
        found = await asyncio.gather(*(link.read(unit, 5 * unit, 2) for unit in range(1, 9)))
        assert found == [[5 * unit, 5 * unit + 1] for unit in range(1, 9)]
        assert (most, server.connections) == (1, 1)

    with_peer(test)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_an_exception_that_stays_is_a_refusal(code):
    async def test(server, link):
        server.script = [lambda *request: exception(*request, code)]
        with pytest.raises(
            RegistersRefused, match=f"unit 1, reading register 5.*exception {code}"
        ) as refusal:
            await link.read(1, 5, 1)
        assert refusal.value.code == code
        assert await link.read(1, 5, 1) == [5]  # at once, on the same connection
        assert server.connections == 1

    with_peer(test)


@pytest.mark.parametrize("code", [4, 5, 6, 10, 11])
def test_an_exception_that_passes_is_absence_but_no_reason_to_hang_up(code):
    async def test(server, link):
        server.script = [lambda *request: exception(*request, code)]
        with pytest.raises(Unavailable, match=f"exception {code}"):
            await link.read(1, 5, 1)
        assert not link.health_of(1).report().is_up
        assert await link.read(1, 5, 1) == [5]
        assert server.connections == 1

    with_peer(test)


def test_a_frame_in_pieces_is_put_together():
    async def test(server, link):
        def in_pieces(*request):
            whole = answered(*request, server.registers)
            return [whole[:3], whole[3:8], whole[8:9], whole[9:]]

        server.script = [in_pieces]
        assert await link.read(1, 40, 3) == [40, 41, 42]

    with_peer(test)


SPOILT = {
    "silence": lambda server, tid, unit, pdu: [],
    "half a frame": lambda server, tid, unit, pdu: answered(tid, unit, pdu, server.registers)[:-1],
    "another transaction": lambda server, tid, unit, pdu: answered(tid + 1, unit, pdu, server.registers),
    "another unit": lambda server, tid, unit, pdu: answered(tid, unit + 1, pdu, server.registers),
    "too few registers": lambda server, tid, unit, pdu: frame(tid, unit, b"\x03\x02\x00\x05"),
    "another function": lambda server, tid, unit, pdu: frame(tid, unit, b"\x10\x00\x05\x00\x03"),
    "no Modbus": lambda server, tid, unit, pdu: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an unknown function": lambda server, tid, unit, pdu: frame(tid, unit, b"\x63\x00\x00"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_an_answer_that_is_none_is_absence_and_never_a_value(how):
    async def test(server, link):
        server.script = [lambda *request: SPOILT[how](server, *request)]
        with pytest.raises(Unavailable):
            await link.read(1, 5, 3)
        assert not link.health_of(1).report().is_up
        await soon()
        assert await link.read(1, 5, 3) == [5, 6, 7]
        assert server.connections == 2  # what was still to come on the first one is never read

    with_peer(test)


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next():
    async def test(server, link):
        async def late(tid, unit, pdu):
            await passing(0.4)
            return answered(tid, unit, pdu, {5: 666})

        server.script = [late]
        with pytest.raises(Unavailable):
            await link.read(1, 5, 1)
        await soon()
        assert await link.read(1, 6, 1) == [6]
        await passing(0.2)
        assert await link.read(1, 7, 1) == [7]

    with_peer(test)


def test_whoever_gives_up_waiting_leaves_no_answer_behind():
    async def test(server, link):
        async def slowly(tid, unit, pdu):
            await passing(0.1)
            return answered(tid, unit, pdu, {5: 666})

        server.script = [slowly]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.read(1, 5, 1), 0.03)
        assert await link.read(1, 6, 1) == [6]

    with_peer(test)


def test_a_link_comes_back_after_the_server_hung_up():
    async def test(server, link):
        await link.read(1, 5, 1)
        server.hang_up()
        await passing(0.02)
        assert await link.read(1, 5, 1) == [5]
        assert (server.connections, link.connections) == (2, 2)

    with_peer(test)


def test_a_unit_that_is_silent_does_not_keep_its_neighbours_waiting():
    async def test(server, link):
        server.script = [lambda *_: []]
        with pytest.raises(Unavailable):
            await link.read(9, 5, 1)
        with pytest.raises(Unavailable, match="unit 9"):
            await link.read(9, 5, 1)  # is left alone for a while, so this says no at once
        assert await link.read(1, 5, 1) == [5]
        assert [unit for unit, *_ in server.asked] == [9, 1]
        assert link.health_of(1).report().is_up

    with_peer(test)


def test_where_nobody_listens_the_pauses_grow():
    async def run():
        async with peer() as gone:
            address = gone.address
        async with link_to(address) as link:
            for _ in range(60):
                with pytest.raises(Unavailable, match="nobody listens"):
                    await link.read(1, 0, 1)
                await passing(0.01)
            tries = link.health_of(1).report().counts["no connections"]
            assert 2 <= tries <= 30  # at 0, 20, 60, 140, 240 … ms, of sixty askings
            async with peer(REGISTERS, address.port):
                await soon()
                assert await link.read(1, 0, 2) == [0, 1]

    asyncio.run(run())


def test_an_address_says_where_it_is():
    assert str(ModbusAddress("10.0.0.5")) == "10.0.0.5:502"
    assert str(ModbusAddress("fd00::5", 1502)) == "[fd00::5]:1502"

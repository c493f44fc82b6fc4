"""A Modbus TCP server that answers as a test says: correctly, late, in pieces, wrongly or not at all."""

import asyncio
import struct
from contextlib import asynccontextmanager

from environments.devices.modbus.address import ModbusAddress
from environments.devices.modbus.link import ModbusLink
from environments.simulation.clock import WallClock
from environments.wire.pauses import Pauses

__all__ = ["SOON", "Peer", "answered", "exception", "frame", "link_to", "passing", "peer"]

SOON = Pauses(first_s=0.02, factor=2, longest_s=0.1)


async def passing(seconds):
    """Let real time pass."""
    clock = WallClock()
    await clock.sleep_until(clock.now_s() + seconds)


def frame(tid, unit, pdu):
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def answered(tid, unit, pdu, registers):
    """Return the right answer to a request, and do what it asks."""
    function, address, count = struct.unpack(">BHH", pdu[:5])
    if function in (3, 4):
        found = [registers.get(address + k) for k in range(count)]
        if None in found:
            return exception(tid, unit, pdu, 2)
        return frame(tid, unit, struct.pack(f">BB{count}H", function, 2 * count, *found))
    written = struct.unpack(f">{count}H", pdu[6 : 6 + 2 * count])
    registers.update({address + k: value for k, value in enumerate(written)})
    return frame(tid, unit, pdu[:5])


def exception(tid, unit, pdu, code):
    return frame(tid, unit, bytes([pdu[0] | 0x80, code]))


class Peer:
    """What is in the registers, and how the next requests are answered; after those, rightly."""

    def __init__(self, registers=None):
        self.registers = dict(registers or {})
        self.script, self.asked, self.at_once = [], [], 0
        self.connections, self.most_at_once = 0, 0
        self.writers = set()

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                tid, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                pdu = await reader.readexactly(length - 1)
                self.asked.append((unit, *struct.unpack(">BHH", pdu[:5])))
                reply = self.script.pop(0) if self.script else self.rightly
                told = reply(tid, unit, pdu)
                if asyncio.iscoroutine(told):
                    told = await told
                for piece in [told] if isinstance(told, bytes) else told or []:
                    writer.write(piece)
                    await writer.drain()
                    await passing(0.005)
                if told is None:
                    continue
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def rightly(self, tid, unit, pdu):
        return answered(tid, unit, pdu, self.registers)

    def hang_up(self):
        for writer in list(self.writers):
            writer.transport.abort()


@asynccontextmanager
async def peer(registers=None, port=0):
    """Serve on a free port of this machine."""
    found = Peer(registers)
    server = await asyncio.start_server(found.serve, "127.0.0.1", port)
    found.address = ModbusAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        found.hang_up()


@asynccontextmanager
async def link_to(address, answer_s=0.3):
    link = ModbusLink(address, WallClock(), answer_s=answer_s, pauses=SOON)
    try:
        yield link
    finally:
        await link.close()

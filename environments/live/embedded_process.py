"""The process of the embedded server: pyjabber 0.4.5 with what it needs to last a long run.

Run as a program, by path, with its settings as JSON in the argument; imports nothing of ours.
pyjabber is pinned exactly, because some of its insides are replaced here:

- passwords are checked in a thread; its process pool would inherit the listening socket and hold the
  port after a crash;
- it listens on 127.0.0.1 only, not on the machine's public address, and not for other servers;
- a message to another domain is answered with an error; it would end the server;
- a lost connection is forgotten; it would be kept for ever, and block its port number for later ones;
- a stanza that it fails on closes its sender's connection; the sender would never be heard again;
- nothing is uploaded, so no web server is started.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyjabber.server as pyjabber
import uvloop
from loguru import logger
from pyjabber.db.database import DB
from pyjabber.features.presence.PresenceFeature import Presence
from pyjabber.network.ConnectionManager import ConnectionManager
from pyjabber.network.protocols.XMLProtocol import XMLProtocol
from pyjabber.plugins import PluginManager
from pyjabber.server_parameters import Parameters
from pyjabber.stanzas.error import StanzaError
from pyjabber.stream.handlers.StanzaHandler import StanzaHandler
from pyjabber.stream.QueueBridge import QueueBridge

FEATURES = ["http://jabber.org/protocol/disco#info", "jabber:x:data", "urn:xmpp:ping"]
PUBSUB = "http://jabber.org/protocol/pubsub"
NEVER_S = 10**9
"""Idle seconds after which a client is cut off: an agent may be silent for as long as it likes."""


def main(settings: dict[str, Any]) -> None:
    """Serve until told to end."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    _adapt(settings["domain"])
    uvloop.run(_serve(settings))  # on asyncio's own loop it hangs after the TLS handshake
    os._exit(0)


async def _serve(settings: dict[str, Any]) -> None:
    server = pyjabber.Server(
        Parameters(
            host=settings["domain"],
            client_port=settings["port"],
            server_port=0,
            connection_timeout=NEVER_S,
            database_path=settings["database"],
            cert_path=settings["certificates"],
            message_persistence=False,
            plugins=FEATURES,
            items={"pubsub.$": {"name": "PubSub", "category": "pubsub", "type": "service", "var": PUBSUB}},
        )
    )
    server._host = "127.0.0.1"  # where it listens; its domain it has noted elsewhere
    announcing = asyncio.create_task(_announce(server, Path(settings["port_file"])))
    await server.start()
    announcing.cancel()


async def _announce(server: Any, port_file: Path) -> None:
    """Write the port into a file, whole, once clients are taken."""
    await server.ready.wait()
    server._server_listener.close()
    port = server._client_listener.sockets[0].getsockname()[1]
    draft = port_file.with_suffix(".draft")
    draft.write_text(str(port))
    draft.rename(port_file)


def _adapt(domain: str) -> None:
    pyjabber.setup_query_local_ip = lambda: None
    pyjabber.setup_ip_by_host = lambda _: "127.0.0.1"
    pyjabber.ProcessPoolExecutor = lambda _: ThreadPoolExecutor(1)
    DB.run_db_migrations = staticmethod(lambda: None)
    StanzaHandler.handle_msg = _keeping_to(domain, StanzaHandler.handle_msg)
    XMLProtocol.connection_lost = _forgetting(XMLProtocol.connection_lost)
    QueueBridge.feed = _closing(QueueBridge.feed)
    PluginManager.HTTPFieldUpload = _NoUpload


class _NoUpload:
    async def feed(self, jid: object, request: ET.Element) -> object:
        return StanzaError.feature_not_implemented("request", "urn:xmpp:http:upload:0")


def _closing(serve: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Coroutine[Any, Any, None]]:
    async def serve_or_close(self: Any) -> None:
        try:
            await serve(self)
        except Exception:
            logger.exception("connection closed because of a failure of the server")
            if self._transport is not None:
                self._transport.close()

    return serve_or_close


_Handle = Callable[[Any, ET.Element], Coroutine[Any, Any, None]]


def _keeping_to(domain: str, deliver: _Handle) -> _Handle:
    async def deliver_inside(self: Any, message: ET.Element) -> None:
        to = message.attrib.get("to", "")
        if to.partition("/")[0].rpartition("@")[2] == domain:
            await deliver(self, message)
        elif message.attrib.get("type") != "error":
            self._transport.write(ET.tostring(_unreachable(to, message)))

    return deliver_inside


def _unreachable(to: str, message: ET.Element) -> ET.Element:
    answer = ET.Element("{jabber:client}message", {"type": "error", "from": to})
    if "id" in message.attrib:
        answer.attrib["id"] = message.attrib["id"]
    error = ET.SubElement(answer, "{jabber:client}error", {"type": "cancel"})
    ET.SubElement(error, "{urn:ietf:params:xml:ns:xmpp-stanzas}remote-server-not-found")
    return answer


def _forgetting(lose: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def lose_and_forget(self: Any, error: Any) -> None:
        connections, presence = ConnectionManager(), Presence()
        jid = connections.get_jid(self._peer)
        lose(self, error)
        connections._peerList.pop(self._peer, None)
        connections._orphan_jids.pop(self._peer, None)
        if jid is None:
            return
        left = [each for each in presence.priority_by_jid(jid) if each[0] != jid.resource]
        if left:
            presence._online_status[jid.bare()] = left
        else:
            presence._online_status.pop(jid.bare(), None)

    return lose_and_forget


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

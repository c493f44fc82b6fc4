"""A street for tests: Prosody as we configure it, a community's host, a site with devices at a broker."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import msgspec

from environments.simulation.clock import WallClock
from environments.site.enrolled import read_enrolled
from environments.site.invitations import Invitations
from environments.site.keystore import Keystore
from launch.community_file import load_community
from launch.community_host import CommunityHost
from launch.community_starting import write_community
from launch.server_config import ServerSettings, prosody_config
from launch.site.host import SiteHost
from launch.site.joining import join
from launch.site.loading import LoadedSite, load_site
from launch.site.starting import write_site

CLOCK = WallClock()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(condition, within_s: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(within_s):
        while not condition():
            await CLOCK.sleep_until(CLOCK.now_s() + 0.05)


class Street:
    """Files of a community and of a site in one folder, and the ports that they meet at."""

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.folder, self.port, self.enrolment_port = folder, free_port(), free_port()
        self.community_file = folder / "community" / "community.yaml"
        self.site_file = folder / "site" / "site.yaml"
        write_community(folder / "community", "localhost", ["127.0.0.1"], sites=2)
        write_site(folder / "site", "h001", "localhost")
        self._change(
            self.community_file,
            {
                "port: 5222": f"port: {self.port}",
                "host: 0.0.0.0\n  port: 8440": f"host: 127.0.0.1\n  port: {self.enrolment_port}",
            },
        )
        self._change(
            self.site_file,
            {
                "  ca_file: ca.pem": f"  host: 127.0.0.1\n  port: {self.port}\n  ca_file: ca.pem",
                "https://localhost:8440": f"https://127.0.0.1:{self.enrolment_port}",
                "127.0.0.1:1883": f"127.0.0.1:{broker_port}",
                "sample_s: 10": "sample_s: 1",
            },
        )
        shutil.copy(folder / "community" / "ca.pem", folder / "site" / "ca.pem")
        self.broker_port = broker_port

    @staticmethod
    def _change(file: Path, changes: dict[str, str]) -> None:
        text = file.read_text()
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text)

    @property
    def community(self):
        return load_community(self.community_file, CLOCK.now_s())

    @property
    def site(self) -> LoadedSite:
        return load_site(self.site_file)

    def invite(self, site: str = "h001") -> str:
        folder = self.community.data / "invitations"
        return Invitations(folder).invite(site, int(CLOCK.now_s()) + 600)

    async def joined(self) -> SiteHost:
        """Enrol the site and return its host, not started."""
        await join(self.site, self.invite(), again=True)
        return self.host()

    def host(self) -> SiteHost:
        data = self.site.data
        return SiteHost(self.site, read_enrolled(data), Keystore.read(data / "keystore.json"))

    @asynccontextmanager
    async def prosody(self) -> AsyncIterator[None]:
        """Run the server with the configuration that `server config` prints."""
        root = (self.folder / "community").resolve()
        config = prosody_config(
            ServerSettings(
                domain="localhost",
                certificate=str(root / "localhost_cert.pem"),
                key=str(root / "localhost_key.pem"),
                data=str(root / "prosody"),
                interfaces=("127.0.0.1",),
                port=self.port,
                log=str(root / "prosody.log"),
                pidfile=str(root / "prosody.pid"),
                runs_as_root=os.geteuid() == 0,
            )
        )
        (root / "prosody.cfg.lua").write_text(config)
        program = shutil.which("prosody", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program is not None
        process = await asyncio.create_subprocess_exec(
            program, "-F", "--config", str(root / "prosody.cfg.lua"), start_new_session=True
        )
        try:
            await until(self._listens)
            yield
        finally:
            process.kill()
            await process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @asynccontextmanager
    async def community_runs(self) -> AsyncIterator[CommunityHost]:
        host = CommunityHost(self.community)
        await host.start()
        try:
            await until(lambda: not host.wire.away())
            yield host
        finally:
            await host.stop()

    @asynccontextmanager
    async def devices(self) -> AsyncIterator[list[dict]]:
        """Emulate meter, inverter and battery at the broker; yield what the battery was told."""
        told: list[dict] = []

        async def live() -> None:
            async with aiomqtt.Client("127.0.0.1", self.broker_port) as client:
                await client.publish("site/battery/online", "true", retain=True)
                await client.subscribe("site/battery/set")
                telling = asyncio.create_task(self._tell(client))
                try:
                    async for message in client.messages:
                        order = msgspec.json.decode(message.payload)
                        told.append(order)
                        answer = {"id": order["id"], "status": "ok"}
                        await client.publish("site/battery/ack", msgspec.json.encode(answer))
                finally:
                    telling.cancel()

        living = asyncio.create_task(live())
        try:
            yield told
        finally:
            living.cancel()

    async def _tell(self, client: aiomqtt.Client) -> None:
        while True:
            for topic, state in (
                ("meter", {"power_w": 400}),
                ("pv", {"power_w": 1_500}),
                ("battery", {"power_w": 0, "soc_percent": 50}),
            ):
                await client.publish(f"site/{topic}/state", msgspec.json.encode(state))
            await CLOCK.sleep_until(CLOCK.now_s() + 0.3)

"""One community in several processes or on several hosts: which part runs where, and where the parts meet.

Sites go to shards by their feeder, so that each shard simulates whole feeders; the community's own agents
(market, aggregator, DSO, repository) live in the first.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from environments.live.population import Component
from environments.live.prosody import ProsodyServer, available
from environments.live.shards import ShardClock, shard_domain
from environments.simulation.clock import ScaledClock
from environments.simulation.world import World
from launch.scenario import Scenario
from ontology.errors import InvalidInput, Unavailable, problem

__all__ = [
    "WHOLE",
    "MeetingPlace",
    "Shard",
    "clock_of",
    "domains_of",
    "parse_shard",
    "read_meeting_place",
    "serve",
]

PATIENCE_S = 20.0
"""Real seconds that a live run waits for a letter before it gives it up."""
MAX_SHARDS = 64


@dataclass(frozen=True)
class Shard:
    """The shard `number` (from 1) of `of`, in the scenario's domain; one of one is the whole."""

    number: int = 1
    of: int = 1
    base: str = ""

    @property
    def domain(self) -> str:
        """The domain of the shard's agents; empty for the whole."""
        return shard_domain(self.number, self.base) if self.of > 1 else ""

    @property
    def others(self) -> tuple[str, ...]:
        """The domains of the other shards."""
        return tuple(shard_domain(i, self.base) for i in range(1, self.of + 1) if i != self.number)

    @property
    def is_first(self) -> bool:
        """Whether the community's own agents live here."""
        return self.number == 1

    def has(self, address: str) -> bool:
        """Tell whether an agent lives here."""
        return not self.domain or address.endswith(f"@{self.domain}")


WHOLE = Shard()


class MeetingPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where shards meet: a server's component port, and each domain's secret."""

    host: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=1, le=65_535)]
    secrets: dict[str, str]

    def component(self, domain: str) -> Component:
        """Return the way in for a domain.

        Raises: InvalidInput when the server does not know it.
        """
        if domain not in self.secrets:
            raise InvalidInput(problem("shard", domain, f"one of {', '.join(sorted(self.secrets))}"))
        return Component(self.host, self.port, domain, self.secrets[domain])


def parse_shard(text: str, domain: str) -> Shard:
    """Return the shard that is written as `i/n`.

    Raises: InvalidInput when it is not, or i is not among 1 to n.
    """
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= index <= count <= MAX_SHARDS:
        raise InvalidInput(problem("--shard", text, f"i/n with 1 ≤ i ≤ n ≤ {MAX_SHARDS}, such as 1/2"))
    return Shard(index, count, domain)


def domains_of(scenario: Scenario, world: World, shard: Shard) -> Mapping[str, str]:
    """Return the domain of each site's agents, and under `""` that of the community's own.

    Raises: InvalidInput when there are more shards than feeders.
    """
    if shard.of == 1:
        return {}
    feeders = {feeder.segment_id: number for number, feeder in enumerate(world.feeders)}
    if shard.of > len(feeders):
        expected = f"at most {len(feeders)} shards: a feeder is not divided"
        raise InvalidInput(problem("--shard", f"{shard.number}/{shard.of}", expected))
    domains = {
        site.id: shard_domain(feeders[world.feeder_of(site.id).segment_id] % shard.of + 1, shard.base)
        for site in world.settings.sites
    }
    return domains | {"": shard_domain(1, shard.base)}


def clock_of(scenario: Scenario, world: World, shard: Shard) -> ScaledClock:
    """Return the clock of a live run, in step with the other shards' where there are any."""
    if shard.of == 1:
        return ScaledClock(
            world.settings.start_s, real_seconds_an_interval=scenario.pace_s, patience_s=PATIENCE_S
        )
    return ShardClock(
        world.settings.start_s,
        me=shard.domain,
        others=shard.others,
        real_seconds_an_interval=scenario.pace_s,
        patience_s=PATIENCE_S,
    )


def read_meeting_place(path: Path) -> MeetingPlace:
    """Read where shards meet.

    Raises: InvalidInput when the file is missing or not what `parity-mas server` writes.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=MeetingPlace)
    except OSError as error:
        raise InvalidInput(
            problem("--server-file", str(path), f"a readable file ({error.strerror})")
        ) from error
    except msgspec.DecodeError as error:
        expected = f"a file that `parity-mas server` wrote ({error})"
        raise InvalidInput(problem("--server-file", str(path), expected)) from error


async def serve(
    domain: str, shards: int, host: str, file: Path, ready: Callable[[MeetingPlace], None]
) -> None:
    """Run Prosody as the meeting place of shards until cancelled; a file tells its owner the secrets.

    Raises: Unavailable when Prosody is not installed or does not come up.
    """
    if not available():
        raise Unavailable("Prosody is not installed; scripts/install-servers installs it")
    server = ProsodyServer(domain=f"xmpp.{domain}", host=host)
    for index in range(1, shards + 1):
        server.admit(shard_domain(index, domain) if shards > 1 else domain)
    async with server:
        place = MeetingPlace(host=host, port=server.component_port, secrets=dict(server.secrets))
        with written(place, file):
            ready(place)
            await server.ended()


@contextmanager
def written(place: MeetingPlace, file: Path) -> Iterator[None]:
    """Keep a meeting place in a file that only its owner may read, as long as it lasts."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(msgspec.to_builtins(place), indent=2) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)

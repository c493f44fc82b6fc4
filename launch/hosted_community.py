"""A live community as the console sees it: its agents at hand, its letters as they are recorded."""

from collections.abc import Sequence

from environments.http.console.community import AgentView, Mode
from environments.repository.letter_archive import LetterArchive
from launch.live import LiveCommunity
from ontology.errors import InvalidInput, Refused, problem

__all__ = ["HostedCommunity"]


class HostedCommunity:
    """The console's `Community` over a community that runs in this process, or a shard of it.

    Args: run: the community; archive: its letters, where they are recorded.
    """

    mode = Mode.LIVE

    def __init__(self, run: LiveCommunity, archive: LetterArchive | None) -> None:
        self.name = run.scenario.name
        self.archive = archive
        self._run = run
        self._starting: set[str] = set()

    def now_s(self) -> float:
        """Return the agents' time."""
        return self._run.clock.now_s()

    def agents(self) -> Sequence[AgentView]:
        """Return all members; of those that live on other hosts only who they are is known."""
        return [self._view(address) for address in sorted(self._run.community.membership)]

    async def stop(self, address: str) -> None:
        """Stop an agent that lives here.

        Raises: Refused when it lives elsewhere or has been stopped.
        """
        if address not in self._run.community.agents:
            raise Refused(f"{address} does not run here")
        await self._run.stop(address)

    async def start(self, address: str) -> None:
        """Start an agent that was stopped; it remembers what it kept.

        Raises: InvalidInput when there is none, Refused when it runs, is starting, or lives elsewhere,
            Unavailable when it cannot be connected.
        """
        community = self._run.community
        if address not in community.membership:
            raise InvalidInput(problem("address", address, "the address of a member"))
        if address in community.agents or address in self._starting:
            raise Refused(f"{address} is running")
        if not self._run.shard.has(address):
            raise Refused(f"{address} lives on another host")
        self._starting.add(address)
        try:
            await self._run.restart(address)
        finally:
            self._starting.discard(address)

    def _view(self, address: str) -> AgentView:
        community = self._run.community
        member, agent = community.membership[address], community.agents.get(address)
        if agent is None:
            gone = False if self._run.shard.has(address) else None
            return AgentView(address=address, role=member.role, site=member.site, running=gone)
        return AgentView(
            address=address,
            role=member.role,
            site=member.site,
            running=True,
            heard_s=agent.post.spoke_at_s,
            behaviours={
                name: sorted({occasion.message_type for occasion in occasions})
                for name, occasions in agent.handlers().items()
            },
            counts=dict(agent.counts + agent.post.counts),
            inbox=agent.inbox + self._run.clock.on_their_way(address),
            faults=tuple(agent.faults),
        )

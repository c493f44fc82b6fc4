"""Writing into the community's register until it is there: what waits is kept, and written together."""

import structlog

from behaviours.behaviour import Behaviour, every
from behaviours.ports import MarketRegister
from ontology.errors import ParityError

__all__ = ["RegisterWriting"]

log = structlog.get_logger()

GATHER_S = 5
"""What arrives within this time goes into one transaction."""
WAITS_S = 2 * 86_400
"""What could not be written for so long is given up."""


class RegisterWriting(Behaviour):
    """What agents that write into the register have in common; one without a register writes nothing.

    A subclass keeps what it has to write under `PREFIX start_s …` and lets go of it once it is written.
    The register takes what is there already as written, so a crash in between leads to one entry.
    """

    def setup(self) -> None:
        """Write through the register that the agent was handed, if any."""
        self.register: MarketRegister | None = self.agent.surroundings.register
        self._is_due = False

    def write_soon(self) -> None:
        """Write once others that belong to it have had time to arrive."""
        if self.register is not None and not self._is_due:
            self._is_due = True
            self.agent.spawn(self._gather_and_write())

    @every(minutes=5, offset_s=20)
    async def write(self) -> None:
        """Write what waits; what the register does not take now is tried again."""
        if self.register is None:
            return
        try:
            await self.write_down(self.register)
        except ParityError as error:
            self.agent.counts["register not written"] += 1
            log.warning("register not written", agent=self.agent.address, why=str(error))

    async def write_down(self, register: MarketRegister) -> None:
        """Write what waits.

        Raises: ParityError when the register does not take it.
        """
        raise NotImplementedError

    def waiting(self, prefix: str) -> list[str]:
        """Return the names under which something waits, the oldest first; what is too old is given up."""
        names = sorted(self.agent.kept_names(prefix), key=lambda name: start_of(name, prefix))
        oldest_s = self.now_s() - WAITS_S
        for name in [name for name in names if start_of(name, prefix) < oldest_s]:
            self.agent.counts["register entries given up"] += 1
            self.keep(name, None)
            names.remove(name)
        return names

    def written(self, names: list[str]) -> None:
        """Let go of what has been written."""
        for name in names:
            self.keep(name, None)
        self.agent.counts["register entries"] += len(names)

    async def _gather_and_write(self) -> None:
        await self.clock.sleep_until(self.clock.now_s() + GATHER_S)
        self._is_due = False
        await self.write()


def start_of(name: str, prefix: str) -> int:
    """Return the epoch second that stands behind the prefix of a name."""
    return int(name.removeprefix(prefix).partition(" ")[0])

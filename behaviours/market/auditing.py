"""A player's own look into the register: it need not believe what it is told (D8.1 3.3.3)."""

from collections.abc import Iterator

import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.operation import keeps_the_rules
from behaviours.market.proving import DatasetCommitting
from behaviours.ports import MarketRegister, RegisteredMarket
from behaviours.site.turns import is_turn
from ontology.base import INTERVAL_S
from ontology.errors import ParityError, Refused
from ontology.grid import GridState
from ontology.letter import Letter
from ontology.market import LemParameters, LemResult, LemState

__all__ = ["RegisterAuditing", "contradictions"]

log = structlog.get_logger()

AUDIT_INTERVALS = 96
"""A player looks up one of so many markets, in turn with the others: one a day."""


class RegisterAuditing(Behaviour):
    """Holds the newest market's result against the register, now and then, and counts what differs."""

    settings: BlockchainSettings

    def setup(self) -> None:
        """No result has come yet."""
        self._newest: LemResult | None = None

    @on(LemResult)
    def note(self, result: LemResult, letter: Letter) -> None:
        """Note the result of the newest market, as it was told first: that is what the register has."""
        newer = self._newest is None or result.start_s > self._newest.start_s
        if newer and not result.correction and letter.sender == self.settings.contacts.market_engine:
            self._newest = result

    @every(minutes=15, offset_s=300)
    async def audit_in_turn(self) -> None:
        """Audit the newest result when it is this player's turn."""
        result = self._newest
        if result is None or self.agent.surroundings.register is None:
            return
        if not is_turn(self.agent.address, result.start_s, AUDIT_INTERVALS):
            return
        try:
            found = await self.audit(result)
        except ParityError as error:
            self.agent.counts["audits put off"] += 1
            log.info("market not audited", start_s=result.start_s, why=str(error))
            return
        self.agent.counts["audits failed" if found else "audits passed"] += 1
        if found:
            log.warning(
                "the register differs",
                player=self.settings.player_at(result.start_s),
                start_s=result.start_s,
                in_=found,
            )

    async def audit(self, result: LemResult) -> list[str]:
        """Return each respect in which a result, or the player's own dataset, differs from the register.

        Raises: Refused where the market is not solved in the register, or none is at hand; Unavailable when
        the chain or the market engine does not answer.
        """
        register: MarketRegister | None = self.agent.surroundings.register
        if register is None:
            raise Refused("no register is at hand")
        start_s, segment_id = result.start_s, result.segment_id
        market = await register.market(start_s, start_s + INTERVAL_S, segment_id)
        if market is None or market.state is not LemState.SOLVED:
            raise Refused("the market is not solved in the register")
        grid_state = await register.grid_state(segment_id, start_s)
        tariff = await register.parameters(result.grid_state)
        found = list(contradictions(result, market, grid_state, tariff))
        is_estimated = any(row.estimated for row in result.rows)
        committing = self.sibling(DatasetCommitting)
        if not is_estimated and committing.has_brought(start_s) and not await committing.prove(start_s):
            found.append("dataset")
        return found


def contradictions(
    result: LemResult,
    market: RegisteredMarket,
    grid_state: GridState | None,
    tariff: LemParameters | None,
) -> Iterator[str]:
    """Yield each respect in which a result differs from the register.

    Args:
        result: as the player was told.
        market: as it stands in the register, solved.
        grid_state: of the segment in the interval, None where the DSO wrote nothing: green (SPEC 2.1).
        tariff: of the result's state of the grid, None where the market operator wrote nothing.
    """
    if market.result != result.result_hash:
        yield "result"
    if result.grid_state is not (grid_state or GridState.GREEN):
        yield "grid state"
    elif market.grid_state is not result.grid_state and result.grid_state is not GridState.RED:
        yield "grid state"  # but a market that was open already when the grid turned RED is no contradiction
    if tariff is None or not keeps_the_rules(result, tariff):
        yield "prices"

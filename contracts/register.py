"""The community's register on a chain: grid states, constraints, tariffs and markets (see registry.vy)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from eth_abi import encode
from eth_utils import to_checksum_address

from behaviours.ports import RegisteredInterval, RegisteredMarket
from contracts.calldata import chunks, keccak, key_hash
from contracts.chain import Chain, Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.register_history import RegisterHistory
from contracts.register_values import (
    GRID_STATES,
    LEM_STATES,
    grid_number,
    hash_bytes,
    hash_text,
    tariff_of,
    tariff_words,
)
from ontology.errors import Refused
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.market import LemParameters, LemState

__all__ = ["AGGREGATOR", "DSO", "MARKET_OPERATOR", "ORACLE", "EvmMarketRegister", "Registry"]

DSO, AGGREGATOR, MARKET_OPERATOR, ORACLE = 1, 2, 4, 8
"""Roles in registry.vy."""
INTERVAL_S = 900
SOLVED_KNOWN = 1_000
"""Markets that a reader need not ask for again."""
AT_ONCE = 256
"""Segments in one transaction: a block of a public chain holds as many."""

K = TypeVar("K", bound=Any)
T = TypeVar("T")
Head = tuple[int, int, str, str]
"""State, state of the grid, datasets and result of a market; all zero where it was never opened."""


class Registry:
    """The contract with a community's roles and register; a new one where none is known on the chain.

    Args:
        chain: where it is.
        dso: deploys a new one and appoints the others.
        aggregator: the address that opens the markets.
        settlement: address of the contract with the accounts.
        address: of the contract; empty takes the one noted for the chain, or a new one.

    Raises: Conflict when the address runs other code, Unavailable when the chain cannot be reached.
    """

    def __init__(
        self, chain: Chain, *, dso: Signer, aggregator: str, settlement: str, address: str = ""
    ) -> None:
        self.dso = dso
        self.aggregator = to_checksum_address(aggregator)
        address = address or chain.noted("registry")
        self.contract = (
            DeployedContract(chain, "registry", address)
            if address
            else DeployedContract.deploy(chain, dso, "registry", settlement)
        )
        chain.note("registry", self.contract.address)
        self._granted: dict[str, int] = defaultdict(int)
        self.grant(aggregator, AGGREGATOR | ORACLE)

    def grant(self, holder: str, roles: int) -> None:
        """Let an address have roles beside those that it has.

        Raises: Refused when the DSO's key is not the DSO's, Unavailable when the chain cannot be reached.
        """
        held = int(self.contract.ask("roles", holder))
        if held | roles != held:
            try:
                self.contract.send(self.dso, "setRoles", holder, held | roles)
            except Reverted as error:
                raise Refused(f"register: {error}") from error

    def writer(self, signer: Signer, roles: int = 0) -> "EvmMarketRegister":
        """Return the register as somebody with some roles writes it."""
        if roles:
            self.grant(signer.address, roles)
        return EvmMarketRegister(self, signer)

    def reader(self) -> "EvmMarketRegister":
        """Return the register as everybody reads it."""
        return EvmMarketRegister(self, None)


class EvmMarketRegister:
    """The `MarketRegister` port on the registry contract, with the key of one writer, or none."""

    def __init__(self, registry: Registry, signer: Signer | None) -> None:
        self._registry = registry
        self._contract = registry.contract
        self._signer = signer
        self._solved: dict[tuple[int, int, str], RegisteredMarket] = {}

    # writing

    async def set_grid_states(self, events: Sequence[GridStatusEvent], time_s: int) -> None:
        """Write down the states of segments in intervals; one that was graver stays."""
        for start_s, some in _together(_gravest(events), lambda event: event.start_s):
            self._all_or_rest(some, self._is_new_state, partial(self._set_states, start_s, time_s))

    def _set_states(self, start_s: int, time_s: int, events: Sequence[GridStatusEvent]) -> None:
        segments = [key_hash(event.segment_id) for event in events]
        states = [grid_number(event.state) for event in events]
        self._send("setGridStates", start_s, segments, states, time_s=time_s)

    async def set_constraint(self, constraint: GridConstraint, time_s: int) -> None:
        """Write down what a segment may take and give from a time on."""
        limits = constraint.import_max_w[0], constraint.export_max_w[0]
        start_s = constraint.start_s // INTERVAL_S * INTERVAL_S
        held = await self.constraint(constraint.segment_id)
        if held and (held.start_s, held.import_max_w[0], held.export_max_w[0]) == (start_s, *limits):
            return
        self._send("setConstraint", key_hash(constraint.segment_id), start_s, *limits, time_s=time_s)

    async def set_parameters(self, parameters: LemParameters, time_s: int) -> None:
        """Write down the tariff of a state of the grid; the one that is there is not written again."""
        if await self.parameters(parameters.case) == parameters:
            return
        self._send("setParameters", grid_number(parameters.case), tariff_words(parameters), time_s=time_s)

    async def open_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are open; one that is stays as it is."""
        for (start_s, end_s), some in _together(markets, lambda market: (market.start_s, market.end_s)):
            send = partial(self._open, start_s, end_s, time_s)
            self._all_or_rest(some, lambda market: not self._head(market)[0], send)

    def _open(self, start_s: int, end_s: int, time_s: int, markets: Sequence[RegisteredMarket]) -> None:
        openings = [
            (key_hash(each.segment_id), grid_number(each.grid_state), hash_bytes(each.players))
            for each in markets
        ]
        self._send("openLems", start_s, end_s, openings, time_s=time_s)

    async def close_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down that markets are closed; one that is stays as it is."""
        for datasets, some in _together(markets, lambda market: market.datasets):
            self._all_or_rest(some, self._is_not_closed, partial(self._close, datasets, time_s))

    def _close(self, datasets: str, time_s: int, markets: Sequence[RegisteredMarket]) -> None:
        self._send("closeLems", self._keys(markets), hash_bytes(datasets), time_s=time_s)

    async def settle_markets(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down what markets came to, and first that they are closed, where that is not there yet."""
        for datasets, some in _together(markets, lambda market: market.datasets):
            results = [hash_bytes(each.result) for each in some]
            try:
                self._send_raw("settleLems", self._keys(some), hash_bytes(datasets), results, time_s=time_s)
            except Reverted:
                await self._settle_rest(some, time_s)

    async def _settle_rest(self, markets: Sequence[RegisteredMarket], time_s: int) -> None:
        """Write down what is missing, market by market as each of them stands."""
        await self.close_markets([each for each in markets if self._is_not_closed(each)], time_s)
        unsolved = [each for each in markets if LEM_STATES.get(self._head(each)[0]) is not LemState.SOLVED]
        if unsolved:
            results = [hash_bytes(each.result) for each in unsolved]
            self._send("solveLems", self._keys(unsolved), results, time_s=time_s)

    # reading

    async def grid_state(self, segment_id: str, start_s: int) -> GridState | None:
        """Return the state of a segment in an interval, if one was written down."""
        state = int(self._contract.ask("gridState", key_hash(segment_id), start_s))
        return GRID_STATES[state - 1] if state else None

    async def constraint(self, segment_id: str) -> GridConstraint | None:
        """Return what a segment may take and give, if that was written down."""
        start_s, import_w, export_w = self._contract.ask("constraintOf", key_hash(segment_id))
        if not start_s:
            return None
        return GridConstraint(
            segment_id=segment_id, start_s=start_s, import_max_w=[import_w], export_max_w=[export_w]
        )

    async def parameters(self, state: GridState) -> LemParameters | None:
        """Return the tariff of a state of the grid, if one was written down."""
        return tariff_of(state, self._contract.ask("parameters", grid_number(state)))

    async def market(self, start_s: int, end_s: int, segment_id: str) -> RegisteredMarket | None:
        """Return what is known of a market, if it was ever opened; its players are in an event.

        One that is solved is read once: nothing about it can change.
        """
        about = (start_s, end_s, segment_id)
        market = self._solved.get(about) or self._market(start_s, end_s, segment_id)
        if market is not None and market.state is LemState.SOLVED:
            self._solved[about] = market
            if len(self._solved) > SOLVED_KNOWN:
                del self._solved[next(iter(self._solved))]
        return market

    def _market(self, start_s: int, end_s: int, segment_id: str) -> RegisteredMarket | None:
        state, grid_state, datasets, result = self._head_of(self._key(start_s, end_s, segment_id))
        if not state:
            return None
        return RegisteredMarket(
            start_s=start_s,
            end_s=end_s,
            segment_id=segment_id,
            grid_state=GRID_STATES[grid_state - 1],
            state=LEM_STATES[state],
            datasets=datasets,
            result=result,
        )

    async def history(self, segments: Sequence[str], start_s: int, end_s: int) -> list[RegisteredInterval]:
        """Return what stands in the register of segments in each interval that begins in a time."""
        history = RegisterHistory(segments, self._registry.aggregator)
        history.follow(self._contract.events())
        return history.intervals(start_s, end_s)

    # the contract

    def _is_new_state(self, event: GridStatusEvent) -> bool:
        held = int(self._contract.ask("gridState", key_hash(event.segment_id), event.start_s))
        return grid_number(event.state) > held

    def _is_not_closed(self, market: RegisteredMarket) -> bool:
        return LEM_STATES.get(self._head(market)[0]) not in (LemState.CLOSED, LemState.SOLVED)

    def _head(self, market: RegisteredMarket) -> Head:
        return self._head_of(self._key(market.start_s, market.end_s, market.segment_id))

    def _head_of(self, key: bytes) -> Head:
        _, state, grid_state, datasets, result = self._contract.ask("lemOf", key)
        return state, grid_state, hash_text(datasets), hash_text(result)

    def _keys(self, markets: Iterable[RegisteredMarket]) -> list[bytes]:
        return [self._key(each.start_s, each.end_s, each.segment_id) for each in markets]

    def _key(self, start_s: int, end_s: int, segment_id: str) -> bytes:
        types = ("uint256", "uint256", "bytes32", "address")
        return keccak(encode(types, (start_s, end_s, key_hash(segment_id), self._registry.aggregator)))

    def _all_or_rest(
        self, items: Sequence[T], is_needed: Callable[[T], bool], send: Callable[[Sequence[T]], None]
    ) -> None:
        """Write all of some entries; where some are there already, only the others."""
        try:
            send(items)
        except Refused:
            needed = [item for item in items if is_needed(item)]
            if len(needed) == len(items):
                raise
            if needed:
                send(needed)

    def _send(self, function: str, *arguments: object, time_s: int) -> None:
        try:
            self._send_raw(function, *arguments, time_s=time_s)
        except Reverted as error:
            raise Refused(f"register: {error}") from error

    def _send_raw(self, function: str, *arguments: object, time_s: int) -> None:
        if self._signer is None:
            raise Refused("register: only readable without a key")
        self._contract.send(self._signer, function, *arguments, time_s=time_s)


def _together(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, Sequence[T]]]:
    """Return what goes into each transaction: items of one key, not more than it holds, in its order."""
    groups = groupby(sorted(items, key=key), key=key)
    return [(value, some) for value, group in groups for some in chunks(list(group), AT_ONCE)]


def _gravest(events: Iterable[GridStatusEvent]) -> list[GridStatusEvent]:
    """Return the gravest state of each segment and interval: the chain takes no other beside it."""
    ascending = sorted(events, key=lambda event: event.state.severity)
    return list({(event.segment_id, event.start_s): event for event in ascending}.values())

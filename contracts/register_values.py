"""How states, tariffs and hashes stand in registry.vy, and what they mean to agents."""

from collections.abc import Mapping, Sequence

from contracts.calldata import END
from ontology.grid import GridState
from ontology.market import FlowRule, LemParameters, LemState, Mechanism

__all__ = ["GRID_STATES", "LEM_STATES", "grid_number", "hash_bytes", "hash_text", "tariff_of", "tariff_words"]

GRID_STATES = (GridState.GREEN, GridState.YELLOW, GridState.RED)
LEM_STATES: Mapping[int, LemState] = {1: LemState.ACTIVE, 2: LemState.CLOSED, 4: LemState.SOLVED}
MECHANISMS, FLOW_RULES = tuple(Mechanism), tuple(FlowRule)
FLOW_RULE_UNIT = 256
"""The flow rule stands above the lowest byte of the mechanism."""


def grid_number(state: GridState) -> int:
    """Return a state of the grid as the contract knows it: 1 green, 2 yellow, 3 red."""
    return GRID_STATES.index(state) + 1


def tariff_words(parameters: LemParameters) -> tuple[int, ...]:
    """Return a tariff as the contract's struct Parameters; its state stands beside it."""
    return (
        MECHANISMS.index(parameters.mechanism) + FLOW_RULE_UNIT * FLOW_RULES.index(parameters.flow_rule),
        parameters.buy_usual_ticks_per_kwh,
        parameters.sell_usual_ticks_per_kwh,
        parameters.buy_peer_ticks_per_kwh,
        parameters.sell_peer_ticks_per_kwh,
        parameters.beta_ticks_per_kwh2,
    )


def tariff_of(state: GridState, words: Sequence[int]) -> LemParameters | None:
    """Return the tariff of a state that the contract holds, if any."""
    if not any(words):
        return None
    rules, buy_usual, sell_usual, buy_peer, sell_peer, beta = words
    return LemParameters(
        case=state,
        buy_usual_ticks_per_kwh=buy_usual,
        sell_usual_ticks_per_kwh=sell_usual,
        buy_peer_ticks_per_kwh=buy_peer,
        sell_peer_ticks_per_kwh=sell_peer,
        beta_ticks_per_kwh2=beta,
        mechanism=MECHANISMS[rules % FLOW_RULE_UNIT],
        flow_rule=FLOW_RULES[rules // FLOW_RULE_UNIT],
    )


def hash_bytes(text: str) -> bytes:
    """Return a hash (hexadecimal, or empty) as 32 bytes."""
    return bytes.fromhex(text) if text else END


def hash_text(value: bytes) -> str:
    """Return 32 bytes as hexadecimal digits, empty when they are all zero."""
    return value.hex() if any(value) else ""

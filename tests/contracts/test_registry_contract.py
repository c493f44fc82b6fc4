"""Who may write what into the community's register (SPEC 2.3), every function by every role."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from contracts.calldata import key_hash
from contracts.chain import Mined, Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers

pytestmark = pytest.mark.chain
DSO, AGGREGATOR, OPERATOR, PLAYER, STRANGER, POOR = (Signer(bytes([n]) * 32) for n in range(21, 27))
ROLES = {"DSO": 1, "AGGREGATOR": 2, "MARKET_OPERATOR": 4, "ORACLE": 8}
SEGMENT, ALICE, CAROL, ZERO = key_hash("feeder 1"), key_hash("alice"), key_hash("carol"), bytes(32)
GREEN, YELLOW, RED = 1, 2, 3
PARAMETERS = (2_000, 650, 1_400, 800, 0)


class Register(NamedTuple):
    """A registry, and how to write into it."""

    contract: DeployedContract

    def by(self, signer: Signer, function: str, *arguments: object) -> Mined:
        return self.contract.send(signer, function, *arguments)

    def lem(self, start_s: int = 900) -> bytes:
        return self.contract.ask("lemKey", start_s, start_s + 900, SEGMENT, AGGREGATOR.address)


@pytest.fixture
def register() -> Register:
    everyone = (DSO, AGGREGATOR, OPERATOR, PLAYER, STRANGER, POOR)
    for each in everyone:
        each._nonce = None  # it begins anew on a new chain
    chain = embedded_chain(funded=[each.address for each in everyone])
    owner, operator = embedded_signers()
    tokens = DeployedContract.deploy(chain, owner, "settlement", operator.address, [operator.address], 1, 100)
    tokens.send(owner, "openAccounts", [key_hash("aggregator"), ALICE, CAROL], [1_000, 1_000, 99])
    register = Register(DeployedContract.deploy(chain, DSO, "registry", tokens.address))
    register.by(DSO, "setRoles", AGGREGATOR.address, ROLES["AGGREGATOR"])
    register.by(DSO, "setRoles", OPERATOR.address, ROLES["MARKET_OPERATOR"])
    register.by(DSO, "setPlayers", [ALICE, CAROL], [PLAYER.address, POOR.address])
    register.by(DSO, "setParameters", GREEN, PARAMETERS)
    return register


Write = Callable[[Register, Signer], object]
EDITS: dict[str, tuple[set[Signer], str, Write]] = {
    "roles": ({DSO}, "wrong role", lambda r, who: r.by(who, "setRoles", STRANGER.address, 8)),
    "player map": ({DSO}, "wrong role", lambda r, who: r.by(who, "setPlayers", [ALICE], [PLAYER.address])),
    "grid state": ({DSO}, "wrong role", lambda r, who: r.by(who, "setGridStates", 900, [SEGMENT], [RED])),
    "constraint": ({DSO}, "wrong role", lambda r, who: r.by(who, "setConstraint", SEGMENT, 900, 1, 2)),
    "default parameters": (
        {DSO, OPERATOR},
        "wrong role",
        lambda r, who: r.by(who, "setParameters", GREEN, PARAMETERS),
    ),
    "lem": ({AGGREGATOR}, "wrong role", lambda r, who: r.by(who, "openLem", 900, 1800, SEGMENT, 1, ZERO)),
    "dataset": ({PLAYER}, "speaks for", lambda r, who: r.by(who, "commitDataset", ALICE, 900, b"\1" * 32)),
    "forecast": ({PLAYER}, "speaks for", lambda r, who: r.by(who, "commitForecast", ALICE, 900, ZERO)),
}
WRITERS = {"DSO": DSO, "aggregator": AGGREGATOR, "operator": OPERATOR, "player": PLAYER, "stranger": STRANGER}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("edit", EDITS)
def test_the_edit_rights_matrix_holds_in_every_cell(register, edit, writer):
    allowed, why, write = EDITS[edit]
    if WRITERS[writer] in allowed:
        write(register, WRITERS[writer])
    else:
        with pytest.raises(Reverted, match=why):
            write(register, WRITERS[writer])


def test_a_market_is_opened_closed_and_solved_once_each_by_its_aggregator(register):
    register.by(AGGREGATOR, "openLem", 900, 1_800, SEGMENT, GREEN, b"\1" * 32)
    key = register.lem()
    with pytest.raises(Reverted, match="open already"):
        register.by(AGGREGATOR, "openLem", 900, 1_800, SEGMENT, GREEN, b"\1" * 32)
    with pytest.raises(Reverted, match="not closed"):
        register.by(AGGREGATOR, "solveLem", key, b"\3" * 32)
    for function in ("closeLem", "solveLem"):
        with pytest.raises(Reverted, match="only its aggregator"):
            register.by(DSO, function, key, b"\2" * 32)
    register.by(AGGREGATOR, "closeLem", key, b"\2" * 32)
    with pytest.raises(Reverted, match="not active"):
        register.by(AGGREGATOR, "closeLem", key, b"\7" * 32)
    register.by(AGGREGATOR, "solveLem", key, b"\3" * 32)
    with pytest.raises(Reverted, match="not closed"):
        register.by(AGGREGATOR, "solveLem", key, b"\7" * 32)
    _, state, _, _, players, datasets, result = register.contract.ask("lems", key)
    assert (state, players, datasets, result) == (4, b"\1" * 32, b"\2" * 32, b"\3" * 32)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (("setGridStates", 901, [SEGMENT], [RED]), "start of an interval"),
        (("setGridStates", 900, [SEGMENT], [4]), "unknown state"),
        (("setGridStates", 900, [SEGMENT], [0]), "unknown state"),
        (("setGridStates", 900, [SEGMENT], []), "one state a segment"),
        (("setConstraint", SEGMENT, 901, 1, 1), "start of an interval"),
        (("setPlayers", [ALICE], []), "one speaker a player"),
        (("setParameters", 4, PARAMETERS), "unknown state"),
        (("setParameters", GREEN, (650, 2_000, 800, 1_400, 0)), "sell usual"),
        (("setRoles", DSO.address, 0), "does not dismiss itself"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_makes_no_sense_is_turned_down(register, edit, why):
    with pytest.raises(Reverted, match=why):
        register.by(DSO, *edit)


def test_a_state_of_the_grid_may_only_become_graver(register):
    register.by(DSO, "setGridStates", 900, [SEGMENT], [YELLOW])
    register.by(DSO, "setGridStates", 900, [SEGMENT], [RED])
    with pytest.raises(Reverted, match="graver"):
        register.by(DSO, "setGridStates", 900, [SEGMENT], [GREEN])
    assert register.contract.ask("grid_states", SEGMENT, 900) == RED


def test_a_dataset_is_committed_once_and_only_with_the_minimum_balance(register):
    register.by(PLAYER, "commitDataset", ALICE, 900, b"\1" * 32)
    with pytest.raises(Reverted, match="committed already"):
        register.by(PLAYER, "commitDataset", ALICE, 900, b"\2" * 32)
    with pytest.raises(Reverted, match="below the minimum"):
        register.by(POOR, "commitDataset", CAROL, 900, b"\1" * 32)
    with pytest.raises(Reverted, match="start of an interval"):
        register.by(PLAYER, "commitDataset", ALICE, 901, b"\1" * 32)


def test_only_a_newer_forecast_replaces_one(register):
    register.by(PLAYER, "commitForecast", ALICE, 900, b"\1" * 32)
    with pytest.raises(Reverted, match="not newer"):
        register.by(PLAYER, "commitForecast", ALICE, 900, b"\2" * 32)
    register.by(PLAYER, "commitForecast", ALICE, 1_800, b"\2" * 32)
    assert register.contract.ask("forecasts", ALICE) == (1_800, b"\2" * 32)


def test_a_dismissed_aggregator_writes_no_more(register):
    (event,) = register.contract.events_of(register.by(DSO, "setRoles", AGGREGATOR.address, 0))
    assert event.name == "RoleSet"
    with pytest.raises(Reverted, match="wrong role"):
        register.by(AGGREGATOR, "openLem", 900, 1_800, SEGMENT, GREEN, ZERO)

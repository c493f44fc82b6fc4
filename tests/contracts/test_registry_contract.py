"""Who may write what into the community's register (SPEC 2.3), every function by every role."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.calldata import key_hash
from contracts.chain import Mined, Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers

pytestmark = pytest.mark.chain
DSO, AGGREGATOR, OPERATOR, PLAYER, STRANGER, POOR = (Signer(bytes([n]) * 32) for n in range(21, 27))
ROLES = {"DSO": 1, "AGGREGATOR": 2, "MARKET_OPERATOR": 4, "ORACLE": 8}
SEGMENT, ALICE, CAROL, ZERO = key_hash("feeder 1"), key_hash("alice"), key_hash("carol"), bytes(32)
GREEN, YELLOW, RED = 1, 2, 3
OPENING = (SEGMENT, GREEN, b"\1" * 32)
ACTIVE, CLOSED, SOLVED = 1, 2, 4
PARAMETERS = (0, 2_000, 650, 1_400, 800, 0)


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
    "lem": ({AGGREGATOR}, "wrong role", lambda r, who: r.by(who, "openLems", 900, 1_800, [OPENING])),
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
    register.by(AGGREGATOR, "openLems", 900, 1_800, [OPENING])
    key = register.lem()
    with pytest.raises(Reverted, match="open already"):
        register.by(AGGREGATOR, "openLems", 900, 1_800, [OPENING])
    with pytest.raises(Reverted, match="not closed"):
        register.by(AGGREGATOR, "solveLems", [key], [b"\3" * 32])
    register.by(AGGREGATOR, "closeLems", [key], b"\2" * 32)
    assert register.contract.ask("lemOf", key)[1] == CLOSED
    with pytest.raises(Reverted, match="not active"):
        register.by(AGGREGATOR, "closeLems", [key], b"\7" * 32)
    register.by(AGGREGATOR, "solveLems", [key], [b"\3" * 32])
    for again in (("solveLems", [key], [b"\7" * 32]), ("settleLems", [key], b"\7" * 32, [b"\7" * 32])):
        with pytest.raises(Reverted, match=r"not (closed|active)"):
            register.by(AGGREGATOR, *again)
    assert register.contract.ask("lemOf", key) == (
        AGGREGATOR.address.lower(),
        SOLVED,
        GREEN,
        b"\2" * 32,
        b"\3" * 32,
    )


def test_markets_are_closed_and_solved_at_once(register):
    register.by(AGGREGATOR, "openLems", 900, 1_800, [OPENING, (ALICE, RED, ZERO)])
    keys = [
        register.contract.ask("lemKey", 900, 1_800, each, AGGREGATOR.address) for each in (SEGMENT, ALICE)
    ]
    mined = register.by(AGGREGATOR, "settleLems", keys, b"\2" * 32, [b"\3" * 32, b"\4" * 32])
    told = [(each.name, each.values["lem"]) for each in register.contract.events_of(mined)]
    assert told == [(name, key.hex()) for key in keys for name in ("LemClosed", "LemSolved")]
    assert [register.contract.ask("lemOf", key)[1:] for key in keys] == [
        (SOLVED, GREEN, b"\2" * 32, b"\3" * 32),
        (SOLVED, RED, b"\2" * 32, b"\4" * 32),
    ]


@pytest.mark.parametrize(
    "edit",
    [
        ("closeLems", "KEY", b"\2" * 32),
        ("solveLems", "KEY", [b"\2" * 32]),
        ("settleLems", "KEY", b"\2" * 32, [b"\2" * 32]),
    ],
    ids=lambda edit: edit[0],
)
@pytest.mark.parametrize("key", ["another's", "nobody's"])
def test_only_its_aggregator_moves_a_market(register, edit, key):
    register.by(AGGREGATOR, "openLems", 900, 1_800, [OPENING])
    register.by(DSO, "setRoles", STRANGER.address, ROLES["AGGREGATOR"])
    function, _, *rest = edit
    keys = [register.lem() if key == "another's" else b"\5" * 32]
    with pytest.raises(Reverted, match="only its aggregator"):
        register.by(STRANGER, function, keys, *rest)
    assert register.contract.ask("lemOf", register.lem())[1] == ACTIVE


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (("openLems", 901, 1_800, [OPENING]), "whole intervals"),
        (("openLems", 900, 1_801, [OPENING]), "whole intervals"),
        (("openLems", 1_800, 900, [OPENING]), "whole intervals"),
        (("openLems", 900, 1_800, [(SEGMENT, 4, ZERO)]), "unknown state"),
        (("openLems", 900, 1_800, [(SEGMENT, 0, ZERO)]), "unknown state"),
        (("solveLems", [ZERO], []), "one result"),
        (("settleLems", [ZERO], ZERO, []), "one result"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_market_that_makes_no_sense_is_turned_down(register, edit, why):
    with pytest.raises(Reverted, match=why):
        register.by(AGGREGATOR, *edit)


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
        (("setParameters", GREEN, (0, 650, 2_000, 800, 1_400, 0)), "sell usual"),
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
    assert register.contract.ask("gridState", SEGMENT, 900) == RED


@given(
    st.dictionaries(st.integers(0, 200), st.integers(GREEN, RED), max_size=12),
    st.integers(0, 200),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_of_neighbouring_intervals_do_not_touch_each_other(register, states, other):
    segment = key_hash(repr(sorted(states.items())))
    for number, state in states.items():
        register.by(DSO, "setGridStates", 900 * number, [segment], [state])
    for number in {*states, other}:
        assert register.contract.ask("gridState", segment, 900 * number) == states.get(number, 0)


def test_a_constraint_holds_until_a_newer_one_is_set(register):
    register.by(DSO, "setConstraint", SEGMENT, 1_800, 50_000, 40_000)
    register.by(DSO, "setConstraint", SEGMENT, 1_800, 50_000, 30_000)
    with pytest.raises(Reverted, match="older"):
        register.by(DSO, "setConstraint", SEGMENT, 900, 1, 1)
    assert register.contract.ask("constraintOf", SEGMENT) == (1_800, 50_000, 30_000)
    assert register.contract.ask("constraintOf", ALICE) == (0, 0, 0)


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
        register.by(AGGREGATOR, "openLems", 900, 1_800, [OPENING])

"""What the Settlement contract does and what it turns down, called directly."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.calldata import END, SettleCall, changes_of, digests_of, encode_settle, key_hash
from contracts.chain import Reverted

AGGREGATOR, ALICE, BOB, CAROL, DAVE, ERIN = range(6)

pytestmark = pytest.mark.chain
MINT = "mint(uint256,uint256,bytes32)"
NO_RECEIPT = bytes(32)


def test_a_batch_moves_tokens_between_accounts_and_the_aggregator(contract):
    contract.settle({ALICE: -300, BOB: 100, ERIN: -50})
    assert contract.balances() == {
        AGGREGATOR: 10_250,
        ALICE: 700,
        BOB: 600,
        CAROL: 0,
        DAVE: 1_000,
        ERIN: 950,
    }


def test_a_debit_above_the_balance_is_capped_and_the_aggregator_pays_the_rest_in(contract):
    contract.settle({BOB: -800, ALICE: 800})
    assert contract.balances()[BOB] == 0
    assert contract.balances()[ALICE] == 1_800
    assert contract.balances()[AGGREGATOR] == 10_000 - 300
    assert contract.owes(BOB) == 300


def test_neighbours_of_a_poor_account_in_the_same_word_are_settled_exactly(contract):
    contract.settle({ALICE: -1_000, BOB: -501, CAROL: -1, DAVE: 1})
    assert contract.balances() | {AGGREGATOR: 0} == {
        AGGREGATOR: 0,
        ALICE: 0,
        BOB: 0,
        CAROL: 0,
        DAVE: 1_001,
        ERIN: 1_000,
    }
    assert [contract.owes(account) for account in (ALICE, BOB, CAROL)] == [0, 1, 1]


def test_receivables_add_up_until_they_are_collected_after_a_top_up(contract):
    contract.settle({CAROL: -100}, key="one")
    contract.settle({CAROL: -50}, key="two")
    contract.as_owner(MINT, CAROL, 120, NO_RECEIPT)
    contract.as_operator("collect(uint256[])", [CAROL])
    assert contract.owes(CAROL) == 30
    assert contract.balances()[CAROL] == 0
    assert contract.balances()[AGGREGATOR] == 10_120


def test_opening_an_account_again_changes_nothing(contract):
    before = contract.balances()
    contract.as_owner("openAccounts(bytes32[],uint256[])", [key_hash("alice")] * 2, [77, 78])
    assert contract.balances() == before
    assert contract.ask("accounts()") == 6


def test_a_batch_that_does_not_sum_to_zero_is_turned_down(contract):
    with pytest.raises(Reverted, match="does not sum to zero"):
        contract.settle({ALICE: -300, BOB: 100}, tamper=1)


def test_a_settled_key_is_turned_down_with_the_same_batch_and_with_another(contract):
    contract.settle({ALICE: -300})
    before = contract.balances()
    with pytest.raises(Reverted, match="settled already"):
        contract.settle({ALICE: -300})
    with pytest.raises(Reverted, match="another batch has this key"):
        contract.settle({ALICE: -1}, digest=b"\1" * 32)
    assert contract.balances() == before


def test_parts_of_a_batch_come_in_turn_and_once_each(contract):
    parts = [changes_of({account: change}) for account, change in ((ALICE, -1), (BOB, -1), (ERIN, 1))]
    digests = digests_of(parts)

    def bring(number: int, rest: bytes | None = None) -> None:
        call = SettleCall(
            key_hash("in parts"), digests[0], rest=digests[number + 1] if rest is None else rest
        )
        contract.bring(encode_settle(call, parts[number], contract.signed(call)))

    bring(0)
    for out_of_turn in (2, 0):
        with pytest.raises(Reverted, match="part out of turn"):
            bring(out_of_turn)
    with pytest.raises(Reverted, match="part out of turn"):
        bring(1, rest=END)
    bring(1)
    bring(2)
    with pytest.raises(Reverted, match="settled already"):
        bring(2)
    assert contract.balances()[AGGREGATOR] == 10_001


@pytest.mark.parametrize(
    "account", [6, 7, 8, 4_000, 2**34], ids=["next", "same word", "next word", "far", "huge"]
)
@pytest.mark.parametrize("change", [-1, 1])
def test_an_account_that_was_never_opened_is_turned_down(contract, account, change):
    with pytest.raises(Reverted, match="unknown account"):
        contract.settle({ALICE: 5, account: change})


def test_a_batch_that_the_aggregator_cannot_fund_is_turned_down_whole(contract):
    before = contract.balances()
    with pytest.raises(Reverted, match="the aggregator cannot fund it"):
        contract.settle({ALICE: 12_000, BOB: -1_999})
    assert contract.balances() == before
    assert contract.owes(BOB) == 0


@pytest.mark.parametrize("change", [-(2**52), 2**52])
def test_an_amount_that_could_spill_into_a_neighbour_is_turned_down(contract, change):
    with pytest.raises(Reverted, match="amount too large"):
        contract.settle({ALICE: change})


def test_a_balance_that_could_spill_into_a_neighbour_is_turned_down(contract):
    contract.as_owner(MINT, ALICE, 2**63 - 1_001, NO_RECEIPT)
    with pytest.raises(Reverted, match="balance too large"):
        contract.settle({ALICE: 1})
    with pytest.raises(Reverted, match="balance too large"):
        contract.as_owner(MINT, ALICE, 1, NO_RECEIPT)


def test_the_aggregators_balance_is_bounded_too(contract):
    contract.as_owner(MINT, AGGREGATOR, 2**63 - 10_001, NO_RECEIPT)
    with pytest.raises(Reverted, match="balance too large"):
        contract.settle({ALICE: -1})


def test_only_the_operator_settles_and_collects(contract):
    with pytest.raises(Reverted, match="only the operator"):
        contract.settle({ALICE: -1}, sender=contract.owner)
    with pytest.raises(Reverted, match="only the operator"):
        contract.as_owner("collect(uint256[])", [ALICE])


def test_only_the_owner_opens_mints_and_appoints(contract):
    for call in (
        ("openAccounts(bytes32[],uint256[])", [key_hash("mallory")], [1]),
        (MINT, ALICE, 1, NO_RECEIPT),
        ("appointOperator(address)", contract.operator.address),
        ("appointAttestors(address[],uint256)", [contract.operator.address], 1),
        ("setMinimum(uint256)", 0),
    ):
        with pytest.raises(Reverted, match="only the owner"):
            contract.as_operator(*call)


def test_a_new_operator_takes_over_and_the_old_one_is_out(contract):
    contract.as_owner("appointOperator(address)", contract.owner.address)
    contract.settle({ALICE: -1}, sender=contract.owner)
    with pytest.raises(Reverted, match="only the operator"):
        contract.settle({ALICE: -1}, key="interval-2")


def test_a_receipt_of_a_payment_is_minted_once(contract):
    contract.as_owner(MINT, ALICE, 5, b"\1" * 32)
    with pytest.raises(Reverted, match="receipt used already"):
        contract.as_owner(MINT, ALICE, 5, b"\1" * 32)
    assert contract.balances()[ALICE] == 1_005


def test_an_unknown_kind_of_settlement_is_turned_down(contract):
    for kind in range(7):
        contract.settle({ALICE: -1}, key=f"kind {kind}", kind=kind)
    with pytest.raises(Reverted, match="unknown kind"):
        contract.settle({ALICE: -1}, key="kind 7", kind=7)


def test_who_holds_less_than_the_minimum_is_not_solvent(contract):
    solvent = [contract.ask("isSolvent(uint256)", account) for account in range(7)]
    assert solvent == [1, 1, 1, 0, 1, 1, 0]  # Carol has nothing, and nobody is number 6
    contract.as_owner("setMinimum(uint256)", 501)
    assert contract.ask("isSolvent(uint256)", BOB) == 0


def test_minting_and_collecting_need_an_open_account(contract):
    with pytest.raises(Reverted, match="unknown account"):
        contract.as_owner(MINT, 6, 1, NO_RECEIPT)
    with pytest.raises(Reverted, match="unknown account"):
        contract.as_operator("collect(uint256[])", [6])


def test_opening_needs_an_amount_for_each_account(contract):
    with pytest.raises(Reverted, match="one amount an account"):
        contract.as_owner("openAccounts(bytes32[],uint256[])", [key_hash("x")], [])


INTERVALS = count()
CHANGES = st.dictionaries(st.integers(1, 5), st.integers(-2_500, 2_500).filter(bool), max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_any_batch_conserves_tokens_and_overdraws_nobody(contract, changes):
    before, owed = contract.balances(), {account: contract.owes(account) for account in changes}
    paid = sum(min(before[account], -change) for account, change in changes.items() if change < 0)
    credited = sum(change for change in changes.values() if change > 0)
    if before[AGGREGATOR] + paid < credited:
        with pytest.raises(Reverted, match="the aggregator cannot fund it"):
            contract.settle(changes, key=f"interval-{next(INTERVALS)}")
        assert contract.balances() == before
        return
    contract.settle(changes, key=f"interval-{next(INTERVALS)}")
    after = contract.balances()
    assert sum(after.values()) == sum(before.values())
    for account, change in changes.items():
        assert after[account] == max(0, before[account] + change)
        assert contract.owes(account) - owed[account] == max(0, -change - before[account])

"""What an order of payments comes to on the ledger."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.payments import payment_entries, payment_hash, settlement_key_of, tokens_of
from ontology.ledger import Payment, PaymentOrder, SettlementKind
from tests.behaviours.decisions.quick import quick

AMOUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10**9), min_size=1)


def order(amounts, payment_id="vpp-1", kind=SettlementKind.VPP_PAYOFF, time_s=900):
    return PaymentOrder(
        payment_id=payment_id,
        kind=kind,
        payer="aggregator",
        time_s=time_s,
        payments=[Payment(account=account, tokens=tokens) for account, tokens in amounts.items()],
    )


@quick
@given(amounts=AMOUNTS)
def test_what_is_paid_comes_from_the_payer(amounts):
    entries = payment_entries(order(amounts))
    assert sum(entries.values()) == 0
    assert {account: tokens for account, tokens in entries.items() if account != "aggregator"} == amounts


def test_amounts_of_one_account_are_added_before_they_are_rounded():
    assert tokens_of([("ann", 15), ("bob", 4), ("ann", 10)], 1_000) == {"ann": 2}
    assert tokens_of([("ann", 15), ("bob", 4)], 10_000) == {"ann": 15, "bob": 4}


def test_an_order_is_the_same_whenever_it_is_said_and_in_whatever_order():
    said = order({"ann": 5, "bob": 6})
    again = order({"bob": 6, "ann": 5}, time_s=1800)
    assert payment_hash(said) == payment_hash(again)
    assert settlement_key_of(said) == settlement_key_of(again)


@quick
@given(amounts=AMOUNTS)
def test_nothing_of_an_order_can_be_changed_unseen(amounts):
    said = order(amounts)
    dearer = order({account: tokens + 1 for account, tokens in amounts.items()})
    other_kind = order(amounts, kind=SettlementKind.DEMAND_RESPONSE)
    by_another = msgspec.structs.replace(said, payer="dso")
    assert len({payment_hash(each) for each in (said, dearer, other_kind, by_another)}) == 4

"""Payments in tokens: what amounts in ticks come to, and the batch that an order stands for."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from behaviours.decisions.settlement import round_half_even
from ontology.base import TICKS_PER_CURRENCY
from ontology.ledger import PaymentOrder

__all__ = ["payment_entries", "payment_hash", "settlement_key_of", "tokens_of"]


def tokens_of(amounts_ticks: Iterable[tuple[str, int]], tokens_per_currency: int) -> dict[str, int]:
    """Return what accounts are paid in tokens, rounded half even once an account; nothing is left out.

    Args:
        amounts_ticks: accounts and amounts in ticks, an account perhaps several times.
        tokens_per_currency: tokens that one unit of currency is worth.
    """
    total: dict[str, int] = {}
    for account, ticks in amounts_ticks:
        total[account] = total.get(account, 0) + ticks
    tokens = {
        account: round_half_even(ticks * tokens_per_currency, TICKS_PER_CURRENCY)
        for account, ticks in sorted(total.items())
    }
    return {account: amount for account, amount in tokens.items() if amount}


def payment_entries(order: PaymentOrder) -> Mapping[str, int]:
    """Return the token changes of an order: they sum to zero."""
    entries = {each.account: each.tokens for each in order.payments}
    entries[order.payer] = -sum(entries.values())
    return entries


def payment_hash(order: PaymentOrder) -> str:
    """Return the SHA-256 (hexadecimal) of who pays whom how much for what: not of when it was ordered."""
    lines = sorted((each.account, each.tokens) for each in order.payments)
    content = (order.payment_id, order.kind.value, order.payer, lines)
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def settlement_key_of(order: PaymentOrder) -> str:
    """Return the ledger's key of an order: no two payers share one."""
    return f"{order.kind.value} {order.payer} {order.payment_id}"

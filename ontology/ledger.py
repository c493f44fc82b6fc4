"""Tokens: who holds them and how they moved."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import MAX_MEMBERS, Concept, EpochSeconds, Identifier, Part, Tokens, require

__all__ = ["LedgerEntry", "Payment", "PaymentOrder", "SettlementKind", "Wallet"]

Balance = Annotated[int, Meta(ge=0, le=2**53 - 1, description="whole tokens")]


class SettlementKind(StrEnum):
    """What tokens move for (SPEC 2.10); the ledger's contracts number them in this order."""

    LEM = "LEM"
    VPP_PAYOFF = "VPP_PAYOFF"
    FLEXIBILITY_ORDER = "FLEXIBILITY_ORDER"
    DEMAND_RESPONSE = "DEMAND_RESPONSE"
    SLA_PENALTY = "SLA_PENALTY"
    CORRECTION = "CORRECTION"
    CARRY_OVER = "CARRY_OVER"


ORDERED_KINDS = (
    SettlementKind.VPP_PAYOFF,
    SettlementKind.FLEXIBILITY_ORDER,
    SettlementKind.DEMAND_RESPONSE,
)
"""What an account's holder may order to be paid; the rest follows from rules."""


class Wallet(Concept, frozen=True, kw_only=True, tag="parity:Wallet"):
    """An account of tokens under a pseudonym; never overdrawn (SUPSI balances, SPEC 2.10)."""

    wallet_id: Identifier
    pseudonym: Identifier
    denomination: Identifier = "ect"
    balance_tokens: Balance


class LedgerEntry(Concept, frozen=True, kw_only=True, tag="parity:LedgerEntry"):
    """Tokens that moved from one account to another under a settlement key (SPEC 2.10)."""

    time_s: EpochSeconds
    debit: Identifier
    credit: Identifier
    amount_tokens: Tokens
    settlement_key: Identifier

    def __post_init__(self) -> None:
        require(self.amount_tokens >= 0, "amount_tokens", self.amount_tokens, "not negative")
        require(self.debit != self.credit, "credit", self.credit, "another account than debit")


class Payment(Part, frozen=True, kw_only=True):
    """What one account is paid."""

    account: Identifier
    tokens: Annotated[int, Meta(ge=1, le=2**52 - 1, description="whole tokens")]


class PaymentOrder(Concept, frozen=True, kw_only=True, tag="parity:PaymentOrder"):
    """The holder of an account orders payments from it; signed, carried out once (SPEC 2.10).

    It goes to the market engine and, by itself, to every attestor, so that nobody can pay in its name.
    """

    payment_id: Identifier
    kind: SettlementKind
    payer: Identifier
    time_s: EpochSeconds
    payments: Annotated[list[Payment], Meta(min_length=1, max_length=MAX_MEMBERS)]

    def __post_init__(self) -> None:
        accounts = [each.account for each in self.payments]
        require(len(set(accounts)) == len(accounts), "payments", accounts, "each account once")
        require(self.payer not in accounts, "payments", self.payer, "other accounts than the payer's")
        require(self.kind in ORDERED_KINDS, "kind", self.kind, "a kind that is ordered by its payer")

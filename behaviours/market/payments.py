"""Payments that an account's holder orders: plants' payoffs, flexibility orders, demand response (SPEC 2.10).

```
payer    ── PaymentOrder (signed) ──> market engine ── AttestationRequest ──> attestors ──> ledger
         ── PaymentOrder (signed) ──────────────────────────────────────────> attestors
```
An attestor vouches for a payment only when its payer has ordered the very same one of itself.
"""

import asyncio
from collections.abc import Iterator, Mapping

import msgspec
import structlog

from behaviours.behaviour import Behaviour, every, on
from behaviours.decisions.payments import payment_entries, payment_hash, settlement_key_of
from behaviours.decisions.pseudonyms import epoch_of
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.attestor_evidence import require_holder
from behaviours.market.players import MarketEngineSettings, PlayerRegistration
from behaviours.ports import Ledger
from ontology.discourse import Acknowledgement
from ontology.errors import InvalidInput, ParityError, Refused
from ontology.ledger import LedgerEntry, Payment, PaymentOrder, SettlementKind
from ontology.letter import Letter

__all__ = ["EntryKeeping", "PayerSettings", "Paying", "PaymentSettling"]

log = structlog.get_logger()

_ORDERED, _DUE, _ENTRY = "payment ordered ", "payment due ", "entry "
CARRIED_OVER_S = 135
"""How long into a new epoch what was ordered before is still paid from the account of the old one."""
LINES = 400
"""Payments that fit into one letter."""
ENTRIES_AT_ONCE = 50
REMEMBERED_S = 7 * 86_400
"""How long an order is known after it was carried out, so that it is not carried out again."""


class PayerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account that an agent may pay from, what tokens are worth, and who carries payments out."""

    account: str = ""
    accounts: Mapping[int, str] = {}
    """The account by epoch, where it does not always keep its name."""
    engine: str
    attestors: tuple[str, ...] = ()
    tokens_per_currency: int

    def account_at(self, time_s: float) -> str:
        """Return the name of the account at a time."""
        return self.accounts.get(epoch_of(time_s), self.account)


class Paying(Behaviour):
    """Orders payments from the agent's own account, until everyone concerned has the order."""

    def pay(self, kind: SettlementKind, payment_id: str, tokens: Mapping[str, int]) -> None:
        """Order payments; one with the same id was ordered already and changes nothing.

        Args:
            kind: what the tokens move for.
            payment_id: unique among what the agent pays.
            tokens: what each account gets; positive.
        """
        payer: PayerSettings | None = self.settings.payer
        if payer is None or not tokens:
            return
        for order in self._orders(payer, kind, payment_id, tokens):
            name = _ORDERED + order.payment_id
            if not self.agent.kept_names(name):
                self.keep(name, order)
        self.agent.spawn(self.bring())

    @property
    def is_able(self) -> bool:
        """Whether the agent holds an account."""
        return self.settings.payer is not None

    def _orders(
        self, payer: PayerSettings, kind: SettlementKind, payment_id: str, tokens: Mapping[str, int]
    ) -> Iterator[PaymentOrder]:
        """Yield the order, in several where one letter would be too long."""
        lines = [Payment(account=account, tokens=amount) for account, amount in sorted(tokens.items())]
        for first in range(0, len(lines), LINES):
            yield PaymentOrder(
                payment_id=payment_id if first == 0 else f"{payment_id}.{first // LINES}",
                kind=kind,
                payer=payer.account_at(self.now_s() - CARRIED_OVER_S),
                time_s=self.now_s(),
                payments=lines[first : first + LINES],
            )

    @every(minutes=15, offset_s=110)
    async def bring(self) -> None:
        """Bring engine and attestors the orders that they have not acknowledged."""
        for name in self.agent.kept_names(_ORDERED):
            order = self.kept(name, PaymentOrder)
            if order is not None and await self._is_known(order):
                self.keep(name, None)

    async def _is_known(self, order: PaymentOrder) -> bool:
        """Tell whether everyone has taken the order up, or turned it down for good."""
        payer: PayerSettings = self.settings.payer
        told = await asyncio.gather(*(self._told(to, order) for to in (*payer.attestors, payer.engine)))
        return all(told)

    async def _told(self, to: str, order: PaymentOrder) -> bool:
        try:
            await self.ask(to, order, Acknowledgement)
        except Refused as refusal:
            self.agent.counts["payments refused"] += 1
            log.warning("payment refused", payment=order.payment_id, by=to, why=str(refusal))
        except ParityError:
            self.agent.counts["not acknowledged"] += 1
            return False
        return True


class PaymentSettling(Behaviour):
    """Settles what payers have ordered, each order under a key of its own, vouched for by the attestors."""

    settings: MarketEngineSettings

    @on(PaymentOrder)
    def take(self, order: PaymentOrder, letter: Letter) -> Acknowledgement:
        """Take up an order; the same again changes nothing.

        Raises: Refused when the sender does not hold the account, or another order has this id.
        """
        require_holder(self.settings.holders, order, letter)
        key = settlement_key_of(order)
        known = self.kept(_DUE + key, PaymentOrder) or self.kept(f"paid {key}", PaymentOrder)
        if known is not None and payment_hash(known) != payment_hash(order):
            raise Refused(f"another payment was ordered as {order.payment_id}")
        if known is None:
            self.keep(_DUE + key, order)
        return Acknowledgement(of=letter.message_id)

    @every(minutes=15, offset_s=130)
    async def settle(self) -> None:
        """Settle every order that is due; what fails is tried again next time."""
        for name in self.agent.kept_names(_DUE):
            order = self.kept(name, PaymentOrder)
            if order is not None and await self._is_settled(order):
                self.keep(f"paid {settlement_key_of(order)}", order)
                self.keep(name, None)
                self.agent.commit()

    @every(minutes=60)
    def forget(self) -> None:
        """Forget payments that are so old that nobody orders them again."""
        for name in self.agent.kept_names("paid "):
            order = self.kept(name, PaymentOrder)
            if order is not None and order.time_s < self.now_s() - REMEMBERED_S:
                self.keep(name, None)

    async def _is_settled(self, order: PaymentOrder) -> bool:
        """Tell whether an order needs no further try: it is settled, or can never be."""
        ledger: Ledger | None = self.agent.surroundings.ledger
        assert ledger is not None
        key, result = settlement_key_of(order), payment_hash(order)
        registration = self.sibling(PlayerRegistration)
        try:
            await registration.open_accounts(ledger)
            receipt = await ledger.settlement(key)
            if receipt is None:
                attestations = await self.sibling(AttestationCollecting).ordered(key, order, result, ledger)
                receipt = await ledger.settle(
                    key,
                    payment_entries(order),
                    self.now_s(),
                    kind=order.kind,
                    result=result,
                    attestations=attestations,
                )
                registration.follow(receipt)
        except InvalidInput as error:
            self.agent.counts["payments impossible"] += 1
            log.warning("payment dropped", key=key, why=str(error))
            return True
        except ParityError as error:
            self.agent.counts["settlements failed"] += 1
            log.warning("payment not settled", key=key, why=str(error))
            return False
        self.agent.counts["receivables"] += len(receipt.receivables)
        self.sibling(EntryKeeping).note(key, order.payer, order.payments)
        return True


class EntryKeeping(Behaviour):
    """Tells the repository who paid whom, until it has acknowledged every entry."""

    settings: MarketEngineSettings

    def note(self, key: str, payer: str, payments: list[Payment]) -> None:
        """Note what was settled under a key."""
        for payment in payments:
            entry = LedgerEntry(
                time_s=self.now_s(),
                debit=payer,
                credit=payment.account,
                amount_tokens=payment.tokens,
                settlement_key=key,
            )
            self.keep(f"{_ENTRY}{key} {payer} {payment.account}", entry)

    @every(minutes=15, offset_s=140)
    async def deliver(self) -> None:
        """Bring the repository the entries that it has not acknowledged."""
        names = self.agent.kept_names(_ENTRY)
        for first in range(0, len(names), ENTRIES_AT_ONCE):
            group = names[first : first + ENTRIES_AT_ONCE]
            if not all(await asyncio.gather(*(self._delivered(name) for name in group))):
                return

    async def _delivered(self, name: str) -> bool:
        entry = self.kept(name, LedgerEntry)
        try:
            if entry is not None:
                await self.ask(self.settings.repository, entry, Acknowledgement)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return False
        self.keep(name, None)
        return True

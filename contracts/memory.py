"""The ledger without a chain: the same rules in a dictionary, for tests of agents and for quick studies."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec

from contracts.batch import BALANCE_LIMIT, Batch, Settlement, checked_openings
from ontology.errors import Conflict, InvalidInput, Refused, problem
from ontology.ledger import SettlementKind

__all__ = ["MemoryLedger", "allowed", "outcome"]


NO_NAMES: Mapping[str, str] = {}


class MemoryLedger:
    """The `Ledger` port in memory; a property test holds it equal to `EvmLedger`.

    Args: aggregator: the account that funds what members cannot pay; the first one ever opened.
    """

    attestors: Sequence[str] = ()
    quorum = 0

    def __init__(self, aggregator: str = "aggregator") -> None:
        self._aggregator = aggregator
        self._balances: dict[str, int] = {}
        self._receivables: dict[str, int] = {}
        self._settlements: dict[str, Settlement] = {}
        self._receipts: set[str] = set()

    async def open_accounts(self, accounts: Mapping[str, int]) -> None:
        """Open accounts (pseudonym to initial tokens) that do not exist yet.

        Raises: InvalidInput when an amount is out of range or the first accounts lack the aggregator's.
        """
        accounts = checked_openings(accounts)
        if accounts and self._aggregator not in {*self._balances, *accounts}:
            raise InvalidInput(problem("accounts", self._aggregator, "opened first: it funds the others"))
        self._balances = {**accounts, **self._balances}

    async def settle(
        self,
        key: str,
        entries: Mapping[str, int],
        time_s: int,
        *,
        kind: SettlementKind = SettlementKind.LEM,
        result: str = "",
        attestations: Mapping[str, str] = NO_NAMES,
    ) -> Settlement:
        """Settle a batch of signed token changes under a key; a known key changes nothing. Nobody attests.

        Raises: InvalidInput when the entries do not sum to zero or name unknown accounts, Conflict when
        another batch has this key, Refused when the aggregator cannot fund what others lack.
        """
        batch = Batch.of(key, entries)
        if held := self._settlements.get(key):
            batch.require_same(held)
            return msgspec.structs.replace(held, fresh=False)
        await self.balances(entries)  # all of them are open
        after, unpaid = outcome(batch, self._balances, self._aggregator)
        self._balances |= after
        for name, tokens in unpaid.items():
            self._receivables[name] = self._receivables.get(name, 0) + tokens
        digest = sha256(key.encode() + batch.digest).hexdigest()
        settlement = self._settlements[key] = Settlement(
            key=key, transaction=f"0x{digest}", entries=batch.entries, receivables=unpaid, fresh=True
        )
        return settlement

    async def settlement(self, key: str) -> Settlement | None:
        """Return the settlement held under a key, if any."""
        held = self._settlements.get(key)
        return held and msgspec.structs.replace(held, fresh=False)

    async def balances(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return the tokens of each account.

        Raises: InvalidInput when an account is unknown.
        """
        accounts = list(accounts)
        problems = [
            problem("accounts", name, "an open account") for name in accounts if name not in self._balances
        ]
        if problems:
            raise InvalidInput(problems)
        return {name: self._balances[name] for name in accounts}

    async def receivables(self, accounts: Iterable[str]) -> dict[str, int]:
        """Return what each account owes the aggregator, in tokens.

        Raises: InvalidInput when an account is unknown.
        """
        return {name: self._receivables.get(name, 0) for name in await self.balances(accounts)}

    async def collect(self, accounts: Iterable[str]) -> None:
        """Pay the aggregator what accounts owe, as far as their balances go.

        Raises: InvalidInput when an account is unknown.
        """
        for name, owed in (await self.receivables(accounts)).items():
            paid = min(owed, self._balances[name])
            self._balances[name] -= paid
            self._balances[self._aggregator] += paid
            self._receivables[name] = owed - paid

    async def top_up(self, account: str, tokens: int, receipt: str = "") -> None:
        """Mint tokens into an account; a receipt, where one is given, counts once.

        Raises: InvalidInput when the account is unknown or the amount out of range, Conflict when the receipt
        was used already.
        """
        if receipt in self._receipts:
            raise Conflict("ledger: receipt used already")
        tokens = checked_openings({account: tokens})[account]
        self._balances[account] = allowed((await self.balances((account,)))[account] + tokens)
        if receipt:
            self._receipts.add(receipt)

    async def supply(self) -> int:
        """Return all tokens there are."""
        return sum(self._balances.values())


def outcome(
    batch: Batch, balances: Mapping[str, int], aggregator: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the balances that a batch changes as they are after it, and what of its debits nobody could pay.

    Raises: Refused when the aggregator cannot fund that, or a balance would be too large.
    """
    unpaid = {
        name: -change - balances[name]
        for name, change in batch.entries.items()
        if name != aggregator and balances[name] + change < 0
    }
    after = {name: balances[name] + change + unpaid.get(name, 0) for name, change in batch.entries.items()}
    after[aggregator] = after.get(aggregator, balances[aggregator]) - sum(unpaid.values())
    return {name: allowed(tokens) for name, tokens in after.items()}, unpaid


def allowed(tokens: int) -> int:
    """Return a balance that may be.

    Raises: Refused when it is negative or too large.
    """
    if tokens < 0:
        raise Refused("ledger: the aggregator cannot fund it")
    if tokens >= BALANCE_LIMIT:
        raise Refused("ledger: balance too large")
    return tokens

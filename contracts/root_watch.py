"""Who looks after balance roots: holders prove what they have, anyone challenges, attestors object."""

from collections.abc import Sequence
from typing import Any

from eth_utils import to_checksum_address

from contracts.attestation import signature_text, signatures_in_order
from contracts.balance_tree import Fraud, Step
from contracts.calldata import keccak, message_of, number
from contracts.chain import Chain, Mined, Reverted, Signer
from contracts.deployed import DeployedContract
from ontology.errors import Refused

__all__ = ["RootWatch"]


class RootWatch:
    """The public side of a BalanceRoots contract, with somebody's key; `time_s` is when, in epoch seconds.

    Args:
        chain: where the contract is.
        contract: its address.
        signer: pays for what is written; objects, where it is an attestor.

    Raises: Conflict when the address runs other code.
    """

    def __init__(self, chain: Chain, contract: str, signer: Signer) -> None:
        self._chain = chain
        self._signer = signer
        self._roots = DeployedContract(chain, "balance_roots", contract)

    @property
    def head(self) -> int:
        """The number of the newest root that stands."""
        return int(self._roots.ask("head"))

    def root(self, root: int) -> bytes:
        """Return the hash under a number, whether it stands or fell."""
        return bytes(self._roots.ask("roots", root)[0])

    def last_final(self, time_s: int) -> int:
        """Return the newest root whose window is over without an objection to any; 0 where there is none."""
        if self._roots.ask("objected"):
            return 0
        window_s = int(self._roots.ask("window_s"))
        low, high = 0, self.head
        while low < high:  # roots are posted one after the other, so the times grow
            middle = (low + high + 1) // 2
            posted_s = int(self._roots.ask("roots", middle)[2])
            low, high = (middle, high) if posted_s + window_s < time_s else (low, middle - 1)
        return low

    def prove(self, account: int, tokens: int, root: int, path: Sequence[Step], time_s: int = 0) -> None:
        """Have the contract note an account's balance under a final root.

        Raises: Refused when the root is not final or says something else, Unavailable when the chain is away.
        """
        self._send("prove", account, tokens, root, path, time_s=time_s)

    def proven(self, account: int) -> int | None:
        """Return the balance that an account has last proven, if any."""
        return int(self._roots.ask("proven", account)) - 1 if self._roots.ask("proven_by", account) else None

    def challenge(self, root: int, fraud: Fraud, time_s: int = 0) -> None:
        """Show that a tree does not add up: its root falls with all that followed.

        Raises: Refused when it does, or the window is over, Unavailable when the chain
        is away.
        """
        self._send("challengeSum", root, fraud.path, fraud.claimed_sum, fraud.node, time_s=time_s)

    def contest(self, root: int, time_s: int = 0) -> None:
        """Object to a root as an attestor: no root is final until a quorum has confirmed this one.

        Raises: Refused when the key is no attestor's, or the window is over, Unavailable when the chain
        is away.
        """
        self._send("contest", root, time_s=time_s)

    def confirm(self, root: int, attestors: Sequence[Signer], time_s: int = 0) -> None:
        """Settle an objection with a quorum's signatures.

        Raises: Refused when they are none, or nobody objected, Unavailable when the chain is away.
        """
        message = message_of(
            self._chain.id, self._roots.address, keccak(b"confirm" + number(root) + self.root(root))
        )
        signed = {each.address: signature_text(each.sign_hash(message)) for each in attestors}
        council = [to_checksum_address(address) for address in self._roots.ask("attestorsOf")]
        self._send("confirm", root, signatures_in_order(council, message, signed), time_s=time_s)

    def overturn(self, root: int, time_s: int = 0) -> None:
        """Let a root fall that was contested and, for another window, not confirmed.

        Raises: Refused before that, Unavailable when the chain is away.
        """
        self._send("overturn", root, time_s=time_s)

    def _send(self, function: str, *arguments: Any, time_s: int) -> Mined:
        try:
            return self._roots.send(self._signer, function, *arguments, time_s=time_s)
        except Reverted as error:
            raise Refused(f"balance roots: {error}") from error

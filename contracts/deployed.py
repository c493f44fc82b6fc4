"""A contract on a chain, spoken to by the names in its interface."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from eth_abi import decode, encode

from contracts.artefact import load_artefact
from contracts.calldata import call_data
from contracts.chain import Chain, Mined, Signer
from contracts.events import ContractEvent, abi_type, decode_event
from ontology.errors import Conflict

__all__ = ["DeployedContract"]


class DeployedContract:
    """One of the contracts shipped here, at an address.

    Raises: Conflict when the address runs other code.
    """

    def __init__(self, chain: Chain, name: str, address: str) -> None:
        self._chain = chain
        self._name = name
        self.address = address
        if not load_artefact(name).is_deployed_as(chain.code_at(address)):
            raise Conflict(f"chain: {address} does not run this version's {name} contract")

    @classmethod
    def deploy(cls, chain: Chain, signer: Signer, name: str, *arguments: Any) -> "DeployedContract":
        """Create the contract; its deployer is the signer.

        Raises: Reverted with the contract's reason, Unavailable when the chain cannot be reached.
        """
        encoded = encode(_inputs(name, ""), arguments)
        mined = chain.transact(signer, load_artefact(name).deployment(encoded), to=None)
        return cls(chain, name, mined.contract)

    def send(self, signer: Signer, function: str, *arguments: Any, time_s: int = 0) -> Mined:
        """Call a function in a transaction.

        Raises: Reverted with the contract's reason, Unavailable when the chain cannot be reached.
        """
        data = call_data(f"{function}({','.join(_inputs(self._name, function))})", *arguments)
        return self._chain.transact(signer, data, to=self.address, time_s=time_s)

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return what a function answers: a value, or several as a tuple.

        Raises: Reverted with the contract's reason, Unavailable when the chain cannot be reached.
        """
        data = call_data(f"{function}({','.join(_inputs(self._name, function))})", *arguments)
        answer = decode(_outputs(self._name, function), self._chain.call(self.address, data))
        return answer[0] if len(answer) == 1 else answer

    def events_of(self, mined: Mined) -> list[ContractEvent]:
        """Return what a transaction made the contract tell."""
        return [decode_event(self._name, log) for log in mined.logs]

    def events(self, first_block: int = 0) -> list[ContractEvent]:
        """Return all that the contract has told since a block, in order.

        Raises: Unavailable when the chain cannot be reached.
        """
        return [
            decode_event(self._name, log) for log in self._chain.logs(self.address, [], first_block, None)
        ]


@cache
def _function(contract: str, name: str) -> Mapping[str, Any]:
    """Return the interface of a function, or of the constructor, which has no name."""
    interface = load_artefact(contract).abi
    return next(each for each in interface if each["type"] != "event" and each.get("name", "") == name)


def _inputs(contract: str, function: str) -> Sequence[str]:
    return [abi_type(each) for each in _function(contract, function)["inputs"]]


def _outputs(contract: str, function: str) -> Sequence[str]:
    return [abi_type(each) for each in _function(contract, function)["outputs"]]

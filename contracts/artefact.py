"""What ships of a compiled contract: interface, bytecode and the source that they came from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ontology.errors import Unavailable

__all__ = ["SOURCES", "Artefact", "load_artefact", "path_of"]

SOURCES = Path(__file__).parent


class Artefact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A compiled contract; `bytecode` (which deploys `runtime`) is hexadecimal with 0x.

    `source_sha256`, hexadecimal without, is of the contract's source and then its modules' by name.
    """

    contract: str
    compiler: str
    source_sha256: str
    abi: Sequence[Mapping[str, Any]]
    bytecode: str
    runtime: str

    def deployment(self, arguments: bytes = b"") -> bytes:
        """Return what a transaction carries that creates the contract."""
        return bytes.fromhex(self.bytecode.removeprefix("0x")) + arguments

    def is_deployed_as(self, code: bytes) -> bool:
        """Tell whether an address with some code runs this contract; its immutables follow the code."""
        runtime = bytes.fromhex(self.runtime.removeprefix("0x"))
        return code.startswith(runtime) and not len(code[len(runtime) :]) % 32


def path_of(contract: str) -> Path:
    """Return where the artefact of a contract is kept."""
    return SOURCES / "artifacts" / f"{contract}.json"


def load_artefact(contract: str) -> Artefact:
    """Read the shipped artefact of a contract.

    Raises: Unavailable when it was not shipped.
    """
    try:
        return msgspec.json.decode(path_of(contract).read_bytes(), type=Artefact)
    except FileNotFoundError:
        raise Unavailable(f"{contract}: no artefact; run python -m contracts.compile") from None

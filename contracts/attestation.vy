# pragma version 0.4.3
"""
@title Quorum of a bounded set of attestors
@license Apache-2.0
@notice A statement counts when enough of the configured attestors have signed it, each for itself.
@dev    A module: the contract that initializes it decides who appoints. Signatures are collected off the chain,
        and come together in the order of the attestors' numbers.
"""

struct Signature:
    attestor: uint256  # its number in the set
    v: uint256
    r: uint256
    s: uint256

event AttestorsAppointed:
    attestors: DynArray[address, MAX_ATTESTORS]
    quorum: uint256

event Attested:
    key: indexed(bytes32)
    attestor: indexed(address)

event Objected:
    key: indexed(bytes32)
    attestor: indexed(address)
    result: bytes32

MAX_ATTESTORS: constant(uint256) = 16
DOMAIN: constant(bytes32) = keccak256("parity-mas attestation")

attestors: DynArray[address, MAX_ATTESTORS]
quorum: public(uint256)


@external
@view
def attestorsOf() -> DynArray[address, MAX_ATTESTORS]:
    """
    @return The attestors, in the order of their numbers.
    """
    return self.attestors


@external
def object(key: bytes32, result: bytes32):
    """
    @notice Say in public that another result than one's own is being attested under a key.
    @param result The hash of the result that the attestor came to itself.
    """
    assert msg.sender in self.attestors, "only an attestor"
    log Objected(key=key, attestor=msg.sender, result=result)


@internal
def _appoint(attestors: DynArray[address, MAX_ATTESTORS], quorum: uint256):
    assert quorum > 0 and quorum <= len(attestors), "a quorum of the attestors"
    self.attestors = []
    for attestor: address in attestors:
        assert attestor != empty(address) and attestor not in self.attestors, "each attestor once"
        self.attestors.append(attestor)
    self.quorum = quorum
    log AttestorsAppointed(attestors=attestors, quorum=quorum)


@internal
def _require_quorum(
    key: bytes32, statement: bytes32, signatures: DynArray[Signature, MAX_ATTESTORS]
):
    assert len(signatures) >= self.quorum, "no quorum"
    message: bytes32 = keccak256(
        concat(DOMAIN, convert(chain.id, bytes32), convert(self, bytes32), statement)
    )
    least: uint256 = 0
    for signature: Signature in signatures:
        assert signature.attestor >= least, "each attestor once and in order"
        assert signature.attestor < len(self.attestors), "not an attestor's signature"
        attestor: address = self.attestors[signature.attestor]
        signer: address = ecrecover(message, signature.v, signature.r, signature.s)
        assert signer == attestor, "not an attestor's signature"
        least = signature.attestor + 1
        log Attested(key=key, attestor=attestor)

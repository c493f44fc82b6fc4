# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Balances of a large community under one hash
@license Apache-2.0
@notice Each settlement posts the root of a Merkle sum tree over all balances after it, with a quorum of the
        attestors. Within the challenge window anyone can show that the tree does not add up, and an attestor can
        object; a root that stood through its window is final, and every holder proves its balance under it.
@dev    leaf = sha256(0x00, number, balance); node = sha256(0x01, left hash, left sum, right hash, right sum). The
        root's two sums must add up to the supply, so a batch under a root sums to zero, and a sum is never
        negative, so nobody is overdrawn. sha256 is a precompile here and fast in every language.
"""

import attestation

initializes: attestation
exports: (attestation.object, attestation.attestorsOf, attestation.quorum)

struct Node:
    left: bytes32
    left_sum: uint256
    right: bytes32
    right_sum: uint256

struct Root:
    hash: bytes32
    key: bytes32
    posted_s: uint256
    objections: uint256
    supply: uint256

struct Step:
    other: bytes32  # the hash beside the one that is proven
    other_sum: uint256
    is_left: bool  # whether that other one is the left child

event Posted:
    key: indexed(bytes32)
    kind: indexed(uint256)
    number: indexed(uint256)
    hash: bytes32
    result: bytes32

event Minted:
    number: indexed(uint256)
    tokens: uint256
    hash: bytes32

event Challenged:
    number: indexed(uint256)
    challenger: indexed(address)

event Contested:
    number: indexed(uint256)
    attestor: indexed(address)

event Confirmed:
    number: indexed(uint256)

event Proven:
    account: indexed(uint256)
    number: indexed(uint256)
    balance: uint256

MAX_DEPTH: constant(uint256) = 40
SUM_LIMIT: constant(uint256) = 1 << 128
KINDS: constant(uint256) = 7  # as in settlement.vy

owner: public(immutable(address))
window_s: public(immutable(uint256))
operator: public(address)
supply: public(uint256)
head: public(uint256)  # the newest root that stands
roots: public(HashMap[uint256, Root])
numbers: public(HashMap[bytes32, uint256])  # which root settled a key
contested: public(HashMap[uint256, HashMap[address, bool]])
objected: public(uint256)  # how many roots wait for a confirmation
proven: public(HashMap[uint256, uint256])  # balance + 1 that an account has proven
proven_by: public(HashMap[uint256, uint256])  # under which root


@deploy
def __init__(
    operator: address,
    attestors: DynArray[address, attestation.MAX_ATTESTORS],
    quorum: uint256,
    window: uint256,
):
    """
    @notice The deployer becomes the owner.
    @param window Seconds in which a root can be challenged.
    """
    owner = msg.sender
    window_s = window
    self.operator = operator
    attestation._appoint(attestors, quorum)


@external
def appointAttestors(attestors: DynArray[address, attestation.MAX_ATTESTORS], quorum: uint256):
    """
    @notice Let other attestors, or another quorum of them, decide what counts from now on.
    """
    assert msg.sender == owner, "only the owner"
    attestation._appoint(attestors, quorum)


@external
def mint(number: uint256, top: Node, tokens: uint256):
    """
    @notice Open accounts or top them up: a root over balances with some tokens more than before.
    @param number That of the root that this follows; a mint on another one is turned down.
    """
    assert msg.sender == owner, "only the owner"
    assert number == self.head, "not the newest root"
    self.supply += tokens
    hash: bytes32 = self._append(empty(bytes32), top)
    log Minted(number=self.head, tokens=tokens, hash=hash)


@external
def post(
    key: bytes32,
    kind: uint256,
    result: bytes32,
    number: uint256,
    top: Node,
    signatures: DynArray[attestation.Signature, attestation.MAX_ATTESTORS],
):
    """
    @notice Settle a key: the balances are those under a new root from now on.
    @param number That of the root that this follows.
    @param signatures Of the attestors, for key, kind, result, the root before and the new one.
    """
    assert msg.sender == self.operator, "only the operator"
    assert kind < KINDS, "unknown kind"
    assert key != empty(bytes32) and self.numbers[key] == 0, "settled already"
    assert number == self.head and number > 0, "not the newest root"
    before: bytes32 = self.roots[number].hash
    hash: bytes32 = self._append(key, top)
    statement: bytes32 = keccak256(concat(key, convert(kind, bytes32), result, before, hash))
    attestation._require_quorum(key, statement, signatures)
    self.numbers[key] = self.head
    log Posted(key=key, kind=kind, number=self.head, hash=hash, result=result)


@external
def challengeSum(number: uint256, path: DynArray[Step, MAX_DEPTH], sum: uint256, node: Node):
    """
    @notice Show that a node under a root does not add up; that root, and all that followed it, fall.
    @param path From the node up to the root.
    @param sum What its parent says that it adds up to.
    """
    self._require_open(number)
    assert len(path) > 0, "the root itself adds up"
    assert self._climbed(self._hash(node), sum, path) == self.roots[number].hash, "not under this root"
    too_large: bool = node.left_sum >= SUM_LIMIT or node.right_sum >= SUM_LIMIT
    assert too_large or node.left_sum + node.right_sum != sum, "it adds up"
    self._fall(number)


@external
def contest(number: uint256):
    """
    @notice As an attestor, object to a root: it is not final until a quorum has confirmed it.
    """
    self._require_open(number)
    assert msg.sender in attestation.attestors, "only an attestor"
    assert not self.contested[number][msg.sender], "contested already"
    self.contested[number][msg.sender] = True
    if self.roots[number].objections == 0:
        self.objected += 1
    self.roots[number].objections += 1
    log Contested(number=number, attestor=msg.sender)


@external
def confirm(number: uint256, signatures: DynArray[attestation.Signature, attestation.MAX_ATTESTORS]):
    """
    @notice Settle an objection: a quorum, none of those that objected among it, signs for the root once more.
    """
    root: Root = self.roots[number]
    assert number > 0 and number <= self.head, "no such root"
    assert root.objections > 0, "nobody objected"
    for signature: attestation.Signature in signatures:
        attestor: address = attestation.attestors[signature.attestor]
        assert not self.contested[number][attestor], "signed by who objected"
    statement: bytes32 = keccak256(concat(b"confirm", convert(number, bytes32), root.hash))
    attestation._require_quorum(root.key, statement, signatures)
    self.roots[number].objections = 0
    self.objected -= 1
    log Confirmed(number=number)


@external
def overturn(number: uint256):
    """
    @notice Let a contested root that nobody confirmed within another window fall.
    """
    root: Root = self.roots[number]
    assert number > 0 and number <= self.head, "no such root"
    assert root.objections > 0, "nobody objected"
    assert block.timestamp > root.posted_s + 2 * window_s, "still to be confirmed"
    self._fall(number)


@external
def prove(account: uint256, balance: uint256, number: uint256, path: DynArray[Step, MAX_DEPTH]):
    """
    @notice Write an account's balance under a final root down, where contracts can read it.
    """
    assert self._is_final(number), "not final"
    assert number > self.proven_by[account], "not newer"
    leaf: bytes32 = sha256(concat(0x00, convert(account, bytes32), convert(balance, bytes32)))
    assert self._climbed(leaf, balance, path) == self.roots[number].hash, "not under this root"
    self.proven[account] = balance + 1
    self.proven_by[account] = number
    log Proven(account=account, number=number, balance=balance)


@external
@view
def isFinal(number: uint256) -> bool:
    """
    @return Whether a root stands for good.
    """
    return self._is_final(number)


@internal
@view
def _is_final(number: uint256) -> bool:
    """
    @dev A root is final with all that went before it; they are older, so only objections matter.
    """
    if number == 0 or number > self.head or self.objected > 0:
        return False
    return block.timestamp > self.roots[number].posted_s + window_s


@internal
@view
def _require_open(number: uint256):
    assert number > 0 and number <= self.head, "no such root"
    assert block.timestamp <= self.roots[number].posted_s + window_s, "challenge expired"


@internal
def _append(key: bytes32, top: Node) -> bytes32:
    assert top.left_sum < SUM_LIMIT and top.right_sum < SUM_LIMIT, "balance too large"
    assert top.left_sum + top.right_sum == self.supply, "does not sum to the supply"
    hash: bytes32 = self._hash(top)
    self.head += 1
    self.roots[self.head] = Root(hash=hash, key=key, posted_s=block.timestamp, objections=0, supply=self.supply)
    return hash


@internal
def _fall(number: uint256):
    for i: uint256 in range(number, self.head + 1, bound=100_000):
        self.numbers[self.roots[i].key] = 0
        if self.roots[i].objections > 0:
            self.objected -= 1
    self.head = number - 1
    self.supply = self.roots[self.head].supply
    log Challenged(number=number, challenger=msg.sender)


@internal
@pure
def _hash(node: Node) -> bytes32:
    return sha256(
        concat(
            0x01,
            node.left,
            convert(node.left_sum, bytes32),
            node.right,
            convert(node.right_sum, bytes32),
        )
    )


@internal
@pure
def _climbed(hash: bytes32, sum: uint256, path: DynArray[Step, MAX_DEPTH]) -> bytes32:
    at: bytes32 = hash
    at_sum: uint256 = sum
    for step: Step in path:
        if step.is_left:
            at = self._hash(Node(left=step.other, left_sum=step.other_sum, right=at, right_sum=at_sum))
        else:
            at = self._hash(Node(left=at, left_sum=at_sum, right=step.other, right_sum=step.other_sum))
        at_sum += step.other_sum
    return at

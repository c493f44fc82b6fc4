# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Settlement of a community's prepaid tokens
@license Apache-2.0
@notice Moves tokens between accounts in zero-sum batches, each settled exactly once. No account is ever
        overdrawn: what a debit lacks becomes a receivable, and the aggregator's account pays it in.
        A batch counts only with a quorum of the attestors, who sign its result and all of its changes.
@dev    An account is a dense number; number 0 is the aggregator's. One storage word, a quad, holds the balances
        of four accounts in 64-bit lanes: account n is lane n % 4 of quad n // 4. Balances stay below 2**63,
        which leaves each lane a guard bit that shows a borrow or a carry, so four accounts move at once.
        The digest of a batch is a chain of its parts: hash(hash(changes of a part), digest of the parts that
        follow), which is zero after the last part. So one signature over the first digest binds every part.
"""

import attestation

initializes: attestation
exports: (attestation.object, attestation.attestorsOf, attestation.quorum)

struct Change:
    quad: uint256     # which four accounts
    debits: uint256   # what each of them pays, a lane each, below 2**52
    credits: uint256  # what each of them gets, a lane each, below 2**52

struct Batch:
    digest: bytes32  # of all its parts
    first_block: uint256
    rest: bytes32  # digest of the parts that have not come yet; settled when zero

event Opened:
    key: indexed(bytes32)
    account: indexed(uint256)
    tokens: uint256

event Minted:
    account: indexed(uint256)
    tokens: uint256
    receipt: bytes32

event Settled:
    key: indexed(bytes32)
    kind: indexed(uint256)
    digest: bytes32
    result: bytes32
    moved: uint256
    unpaid: uint256
    rest: bytes32
    time_s: uint256

event Receivable:
    key: indexed(bytes32)
    account: indexed(uint256)
    tokens: uint256

event Collected:
    account: indexed(uint256)
    tokens: uint256

event OperatorAppointed:
    operator: indexed(address)

event MinimumSet:
    tokens: uint256

MAX_ACCOUNTS: constant(uint256) = 1024  # in one call
MAX_CHANGES: constant(uint256) = 1024  # in one part of a batch: 4,096 accounts
LANE: constant(uint256) = (1 << 64) - 1
GUARDS: constant(uint256) = (1 << 63) | (1 << 127) | (1 << 191) | (1 << 255)
EXCESS: constant(uint256) = (((1 << 12) - 1) << 52) * (1 + (1 << 64) + (1 << 128) + (1 << 192))
BALANCE_LIMIT: constant(uint256) = 1 << 63

# 0 LEM, 1 VPP payoff, 2 flexibility order, 3 demand response, 4 SLA penalty, 5 correction, 6 carry-over
KINDS: constant(uint256) = 7

owner: public(immutable(address))
operator: public(address)
supply: public(uint256)
accounts: public(uint256)
receivables: public(HashMap[uint256, uint256])
batches: public(HashMap[bytes32, Batch])
minimum: public(uint256)  # who holds less takes no part
receipts: public(HashMap[bytes32, bool])  # of mints, each used once
numbers: HashMap[bytes32, uint256]  # account number + 1 by the hash of its pseudonym; 0 is unknown
quads: uint256[1 << 48]


@deploy
def __init__(
    operator: address,
    attestors: DynArray[address, attestation.MAX_ATTESTORS],
    quorum: uint256,
    minimum: uint256,
):
    """
    @notice The deployer becomes the owner (the market operator): it opens accounts and mints. The operator
            settles what the attestors have signed.
    """
    owner = msg.sender
    self.operator = operator
    self.minimum = minimum
    attestation._appoint(attestors, quorum)


@external
def appointOperator(operator: address):
    """
    @notice Let another address settle from now on.
    """
    assert msg.sender == owner, "only the owner"
    self.operator = operator
    log OperatorAppointed(operator=operator)


@external
def appointAttestors(attestors: DynArray[address, attestation.MAX_ATTESTORS], quorum: uint256):
    """
    @notice Let other attestors, or another quorum of them, decide what counts from now on.
    """
    assert msg.sender == owner, "only the owner"
    attestation._appoint(attestors, quorum)


@external
def setMinimum(tokens: uint256):
    """
    @notice Set the balance below which nobody takes part in a market.
    """
    assert msg.sender == owner, "only the owner"
    self.minimum = tokens
    log MinimumSet(tokens=tokens)


@external
def openAccounts(keys: DynArray[bytes32, MAX_ACCOUNTS], tokens: DynArray[uint256, MAX_ACCOUNTS]):
    """
    @notice Open accounts with their first tokens; keys that are known are left as they are.
    @param keys Hashes of the holders' pseudonyms; the first one ever opened is the aggregator's.
    """
    assert msg.sender == owner, "only the owner"
    assert len(keys) == len(tokens), "one amount an account"
    account: uint256 = self.accounts
    minted: uint256 = 0
    for i: uint256 in range(len(keys), bound=MAX_ACCOUNTS):
        key: bytes32 = keys[i]
        if self.numbers[key] == 0:
            self._add(account, tokens[i])
            minted += tokens[i]
            log Opened(key=key, account=account, tokens=tokens[i])
            account += 1
            self.numbers[key] = account
    self.accounts = account
    self.supply += minted


@external
def mint(account: uint256, tokens: uint256, receipt: bytes32):
    """
    @notice Top up an account.
    @param receipt What the payment is known by; one that is not zero counts once.
    """
    assert msg.sender == owner, "only the owner"
    assert not self.receipts[receipt], "receipt used already"
    if receipt != empty(bytes32):
        self.receipts[receipt] = True
    assert account < self.accounts, "unknown account"
    self._add(account, tokens)
    self.supply += tokens
    log Minted(account=account, tokens=tokens, receipt=receipt)


@external
def settle(
    key: bytes32,
    digest: bytes32,
    kind: uint256,
    result: bytes32,
    rest: bytes32,
    time_s: uint256,
    aggregator_change: int256,
    changes: DynArray[Change, MAX_CHANGES],
    signatures: DynArray[attestation.Signature, attestation.MAX_ATTESTORS],
):
    """
    @notice Settle a batch, or one part of it, under a key. A key is settled once no rest is left.
    @param digest Of the whole batch; see above.
    @param kind What it is for; one of KINDS.
    @param result Hash of the market's result that the changes carry out.
    @param rest Digest of the parts that follow this one, zero when none does.
    @param signatures Of the attestors, for key, kind, result and digest; needed with the first part.
    @param time_s When, in the clock of the community (epoch seconds); recorded, not checked.
    @param aggregator_change What the aggregator's account gets, so that the part sums to zero.
    @param changes What all other accounts pay and get.
    """
    assert msg.sender == self.operator, "only the operator"
    assert kind < KINDS, "unknown kind"
    if self._takes_first_turn(key, digest, rest, keccak256(abi_encode(changes))):
        statement: bytes32 = keccak256(concat(key, convert(kind, bytes32), result, digest))
        attestation._require_quorum(key, statement, signatures)
    full_quads: uint256 = self.accounts // 4
    rest_bits: uint256 = 64 * (self.accounts % 4)
    debits: uint256 = 0
    credits: uint256 = 0
    unpaid: uint256 = 0
    for change: Change in changes:
        touched: uint256 = change.debits | change.credits
        assert touched & EXCESS == 0, "amount too large"
        if change.quad >= full_quads:
            assert change.quad == full_quads and touched >> rest_bits == 0, "unknown account"
        before: uint256 = self.quads[change.quad]
        after: uint256 = unsafe_sub(before | GUARDS, change.debits)
        if after & GUARDS != GUARDS:  # a lane borrowed its guard: someone cannot pay
            missing: uint256 = 0
            after, missing = self._capped(key, change.quad, before, change.debits)
            unpaid += missing
        after = unsafe_add(after ^ GUARDS, change.credits)
        assert after & GUARDS == 0, "balance too large"
        self.quads[change.quad] = after
        debits = unsafe_add(debits, change.debits)  # 1,024 amounts below 2**52 stay in their lane
        credits = unsafe_add(credits, change.credits)
    moved: uint256 = self._total(debits)
    change: int256 = convert(moved, int256) - convert(self._total(credits), int256)
    assert change == aggregator_change, "does not sum to zero"
    self._change_funds(change - convert(unpaid, int256))
    log Settled(
        key=key,
        kind=kind,
        digest=digest,
        result=result,
        moved=moved,
        unpaid=unpaid,
        rest=rest,
        time_s=time_s,
    )


@external
def collect(debtors: DynArray[uint256, MAX_ACCOUNTS]):
    """
    @notice Pay the aggregator what accounts owe from earlier batches, as far as their balances go.
    """
    assert msg.sender == self.operator, "only the operator"
    collected: uint256 = 0
    for account: uint256 in debtors:
        assert account < self.accounts, "unknown account"
        paid: uint256 = min(self.receivables[account], self._balance(account))
        self.receivables[account] -= paid
        self.quads[account // 4] -= paid << (64 * (account % 4))
        collected += paid
        log Collected(account=account, tokens=paid)
    self._change_funds(convert(collected, int256))


@external
@view
def numbersOf(keys: DynArray[bytes32, MAX_ACCOUNTS]) -> DynArray[uint256, MAX_ACCOUNTS]:
    """
    @return The account number + 1 of each key, 0 where there is no account.
    """
    found: DynArray[uint256, MAX_ACCOUNTS] = []
    for key: bytes32 in keys:
        found.append(self.numbers[key])
    return found


@external
@view
def quadsOf(quads: DynArray[uint256, MAX_ACCOUNTS]) -> DynArray[uint256, MAX_ACCOUNTS]:
    """
    @return The balances of four accounts each, a lane each.
    """
    found: DynArray[uint256, MAX_ACCOUNTS] = []
    for quad: uint256 in quads:
        found.append(self.quads[quad])
    return found


@external
@view
def receivablesOf(accounts: DynArray[uint256, MAX_ACCOUNTS]) -> DynArray[uint256, MAX_ACCOUNTS]:
    """
    @return What each account owes the aggregator.
    """
    found: DynArray[uint256, MAX_ACCOUNTS] = []
    for account: uint256 in accounts:
        found.append(self.receivables[account])
    return found


@external
@view
def isSolvent(account: uint256) -> bool:
    """
    @return Whether an account holds the minimum.
    """
    return account < self.accounts and self._balance(account) >= self.minimum


@external
@view
def numberOf(key: bytes32) -> uint256:
    """
    @return The account number + 1 of a key, 0 where there is no account.
    """
    return self.numbers[key]


@internal
def _takes_first_turn(key: bytes32, digest: bytes32, rest: bytes32, part: bytes32) -> bool:
    """
    @notice Take a part's place in its batch.
    @return Whether it is the first one.
    """
    held: Batch = self.batches[key]
    link: bytes32 = keccak256(concat(part, rest))
    if held.first_block == 0:
        assert link == digest, "not what the digest says"
        self.batches[key] = Batch(digest=digest, first_block=block.number, rest=rest)
        return True
    assert held.digest == digest, "another batch has this key"
    assert held.rest != empty(bytes32), "settled already"
    assert held.rest == link, "part out of turn"
    self.batches[key].rest = rest
    return False


@internal
def _capped(key: bytes32, quad: uint256, before: uint256, debits: uint256) -> (uint256, uint256):
    """
    @return The quad, guards set, after everyone in it paid what they can, and what they could not.
    """
    after: uint256 = GUARDS
    unpaid: uint256 = 0
    for lane: uint256 in range(4):
        bits: uint256 = 64 * lane
        balance: uint256 = (before >> bits) & LANE
        debit: uint256 = (debits >> bits) & LANE
        paid: uint256 = min(balance, debit)
        after += (balance - paid) << bits
        if paid < debit:
            account: uint256 = 4 * quad + lane
            self.receivables[account] += debit - paid
            unpaid += debit - paid
            log Receivable(key=key, account=account, tokens=debit - paid)
    return after, unpaid


@internal
def _change_funds(change: int256):
    quad: uint256 = self.quads[0]
    funds: int256 = convert(quad & LANE, int256) + change
    assert funds >= 0, "the aggregator cannot fund it"
    assert funds < convert(BALANCE_LIMIT, int256), "balance too large"
    self.quads[0] = (quad & ~LANE) | convert(funds, uint256)


@internal
def _add(account: uint256, tokens: uint256):
    quad: uint256 = self.quads[account // 4]
    bits: uint256 = 64 * (account % 4)
    assert tokens < BALANCE_LIMIT and ((quad >> bits) & LANE) + tokens < BALANCE_LIMIT, "balance too large"
    self.quads[account // 4] = quad + (tokens << bits)


@internal
@view
def _balance(account: uint256) -> uint256:
    return (self.quads[account // 4] >> (64 * (account % 4))) & LANE


@internal
@pure
def _total(lanes: uint256) -> uint256:
    return (lanes & LANE) + ((lanes >> 64) & LANE) + ((lanes >> 128) & LANE) + (lanes >> 192)

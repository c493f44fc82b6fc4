# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Service-level agreements, their indicators, and verdicts
@license Apache-2.0
@notice Aggregators write agreements and indicators down; oracles bring measures. The contract judges each measure
        when it comes: above or below its limit, with a flat or a graded penalty, in whole numbers.
@dev    Values and limits are millionths of their unit, completeness is in parts per million. A rule describes the
        violation: ABOVE is violated by a value above the limit.
"""

flag Rule:
    ABOVE
    BELOW

struct Sla:
    creator: address
    start_s: uint256
    end_s: uint256
    terms: bytes32  # hash of parties and text, which stay off the chain

struct Kpi:
    sla: bytes32
    rule: Rule
    limit: int128
    unit: bytes32
    penalty: uint128
    graded: bool  # penalty grows with the excess over the tolerance, up to most
    tolerance: uint128
    most: uint128

struct Verdict:
    judged: uint8  # 1 OK, 2 VIOLATED, 3 NOT_EVALUABLE; 0 when there is none
    penalty: uint128
    measured: int128

interface Registry:
    def roles(holder: address) -> uint256: view

event SlaWritten:
    sla: indexed(bytes32)
    creator: indexed(address)
    start_s: uint256
    end_s: uint256
    terms: bytes32

event KpiWritten:
    kpi: indexed(bytes32)
    sla: indexed(bytes32)

event Judged:
    kpi: indexed(bytes32)
    player: indexed(bytes32)
    time_s: indexed(uint256)
    judged: uint8
    penalty: uint128
    measured: int128
    source: bytes32

AGGREGATOR: constant(uint256) = 2  # as in registry.vy
ORACLE: constant(uint256) = 8
OK: constant(uint8) = 1
VIOLATED: constant(uint8) = 2
NOT_EVALUABLE: constant(uint8) = 3
MILLION: constant(uint256) = 1_000_000
COMPLETE_ENOUGH: constant(uint256) = 800_000
VALUE_LIMIT: constant(int128) = 10**24
PENALTY_LIMIT: constant(uint128) = 2**52

registry: public(immutable(address))
slas: public(HashMap[bytes32, Sla])
kpis: public(HashMap[bytes32, Kpi])
players: public(HashMap[bytes32, HashMap[bytes32, bool]])  # whom an indicator is about
verdicts: public(HashMap[bytes32, HashMap[bytes32, HashMap[uint256, Verdict]]])


@deploy
def __init__(registry_: address):
    """
    @param registry_ The contract with the roles.
    """
    registry = registry_


@external
def writeSla(sla: bytes32, start_s: uint256, end_s: uint256, terms: bytes32):
    """
    @notice Write an agreement down, once.
    """
    self._only(AGGREGATOR)
    assert end_s > start_s, "ends before it starts"
    assert self.slas[sla].creator == empty(address), "written already"
    self.slas[sla] = Sla(creator=msg.sender, start_s=start_s, end_s=end_s, terms=terms)
    log SlaWritten(sla=sla, creator=msg.sender, start_s=start_s, end_s=end_s, terms=terms)


@external
def writeKpi(kpi: bytes32, terms: Kpi, players: DynArray[bytes32, 1000]):
    """
    @notice Write an indicator of one's own agreement down, once, and whom it is about.
    """
    self._only(AGGREGATOR)
    assert self.slas[terms.sla].creator == msg.sender, "only the agreement's creator"
    assert self.kpis[kpi].sla == empty(bytes32), "written already"
    assert terms.rule == Rule.ABOVE or terms.rule == Rule.BELOW, "one rule"
    assert terms.limit < VALUE_LIMIT and terms.limit > -VALUE_LIMIT, "limit out of range"
    assert terms.penalty < PENALTY_LIMIT and terms.most < PENALTY_LIMIT, "penalty out of range"
    self.kpis[kpi] = terms
    for player: bytes32 in players:
        self.players[kpi][player] = True
    log KpiWritten(kpi=kpi, sla=terms.sla)


@external
def measure(
    kpi: bytes32,
    player: bytes32,
    time_s: uint256,
    measured: int128,
    unit: bytes32,
    completeness: uint256,
    source: bytes32,
) -> Verdict:
    """
    @notice Bring the measure of an indicator for a player at the end of its interval, once, and judge it.
    @param source Hash of the readings behind it.
    @return The verdict.
    """
    self._only(ORACLE)
    terms: Kpi = self.kpis[kpi]
    sla: Sla = self.slas[terms.sla]
    assert sla.creator != empty(address), "unknown indicator"
    assert self.players[kpi][player], "not about this player"
    assert time_s > sla.start_s and time_s <= sla.end_s, "not in the agreement's period"
    assert unit == terms.unit, "another unit"
    assert measured < VALUE_LIMIT and measured > -VALUE_LIMIT, "value out of range"
    assert completeness <= MILLION, "completeness above one"
    assert self.verdicts[kpi][player][time_s].judged == 0, "judged already"
    verdict: Verdict = self._judge(terms, measured, completeness)
    self.verdicts[kpi][player][time_s] = verdict
    log Judged(
        kpi=kpi,
        player=player,
        time_s=time_s,
        judged=verdict.judged,
        penalty=verdict.penalty,
        measured=measured,
        source=source,
    )
    return verdict


@internal
@view
def _judge(terms: Kpi, measured: int128, completeness: uint256) -> Verdict:
    if completeness < COMPLETE_ENOUGH:
        return Verdict(judged=NOT_EVALUABLE, penalty=0, measured=measured)
    excess: int256 = convert(measured, int256) - convert(terms.limit, int256)
    if terms.rule == Rule.BELOW:
        excess = -excess
    if excess <= 0:
        return Verdict(judged=OK, penalty=0, measured=measured)
    penalty: uint256 = convert(terms.penalty, uint256)
    if terms.graded:
        scale: uint256 = max(convert(abs(convert(terms.limit, int256)), uint256), 1)
        over: uint256 = convert(excess, uint256) * MILLION
        tolerated: uint256 = convert(terms.tolerance, uint256) * scale
        if over <= tolerated:
            return Verdict(judged=VIOLATED, penalty=0, measured=measured)
        dividend: uint256 = penalty * (over - tolerated)
        divisor: uint256 = scale * MILLION
        penalty = min((dividend + divisor - 1) // divisor, convert(terms.most, uint256))
    return Verdict(judged=VIOLATED, penalty=convert(penalty, uint128), measured=measured)


@internal
@view
def _only(role: uint256):
    assert staticcall Registry(registry).roles(msg.sender) & role != 0, "wrong role"

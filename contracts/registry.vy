# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Register of a community: roles, and what each role writes down for all to read
@license Apache-2.0
@notice The DSO appoints aggregators and market operators, keeps the map of players, the states and constraints of
        the grid and the default parameters of the markets. Aggregators open, close and solve local markets. A
        player commits to its own datasets and forecasts. Everybody reads. What is written about an interval stays.
@dev    Commitments are salted hashes; no measurement is ever written here. Names (segments, players) are hashes.
        What is written each interval is packed: the chain's cost is its leaves.
"""

flag Role:
    DSO
    AGGREGATOR
    MARKET_OPERATOR
    ORACLE

flag State:
    ACTIVE
    CLOSED
    SOLVED

struct Parameters:
    mechanism: uint64  # how prices are found, and the flow charge: contracts/register_values.py
    buy_usual: uint64  # all in ticks per kWh
    sell_usual: uint64
    buy_peer: uint64
    sell_peer: uint64
    beta: uint64  # in ticks per kWh²

struct Constraint:
    start_s: uint64  # holds from then on, until another is set
    import_w: uint96
    export_w: uint96

struct Opening:
    segment: bytes32
    grid_state: uint8  # 1 green, 2 yellow, 3 red
    players: bytes32  # hash of who may take part

struct Lem:
    aggregator: address
    state: State
    grid_state: uint8
    datasets: bytes32  # root of the commitments to what the players brought
    result: bytes32

struct Forecast:
    start_s: uint256
    commitment: bytes32

interface Settlement:
    def numberOf(key: bytes32) -> uint256: view
    def isSolvent(account: uint256) -> bool: view

event RoleSet:
    holder: indexed(address)
    roles: Role

event PlayerSet:
    player: indexed(bytes32)
    speaker: indexed(address)

event GridStateSet:
    segment: indexed(bytes32)
    start_s: indexed(uint256)
    grid_state: uint8

event ConstraintSet:
    segment: indexed(bytes32)
    start_s: indexed(uint256)
    import_w: uint96
    export_w: uint96

event ParametersSet:
    grid_state: indexed(uint8)
    parameters: Parameters

event LemOpened:
    lem: indexed(bytes32)
    segment: indexed(bytes32)
    start_s: indexed(uint256)
    end_s: uint256
    aggregator: address
    grid_state: uint8
    parameters: bytes32
    players: bytes32

event LemClosed:
    lem: indexed(bytes32)
    datasets: bytes32

event LemSolved:
    lem: indexed(bytes32)
    result: bytes32

event DatasetCommitted:
    player: indexed(bytes32)
    start_s: indexed(uint256)
    commitment: bytes32

event ForecastCommitted:
    player: indexed(bytes32)
    start_s: indexed(uint256)
    commitment: bytes32

MAX_SEGMENTS: constant(uint256) = 1024  # in one call
PACKED: constant(uint256) = 64  # states of intervals that follow each other in one word, four bits each
STATE_BITS: constant(uint256) = 160  # above the aggregator's address in the head of a market
GRID_BITS: constant(uint256) = 168
ADDRESS: constant(uint256) = (1 << 160) - 1

settlement: public(immutable(address))
roles: public(HashMap[address, Role])
speakers: public(HashMap[bytes32, address])  # who speaks for a player
grid_states: HashMap[bytes32, HashMap[uint256, uint256]]
constraints: HashMap[bytes32, uint256]
parameters: public(HashMap[uint8, Parameters])
lems: HashMap[bytes32, uint256]  # aggregator, state and state of the grid in one word
lem_datasets: HashMap[bytes32, bytes32]
lem_results: HashMap[bytes32, bytes32]
datasets: public(HashMap[bytes32, HashMap[uint256, bytes32]])
forecasts: public(HashMap[bytes32, Forecast])


@deploy
def __init__(settlement_: address):
    """
    @notice The deployer is the first DSO.
    @param settlement_ The contract with the accounts.
    """
    settlement = settlement_
    self.roles[msg.sender] = Role.DSO
    log RoleSet(holder=msg.sender, roles=Role.DSO)


@external
def setRoles(holder: address, roles: Role):
    """
    @notice Grant an address exactly these roles; none withdraws all.
    """
    self._only(Role.DSO)
    assert holder != msg.sender or Role.DSO in roles, "a DSO does not dismiss itself"
    self.roles[holder] = roles
    log RoleSet(holder=holder, roles=roles)


@external
def setPlayers(players: DynArray[bytes32, MAX_SEGMENTS], speakers: DynArray[address, MAX_SEGMENTS]):
    """
    @notice Say who speaks for players; the zero address lets a player go.
    """
    self._only(Role.DSO)
    assert len(players) == len(speakers), "one speaker a player"
    for i: uint256 in range(len(players), bound=MAX_SEGMENTS):
        self.speakers[players[i]] = speakers[i]
        log PlayerSet(player=players[i], speaker=speakers[i])


@external
def setGridStates(
    start_s: uint256, segments: DynArray[bytes32, MAX_SEGMENTS], states: DynArray[uint8, MAX_SEGMENTS]
):
    """
    @notice Set the state of segments in an interval: 1 green, 2 yellow, 3 red. It may only become graver;
            one that is set already is not set again.
    """
    self._only(Role.DSO)
    assert start_s % 900 == 0, "not the start of an interval"
    assert len(segments) == len(states), "one state a segment"
    word: uint256 = start_s // 900 // PACKED
    bits: uint256 = 4 * (start_s // 900 % PACKED)
    for i: uint256 in range(len(segments), bound=MAX_SEGMENTS):
        held: uint256 = self.grid_states[segments[i]][word]
        assert states[i] >= 1 and states[i] <= 3, "unknown state"
        if convert(states[i], uint256) == (held >> bits) & 15:
            continue
        assert convert(states[i], uint256) > (held >> bits) & 15, "a state may only become graver"
        self.grid_states[segments[i]][word] = (held & ~(15 << bits)) | (convert(states[i], uint256) << bits)
        log GridStateSet(segment=segments[i], start_s=start_s, grid_state=states[i])


@external
@view
def gridState(segment: bytes32, start_s: uint256) -> uint8:
    """
    @return The state of a segment in an interval, 0 where none was set.
    """
    word: uint256 = self.grid_states[segment][start_s // 900 // PACKED]
    return convert((word >> (4 * (start_s // 900 % PACKED))) & 15, uint8)


@external
def setConstraint(segment: bytes32, start_s: uint256, import_w: uint96, export_w: uint96):
    """
    @notice Set what a segment may draw and feed in from an interval on, in W; an older one does not come back.
    """
    self._only(Role.DSO)
    assert start_s % 900 == 0 and start_s < 2**64, "not the start of an interval"
    assert start_s >= self.constraints[segment] >> 192, "older than what is set"
    self.constraints[segment] = (
        (start_s << 192) | (convert(import_w, uint256) << 96) | convert(export_w, uint256)
    )
    log ConstraintSet(segment=segment, start_s=start_s, import_w=import_w, export_w=export_w)


@external
@view
def constraintOf(segment: bytes32) -> Constraint:
    """
    @return The newest constraint of a segment, all zero where none was set.
    """
    held: uint256 = self.constraints[segment]
    return Constraint(
        start_s=convert(held >> 192, uint64),
        import_w=convert((held >> 96) & (2**96 - 1), uint96),
        export_w=convert(held & (2**96 - 1), uint96),
    )


@external
def setParameters(grid_state: uint8, parameters: Parameters):
    """
    @notice Set the default parameters of markets in a state of the grid.
    """
    assert (Role.DSO | Role.MARKET_OPERATOR) & self.roles[msg.sender] != empty(Role), "wrong role"
    assert grid_state >= 1 and grid_state <= 3, "unknown state"
    assert (
        parameters.sell_usual <= parameters.sell_peer
        and parameters.sell_peer <= parameters.buy_peer
        and parameters.buy_peer <= parameters.buy_usual
    ), "sell usual <= sell peer <= buy peer <= buy usual"
    self.parameters[grid_state] = parameters
    log ParametersSet(grid_state=grid_state, parameters=parameters)


@external
@view
def lemKey(start_s: uint256, end_s: uint256, segment: bytes32, aggregator: address) -> bytes32:
    """
    @return What a market is known by.
    """
    return self._key(start_s, end_s, segment, aggregator)


@external
def openLems(start_s: uint256, end_s: uint256, openings: DynArray[Opening, MAX_SEGMENTS]):
    """
    @notice Open the local markets of some segments with the parameters that hold in their states.
    """
    self._only(Role.AGGREGATOR)
    assert start_s % 900 == 0 and end_s % 900 == 0 and end_s > start_s, "not whole intervals"
    for opening: Opening in openings:
        assert opening.grid_state >= 1 and opening.grid_state <= 3, "unknown state"
        key: bytes32 = self._key(start_s, end_s, opening.segment, msg.sender)
        assert self.lems[key] == 0, "open already"
        self.lems[key] = self._head(State.ACTIVE) | (convert(opening.grid_state, uint256) << GRID_BITS)
        log LemOpened(
            lem=key,
            segment=opening.segment,
            start_s=start_s,
            end_s=end_s,
            aggregator=msg.sender,
            grid_state=opening.grid_state,
            parameters=keccak256(abi_encode(self.parameters[opening.grid_state])),
            players=opening.players,
        )


@external
def closeLems(keys: DynArray[bytes32, MAX_SEGMENTS], datasets: bytes32):
    """
    @notice Close markets: what their players brought, all under one root, is what they will be solved with.
    """
    for key: bytes32 in keys:
        self._close(key, datasets)


@external
def solveLems(keys: DynArray[bytes32, MAX_SEGMENTS], results: DynArray[bytes32, MAX_SEGMENTS]):
    """
    @notice Write down the results of closed markets, once each.
    """
    assert len(keys) == len(results), "one result a market"
    for i: uint256 in range(len(keys), bound=MAX_SEGMENTS):
        self._solve(keys[i], results[i])


@external
def settleLems(
    keys: DynArray[bytes32, MAX_SEGMENTS], datasets: bytes32, results: DynArray[bytes32, MAX_SEGMENTS]
):
    """
    @notice Close markets and write down their results at once, as it is usual.
    """
    assert len(keys) == len(results), "one result a market"
    for i: uint256 in range(len(keys), bound=MAX_SEGMENTS):
        self._close(keys[i], datasets)
        self._solve(keys[i], results[i])


@external
@view
def lemOf(key: bytes32) -> Lem:
    """
    @return What is known of a market, all zero where it was never opened.
    """
    head: uint256 = self.lems[key]
    state: State = empty(State)
    if head != 0:
        state = convert((head >> STATE_BITS) & 255, State)
    return Lem(
        aggregator=convert(head & ADDRESS, address),
        state=state,
        grid_state=convert(head >> GRID_BITS, uint8),
        datasets=self.lem_datasets[key],
        result=self.lem_results[key],
    )


@external
def commitDataset(player: bytes32, start_s: uint256, commitment: bytes32):
    """
    @notice Commit to a player's dataset of an interval, once; the player must hold the minimum balance.
    """
    self._speak(player)
    assert start_s % 900 == 0, "not the start of an interval"
    assert self.datasets[player][start_s] == empty(bytes32), "committed already"
    number: uint256 = staticcall Settlement(settlement).numberOf(player)
    assert number > 0 and staticcall Settlement(settlement).isSolvent(number - 1), "balance below the minimum"
    self.datasets[player][start_s] = commitment
    log DatasetCommitted(player=player, start_s=start_s, commitment=commitment)


@external
def commitForecast(player: bytes32, start_s: uint256, commitment: bytes32):
    """
    @notice Commit to a player's newest forecast; an older one is turned down.
    """
    self._speak(player)
    assert start_s > self.forecasts[player].start_s, "not newer"
    self.forecasts[player] = Forecast(start_s=start_s, commitment=commitment)
    log ForecastCommitted(player=player, start_s=start_s, commitment=commitment)


@internal
def _close(key: bytes32, datasets: bytes32):
    self._move(key, State.ACTIVE, State.CLOSED, "not active")
    self.lem_datasets[key] = datasets
    log LemClosed(lem=key, datasets=datasets)


@internal
def _solve(key: bytes32, result: bytes32):
    self._move(key, State.CLOSED, State.SOLVED, "not closed")
    self.lem_results[key] = result
    log LemSolved(lem=key, result=result)


@internal
def _move(key: bytes32, before: State, after: State, why: String[16]):
    head: uint256 = self.lems[key]
    assert convert(head & ADDRESS, address) == msg.sender, "only its aggregator"
    assert (head >> STATE_BITS) & 255 == convert(before, uint256), why
    self.lems[key] = (head & ~(255 << STATE_BITS)) | (convert(after, uint256) << STATE_BITS)


@internal
@view
def _head(state: State) -> uint256:
    return convert(msg.sender, uint256) | (convert(state, uint256) << STATE_BITS)


@internal
@view
def _only(role: Role):
    assert role in self.roles[msg.sender], "wrong role"


@internal
@view
def _speak(player: bytes32):
    assert self.speakers[player] == msg.sender, "speaks for somebody else"


@internal
@pure
def _key(start_s: uint256, end_s: uint256, segment: bytes32, aggregator: address) -> bytes32:
    return keccak256(abi_encode(start_s, end_s, segment, aggregator))

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
    buy_usual: uint64  # all in ticks per kWh
    sell_usual: uint64
    buy_peer: uint64
    sell_peer: uint64
    beta: uint64  # in ticks per kWh²

struct Constraint:
    import_w: uint128
    export_w: uint128

struct Lem:
    aggregator: address
    state: State
    grid_state: uint8  # 1 green, 2 yellow, 3 red
    parameters: bytes32  # hash of the parameters that hold
    players: bytes32  # root of the players
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
    import_w: uint128
    export_w: uint128

event ParametersSet:
    grid_state: indexed(uint8)
    parameters: Parameters

event LemOpened:
    lem: indexed(bytes32)
    segment: indexed(bytes32)
    start_s: indexed(uint256)
    end_s: uint256
    aggregator: address

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

settlement: public(immutable(address))
roles: public(HashMap[address, Role])
speakers: public(HashMap[bytes32, address])  # who speaks for a player
grid_states: public(HashMap[bytes32, HashMap[uint256, uint8]])
constraints: public(HashMap[bytes32, HashMap[uint256, Constraint]])
parameters: public(HashMap[uint8, Parameters])
lems: public(HashMap[bytes32, Lem])
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
    @notice Set the state of segments in an interval: 1 green, 2 yellow, 3 red. It may only become graver.
    """
    self._only(Role.DSO)
    assert start_s % 900 == 0, "not the start of an interval"
    assert len(segments) == len(states), "one state a segment"
    for i: uint256 in range(len(segments), bound=MAX_SEGMENTS):
        assert states[i] >= 1 and states[i] <= 3, "unknown state"
        assert states[i] >= self.grid_states[segments[i]][start_s], "a state may only become graver"
        self.grid_states[segments[i]][start_s] = states[i]
        log GridStateSet(segment=segments[i], start_s=start_s, grid_state=states[i])


@external
def setConstraint(segment: bytes32, start_s: uint256, import_w: uint128, export_w: uint128):
    """
    @notice Set what a segment may draw and feed in during an interval, in W.
    """
    self._only(Role.DSO)
    assert start_s % 900 == 0, "not the start of an interval"
    self.constraints[segment][start_s] = Constraint(import_w=import_w, export_w=export_w)
    log ConstraintSet(segment=segment, start_s=start_s, import_w=import_w, export_w=export_w)


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
def openLem(start_s: uint256, end_s: uint256, segment: bytes32, grid_state: uint8, players: bytes32):
    """
    @notice Open a local market with the parameters that hold in a state of the grid.
    """
    self._only(Role.AGGREGATOR)
    assert start_s % 900 == 0 and end_s % 900 == 0 and end_s > start_s, "not whole intervals"
    assert grid_state >= 1 and grid_state <= 3, "unknown state"
    key: bytes32 = self._key(start_s, end_s, segment, msg.sender)
    assert self.lems[key].aggregator == empty(address), "open already"
    self.lems[key] = Lem(
        aggregator=msg.sender,
        state=State.ACTIVE,
        grid_state=grid_state,
        parameters=keccak256(abi_encode(self.parameters[grid_state])),
        players=players,
        datasets=empty(bytes32),
        result=empty(bytes32),
    )
    log LemOpened(lem=key, segment=segment, start_s=start_s, end_s=end_s, aggregator=msg.sender)


@external
def closeLem(key: bytes32, datasets: bytes32):
    """
    @notice Close a market: what its players brought is what it will be solved with.
    """
    assert self.lems[key].aggregator == msg.sender, "only its aggregator"
    assert self.lems[key].state == State.ACTIVE, "not active"
    self.lems[key].state = State.CLOSED
    self.lems[key].datasets = datasets
    log LemClosed(lem=key, datasets=datasets)


@external
def solveLem(key: bytes32, result: bytes32):
    """
    @notice Write down the result of a closed market, once.
    """
    assert self.lems[key].aggregator == msg.sender, "only its aggregator"
    assert self.lems[key].state == State.CLOSED, "not closed"
    self.lems[key].state = State.SOLVED
    self.lems[key].result = result
    log LemSolved(lem=key, result=result)


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

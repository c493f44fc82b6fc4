"""What has been written into a register, read back from its events; and nothing written twice."""

from collections import Counter

import msgspec
import pytest
from ledger_helpers import inline

from behaviours.ports import RegisteredMarket
from contracts import EvmLedger
from contracts.chain import Signer
from contracts.memory_register import MemoryRegister
from contracts.register import DSO, MARKET_OPERATOR
from contracts.register_values import tariff_of, tariff_words
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, FlowRule, LemParameters, Mechanism

pytestmark = pytest.mark.chain
SEGMENTS = ["north", "south"]


def event(segment_id: str, start_s: int, state: GridState) -> GridStatusEvent:
    return GridStatusEvent(
        segment_id=segment_id,
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=0,
        state=state,
        causes=[],
        loading=0.5,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )


def market(segment_id: str, start_s: int, result: str = "") -> RegisteredMarket:
    return RegisteredMarket(
        start_s=start_s,
        end_s=start_s + 900,
        segment_id=segment_id,
        grid_state=GridState.GREEN,
        players="ab" * 32,
        datasets="cd" * 32 if result else "",
        result=result,
    )


def limit(segment_id: str, start_s: int, most_w: int) -> GridConstraint:
    return GridConstraint(
        segment_id=segment_id, start_s=start_s, import_max_w=[most_w], export_max_w=[most_w // 2]
    )


DEARER = msgspec.structs.replace(GREEN_PARAMETERS, buy_usual_ticks_per_kwh=2_500)
WRITTEN = [
    ("operator", "set_parameters", GREEN_PARAMETERS),
    ("operator", "set_parameters", YELLOW_PARAMETERS),
    ("dso", "set_grid_states", [event(each, 900, GridState.GREEN) for each in SEGMENTS]),
    ("dso", "set_constraint", limit("north", 900, 50_000)),
    ("aggregator", "open_markets", [market(each, 900) for each in SEGMENTS]),
    ("operator", "set_parameters", DEARER),
    ("aggregator", "open_markets", [market("south", 1_800)]),
    ("dso", "set_grid_states", [event("north", 1_800, GridState.RED)]),
    ("dso", "set_constraint", limit("north", 1_800, 40_000)),
    ("aggregator", "settle_markets", [market(each, 900, "ef" * 32) for each in SEGMENTS]),
    ("aggregator", "close_markets", [market("south", 1_800)]),
]


class Chain:
    """A register on a chain, with a writer for each role."""

    def __init__(self) -> None:
        dso, operator = Signer(bytes([41]) * 32), Signer(bytes([42]) * 32)
        self.ledger = EvmLedger.embedded(funded=[dso.address, operator.address])
        self.registry = self.ledger.registry(dso)
        self.dso = self.registry.writer(dso, DSO)
        self.operator = self.registry.writer(operator, MARKET_OPERATOR)
        self.aggregator = self.registry.writer(self.ledger.operator)

    def write(self) -> None:
        for who, function, content in WRITTEN:
            inline(getattr(getattr(self, who), function)(content, 0))


@pytest.fixture(scope="module")
def chain() -> Chain:
    chain = Chain()
    chain.write()
    return chain


def test_the_history_has_each_interval_as_it_was_written(chain):
    rows = inline(chain.registry.reader().history(SEGMENTS, 900, 3_600))
    assert [(row.start_s, row.segment_id) for row in rows] == [
        (start_s, segment) for start_s in (900, 1_800, 2_700) for segment in SEGMENTS
    ]
    north, later = rows[0], rows[2]
    assert (north.grid_state, later.grid_state, rows[4].grid_state) == (GridState.GREEN, GridState.RED, None)
    assert [row.constraint and row.constraint.import_max_w for row in rows[::2]] == [
        [50_000],
        [40_000],
        [40_000],
    ]
    assert rows[1].constraint is None
    assert (north.market.players, north.market.result) == ("ab" * 32, "ef" * 32)
    assert (rows[1].parameters, rows[3].parameters) == (GREEN_PARAMETERS, DEARER)
    assert rows[3].market.state.value == "CLOSED"
    assert later.market is None


def test_the_register_in_memory_has_the_same_history(chain):
    memory = MemoryRegister()
    for _, function, content in WRITTEN:
        inline(getattr(memory, function)(content, 0))
    asked = (SEGMENTS, 0, 4_500)
    assert inline(memory.history(*asked)) == inline(chain.registry.reader().history(*asked))


def test_writing_everything_again_tells_nothing_new():
    chain = Chain()
    chain.write()
    told = Counter(str(each.values) for each in chain.registry.contract.events())
    for who, function, content in WRITTEN:
        if content not in (GREEN_PARAMETERS, DEARER) and function != "set_constraint":
            inline(getattr(getattr(chain, who), function)(content, 1))
    inline(chain.dso.set_constraint(limit("north", 1_800, 40_000), 1))
    inline(chain.operator.set_parameters(DEARER, 1))
    assert Counter(str(each.values) for each in chain.registry.contract.events()) == told


@pytest.mark.parametrize("rule", FlowRule)
@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_tariff_is_the_same_after_its_way_through_the_contracts_words(mechanism, rule):
    given: LemParameters = msgspec.structs.replace(YELLOW_PARAMETERS, mechanism=mechanism, flow_rule=rule)
    assert tariff_of(GridState.YELLOW, tariff_words(given)) == given


def test_more_segments_than_one_transaction_holds_go_in_several():
    chain = Chain()
    events = [event(f"s{number}", 900, GridState.YELLOW) for number in range(300)]
    inline(chain.dso.set_grid_states(events, 0))
    rows = inline(chain.registry.reader().history([each.segment_id for each in events], 900, 1_800))
    assert [row.grid_state for row in rows] == [GridState.YELLOW] * 300
